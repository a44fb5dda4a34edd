//! Handlers that can be set and replaced while they run.
//!
//! A serial handler (OnRequest) is called by the section's owner alone. Its setter puts the new one into
//! a [`Slot`] and announces it in the word; the owner moves it to where it calls it, before its next call
//! (R1). So a handler is never replaced under its own feet, and the published stale handler cannot be.
//!
//! A handler that others than the owner read (OnDisconnect) lives in a [`SharedSlot`] and is cloned
//! under its lock (R3). Both are cold paths: the hot path looks at one bit of the word.

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
/// # }
/// ```
#[derive(Debug)]
pub struct Slot<H>(Mutex<Option<H>>);

impl<H> Default for Slot<H> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<H> Slot<H> {
    /// Puts `handler` here, before [`handler_set`](super::lifecycle::handler_set) announces it. Returns
    /// one that was put here and never installed.
    pub fn put(&self, handler: H) -> Option<H> {
        lock(&self.0).replace(handler)
    }

    /// The newest handler that was put here, if it has not been taken. Called by the owner. (R1)
    pub fn take(&self) -> Option<H> {
        lock(&self.0).take()
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
pub struct SharedSlot<H>(Mutex<Option<H>>);

impl<H> Default for SharedSlot<H> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<H: Clone> SharedSlot<H> {
    /// Replaces the handler. Takes effect for calls that begin later.
    pub fn set(&self, handler: H) {
        *lock(&self.0) = Some(handler);
    }

    /// The handler in force.
    pub fn get(&self) -> Option<H> {
        lock(&self.0).clone()
    }
}
