//! Which connection an event is for, and whether it still is.
//!
//! An event carries a token: the index of a slot and the generation that the slot had when the fd was
//! registered. A slot is reused as soon as its connection is over, and so is the fd's number; an event
//! that a poller has in hand from before then has an old generation and is dropped. What an event with
//! the right generation may do, the connection's word decides.
//!
//! The lock is taken when a connection comes, when it goes, and when a polling thread has an event for it that it
//! has no handle of. From then on the thread keeps one ([`Handles`]), so that the next event costs neither a lock
//! nor a reference count.

#![forbid(unsafe_code)]

use super::host::Source;
use crate::sync::{Mutex, lock};

/// How many handles a polling thread keeps at most.
const KEPT: usize = 1024;

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
    /// A polling thread keeps a handle of the entry, or did.
    kept: bool,
    entry: Option<T>,
}

/// Slots with generations.
struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    /// Registrations that ended while a polling thread kept a handle, until it gives that back.
    over: Vec<Token>,
}

impl<T> Slab<T> {
    fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), over: Vec::new() }
    }

    /// Puts what `make` makes for its token into a free slot.
    fn insert(&mut self, make: impl FnOnce(Token) -> T) -> &T {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, kept: false, entry: None });
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
        if std::mem::take(&mut slot.kept) {
            self.over.push(token);
        }
        Some(entry)
    }

    /// The entry of `token`, of which the caller is about to keep a handle.
    fn keep(&mut self, token: Token) -> Option<&T> {
        let slot = self.slots.get_mut(token.index())?;
        if slot.generation != token.generation() {
            return None;
        }
        slot.kept = slot.entry.is_some();
        slot.entry.as_ref()
    }
}

/// A polling thread's own handles of connections that it has had events for.
///
/// One is given back in the thread's next turn after its registration is over, or when another connection needs
/// the place; a thread that waits is woken for that. So a connection that another thread ends while this one is in a
/// handler keeps a little memory until that returns: at most [`KEPT`] of them. An event that the thread has in hand for
/// it finds it closed, as one that came a little earlier would.
pub(crate) struct Handles<S> {
    places: Box<[Option<S>; KEPT]>,
    /// Memory for those that are over.
    over: Vec<Token>,
}

impl<S> Handles<S> {
    pub(crate) fn new() -> Self {
        Self { places: Box::new([const { None }; KEPT]), over: Vec::new() }
    }

    /// Gives all of them back. The thread does not poll this loop any more.
    pub(crate) fn clear(&mut self) {
        self.places.fill_with(|| None);
    }
}

/// The sources of one poller.
pub(crate) struct Registry<S>(Mutex<Slab<S>>);

impl<S> Default for Registry<S> {
    fn default() -> Self {
        Self(Mutex::new(Slab::new()))
    }
}

impl<S: Source> Registry<S> {
    /// Registers the connection that `make` makes; before its fd is added to epoll (S2).
    pub(crate) fn insert(&self, make: impl FnOnce(Token) -> S) -> S {
        lock(&self.0).insert(make).clone()
    }

    /// Ends a registration: its token names nothing from here on. Whether a polling thread has handles to give
    /// back. (C5)
    pub(crate) fn remove(&self, token: Token) -> bool {
        let mut slab = lock(&self.0);
        let gone = slab.remove(token);
        let over = !slab.over.is_empty();
        // Dropped outside the lock: it may be the last handle of the connection.
        drop(slab);
        drop(gone);
        over
    }

    /// Every connection that is registered now.
    pub(crate) fn all(&self) -> Vec<S> {
        lock(&self.0).slots.iter().filter_map(|slot| slot.entry.clone()).collect()
    }

    /// The connection that an event is for; `None` when its registration is over. Called by the leading thread, or
    /// by one that was deposed and has events in hand.
    #[inline(always)]
    pub(crate) fn find<'a>(&self, handles: &'a mut Handles<S>, token: Token) -> Option<&'a S> {
        let place = &mut handles.places[token.index() % KEPT];
        let kept = place.as_ref().is_some_and(|source| source.token() == token);
        if kept || self.keep(place, token) { place.as_ref() } else { None }
    }

    /// Puts a handle of the connection of `token` in its place. Whether it is registered.
    #[cold]
    #[inline(never)]
    fn keep(&self, place: &mut Option<S>, token: Token) -> bool {
        let Some(source) = lock(&self.0).keep(token).cloned() else { return false };
        // Dropped outside the lock, as in `remove`.
        *place = Some(source);
        true
    }

    /// Gives back the handles of connections that are over. Called by the leading thread.
    pub(crate) fn give_back(&self, handles: &mut Handles<S>) {
        std::mem::swap(&mut lock(&self.0).over, &mut handles.over);
        for token in handles.over.drain(..) {
            let place = &mut handles.places[token.index() % KEPT];
            if place.as_ref().is_some_and(|source| source.token() == token) {
                *place = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::step::tests::{connected, joined};

    /// So that each costs the lock once.
    #[test]
    fn each_connection_has_a_place_of_its_own_until_it_is_over() {
        let (one, _peer, server) = connected();
        let (two, _peer) = joined(&server, |_| ());
        let registry = &one.conn().poller().registry;
        let mut handles = Handles::new();
        for conn in [&one, &two] {
            assert!(registry.find(&mut handles, conn.conn().token).is_some());
        }
        let kept = |handles: &Handles<_>| handles.places.iter().flatten().count();
        assert_eq!(kept(&handles), 2);
        two.close();
        registry.give_back(&mut handles);
        assert_eq!(kept(&handles), 1);
        one.close();
    }

    #[test]
    fn an_old_generation_names_nothing() {
        let mut slab = Slab::new();
        let mut token = Token(0);
        slab.insert(|at| {
            token = at;
            "first"
        });
        assert_eq!(slab.keep(token), Some(&"first"));
        assert_eq!(slab.remove(token), Some("first"));
        assert_eq!(slab.remove(token), None);
        let mut second = Token(0);
        slab.insert(|at| {
            second = at;
            "second"
        });
        assert_eq!(token.index(), second.index(), "the slot is reused");
        assert_eq!(slab.keep(token), None);
        assert_eq!(slab.remove(token), None);
        assert_eq!(slab.keep(second), Some(&"second"));
    }

    #[test]
    fn only_handles_that_are_kept_are_to_be_given_back() {
        let mut slab = Slab::new();
        let mut tokens = Vec::new();
        for name in ["seen", "unseen"] {
            slab.insert(|at| {
                tokens.push(at);
                name
            });
        }
        assert_eq!(slab.keep(tokens[0]), Some(&"seen"));
        tokens.iter().for_each(|token| assert!(slab.remove(*token).is_some()));
        assert_eq!(slab.over, [tokens[0]]);
        // The next one in the same slot begins anew.
        slab.insert(|at| {
            tokens.push(at);
            "unseen again"
        });
        slab.insert(|at| {
            tokens.push(at);
            "unseen again"
        });
        tokens[2..].iter().for_each(|token| assert!(slab.remove(*token).is_some()));
        assert_eq!(slab.over, [tokens[0]]);
    }

    #[test]
    fn generations_wrap_below_the_reserved_tokens() {
        let mut slab = Slab::new();
        slab.slots.push(Slot { generation: u32::MAX - 1, kept: false, entry: None });
        slab.free.push(0);
        let mut token = Token(0);
        slab.insert(|at| token = at);
        assert!(token.0 < crate::reactor::poller::LISTENER);
        assert!(slab.remove(token).is_some());
        slab.insert(|at| token = at);
        assert_eq!(token, Token(0));
    }
}
