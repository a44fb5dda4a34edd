//! The gate of accepting: a limit of connections, and an acceptor that waits for room without polling.
//!
//! The count of a server's accepted connections and the acceptor's "I wait" are one word, so that the two
//! cannot miss each other: the acceptor sets its bit and looks at the count that it found; an end takes
//! itself off the count and looks at the bit that it found (Q1). With two words that would be a
//! store-buffering pair, and an acceptor that sleeps beside an empty server.
//!
//! One acceptor, any number of ends. Out of file descriptors the same gate serves: any end may have freed
//! one. Not here: the listener, and how the acceptor sleeps (`reactor/accept`).

use crate::mutation::{changed, guard, mask, order};
use crate::sync::atomic::{AtomicU32, Ordering};

/// The acceptor waits for an end. The rest of the word is the count.
pub(crate) const WAITS: u32 = 1 << 31;

/// How many connections there are, and whether the acceptor waits.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::gate::Gate;
///
/// let gate = Gate::new();
/// assert_eq!(gate.enter().open, 1);
/// assert!(!gate.wait().room(1), "the acceptor waits");
/// assert!(gate.leave(), "whoever ends the connection wakes it");
/// # }
/// ```
#[derive(Debug)]
pub struct Gate(AtomicU32);

/// What a transition of the gate found.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::gate::Gate;
///
/// let found = Gate::new().enter();
/// assert!(found.room(2) && !found.room(1) && !found.waiting);
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// How many connections there are.
    pub open: u32,
    /// The acceptor's bit was set: nobody has woken it since.
    pub waiting: bool,
}

impl Found {
    fn of(word: u32) -> Self {
        Self { open: word & !WAITS, waiting: word & WAITS != 0 }
    }

    /// Whether another connection may be accepted. (Q2)
    pub fn room(self, limit: u32) -> bool {
        guard("gate.room", self.open < limit)
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// The largest limit.
    pub const MOST: u32 = WAITS - 1;

    /// No connections, and nobody waits.
    pub fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// The acceptor took a connection: with it there are as many as this says. The acceptor is the only one
    /// that adds, so what is room now is room until it adds the next. (Q2)
    pub fn enter(&self) -> Found {
        // Ordering: Relaxed: the acceptor reads its own word; who ends the connection has it from the acceptor.
        Found::of(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The acceptor is about to wait for room: the next end wakes it, unless this found that there is some. (Q1)
    pub fn wait(&self) -> Found {
        // Ordering: Acquire, partner `leave`: what an end that came before has freed.
        let found = self.0.fetch_or(mask("gate.wait", WAITS), order("gate.wait", Ordering::Acquire));
        changed("gate.wait", WAITS, found);
        Found::of(found)
    }

    /// A connection that [`enter`](Self::enter) counted is over. `true`: the caller wakes the acceptor. (Q1)
    #[must_use]
    pub fn leave(&self) -> bool {
        // Ordering: Release, partner `wait`: what the end freed is free for an acceptor that comes after.
        let found = Found::of(self.0.fetch_sub(1, order("gate.leave", Ordering::Release)));
        guard("gate.leave-wakes", found.waiting) && self.wake()
    }

    /// The acceptor need not wait any more. `true`, for one of several callers at once: it waited, and the
    /// caller wakes it. The acceptor itself calls this when it goes on. (Q1)
    pub fn wake(&self) -> bool {
        // Ordering: Relaxed: who is woken is woken by the kernel, and what was freed, `leave` has published.
        let found = self.0.fetch_and(!mask("gate.wake", WAITS), order("gate.wake", Ordering::Relaxed));
        changed("gate.wake", WAITS, found);
        Found::of(found).waiting
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_the_next_end_and_wakes_once() {
        let gate = Gate::new();
        assert_eq!(gate.enter(), Found { open: 1, waiting: false });
        assert!(!gate.enter().room(2));
        assert!(!gate.leave(), "nobody waits");
        let _ = gate.enter();
        let found = gate.wait();
        assert!(!found.waiting && !found.room(2) && found.room(3));
        assert!(gate.wait().waiting);
        assert!(gate.leave(), "it waits");
        assert_eq!(gate.wait(), Found { open: 1, waiting: false });
        assert!(gate.wake() && !gate.wake(), "once");
        assert!(!gate.leave());
    }
}
