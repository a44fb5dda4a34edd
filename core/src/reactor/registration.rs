//! Which connection an event is for, and whether it still is.
//!
//! An event carries a token: the index of a slot and the generation that the slot had when the fd was
//! registered. A slot is reused as soon as its connection is over, and so is the fd's number; an event
//! that a poller has in hand from before then has an old generation and is dropped. What an event with
//! the right generation may do, the connection's word decides.
//!
//! The lock is taken once per batch of events, and once when a connection comes and when it goes.

#![forbid(unsafe_code)]

use super::sys::{Events, Ready};
use crate::connection::Connection;
use crate::sync::{Mutex, lock};

/// Names one registration: generation in the upper half, index in the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(pub(crate) u64);

impl Token {
    fn new(index: u32, generation: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(index))
    }

    fn index(self) -> usize {
        (self.0 & u64::from(u32::MAX)) as usize
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

struct Slot<T> {
    generation: u32,
    entry: Option<T>,
}

/// Slots with generations.
struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    /// Puts what `make` makes for its token into a free slot.
    fn insert(&mut self, make: impl FnOnce(Token) -> T) -> &T {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, entry: None });
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        slot.entry.insert(make(Token::new(index, slot.generation)))
    }

    /// Empties the slot of `token`, if it is that registration's still.
    fn remove(&mut self, token: Token) -> Option<T> {
        let slot = self.slots.get_mut(token.index())?;
        if slot.generation != token.generation() {
            return None;
        }
        let entry = slot.entry.take()?;
        // The last generation is left out: the tokens of the wake-up and the listener have it.
        slot.generation = if slot.generation >= u32::MAX - 1 { 0 } else { slot.generation + 1 };
        self.free.push(token.index() as u32);
        Some(entry)
    }

    #[inline]
    fn get(&self, token: Token) -> Option<&T> {
        let slot = self.slots.get(token.index())?;
        if slot.generation == token.generation() { slot.entry.as_ref() } else { None }
    }
}

/// The connections of one poller.
pub(crate) struct Registry(Mutex<Slab<Connection>>);

impl Default for Registry {
    fn default() -> Self {
        Self(Mutex::new(Slab { slots: Vec::new(), free: Vec::new() }))
    }
}

impl Registry {
    /// Registers the connection that `make` makes; before its fd is added to epoll (S2).
    pub(crate) fn insert(&self, make: impl FnOnce(Token) -> Connection) -> Connection {
        lock(&self.0).insert(make).clone()
    }

    /// Ends a registration: its token names nothing from here on. (C5)
    pub(crate) fn remove(&self, token: Token) {
        // Dropped outside the lock: it may be the last handle of the connection.
        let gone = lock(&self.0).remove(token);
        drop(gone);
    }

    /// Every connection that is registered now.
    pub(crate) fn all(&self) -> Vec<Connection> {
        lock(&self.0).slots.iter().filter_map(|slot| slot.entry.clone()).collect()
    }

    /// Looks up a batch of events in one go, and leaves the first of them last. Returns how many came for registrations that are over.
    #[inline]
    pub(crate) fn ready(&self, events: &Events, batch: &mut Vec<(Connection, Ready)>, mut other: impl FnMut(u64)) -> u64 {
        let mut stale = 0;
        let slab = lock(&self.0);
        for (token, ready) in events.iter().rev() {
            if token >= super::epoll::LISTENER {
                other(token);
            } else if let Some(connection) = slab.get(Token(token)) {
                batch.push((connection.clone(), ready));
            } else {
                stale += 1;
            }
        }
        stale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_generation_names_nothing() {
        let mut slab = Slab { slots: Vec::new(), free: Vec::new() };
        let mut token = Token(0);
        slab.insert(|at| {
            token = at;
            "first"
        });
        assert_eq!(slab.get(token), Some(&"first"));
        assert_eq!(slab.remove(token), Some("first"));
        assert_eq!(slab.remove(token), None);
        let mut second = Token(0);
        slab.insert(|at| {
            second = at;
            "second"
        });
        assert_eq!(token.index(), second.index(), "the slot is reused");
        assert_eq!(slab.get(token), None);
        assert_eq!(slab.remove(token), None);
        assert_eq!(slab.get(second), Some(&"second"));
    }

    #[test]
    fn generations_wrap_below_the_reserved_tokens() {
        let mut slab = Slab { slots: vec![Slot { generation: u32::MAX - 1, entry: None }], free: vec![0] };
        let mut token = Token(0);
        slab.insert(|at| token = at);
        assert!(token.0 < super::super::epoll::LISTENER);
        assert!(slab.remove(token).is_some());
        slab.insert(|at| token = at);
        assert_eq!(token, Token(0));
    }
}
