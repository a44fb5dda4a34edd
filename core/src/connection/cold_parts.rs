//! What few connections ever need: no memory is taken for it before somebody sets something of it.
//!
//! Not here: what is done with it (`blocking`, `relay`, [`Connection::detach`]).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use crate::connection::blocking::TimeLimit;
use crate::connection::{Connection, Detached};
use crate::sync::{Mutex, MutexGuard, lock};

/// A callback that gets the fd back; see [`Connection::detach`].
pub(crate) type DetachCallback = Box<dyn FnOnce(Detached) + Send>;

#[derive(Default)]
struct Parts {
    /// How long calls wait.
    read: TimeLimit,
    write: TimeLimit,
    detached: Option<DetachCallback>,
    /// Whose handlers wait for this one's output. (O6)
    awaiting: Vec<Connection>,
}

/// One connection's rarely needed parts. Any thread.
pub(crate) struct ColdParts(Mutex<Option<Box<Parts>>>);

impl ColdParts {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn parts(&self) -> MutexGuard<'_, Option<Box<Parts>>> {
        lock(&self.0)
    }

    /// How long reads wait, and flushes.
    pub(crate) fn change_limits(&self, change: impl FnOnce(&mut TimeLimit, &mut TimeLimit)) {
        let mut parts = self.parts();
        let Parts { read, write, .. } = &mut **parts.get_or_insert_default();
        change(read, write);
    }

    pub(crate) fn read_limit(&self) -> TimeLimit {
        self.parts().as_ref().map_or_else(TimeLimit::default, |parts| parts.read)
    }

    pub(crate) fn write_limit(&self) -> TimeLimit {
        self.parts().as_ref().map_or_else(TimeLimit::default, |parts| parts.write)
    }

    /// `callback` is who wants the fd back. It comes back if somebody wanted it before.
    pub(crate) fn set_detached(&self, callback: DetachCallback) -> Result<(), DetachCallback> {
        let mut parts = self.parts();
        let slot = &mut parts.get_or_insert_default().detached;
        if slot.is_some() {
            return Err(callback);
        }
        *slot = Some(callback);
        Ok(())
    }

    /// Who wants the fd back, once.
    pub(crate) fn take_detached(&self) -> Option<DetachCallback> {
        self.parts().as_mut().and_then(|parts| parts.detached.take())
    }

    /// The connection is over: nothing is kept of what its user set. Returns who wants the fd back. (U4)
    pub(crate) fn end(&self) -> Option<DetachCallback> {
        let parts = self.parts().take();
        parts.and_then(|parts| parts.detached)
    }

    /// `other` waits for this one's output to drain. Once in the list is enough, however often it comes. (O6)
    pub(crate) fn add_awaiting(&self, other: &Connection) {
        let mut parts = self.parts();
        let awaiting = &mut parts.get_or_insert_default().awaiting;
        if !awaiting.iter().any(|conn| conn.is(other)) {
            awaiting.push(other.clone());
        }
    }

    /// `other` does not wait after all. (O6)
    pub(crate) fn remove_awaiting(&self, other: &Connection) {
        let mut parts = self.parts();
        let awaiting = parts.as_mut().map(|parts| &mut parts.awaiting);
        let found = awaiting.and_then(|all| {
            let at = all.iter().position(|conn| conn.is(other))?;
            Some(all.swap_remove(at))
        });
        drop(parts);
        drop(found);
    }

    pub(crate) fn take_awaiting(&self) -> Vec<Connection> {
        self.parts().as_mut().map_or_else(Vec::new, |parts| std::mem::take(&mut parts.awaiting))
    }
}
