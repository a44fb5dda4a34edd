//! A channel between threads, with the facade's lock and reference count underneath.
//!
//! `std::sync::mpsc` would do, but ThreadSanitizer cannot look into it; see `pollproof::sync`.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use pollproof::sync::{Arc, Condvar, Mutex, lock};

use crate::support::LONG;

struct Inner<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    senders: usize,
    receivers: usize,
}

/// Sends; clones send to the same receiver.
pub struct Sender<T>(Arc<Inner<T>>);

/// Receives; clones share what comes.
pub struct Receiver<T>(Arc<Inner<T>>);

/// A channel.
pub fn queue<T>() -> (Sender<T>, Receiver<T>) {
    let state = Mutex::new(State { waiting: VecDeque::new(), senders: 1, receivers: 1 });
    let inner = Arc::new(Inner { state, changed: Condvar::new() });
    (Sender(inner.clone()), Receiver(inner))
}

impl<T> Sender<T> {
    /// Drops what nobody will receive: a connection that waited here would keep the handler that sent it, and so itself.
    pub fn send(&self, value: T) {
        let mut state = lock(&self.0.state);
        if state.receivers > 0 {
            state.waiting.push_back(value);
            self.0.changed.notify_all();
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        lock(&self.0.state).senders += 1;
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        lock(&self.0.state).senders -= 1;
        self.0.changed.notify_all();
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        lock(&self.0.state).receivers += 1;
        Self(self.0.clone())
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.receivers -= 1;
        let left = if state.receivers == 0 { std::mem::take(&mut state.waiting) } else { VecDeque::new() };
        // Outside the lock: it may be the last handle of whoever sends.
        drop(state);
        drop(left);
    }
}

impl<T> Receiver<T> {
    /// What comes next, if it comes in time and somebody is there to send it.
    pub fn within(&self, time: Duration) -> Option<T> {
        let until = Instant::now() + time;
        let mut state = lock(&self.0.state);
        loop {
            if let Some(value) = state.waiting.pop_front() {
                return Some(value);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || state.senders == 0 {
                return None;
            }
            let woken = self.0.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// What comes next.
    pub fn next(&self) -> T {
        self.within(LONG).expect("a message")
    }

    /// Whether nothing is there now.
    pub fn is_empty(&self) -> bool {
        lock(&self.0.state).waiting.is_empty()
    }
}
