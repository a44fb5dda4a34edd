//! Close callbacks: newest first, each once, sealed once.
//!
//! A callback is added by a push. The seal is one operation, done by the finalizer before it runs the
//! list; a push that comes after it gets its callback back, so that nothing is accepted and then
//! forgotten (C3). The list is a cold path (a push or two in a connection's life), so a lock is its
//! whole concurrency; an empty list owns no memory.
//!
//! Not here: when to seal (`process`) and what to catch ([`Effects`](super::effects::Effects)).

use super::effects::Ran;
use crate::mutation::guard;
use crate::sync::{Mutex, lock};

#[derive(Debug)]
enum State<F> {
    Open(Vec<F>),
    Sealed,
}

/// A list of callbacks that is run once, from the newest to the oldest.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::close_list::CloseList;
/// use pollproof::protocol::effects::Ran;
///
/// let list = CloseList::new();
/// list.push("first").unwrap();
/// list.push("second").unwrap();
/// let mut order = Vec::new();
/// let ran = list.run(|callback| {
///     order.push(callback);
///     Ran::Done
/// });
/// assert_eq!((ran, order), (2, vec!["second", "first"]));
/// assert_eq!(list.push("too late"), Err("too late"));
/// # }
/// ```
#[derive(Debug)]
pub struct CloseList<F>(Mutex<State<F>>);

impl<F> Default for CloseList<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F> CloseList<F> {
    /// An empty list, open to pushes.
    pub fn new() -> Self {
        Self(Mutex::new(State::Open(Vec::new())))
    }

    /// Adds `callback`, to run before those that are there. Any thread; also inside a close callback,
    /// where it is too late.
    ///
    /// # Errors
    ///
    /// The callback comes back when the list has been sealed: it will not run. (C3)
    pub fn push(&self, callback: F) -> Result<(), F> {
        let mut state = lock(&self.0);
        match &mut *state {
            State::Open(list) => {
                list.push(callback);
                Ok(())
            }
            State::Sealed => Err(callback),
        }
    }

    /// Seals the list and calls each callback, newest first, outside the lock. A callback that panics
    /// does not stop the ones after it (P3). A second call finds nothing (C2). Returns how many ran.
    pub fn run(&self, mut call: impl FnMut(F) -> Ran) -> usize {
        let state = std::mem::replace(
            &mut *lock(&self.0),
            if guard("close-list.sealed", true) { State::Sealed } else { State::Open(Vec::new()) },
        );
        let State::Open(mut list) = state else { return 0 };
        let mut ran = 0;
        while let Some(callback) = list.pop() {
            ran += 1;
            if call(callback) == Ran::Failed && !guard("close-list.caught-each", true) {
                break;
            }
        }
        ran
    }
}
