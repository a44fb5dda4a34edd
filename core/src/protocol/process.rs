//! Who runs: the serial section, its drain, and release-and-recheck.
//!
//! [`run`] is the published `onProcess`, from step 3 on: it drains what was read, ends the connection
//! when it is closing, and otherwise releases the section and looks at what the release found. There is
//! one double check, not two, and it costs nothing: the value that `release` returns holds every bit
//! that was set before it, and whoever sets one after it finds `TASK` clear and takes over (N2).
//!
//! Called with `TASK` held; when it returns, the section is released, owned by somebody else, or held
//! for ever. Not here: the steps that lead to `TASK` (`lifecycle`), and the fd.

use super::effects::{Effects, Ran, wake_for_close};
use super::interest;
use super::trigger::Wake;
use super::word::*;
use crate::mutation::guard;

/// What has been read, and how much of it has been consumed, in bytes since birth.
///
/// ```
/// use pollproof::protocol::process::Unread;
///
/// let unread = Unread { produced: 100, consumed: 64 };
/// assert_eq!(unread.produced - unread.consumed, 36);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Bytes that were read.
    pub produced: u64,
    /// Bytes that handlers consumed.
    pub consumed: u64,
}

/// The owner's memory of its last call of OnRequest: when to call again. (N4)
///
/// ```
/// use pollproof::protocol::process::{Progress, Unread};
///
/// let mut progress = Progress::default();
/// let half = Unread { produced: 10, consumed: 0 };
/// assert!(progress.due(half, false));
/// // The handler wants more than these ten bytes: it is not called again for them,
/// progress.called(half, half, false);
/// assert!(!progress.due(half, false));
/// // but for one more, or when nothing more will come.
/// assert!(progress.due(Unread { produced: 11, ..half }, false));
/// assert!(progress.due(half, true));
/// ```
#[derive(Debug, Default)]
pub struct Progress {
    /// Total read when the handler last returned without having consumed everything.
    seen: u64,
    /// The handler was called when nothing more could come.
    told: bool,
}

impl Progress {
    /// Whether OnRequest is due: there is something unread, and either the handler has not seen as much,
    /// or it has not been told that nothing more will come. So bytes that a peer sent before it closed reach
    /// the handler at least once. (N4, N5)
    #[inline]
    pub fn due(&self, unread: Unread, last: bool) -> bool {
        let left = unread.produced > unread.consumed;
        let new = !guard("progress.same-bytes", unread.produced <= self.seen);
        left && (new || guard("progress.told-of-close", last && !self.told))
    }

    /// OnRequest returned: `before` and `after` are what was unread around it.
    #[inline]
    pub fn called(&mut self, before: Unread, after: Unread, last: bool) {
        // A handler that consumed something is called again for the rest; one that consumed nothing
        // only for more than it has seen.
        self.seen = if after.consumed == before.consumed { before.produced } else { 0 };
        self.told = last;
    }

    /// Another handler is in place, which has seen nothing.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Why the owner leaves: what its release must not find. (N2)
#[derive(Clone, Copy)]
enum Rest {
    /// Everything is drained, and nobody closes.
    Idle,
    /// Closing, but somebody holds something.
    Held,
    /// Shutdown waits for a read or for output.
    Busy,
    /// Shutdown waits for the rest of a request.
    HalfPacket,
    /// The handler waits for output to drain.
    Choked,
}

impl Rest {
    /// Whether the section must be taken again, going by what the release found.
    #[inline]
    fn is_over(self, found: Snapshot) -> bool {
        let pending = guard("process.retake-pending", found.any(PENDING) && !found.any(USER));
        let closing = guard("process.retake-closing", found.closing());
        if let Rest::Choked = self {
            // Bytes that came meanwhile wait as well.
            return guard("process.retake-choked", !found.choked());
        }
        pending
            || match self {
                Rest::Idle => closing || guard("process.retake-shutdown", found.any(SHUTDOWN)),
                Rest::Held => guard("process.retake-rest-over", !found.at_rest()),
                Rest::Busy => closing || guard("process.retake-idle-over", !found.busy()),
                Rest::HalfPacket => closing,
                Rest::Choked => false,
            }
    }
}

/// How the closing part of a run ended.
enum Settled {
    /// The close is committed and everything is freed.
    Finalized,
    /// Somebody else must move first.
    Rest,
}

/// How a drain ended.
enum Drained {
    /// Nothing is due; the newest value that it decided on, without `PENDING`.
    Dry(Snapshot),
    /// The handler waits for output to drain. (O5)
    Choked,
    /// The section went to the end of a queue, with its ownership. (F2)
    PassedOn,
}

/// Runs the serial section: drain, end, release and look again. `at` is a value of the word that the
/// owner found after it took `TASK`. (S1, N1, N2, C4)
#[inline]
pub fn run<E: Effects + ?Sized>(fx: &E, at: Snapshot) {
    if let Some(at) = run_once(fx, at) {
        run_on(fx, at);
    }
}

#[inline(never)]
fn run_on<E: Effects + ?Sized>(fx: &E, mut at: Snapshot) {
    while let Some(next) = run_once(fx, at) {
        at = next;
    }
}

/// One turn of the section: `None` when the caller does not own it any more, else what it goes on with.
#[inline(always)]
fn run_once<E: Effects + ?Sized>(fx: &E, at: Snapshot) -> Option<Snapshot> {
    match drain(fx, at) {
        Drained::Dry(dry) if !dry.any(CLOSING | SHUTDOWN) => release(fx, Rest::Idle),
        other => leave_otherwise(fx, other),
    }
}

/// The owner leaves; `Some` if it must not.
#[inline(always)]
fn release<E: Effects + ?Sized>(fx: &E, rest: Rest) -> Option<Snapshot> {
    let word = fx.word();
    let found = word.release();
    if !rest.is_over(found) || word.take().any(TASK) {
        return None;
    }
    Some(look_again(fx))
}

/// A drain ended otherwise than dry with nobody closing.
#[inline(never)]
fn leave_otherwise<E: Effects + ?Sized>(fx: &E, drained: Drained) -> Option<Snapshot> {
    let rest = match drained {
        Drained::PassedOn => return None,
        Drained::Choked => Rest::Choked,
        Drained::Dry(dry) if dry.closing() => match settle(fx, dry) {
            Settled::Finalized => return None,
            Settled::Rest => Rest::Held,
        },
        Drained::Dry(dry) if dry.any(SHUTDOWN) => match close_if_idle(fx) {
            Ok(found) => return Some(found),
            Err(rest) => rest,
        },
        Drained::Dry(_) => Rest::Idle,
    };
    release(fx, rest)
}

/// The owner is about to look: whatever arrives from here on sets its bit anew. (N1, R1)
fn look_again<E: Effects + ?Sized>(fx: &E) -> Snapshot {
    let found = fx.word().begin_drain();
    if guard("process.install-handler", found.any(FRESH)) {
        fx.install_handler();
        fx.progress(Progress::forget);
    }
    found.without(PENDING | FRESH)
}

/// Calls OnRequest while it is due. (S4)
#[inline(always)]
fn drain<E: Effects + ?Sized>(fx: &E, at: Snapshot) -> Drained {
    match drain_once(fx, at, false) {
        Ok(drained) => drained,
        Err((at, called)) => drain_on(fx, at, called),
    }
}

#[inline(never)]
fn drain_on<E: Effects + ?Sized>(fx: &E, mut at: Snapshot, mut called: bool) -> Drained {
    loop {
        match drain_once(fx, at, called) {
            Ok(drained) => return drained,
            Err(next) => (at, called) = next,
        }
    }
}

/// Calls OnRequest if it is due. `called`: it was called before, in this drain. `Err` has both for another try.
#[inline(always)]
fn drain_once<E: Effects + ?Sized>(fx: &E, mut at: Snapshot, called: bool) -> Result<Drained, (Snapshot, bool)> {
    if at.any(PENDING | FRESH) {
        at = look_again(fx);
    }
    if at.stopped() {
        return Ok(Drained::Dry(at));
    }
    if at.any(FULL) && !fx.input_full() {
        at = interest::read_on(fx, at);
    }
    let last = at.closing();
    let Some(before) = fx.unread().filter(|unread| fx.progress(|own| own.due(*unread, last))) else {
        fx.keep_unread();
        return Ok(Drained::Dry(rest_reading(fx, at, || fx.unread().is_none())));
    };
    if fx.output_high() && !at.closed() {
        fx.keep_unread();
        // A consumer that parks after this finds it; what one sent before is counted by now.
        if guard("process.choked", fx.word().choke().any(OUT)) && guard("process.still-high", fx.output_high()) {
            let _ = rest_reading(fx, at, || true);
            return Ok(Drained::Choked);
        }
        // Nobody may be there to clear it.
        return Err((fx.word().unchoke().without(HIGH), called));
    }
    if called && fx.pass_on(at) {
        return Ok(Drained::PassedOn);
    }
    let ran = fx.on_request(last);
    if ran == Ran::Panicked {
        return Ok(Drained::Dry(close_held(fx)));
    }
    let after = fx.unread().unwrap_or(before);
    let more = fx.progress(|own| {
        own.called(before, after, last);
        own.due(after, last)
    });
    if more || last {
        // Somebody may have closed meanwhile, and a user close stops the drain at once.
        return Err((look_again(fx), true));
    }
    Ok(Drained::Dry(rest_reading(fx, at, || false)))
}

/// The owner is about to leave bytes unread, or none. Reading goes on for a handler that wants more than
/// is read ahead; where nobody will consume, it stops at the limit. (N6)
#[inline(always)]
fn rest_reading<E: Effects + ?Sized>(fx: &E, at: Snapshot, nobody_consumes: impl FnOnce() -> bool) -> Snapshot {
    let full = guard("process.fill", fx.input_full()) && nobody_consumes();
    if at.any(FULL) && guard("process.read-on", !full) {
        interest::read_on(fx, at)
    } else if full && !at.any(FULL) {
        let _ = fx.word().fill();
        interest::update(fx);
        at.with(FULL)
    } else {
        at
    }
}

/// The owner closes the connection itself. (P1)
pub(super) fn close_held<E: Effects + ?Sized>(fx: &E) -> Snapshot {
    let found = fx.word().close_held();
    wake_for_close(fx, found, Wake::Closed);
    found.with(USER)
}

/// The end of a closing connection that is drained, as far as it can be reached now. Nothing can be left
/// to drain: the peer's close is reported under the reader lock, after everything that was read, and no
/// read begins after it. Whoever released a hold before the claim of the DEL is ordered before the close
/// callbacks, closers included. (C4, C7, D1, E3, L1, N3)
fn settle<E: Effects + ?Sized>(fx: &E, mut at: Snapshot) -> Settled {
    let word = fx.word();
    if at.unattended() {
        return Settled::Rest;
    }
    if guard("settle.gate-output", !at.closed()) {
        // Half-closed and drained: what is being sent still goes out, nothing begins any more.
        at = word.gate_output();
        if at.output_left() {
            return Settled::Rest;
        }
    }
    at = word.claim_detach();
    if !guard("settle.detach-once", at.any(DET)) {
        fx.deregister();
    }
    if at.held() {
        return Settled::Rest;
    }
    let found = word.commit();
    if !guard("process.task-held-through-close", true) {
        let _ = word.release();
    }
    fx.run_close_callbacks();
    fx.finish(found.any(BACK));
    Settled::Finalized
}

/// Graceful shutdown of a drained connection: gate, look, close or leave. (G2, G3)
fn close_if_idle<E: Effects + ?Sized>(fx: &E) -> Result<Snapshot, Rest> {
    let word = fx.word();
    let found = word.gate_input();
    let whole = !guard("idle.half-packet", !fx.input_empty());
    if !found.closing() && !found.busy() && whole {
        return Ok(close_held(fx));
    }
    let found = if guard("idle.ungate", true) { word.ungate_input() } else { word.look() };
    if found.closing() || found.any(PENDING) {
        Ok(found)
    } else if whole {
        Err(Rest::Busy)
    } else {
        Err(Rest::HalfPacket)
    }
}

/// A hold is over: the last one out takes the section of a connection that is to end. `found` is what
/// the release of `bit` found. (H3)
#[inline]
pub(super) fn leave<E: Effects + ?Sized>(fx: &E, found: Snapshot, bit: u32) {
    let now = found.without(bit);
    if now.any(TASK) {
        return;
    }
    let end = if now.closing() {
        guard("leave.last-one-out", !now.at_rest())
    } else {
        guard("leave.shutdown", now.any(SHUTDOWN) && !now.busy())
    };
    if end {
        let found = fx.word().take();
        if !found.any(TASK) {
            fx.run_task(found.with(TASK));
        }
    }
}
