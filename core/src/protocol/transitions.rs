//! Every change of the word: one `fetch_or` or one `fetch_and` each, and the value it found.
//!
//! A transition does one atomic operation and returns the [`Snapshot`] from before it; that value alone
//! says what its caller must do next. All bits being in one cell, these operations are totally ordered:
//! of two transitions one sees the other. No transition loops, none can fail, each is wait-free. (A1, A2)
//!
//! The table of each transition (bits before, bits after, what the caller must do) is in SPEC.md, under
//! the transition's name. What follows from the returned value is in `process`, `lifecycle`, `output`,
//! `interest` and `trigger`; nothing outside these modules calls a transition.

use super::word::*;
use crate::mutation::{changed, mask, order};
use crate::sync::atomic::{AtomicWord, Ordering::AcqRel};
use crate::sync::label;

/// The lock bits of one connection, in one atomic word.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::transitions::Word;
/// use pollproof::protocol::word::{CONNECTING, TASK};
///
/// let word = Word::new(true);
/// assert!(word.look().has(TASK | CONNECTING), "born owned, until OnConnect is over");
/// # }
/// ```
#[derive(Debug)]
pub struct Word(AtomicWord);

/// The valid states of SPEC.md, where checking them costs nobody anything.
#[inline(always)]
fn check(left_behind: Snapshot) {
    if cfg!(any(loom, shuttle, debug_assertions))
        && let Some(rule) = left_behind.broken_rule()
    {
        panic!("{rule}, but the word is {left_behind}");
    }
}

impl Word {
    /// The word of a connection that is born owned. `handler`: an OnConnect or OnRequest is set. (S2)
    pub fn new(handler: bool) -> Self {
        let born = BORN | if handler { HANDLER } else { 0 };
        changed("new", born, 0);
        Self(AtomicWord::new(mask("new", born)))
    }

    #[inline(always)]
    fn set(&self, name: &'static str, bits: u32) -> Snapshot {
        label(name);
        // Ordering: AcqRel, partner: every other RMW of this word. Acquire takes over what the previous
        // owners of these bits left behind; Release hands over what this thread wrote. Neither alone is
        // enough, because one transition ends one role and begins another.
        let mask = mask(name, bits);
        let found = Snapshot(self.0.fetch_or(mask, order(name, AcqRel)));
        changed(name, bits, found.0);
        check(found.with(mask));
        found
    }

    #[inline(always)]
    fn clear(&self, name: &'static str, bits: u32) -> Snapshot {
        label(name);
        // Ordering: AcqRel, partner: every other RMW of this word; see `set`.
        let mask = mask(name, bits);
        let found = Snapshot(self.0.fetch_and(!mask, order(name, AcqRel)));
        changed(name, bits, found.0);
        check(found.without(mask));
        found
    }

    /// The newest value, changing nothing: an RMW, so that it cannot be stale. Decides nothing that a
    /// later transition does not decide again.
    #[inline]
    pub fn look(&self) -> Snapshot {
        self.set("look", 0)
    }

    // Process: the serial section.

    /// Tries to take the serial section: the caller owns it iff `TASK` was clear. (S1)
    #[inline]
    pub(super) fn take(&self) -> Snapshot {
        self.set("take", TASK)
    }

    /// The owner is about to look at its input and its handler slot. (N1)
    #[inline]
    pub(super) fn begin_drain(&self) -> Snapshot {
        self.clear("begin_drain", PENDING | FRESH)
    }

    /// The owner leaves; the value that it found is the double check. (N2)
    #[inline]
    pub(super) fn release(&self) -> Snapshot {
        self.clear("release", TASK)
    }

    // Life cycle: birth and OnConnect.

    /// The claim of the DEL is laid down, just before the ADD. (D1)
    #[inline]
    pub(super) fn begin_register(&self) -> Snapshot {
        self.clear("begin_register", DET)
    }

    /// OnConnect is over, or was skipped: the hand-over of OnDisconnect. (H1)
    #[inline]
    pub(super) fn end_connect(&self) -> Snapshot {
        self.clear("end_connect", CONNECTING)
    }

    // Life cycle: reading.

    /// Tries to become the fd's reader and, in the same step, the serial section's owner. (N3)
    #[inline]
    pub(super) fn begin_read(&self) -> Snapshot {
        self.set("begin_read", READING | TASK)
    }

    /// Bytes were appended: whoever owns the section looks again, or else the caller owns it. `full`: that
    /// is as much as is read ahead. (N1, N6)
    #[inline]
    pub(super) fn announce(&self, full: bool) -> Snapshot {
        self.set("announce", PENDING | TASK | if full { FULL } else { 0 })
    }

    /// The owner leaves, nobody will consume, and that is as much as is read ahead. (N6)
    #[inline]
    pub(super) fn fill(&self) -> Snapshot {
        self.set("fill", FULL)
    }

    /// There is room again, or a reader waits for more. (N6)
    #[inline]
    pub(super) fn unfill(&self) -> Snapshot {
        self.clear("unfill", FULL)
    }

    /// A second try, by a poller whose first found somebody else reading: if it finds that again, the fd is
    /// masked until that reader is through. (K6)
    #[inline]
    pub(super) fn mask_read(&self) -> Snapshot {
        self.set("mask_read", READING | TASK | MASKED)
    }

    /// The reader lock is given back, and with it the mask that was laid on the fd meanwhile. (N3, K6)
    #[inline]
    pub(super) fn end_read(&self) -> Snapshot {
        self.clear("end_read", READING | MASKED)
    }

    // Life cycle: closing.

    /// The holder of `READING` has read the end of the stream. (E1)
    #[inline]
    pub(super) fn eof(&self) -> Snapshot {
        self.set("eof", EOF)
    }

    /// The peer is gone: with the claim of the DEL in the same step. (C1, D1)
    #[inline]
    pub(super) fn hup(&self) -> Snapshot {
        self.set("hup", PEER | DET)
    }

    /// A user close; takes the section if it is free. (C1)
    #[inline]
    pub(super) fn close(&self) -> Snapshot {
        self.set("close", USER | TASK)
    }

    /// A close by the section's owner or by who still holds something: a panic, a failed register, an
    /// idle shutdown. (P1)
    #[inline]
    pub(super) fn close_held(&self) -> Snapshot {
        self.set("close_held", USER)
    }

    /// A user close that wants the fd back; takes the section if it is free. (D3)
    #[inline]
    pub(super) fn detach(&self) -> Snapshot {
        self.set("detach", USER | BACK | TASK)
    }

    /// Asks for a graceful close; takes the section if it is free. (G1)
    #[inline]
    pub(super) fn shutdown(&self) -> Snapshot {
        self.set("shutdown", SHUTDOWN | TASK)
    }

    /// The owner closes the gate of reading, to look whether the connection is idle. (G2)
    #[inline]
    pub(super) fn gate_input(&self) -> Snapshot {
        self.set("gate_input", NOREAD)
    }

    /// The owner opens the gate again: the connection was not idle. (G2)
    #[inline]
    pub(super) fn ungate_input(&self) -> Snapshot {
        self.clear("ungate_input", NOREAD)
    }

    /// No output begins from here on. (E3)
    #[inline]
    pub(super) fn gate_output(&self) -> Snapshot {
        self.set("gate_output", NOWRITE)
    }

    /// Claims the one DEL: the caller does it iff `DET` was clear. (D1)
    #[inline]
    pub(super) fn claim_detach(&self) -> Snapshot {
        self.set("claim_detach", DET)
    }

    /// The owner commits the close. (C4)
    #[inline]
    pub(super) fn commit(&self) -> Snapshot {
        self.set("commit", FINAL)
    }

    // Handler slots.

    /// A handler was put into its slot; takes the section if it is free. (R1)
    #[inline]
    pub(super) fn announce_handler(&self) -> Snapshot {
        self.set("announce_handler", HANDLER | FRESH | PENDING | TASK)
    }

    // Output.

    /// Tries to become the output's producer and, in the same step, its consumer. (O1, O2)
    #[inline]
    pub(super) fn begin_flush(&self) -> Snapshot {
        self.set("begin_flush", FLUSHING | OUT)
    }

    /// Output was appended: the consumer looks again, or else the caller is the consumer. (O2)
    #[inline]
    pub(super) fn announce_output(&self) -> Snapshot {
        self.set("announce_output", OUT | OUTPEND)
    }

    /// The consumer is about to look at the output. (O2)
    #[inline]
    pub(super) fn begin_send(&self) -> Snapshot {
        self.clear("begin_send", OUTPEND)
    }

    /// The consumer parks in epoll, and wants the mask to say so. (O3, I1)
    #[inline]
    pub(super) fn park(&self) -> Snapshot {
        self.set("park", ARMED | MOD | MODPEND)
    }

    /// The poller saw the fd writable: the caller is the consumer iff `ARMED` was set. (O3)
    #[inline]
    pub(super) fn unpark(&self) -> Snapshot {
        self.clear("unpark", ARMED)
    }

    /// The consumer lock is given back; the value that it found is its double check. (O2)
    #[inline]
    pub(super) fn end_send(&self) -> Snapshot {
        self.clear("end_send", OUT)
    }

    /// Takes the consumer lock again, after a release that found output. (O2)
    #[inline]
    pub(super) fn retake_send(&self) -> Snapshot {
        self.set("retake_send", OUT)
    }

    /// The producer lock is given back. (O1)
    #[inline]
    pub(super) fn end_flush(&self) -> Snapshot {
        self.clear("end_flush", FLUSHING)
    }

    /// The owner leaves its handler uncalled until output has drained. (O5)
    #[inline]
    pub(super) fn choke(&self) -> Snapshot {
        self.set("choke", HIGH)
    }

    /// Output has drained far enough, or there is none. (O5)
    #[inline]
    pub(super) fn unchoke(&self) -> Snapshot {
        self.clear("unchoke", HIGH)
    }

    /// The owner of another connection leaves its handler uncalled until this one's output has drained. (O6)
    #[inline]
    pub(super) fn await_drain(&self) -> Snapshot {
        self.set("await_drain", AWAITED)
    }

    /// It has drained: those who wait go on. (O6)
    #[inline]
    pub(super) fn end_await(&self) -> Snapshot {
        self.clear("end_await", AWAITED)
    }

    // Interest.

    /// The wanted mask changed: its holder looks again, or else the caller holds it. (I1)
    #[inline]
    pub(super) fn want_interest(&self) -> Snapshot {
        self.set("want_interest", MOD | MODPEND)
    }

    /// The holder is about to look which mask is wanted. (I1)
    #[inline]
    pub(super) fn begin_interest(&self) -> Snapshot {
        self.clear("begin_interest", MODPEND)
    }

    /// The lock of the mask is given back; the value that it found is its double check. (I1)
    #[inline]
    pub(super) fn end_interest(&self) -> Snapshot {
        self.clear("end_interest", MOD)
    }

    /// Takes the lock of the mask again, after a release that found a wish. (I1)
    #[inline]
    pub(super) fn retake_interest(&self) -> Snapshot {
        self.set("retake_interest", MOD)
    }

    // Waits.

    /// Tries to be the one flusher that waits. (O4)
    #[inline]
    pub(super) fn begin_sync(&self) -> Snapshot {
        self.set("begin_sync", SYNC)
    }

    /// A reader or flusher is about to sleep: `WAITR` or `WAITW`. (T1)
    #[inline]
    pub(super) fn begin_wait(&self, bit: u32) -> Snapshot {
        self.set("begin_wait", bit)
    }

    /// It is awake: `WAITR`, or `WAITW` with `SYNC`. (T1)
    #[inline]
    pub(super) fn end_wait(&self, bits: u32) -> Snapshot {
        self.clear("end_wait", bits)
    }
}
