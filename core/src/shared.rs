//! What the threads and connections of one server share: its pollers, its handler, and how far it is.
//!
//! Not here: the steps of starting and shutting down (`server`).

#![forbid(unsafe_code)]

use std::time::Instant;

use crate::connection::Connection;
use crate::error::Error;
use crate::handler::Factory;
use crate::reactor::epoll::Poller;
use crate::reactor::sys::NixListener;
use crate::reactor::threads::Threads;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex, lock};

pub(crate) type Hook = Box<dyn Fn(&Error) + Send + Sync>;

/// What the threads and connections of a server share.
pub(crate) struct Shared {
    pub(crate) pollers: Vec<Poller>,
    pub(crate) threads: Threads,
    pub(crate) factory: Box<dyn Factory>,
    hook: Option<Hook>,
    accepted: AtomicU64,
    open: AtomicU64,
    pub(crate) state: Mutex<State>,
    pub(crate) changed: Condvar,
}

/// Where a server is in its life.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) listener: Option<NixListener>,
    pub(crate) listening: bool,
    pub(crate) started: bool,
    /// Loops that were started and are not over.
    pub(crate) running: Vec<usize>,
}

impl Shared {
    /// Of a server that listens and does not run yet.
    pub(crate) fn new(
        pollers: Vec<Poller>,
        threads: Threads,
        factory: Box<dyn Factory>,
        hook: Option<Hook>,
        listener: NixListener,
    ) -> Self {
        let state = State { listener: Some(listener), ..State::default() };
        Self {
            pollers,
            threads,
            factory,
            hook,
            accepted: AtomicU64::new(0),
            open: AtomicU64::new(0),
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// Tells the hook; a hook that panics has said all it had to say.
    pub(crate) fn report(&self, error: &Error) {
        if let Some(hook) = &self.hook {
            let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| hook(error)));
            if let Err(payload) = told {
                std::mem::forget(payload);
            }
        }
    }

    /// A connection was accepted: which poller gets it, and its id.
    pub(crate) fn one_more(&self) -> (usize, u64) {
        // Ordering: Relaxed: a counter; the accepting thread is its only writer.
        let id = self.accepted.fetch_add(1, Ordering::Relaxed);
        // Ordering: Relaxed: `shutdown` waits for the accepting thread before it looks.
        self.open.fetch_add(1, Ordering::Relaxed);
        ((id % self.pollers.len() as u64) as usize, id)
    }

    /// A connection is over: its fd is closed and its slot is free.
    pub(crate) fn one_less(&self) {
        // Ordering: AcqRel, partner `open`: who sees the count sees what the ends of connections did.
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            drop(lock(&self.state));
            self.changed.notify_all();
        }
    }

    /// The listener is closed: no connection comes any more.
    pub(crate) fn accepting_ended(&self) {
        lock(&self.state).listening = false;
        self.changed.notify_all();
    }

    /// The loop `home` is over. Two threads may say so, the second late. With the last loop, the threads end.
    pub(crate) fn loop_ended(&self, home: usize) {
        let mut state = lock(&self.state);
        state.running.retain(|running| *running != home);
        let last = state.running.is_empty();
        if home == 0 {
            state.listening = false;
        }
        drop(state);
        if last {
            self.threads.close();
        }
        self.changed.notify_all();
    }

    pub(crate) fn open(&self) -> u64 {
        // Ordering: Acquire, partner `one_less`.
        self.open.load(Ordering::Acquire)
    }

    pub(crate) fn accepted(&self) -> u64 {
        // Ordering: Relaxed: a count for reports.
        self.accepted.load(Ordering::Relaxed)
    }

    pub(crate) fn stale(&self) -> u64 {
        // Ordering: Relaxed: counts for reports.
        self.pollers.iter().map(|poller| poller.stale.load(Ordering::Relaxed)).sum()
    }

    /// Waits until `over`, or until `deadline` if there is one; whether it is over.
    pub(crate) fn wait_until(&self, deadline: Option<Instant>, mut over: impl FnMut(&State) -> bool) -> bool {
        let mut state = lock(&self.state);
        while !over(&state) {
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    let woken = self.changed.wait_timeout(state, left);
                    woken.unwrap_or_else(std::sync::PoisonError::into_inner).0
                }
            };
        }
        true
    }

    /// Every connection that is not over.
    pub(crate) fn connections(&self) -> Vec<Connection> {
        self.pollers.iter().flat_map(|poller| poller.registry.all()).collect()
    }
}

