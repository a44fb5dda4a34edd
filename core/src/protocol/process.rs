//! Who runs: the serial section, its drain, and release-and-recheck.
//!
//! [`run`] is the published `onProcess`, from step 3 on: it drains what was read, ends the connection
//! when it is closing, and otherwise releases the section and looks at what the release found. There is
//! one double check, not two, and it costs nothing: the value that `release` returns holds every bit
//! that was set before it, and whoever sets one after it finds `TASK` clear and takes over (N2).
//!
//! Called with `TASK` held; when it returns, the section is released, owned by somebody else, or held
//! for ever. Not here: the steps that lead to `TASK` (`lifecycle`), when OnRequest is
//! due (`progress`), and the fd.

use super::effects::{Effects, Ran};
use super::interest;
use super::progress::{Progress, Unread};
use super::trigger::Wake;
use super::waits::wake_for_close;
use super::word::*;
use crate::mutation::guard;

/// Why the owner leaves: what its release must not find. (N2)
#[derive(Clone, Copy)]
enum Rest {
    /// Everything is drained, and nobody closes.
    Idle,
    /// Closing, but somebody holds something.
    Held,
    /// Shutdown waits for a read or for output.
    Busy,
    /// Shutdown waits for the rest of a request, or of a stream that is kept open.
    Unfinished,
    /// The peer only half-closed, and the user will end the output.
    Kept,
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
                Rest::Unfinished => closing,
                Rest::Kept => guard("process.retake-kept", found.closed() || found.any(NOWRITE)),
                Rest::Choked => false,
            }
    }
}

/// How the closing part of a run ended.
enum Settled {
    /// The close is committed and everything is freed.
    Finalized,
    /// The end was left to the home loop, with the section's ownership. (U2)
    Left,
    /// Somebody else must move first.
    Rest(Rest),
}

/// How a drain ended.
enum Drained {
    /// Nothing is due; the newest value that it decided on, without `PENDING`.
    Dry(Snapshot),
    /// The handler waits for output to drain. (O5)
    Choked,
    /// The section went to the end of a queue, with its ownership. (F2, U2)
    PassedOn,
}

/// What a turn of a drain came to.
enum Turn {
    /// OnRequest was called, nothing more is due, and the value that it went by still says what there is to say.
    Through,
    Ended(Drained),
    Again(Next),
}

/// Runs the serial section: drain, end, release and look again. `at` is a value of the word that the
/// owner found after it took `TASK`. (S1, N1, N2, C4)
#[inline(always)]
pub fn run<E: Effects + ?Sized>(step: &E, at: Snapshot) {
    if at.any(PENDING | FRESH | CLOSING | SHUTDOWN | FULL) {
        return step.apart(move |step| run_on(step, Some(at)));
    }
    match call_if_due(step, Next::first(at), false, false) {
        Turn::Through => {
            let found = step.word().release();
            if found.any(PENDING | CLOSING | SHUTDOWN) {
                step.apart(move |step| run_on(step, retake(step, Rest::Idle, found)));
            }
        }
        Turn::Ended(drained) => step.apart(move |step| run_on(step, leave_section(step, drained))),
        Turn::Again(next) => step.apart(move |step| run_on(step, leave_section(step, drain_on(step, next)))),
    }
}

/// Goes on as long as the section is not left: `next` is the value for the next turn.
#[cold]
#[inline(never)]
fn run_on<E: Effects + ?Sized>(step: &E, mut next: Option<Snapshot>) {
    while let Some(at) = next {
        next = leave_section(step, drain_on(step, Next::first(at)));
    }
}

/// What follows a drain: the end, or a release. `Some` if the section goes on.
#[cold]
#[inline(never)]
fn leave_section<E: Effects + ?Sized>(step: &E, drained: Drained) -> Option<Snapshot> {
    let rest = match drained {
        Drained::PassedOn => return None,
        Drained::Choked => Rest::Choked,
        Drained::Dry(dry) if dry.closing() => match settle(step, dry) {
            Settled::Finalized | Settled::Left => return None,
            Settled::Rest(rest) => rest,
        },
        Drained::Dry(dry) if dry.any(SHUTDOWN) => match close_if_idle(step, dry) {
            Ok(found) => return Some(found),
            Err(rest) => rest,
        },
        Drained::Dry(_) => Rest::Idle,
    };
    let found = step.word().release();
    retake(step, rest, found)
}

/// The section was released, and `found` is what that found: takes it again if somebody would be missed. (N2)
fn retake<E: Effects + ?Sized>(step: &E, rest: Rest, found: Snapshot) -> Option<Snapshot> {
    if !rest.is_over(found) || step.word().take().any(TASK) {
        return None;
    }
    Some(look_again(step))
}

/// The owner is about to look: whatever arrives from here on sets its bit anew. (N1, R1)
#[cold]
fn look_again<E: Effects + ?Sized>(step: &E) -> Snapshot {
    let found = step.word().begin_drain();
    // The last call may have installed it.
    if guard("process.install-handler", found.any(FRESH)) && step.install_handler() {
        step.progress(Progress::forget);
    }
    found.without(PENDING | FRESH)
}

/// Where a drain is.
struct Next {
    /// The newest value.
    at: Snapshot,
    /// OnRequest was called before.
    called: bool,
    /// It is called though the output is high: nobody would say when that has drained. (O6)
    unpaced: bool,
}

impl Next {
    fn first(at: Snapshot) -> Self {
        Self { at, called: false, unpaced: false }
    }
}

/// Calls OnRequest while it is due. (S4)
#[cold]
#[inline(never)]
fn drain_on<E: Effects + ?Sized>(step: &E, mut next: Next) -> Drained {
    loop {
        if next.at.any(PENDING | FRESH) {
            next.at = look_again(step);
        }
        if next.at.stopped() {
            return Drained::Dry(next.at);
        }
        if guard("process.leave-section", next.at.any(HANDLER)) && step.leave_section() {
            return Drained::PassedOn;
        }
        if next.at.any(FULL) && !step.input_full() {
            next.at = interest::read_on(step, next.at);
        }
        let (stopped_reading, last) = (next.at.any(FULL), next.at.closing());
        let at = next.at;
        next = match call_if_due(step, next, stopped_reading, last) {
            Turn::Through => return Drained::Dry(at),
            Turn::Ended(drained) => return drained,
            Turn::Again(next) => next,
        }
    }
}

/// Calls OnRequest if it is due. `stopped_reading` and `last` are what the value says of `FULL` and of closing.
#[inline(always)]
fn call_if_due<E: Effects + ?Sized>(step: &E, next: Next, stopped_reading: bool, last: bool) -> Turn {
    let Next { at, called, unpaced } = next;
    let end = last && guard("process.tell-end", step.keeps_open());
    let due = |unread: &Unread| step.progress(|own| own.due(*unread, last) || end && own.is_untold());
    let Some(before) = step.unread().filter(due) else {
        return Turn::Ended(Drained::Dry(step.apart(move |step| not_due(step, at))));
    };
    if !unpaced && step.output_high() && !at.closed() {
        return match step.apart(move |step| choke(step, at)) {
            Ok(drained) => Turn::Ended(drained),
            Err((at, unpaced)) => Turn::Again(Next { at, called, unpaced }),
        };
    }
    if called && step.pass_on(at) {
        return Turn::Ended(Drained::PassedOn);
    }
    let ran = step.on_request(last);
    if ran == Ran::Failed {
        return Turn::Ended(Drained::Dry(step.apart(close_held)));
    }
    let after = step.unread().unwrap_or(before);
    let more = step.progress(|own| own.called(before, after, last));
    if more || last {
        // Somebody may have closed meanwhile, and a user close stops the drain at once.
        return Turn::Again(Next { at: step.apart(look_again), called: true, unpaced: false });
    }
    let dry = rest_reading(step, at, stopped_reading, || false);
    if stopped_reading { Turn::Ended(Drained::Dry(dry)) } else { Turn::Through }
}

/// OnRequest is not due.
#[cold]
#[inline(never)]
fn not_due<E: Effects + ?Sized>(step: &E, at: Snapshot) -> Snapshot {
    step.keep_unread();
    rest_reading(step, at, at.any(FULL), || step.unread().is_none())
}

/// OnRequest is due, and so much output is on its way that it is to wait. `Err`: it is not any more, or nobody would
/// say so; then `true`, and the handler is called, and hears that the output is closed. (O5, O6)
#[cold]
#[inline(never)]
fn choke<E: Effects + ?Sized>(step: &E, at: Snapshot) -> Result<Drained, (Snapshot, bool)> {
    step.keep_unread();
    // A consumer that parks after this finds it, and so does the one that a flush under way is about to wake or to be;
    // what was sent before is counted by now. Not to wait for that flush would be to spin until it goes on. (A2)
    let found = step.word().choke();
    let other = step.await_other();
    let waits = other.unwrap_or_else(|| guard("process.choked", found.sending()));
    if waits && guard("process.still-high", step.output_high()) {
        let _ = rest_reading(step, at, at.any(FULL), || true);
        return Ok(Drained::Choked);
    }
    // Nobody may be there to clear it.
    Err((step.word().unchoke().without(HIGH), other == Some(false)))
}

/// The owner is about to leave bytes unread, or none. Reading goes on for a handler that wants more than
/// is read ahead; where nobody will consume, it stops at the limit. `stopped`: it had, by `at`. (N6)
#[inline(always)]
fn rest_reading<E: Effects + ?Sized>(
    step: &E,
    at: Snapshot,
    stopped: bool,
    nobody_consumes: impl FnOnce() -> bool,
) -> Snapshot {
    let full = guard("process.fill", step.input_full()) && nobody_consumes();
    if stopped && guard("process.read-on", !full) {
        step.apart(|step| interest::read_on(step, at))
    } else if full && !stopped {
        let _ = step.word().fill();
        step.apart(interest::update);
        at.with(FULL)
    } else {
        at
    }
}

/// The owner closes the connection itself. (P1)
#[cold]
pub(super) fn close_held<E: Effects + ?Sized>(step: &E) -> Snapshot {
    let found = step.word().close_held();
    wake_for_close(step, found, Wake::Closed);
    found.with(USER)
}

/// The end of a closing connection that is drained, as far as it can be reached now. Nothing can be left
/// to drain: the peer's close is reported under the reader lock, after everything that was read, and no
/// read begins after it. Whoever released a hold before the claim of the DEL is ordered before the close
/// callbacks, closers included. (C4, C7, D1, E3, L1, N3)
fn settle<E: Effects + ?Sized>(step: &E, mut at: Snapshot) -> Settled {
    let word = step.word();
    if at.unattended() {
        return Settled::Rest(Rest::Held);
    }
    if !at.closed() && !at.any(NOWRITE) && guard("settle.kept", step.keeps_open()) {
        return Settled::Rest(Rest::Kept);
    }
    if guard("settle.gate-output", !at.closed()) {
        // Half-closed and drained: what is being sent still goes out, nothing begins any more.
        at = word.gate_output();
        if at.output_left() {
            return Settled::Rest(Rest::Held);
        }
    }
    at = word.claim_detach();
    if !guard("settle.detach-once", at.any(DET)) {
        step.deregister();
    }
    if at.held() {
        return Settled::Rest(Rest::Held);
    }
    if guard("settle.leave-section", true) && step.leave_section() {
        return Settled::Left;
    }
    let found = word.commit();
    if !guard("process.task-held-through-close", true) {
        let _ = word.release();
    }
    step.run_close_callbacks();
    if guard("settle.relieve-others", found.any(AWAITED)) {
        // Who comes to wait after the commit finds it closed.
        step.relieve_others();
    }
    step.finish(found.any(BACK));
    Settled::Finalized
}

/// Graceful shutdown of a drained connection: gate, look, close or leave. `at` is what the drain came to.
///
/// Who meets the gate has an event, reads nothing, and is told of it again. So the gate is not closed while it is known
/// that it must be opened again: an owner and two pollers could go on with that for ever. (G1, G2, G3)
fn close_if_idle<E: Effects + ?Sized>(step: &E, at: Snapshot) -> Result<Snapshot, Rest> {
    let word = step.word();
    if guard("idle.kept", step.keeps_open()) || guard("idle.half-packet-before", !step.input_empty()) {
        return Err(Rest::Unfinished);
    }
    if guard("idle.busy-before", at.busy()) {
        return Err(Rest::Busy);
    }
    let found = word.gate_input();
    let whole = !guard("idle.half-packet", !step.input_empty());
    if !found.closing() && !found.busy() && whole {
        return Ok(close_held(step));
    }
    let found = if guard("idle.ungate", true) { word.ungate_input() } else { word.look() };
    if found.closing() || found.any(PENDING) {
        Ok(found)
    } else if whole {
        Err(Rest::Busy)
    } else {
        Err(Rest::Unfinished)
    }
}
