//! Every change of the word: one `fetch_or` or one `fetch_and` each, and the value it found.
//!
//! A transition does one atomic operation and returns the [`Snapshot`] from before it; that value alone
//! says what its caller must do next. All bits being in one cell, these operations are totally ordered:
//! of two transitions one sees the other. No transition loops, none can fail, each is wait-free. (A1, A2)
//!
//! A transition acquires where its caller goes on to use what others left behind, and releases where it
//! hands something over; most do one of the two. Each is an RMW and so goes on with the release sequences
//! of all before it: one that releases is ordered before every later one that acquires, and those that are
//! named as partners are the ones that rest on it. Where bits alone decide, it is relaxed.
//!
//! The table of each transition (bits before, bits after, what the caller must do) is in SPEC.md, under
//! the transition's name. What follows from the returned value is in `process`, `lifecycle`, `output`,
//! `interest` and `trigger`; nothing outside these modules calls a transition.

use super::word::*;
use crate::mutation::{changed, mask, order};
use crate::sync::atomic::AtomicWord;
use crate::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};
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
    fn set(&self, name: &'static str, bits: u32, by: Ordering) -> Snapshot {
        label(name);
        let mask = mask(name, bits);
        // Ordering: each transition's own, which says its partner.
        let found = Snapshot(self.0.fetch_or(mask, order(name, by)));
        changed(name, bits, found.0);
        check(found.with(mask));
        found
    }

    #[inline(always)]
    fn clear(&self, name: &'static str, bits: u32, by: Ordering) -> Snapshot {
        label(name);
        let mask = mask(name, bits);
        // Ordering: as in `set`.
        let found = Snapshot(self.0.fetch_and(!mask, order(name, by)));
        changed(name, bits, found.0);
        check(found.without(mask));
        found
    }

    /// The newest value, changing nothing: an RMW, so that it cannot be stale. Decides nothing that a
    /// later transition does not decide again.
    #[inline]
    pub fn look(&self) -> Snapshot {
        // Ordering: AcqRel: weaker than both, a compiler may make a plain load of it, which can be stale.
        self.set("look", 0, AcqRel)
    }

    // Process: the serial section.

    /// Tries to take the serial section: the caller owns it iff `TASK` was clear. (S1)
    #[inline]
    pub(super) fn take(&self) -> Snapshot {
        // Ordering: Acquire, partner `release`: what the last owner left.
        self.set("take", TASK, Acquire)
    }

    /// The owner is about to look at its input and its handler slot. (N1)
    #[inline]
    pub(super) fn begin_drain(&self) -> Snapshot {
        // Ordering: Acquire, partner `announce`: the bytes that it told of.
        self.clear("begin_drain", PENDING | FRESH, Acquire)
    }

    /// The owner leaves; the value that it found is the double check. (N2)
    #[inline]
    pub(super) fn release(&self) -> Snapshot {
        // Ordering: Release, partners: whoever takes the section next, and `commit`.
        self.clear("release", TASK, Release)
    }

    // Life cycle: birth and OnConnect.

    /// The claim of the DEL is laid down, just before the ADD. (D1)
    #[inline]
    pub(super) fn begin_register(&self) -> Snapshot {
        // Ordering: Relaxed: who finds it acts in epoll, and not before the ADD, which comes after this.
        self.clear("begin_register", DET, Relaxed)
    }

    /// OnConnect is over, or was skipped: the hand-over of OnDisconnect. (H1)
    #[inline]
    pub(super) fn end_connect(&self) -> Snapshot {
        // Ordering: Release, partners `eof` and `hup`: what OnConnect wrote, for OnDisconnect. (H5)
        self.clear("end_connect", CONNECTING, Release)
    }

    // Life cycle: reading.

    /// Tries to become the fd's reader and, in the same step, the serial section's owner. (N3)
    #[inline]
    pub(super) fn begin_read(&self) -> Snapshot {
        // Ordering: Acquire, partners `end_read` and `release`: what the last reader and the last owner left.
        self.set("begin_read", READING | TASK, Acquire)
    }

    /// Bytes were appended: whoever owns the section looks again, or else the caller owns it. `full`: that
    /// is as much as is read ahead. (N1, N6)
    #[inline]
    pub(super) fn announce(&self, full: bool) -> Snapshot {
        // Ordering: Release, partner `begin_drain`: the bytes. Acquire, partners `release`, for an owner, and
        // `begin_wait`: the trigger of the reader that it finds.
        self.set("announce", PENDING | TASK | if full { FULL } else { 0 }, AcqRel)
    }

    /// The owner leaves, nobody will consume, and that is as much as is read ahead. (N6)
    #[inline]
    pub(super) fn fill(&self) -> Snapshot {
        // Ordering: Relaxed: nothing but the mask follows from it, which is computed after `begin_interest`.
        self.set("fill", FULL, Relaxed)
    }

    /// There is room again, or a reader waits for more. (N6)
    #[inline]
    pub(super) fn unfill(&self) -> Snapshot {
        // Ordering: Relaxed, as `fill`.
        self.clear("unfill", FULL, Relaxed)
    }

    /// A second try, by a poller whose first found somebody else reading: if it finds that again, the fd is
    /// masked until that reader is through. (K6)
    #[inline]
    pub(super) fn mask_read(&self) -> Snapshot {
        // Ordering: Acquire, as `begin_read`.
        self.set("mask_read", READING | TASK | MASKED, Acquire)
    }

    /// As if somebody were at the fd for long.
    #[cfg(all(test, feature = "net", any(sim, not(any(loom, shuttle)))))]
    pub(crate) fn mask(&self) {
        let _ = self.mask_read();
    }

    /// The reader lock is given back, and with it the mask that was laid on the fd meanwhile. (N3, K6)
    #[inline]
    pub(super) fn end_read(&self) -> Snapshot {
        // Ordering: Release, partners: the next reader, and `commit`: this one is through with input and fd.
        self.clear("end_read", READING | MASKED, Release)
    }

    // Life cycle: closing.

    /// The holder of `READING` has read the end of the stream. (E1)
    #[inline]
    pub(super) fn eof(&self) -> Snapshot {
        // Ordering: Acquire, partners `end_connect`: what OnConnect wrote (H5), and `begin_wait`: the trigger.
        self.set("eof", EOF, Acquire)
    }

    /// The peer is gone: with the claim of the DEL in the same step. (C1, D1)
    #[inline]
    pub(super) fn hup(&self) -> Snapshot {
        // Ordering: Acquire, as `eof`. Release, partner `look`: how the connection broke, for callbacks that ask.
        self.set("hup", PEER | DET, AcqRel)
    }

    /// A user close; takes the section if it is free. (C1)
    #[inline]
    pub(super) fn close(&self) -> Snapshot {
        // Ordering: Release, partner `commit`: what the closer wrote. (C7) Acquire, partner `begin_wait`: the triggers.
        self.set("close", USER | TASK, AcqRel)
    }

    /// A close by the section's owner or by who still holds something: a panic, a failed register, an
    /// idle shutdown. (P1)
    #[inline]
    pub(super) fn close_held(&self) -> Snapshot {
        // Ordering: Acquire, partner `begin_wait`: the triggers. Its caller gives back what it holds after this.
        self.set("close_held", USER, Acquire)
    }

    /// A user close that wants the fd back; takes the section if it is free. (D3)
    #[inline]
    pub(super) fn detach(&self) -> Snapshot {
        // Ordering: AcqRel, as `close`.
        self.set("detach", USER | BACK | TASK, AcqRel)
    }

    /// Asks for a graceful close; takes the section if it is free. (G1)
    #[inline]
    pub(super) fn shutdown(&self) -> Snapshot {
        // Ordering: Release, partner `commit`: what the caller wrote. (C7) Acquire, as `take`.
        self.set("shutdown", SHUTDOWN | TASK, AcqRel)
    }

    /// The owner closes the gate of reading, to look whether the connection is idle. (G2)
    #[inline]
    pub(super) fn gate_input(&self) -> Snapshot {
        // Ordering: Acquire, partners `announce` and `end_read`: all that was read, or the input may look empty. (G2)
        self.set("gate_input", NOREAD, Acquire)
    }

    /// The owner opens the gate again: the connection was not idle. (G2)
    #[inline]
    pub(super) fn ungate_input(&self) -> Snapshot {
        // Ordering: Relaxed: the owner looks at what this finds after `begin_drain`, or ends after `commit`.
        self.clear("ungate_input", NOREAD, Relaxed)
    }

    /// No output begins from here on. (E3)
    #[inline]
    pub(super) fn gate_output(&self) -> Snapshot {
        // Ordering: Relaxed: the consumer looks at the output after `begin_send`.
        self.set("gate_output", NOWRITE, Relaxed)
    }

    /// Claims the one DEL: the caller does it iff `DET` was clear. (D1)
    #[inline]
    pub(super) fn claim_detach(&self) -> Snapshot {
        // Ordering: Relaxed: the DEL follows under the bit that the caller holds, and the end after `commit`.
        self.set("claim_detach", DET, Relaxed)
    }

    /// The owner commits the close. (C4)
    #[inline]
    pub(super) fn commit(&self) -> Snapshot {
        // Ordering: Acquire, partners: every release of a hold, and every close (C7): nobody else is left.
        self.set("commit", FINAL, Acquire)
    }

    // Handler slots.

    /// A handler was put into its slot; takes the section if it is free. (R1)
    #[inline]
    pub(super) fn announce_handler(&self) -> Snapshot {
        // Ordering: Relaxed: the slot has a lock, and an owner looks at the input after `begin_drain`.
        self.set("announce_handler", HANDLER | FRESH | PENDING | TASK, Relaxed)
    }

    // Output.

    /// Tries to become the output's producer and, in the same step, its consumer. (O1, O2)
    #[inline]
    pub(super) fn begin_flush(&self) -> Snapshot {
        // Ordering: Acquire, partners `end_flush` and `end_send`: the output as its last producer and consumer left it.
        self.set("begin_flush", FLUSHING | OUT, Acquire)
    }

    /// Output was appended: the consumer looks again, or else the caller is the consumer. (O2)
    #[inline]
    pub(super) fn announce_output(&self) -> Snapshot {
        // Ordering: Release, partner `begin_send`: what was appended.
        self.set("announce_output", OUT | OUTPEND, Release)
    }

    /// The consumer is about to look at the output. (O2)
    #[inline]
    pub(super) fn begin_send(&self) -> Snapshot {
        // Ordering: Acquire, partners `announce_output`: what was appended, and `end_send` and `park`: what the last
        // consumer left.
        self.clear("begin_send", OUTPEND, Acquire)
    }

    /// The consumer parks in epoll, and wants the mask to say so. (O3, I1)
    #[inline]
    pub(super) fn park(&self) -> Snapshot {
        // Ordering: Release, partner `begin_send`: what is left. Acquire, partner `begin_wait`: the trigger.
        self.set("park", ARMED | MOD | MODPEND, AcqRel)
    }

    /// The poller saw the fd writable: the caller is the consumer iff `ARMED` was set. (O3)
    #[inline]
    pub(super) fn unpark(&self) -> Snapshot {
        // Ordering: Relaxed: the consumer that this makes looks at the output after `begin_send`.
        self.clear("unpark", ARMED, Relaxed)
    }

    /// The consumer lock is given back; the value that it found is its double check. (O2)
    #[inline]
    pub(super) fn end_send(&self) -> Snapshot {
        // Ordering: Release, partners: the next consumer, `commit`, and who looks how much was sent (`choke`,
        // `await_drain`, `begin_wait`). Acquire, partner `begin_wait`: the trigger of the flusher that it finds.
        self.clear("end_send", OUT, AcqRel)
    }

    /// Takes the consumer lock again, after a release that found output. (O2)
    #[inline]
    pub(super) fn retake_send(&self) -> Snapshot {
        // Ordering: Relaxed, as `unpark`.
        self.set("retake_send", OUT, Relaxed)
    }

    /// The producer lock is given back. (O1)
    #[inline]
    pub(super) fn end_flush(&self) -> Snapshot {
        // Ordering: Release, partners: the next producer, and `commit`.
        self.clear("end_flush", FLUSHING, Release)
    }

    /// The owner leaves its handler uncalled until output has drained. (O5)
    #[inline]
    pub(super) fn choke(&self) -> Snapshot {
        // Ordering: Acquire, partners `end_send` and `park`: what they sent before they could find this. (O5)
        self.set("choke", HIGH, Acquire)
    }

    /// Output has drained far enough, or there is none. (O5)
    #[inline]
    pub(super) fn unchoke(&self) -> Snapshot {
        // Ordering: Relaxed: who takes the section for it acquires that.
        self.clear("unchoke", HIGH, Relaxed)
    }

    /// The owner of another connection leaves its handler uncalled until this one's output has drained. (O6)
    #[inline]
    pub(super) fn await_drain(&self) -> Snapshot {
        // Ordering: Acquire, as `choke`. (O6) Where the waiting connection is found has a lock.
        self.set("await_drain", AWAITED, Acquire)
    }

    /// It has drained: those who wait go on. (O6)
    #[inline]
    pub(super) fn end_await(&self) -> Snapshot {
        // Ordering: Relaxed, as `await_drain`: there is a lock.
        self.clear("end_await", AWAITED, Relaxed)
    }

    // Interest.

    /// The wanted mask changed: its holder looks again, or else the caller holds it. (I1)
    #[inline]
    pub(super) fn want_interest(&self) -> Snapshot {
        // Ordering: Relaxed: who gets the mask looks at it after `begin_interest`; what is wanted is the word itself.
        self.set("want_interest", MOD | MODPEND, Relaxed)
    }

    /// The holder is about to look which mask is wanted. (I1)
    #[inline]
    pub(super) fn begin_interest(&self) -> Snapshot {
        // Ordering: Acquire, partner `end_interest`: the mask that is in force.
        self.clear("begin_interest", MODPEND, Acquire)
    }

    /// The lock of the mask is given back; the value that it found is its double check. (I1)
    #[inline]
    pub(super) fn end_interest(&self) -> Snapshot {
        // Ordering: Release, partners `begin_interest`: the mask that is in force, and `commit`: the fd.
        self.clear("end_interest", MOD, Release)
    }

    /// Takes the lock of the mask again, after a release that found a wish. (I1)
    #[inline]
    pub(super) fn retake_interest(&self) -> Snapshot {
        // Ordering: Relaxed, as `want_interest`.
        self.set("retake_interest", MOD, Relaxed)
    }

    // Waits.

    /// Tries to be the one flusher that waits. (O4)
    #[inline]
    pub(super) fn begin_sync(&self) -> Snapshot {
        // Ordering: Acquire, partner `begin_wait`: the trigger, if an earlier flusher has made it.
        self.set("begin_sync", SYNC, Acquire)
    }

    /// A reader or flusher is about to sleep: `WAITR` or `WAITW`. (T1)
    #[inline]
    pub(super) fn begin_wait(&self, bit: u32) -> Snapshot {
        // Ordering: Release, partners: who finds the bit, and the next who waits: the trigger, made by now. Acquire,
        // partners `announce`, `end_send` and `park`: what they counted before they could find this. (T1)
        self.set("begin_wait", bit, AcqRel)
    }

    /// It is awake: `WAITR`, or `WAITW` with `SYNC`. (T1)
    #[inline]
    pub(super) fn end_wait(&self, bits: u32) -> Snapshot {
        // Ordering: Relaxed: the trigger has a lock, and what the waiter goes on with came with its wake-up.
        self.clear("end_wait", bits, Relaxed)
    }
}
