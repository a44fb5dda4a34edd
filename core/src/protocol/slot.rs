//! Handlers that can be set and replaced while they run.
//!
//! A serial handler (OnRequest) is called by the section's owner alone. Its setter puts the new one into
//! a [`Slot`] and announces it in the word; the owner moves it to where it calls it, before its next call
//! (R1). So a handler is never replaced under its own feet, and the published stale handler cannot be.
//!
//! A handler that others than the owner read (OnDisconnect) lives in a [`SharedSlot`] and is cloned
//! under its lock (R3). Both are cold paths: the hot path looks at one bit of the word.

use crate::mutation::guard;
use crate::sync::{Mutex, lock};

/// A handler on its way to the owner of the serial section.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::slot::Slot;
///
/// let slot = Slot::default();
/// assert_eq!(slot.put("a handler"), None);
/// assert_eq!(slot.put("a newer one"), Some("a handler"));
/// assert_eq!((slot.take(), slot.take()), (Some("a newer one"), None));
/// assert_eq!((slot.seal(), slot.put("too late")), (None, Some("too late")));
/// # }
/// ```
#[derive(Debug)]
pub struct Slot<H>(Mutex<State<H>>);

/// What is in a slot, until it is sealed.
#[derive(Debug)]
enum State<H> {
    Open(Option<H>),
    Sealed,
}

impl<H> State<H> {
    /// Puts `handler` here; returns the one that it replaces, or itself if it comes too late.
    fn put(&mut self, handler: H) -> Option<H> {
        match self {
            Self::Open(slot) => slot.replace(handler),
            Self::Sealed => Some(handler),
        }
    }

    /// Returns what is here; nothing is accepted from here on.
    fn seal(&mut self) -> Option<H> {
        let sealed = if guard("slot.seal", true) { Self::Sealed } else { Self::Open(None) };
        match std::mem::replace(self, sealed) {
            Self::Open(handler) => handler,
            Self::Sealed => None,
        }
    }
}

impl<H> Default for Slot<H> {
    fn default() -> Self {
        Self(Mutex::new(State::Open(None)))
    }
}

impl<H> Slot<H> {
    /// Puts `handler` here, before [`handler_set`](super::lifecycle::handler_set) announces it. Returns one that is
    /// not needed, to be dropped without a lock: one that was put here and never installed, or `handler` itself if the
    /// slot is sealed. (U4)
    pub fn put(&self, handler: H) -> Option<H> {
        lock(&self.0).put(handler)
    }

    /// The newest handler that was put here, if it has not been taken. Called by the owner. (R1)
    pub fn take(&self) -> Option<H> {
        match &mut *lock(&self.0) {
            State::Open(slot) => slot.take(),
            State::Sealed => None,
        }
    }

    /// The connection is over: returns what is here, and nothing is kept from here on. (U4)
    pub fn seal(&self) -> Option<H> {
        lock(&self.0).seal()
    }
}

/// A handler that any thread may call: cloned under the lock, called outside it. (R3)
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use std::sync::Arc;
///
/// use pollproof::protocol::slot::SharedSlot;
///
/// let slot: SharedSlot<Arc<dyn Fn() -> u32 + Send + Sync>> = SharedSlot::default();
/// slot.set(Arc::new(|| 7));
/// assert_eq!(slot.get().map(|handler| handler()), Some(7));
/// # }
/// ```
#[derive(Debug)]
pub struct SharedSlot<H>(Mutex<State<H>>);

impl<H> Default for SharedSlot<H> {
    fn default() -> Self {
        Self(Mutex::new(State::Open(None)))
    }
}

impl<H: Clone> SharedSlot<H> {
    /// Replaces the handler. Takes effect for calls that begin later. Returns one that is not needed, as
    /// [`Slot::put`] does. (U4)
    pub fn set(&self, handler: H) -> Option<H> {
        lock(&self.0).put(handler)
    }

    /// Whether a handler is in force.
    pub fn is_set(&self) -> bool {
        matches!(*lock(&self.0), State::Open(Some(_)))
    }

    /// The handler in force.
    pub fn get(&self) -> Option<H> {
        match &*lock(&self.0) {
            State::Open(handler) => handler.clone(),
            State::Sealed => None,
        }
    }

    /// As [`Slot::seal`]. (U4)
    pub fn seal(&self) -> Option<H> {
        lock(&self.0).seal()
    }
}
