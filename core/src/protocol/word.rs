//! The one word: what its bits mean, and what a value of it says.
//!
//! [`Snapshot`] is a value that a transition returned: pure predicates over bits, no memory access. The
//! transitions themselves are in [`transitions`](super::transitions). This module decides nothing: what
//! to do about a snapshot is said in `process`, `lifecycle`, `output` and `interest`.

use std::fmt;

use crate::mutation::guard;

macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident = $shift:literal;)*) => {
        $($(#[$doc])* pub const $name: u32 = 1 << $shift;)*

        /// Every bit with its name, lowest first.
        pub const NAMES: &[(u32, &str)] = &[$(($name, stringify!($name))),*];
    };
}

bits! {
    /// The serial section is owned (the published `processing`). Born set. Set by whoever takes the
    /// section; cleared by its owner; never cleared again once `FINAL` is set. (S1, C4)
    TASK = 0;
    /// Bytes were appended, or a handler was set, since the owner last looked. Set by the holder of
    /// `READING` and by the setter of a handler; cleared by the owner before it looks. (N1)
    PENDING = 1;
    /// OnConnect is not over. Born set; cleared once, by its end. (H1)
    CONNECTING = 2;
    /// Closed by the user, by a panic, or by shutdown. Monotone. (C1)
    USER = 3;
    /// The peer's side is gone: HUP, ERR, RST. Monotone. (C1)
    PEER = 4;
    /// The peer sends no more; it may still receive. Monotone. (E1)
    EOF = 5;
    /// The claim of the one `EPOLL_CTL_DEL`. Born set; cleared just before the ADD. (D1)
    DET = 6;
    /// The close is committed. (C4)
    FINAL = 7;
    /// Detach was asked for: the fd is handed back, not closed. (D3)
    BACK = 8;
    /// The fd's reader lock, and a hold: kept until OnDisconnect is over. (N3, H4)
    READING = 9;
    /// The gate of graceful shutdown: no read begins. Set and cleared by the owner. (G2)
    NOREAD = 10;
    /// Graceful shutdown was asked for. Monotone. (G1)
    SHUTDOWN = 11;
    /// Somebody serves this connection: it has an OnConnect or OnRequest. Monotone. (C6)
    HANDLER = 12;
    /// A handler waits in its slot to be installed. Set by the setter; cleared by the owner. (R1)
    FRESH = 13;
    /// The producer lock of the output, and a hold. (O1)
    FLUSHING = 14;
    /// The consumer lock of the output; a hold unless `ARMED`. (O2)
    OUT = 15;
    /// Output was appended since the consumer last looked. (O2)
    OUTPEND = 16;
    /// The consumer is parked in epoll; whoever clears this is the consumer. (O3)
    ARMED = 17;
    /// No output begins any more: drained after `EOF`, or a write failed. Monotone. (E3)
    NOWRITE = 18;
    /// The lock of epoll's interest mask, and a hold. (I1)
    MOD = 19;
    /// The wanted mask changed since the holder of `MOD` last looked. (I1)
    MODPEND = 20;
    /// A reader sleeps, or is about to. Set and cleared by that reader. (T1)
    WAITR = 21;
    /// A flusher sleeps, or is about to. Set and cleared by that flusher. (T1)
    WAITW = 22;
    /// Another poller has seen an event while `READING` was held: epoll is not asked to report the fd until
    /// it is released. Set by that poller, together with its try for `READING`; cleared with `READING`. (K6)
    MASKED = 23;
    /// Read ahead of a busy owner up to the limit: epoll is not asked for more. Set under `READING`;
    /// cleared by the owner, or for a blocked reader. (N6)
    FULL = 24;
    /// Output is above its high-water mark: the owner calls no handler. Set by the owner; cleared by the
    /// consumer, or by an owner who finds that there is none. (O5)
    HIGH = 25;
    /// A flusher waits for its bytes to be sent: one at a time. Set and cleared by that flusher. (O4)
    SYNC = 26;
    /// A handler of another connection waits for this one's output to drain. Set by that connection's owner;
    /// cleared by whoever sees that it has drained, and then lets it go on. (O6)
    AWAITED = 27;
}

/// The word at birth: owned, not connected, nothing registered.
pub const BORN: u32 = TASK | CONNECTING | DET;

/// Closed by anyone: the serial section's owner has something to end.
pub const CLOSING: u32 = USER | PEER | EOF;

/// A value of the word, as a transition found it.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::transitions::Word;
/// use pollproof::protocol::word::{PENDING, TASK};
///
/// let found = Word::new(true).look();
/// assert!(found.any(PENDING | TASK) && !found.closing());
/// assert_eq!(found.without(!TASK).to_string(), "TASK");
/// assert_eq!(found.broken_rule(), None);
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Snapshot(pub(super) u32);

impl Snapshot {
    /// The raw bits, for reports.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `bits` are set.
    #[inline]
    pub fn has(self, bits: u32) -> bool {
        self.0 & bits == bits
    }

    /// Whether any of `bits` is set.
    #[inline]
    pub fn any(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// This value with `bits` cleared.
    #[inline]
    pub fn without(self, bits: u32) -> Self {
        Self(self.0 & !bits)
    }

    /// This value with `bits` set.
    #[inline]
    pub fn with(self, bits: u32) -> Self {
        Self(self.0 | bits)
    }

    /// Closed by the user, by the peer, or half-closed by the peer.
    #[inline]
    pub fn closing(self) -> bool {
        self.any(CLOSING)
    }

    /// Closed in both directions: output is dropped, writers get an error. (E2)
    #[inline]
    pub fn closed(self) -> bool {
        self.any(USER | PEER)
    }

    /// The drain must stop at once. (S4)
    #[inline]
    pub fn stopped(self) -> bool {
        guard("process.user-stops-drain", self.any(USER))
    }

    /// Nobody is there to end it: closed from the peer's side, no handler, and no user close. (C6)
    #[inline]
    pub fn unattended(self) -> bool {
        guard("settle.unattended", self.any(PEER | EOF) && !self.any(USER | SHUTDOWN | HANDLER))
    }

    /// Output is on its way: somebody appends it, or has the consumer lock, or has just given it back to take it
    /// again for what was appended meanwhile. (O2)
    #[inline]
    pub(super) fn sending(self) -> bool {
        self.any(OUT | FLUSHING) || guard("output.between-two-sends", self.any(OUTPEND))
    }

    /// The peer only half-closed, and output is still on its way. (E3)
    #[inline]
    pub fn output_left(self) -> bool {
        !self.closed() && guard("settle.output-left", self.sending())
    }

    /// Somebody still uses the fd, the buffers or the callbacks: the last of them finalizes. (H3, H4)
    #[inline]
    pub fn held(self) -> bool {
        guard("hold.reading", self.any(READING))
            || guard("hold.interest", self.any(MOD))
            || guard("hold.flushing", self.any(FLUSHING))
            || guard("hold.sending", self.any(OUT) && !self.any(ARMED))
    }

    /// A closing connection whose owner has nothing to do until somebody else moves.
    #[inline]
    pub fn at_rest(self) -> bool {
        self.unattended() || self.held() || self.output_left()
    }

    /// A request is being read or its answer sent: graceful shutdown waits. (G2)
    #[inline]
    pub fn busy(self) -> bool {
        guard("idle.read-under-way", self.any(READING)) || guard("idle.output-left", self.sending())
    }

    /// The reader's side is not asked for: the stream has ended, or enough was read ahead. (I1)
    #[inline]
    pub fn reads_nothing(self) -> bool {
        self.any(EOF) || guard("interest.full", self.any(FULL))
    }

    /// The handler waits for the output to drain. A closed connection drops its output, and waits no more. (O5)
    #[inline]
    pub fn choked(self) -> bool {
        self.any(HIGH) && !self.closed()
    }

    /// The rule of SPEC.md's table of valid states that this value breaks.
    pub fn broken_rule(self) -> Option<&'static str> {
        let implied = |bits: u32, by: bool, rule| (self.any(bits) && !by).then_some(rule);
        implied(FINAL, self.has(TASK | DET) && self.closing(), "FINAL means TASK, DET and closing")
            .or_else(|| implied(CONNECTING, self.any(TASK), "CONNECTING means TASK"))
            .or_else(|| implied(PEER, self.any(DET), "PEER means DET"))
            .or_else(|| implied(BACK, self.any(USER), "BACK means USER"))
            .or_else(|| implied(NOREAD, self.any(TASK | USER), "NOREAD means TASK or USER"))
            .or_else(|| implied(NOREAD, self.any(SHUTDOWN), "NOREAD means SHUTDOWN"))
            .or_else(|| implied(FRESH, self.has(HANDLER | PENDING), "FRESH means HANDLER and PENDING"))
            .or_else(|| implied(HIGH, self.any(HANDLER), "HIGH means HANDLER"))
            .or_else(|| implied(ARMED, self.any(OUT), "ARMED means OUT"))
            .or_else(|| implied(WAITR, self.any(TASK), "WAITR means TASK"))
            .or_else(|| implied(WAITW, self.any(SYNC), "WAITW means SYNC"))
            .or_else(|| implied(MASKED, self.any(READING), "MASKED means READING"))
    }

    /// The end may have been committed by now: closed, or half-closed and the DEL is claimed. (D2)
    #[inline]
    pub fn ending(self) -> bool {
        self.closing() && self.fd_off_limits()
    }

    /// No access to the fd may begin on the strength of this value. (D2)
    #[inline]
    pub fn fd_off_limits(self) -> bool {
        self.any(USER | PEER | DET)
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = NAMES.iter().filter(|(bit, _)| self.any(*bit)).map(|(_, name)| *name);
        f.write_str(names.next().unwrap_or("-"))?;
        names.try_for_each(|name| write!(f, "|{name}"))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({self})")
    }
}
