//! Output: one producer, one consumer, and a consumer that can be parked in epoll.
//!
//! A flusher holds `FLUSHING` while it appends and while it waits; a second flush is an error (O1). The
//! consumer holds `OUT`; what a full socket does not take stays queued, and the consumer parks itself by
//! setting `ARMED`. The poller that *clears* `ARMED` is the consumer from there on; others ignore the
//! event (O3). A flush that gave up by time never takes `OUT` back (O4), so the published duplicated and
//! lost blocks cannot be.
//!
//! Not here: the queue and the fd ([`Effects::append`], [`Effects::send`]), and the mask (`interest`).

use super::effects::{Effects, Sent};
use super::interest;
use super::leave::leave;
use super::trigger::Wake;
use super::word::*;
use crate::mutation::guard;

/// Why a flush did not begin.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::effects::Effects;
/// use pollproof::protocol::output::{self, Refused};
///
/// fn send(step: &impl Effects) -> Result<(), Refused> {
///     let through = output::flush(step)?;
///     output::end_flush(step, through);
///     Ok(())
/// }
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Another flush is under way.
    ConcurrentAccess,
    /// The connection takes no more output.
    Closed,
}

/// What a consumer that is through leaves to be done, once its thread holds no lock of the output: it runs
/// handlers, which write, and would wait for that lock for ever. (O5, O6)
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::effects::Effects;
/// use pollproof::protocol::output;
///
/// fn send(step: &impl Effects) {
///     if let Ok(through) = output::flush(step) {
///         // Still the only flusher; nothing was called that might flush.
///         output::end_flush(step, through);
///     }
/// }
/// # }
/// ```
#[must_use]
#[derive(Debug, Default)]
pub struct Through {
    choked: bool,
    awaited: bool,
}

impl Through {
    #[inline(always)]
    fn go_on<E: Effects + ?Sized>(self, step: &E) {
        if self.choked {
            step.apart(go_on);
        }
        if self.awaited {
            step.apart(relieve_others);
        }
    }
}

/// In this order: who comes to wait in between is found now, or by the next who sees the bit. (O6)
#[cold]
#[inline(never)]
fn relieve_others<E: Effects + ?Sized>(step: &E) {
    let _ = step.word().end_await();
    step.relieve_others();
}

/// `HIGH` was cleared: an owner that has not left yet finds it clear, else the caller is the owner. (O5)
#[cold]
#[inline(never)]
fn go_on<E: Effects + ?Sized>(step: &E) {
    let found = step.word().take();
    if !found.any(TASK) {
        step.run_task(found.with(TASK));
    }
}

/// The output that the handler waits for has drained, and is another connection's. Any thread. (O6)
pub fn relieve<E: Effects + ?Sized>(step: &E) {
    // Who finds it clear is late: whoever cleared it has run the section, or its owner has seen it.
    if step.word().unchoke().any(HIGH) {
        go_on(step);
    }
}

/// The owner of another connection is about to wait for this one's output, and is where
/// [`Effects::relieve_others`] finds it. `false`: it is closed, and maybe nobody will call that. Else it is called,
/// if the output is still high after this: then somebody has it to send, and finds the bit. (O6)
#[must_use]
pub fn await_drain<E: Effects + ?Sized>(step: &E) -> bool {
    let found = step.word().await_drain();
    !guard("output.await-closed", found.closed())
}

/// Begins a flush and sends what the socket takes; the rest is queued, and sent by whoever is the
/// consumer then. The caller holds `FLUSHING` when this returns `Ok`, and ends with [`end_flush`]. (O1, O2)
#[inline]
pub fn flush<E: Effects + ?Sized>(step: &E) -> Result<Through, Refused> {
    flush_then(step, |_, flushed| flushed)
}

/// [`flush`] and [`end_flush`], for a caller that does nothing in between. (O1, O2)
#[inline(always)]
pub fn flush_at_once<E: Effects + ?Sized>(step: &E) -> Result<(), Refused> {
    flush_then(step, |step, flushed| flushed.map(|through| end_flush(step, through)))
}

/// A flush, and `then` what follows: each way that it may go has its own copy of that.
#[inline(always)]
fn flush_then<E: Effects + ?Sized, R>(step: &E, then: impl FnOnce(&E, Result<Through, Refused>) -> R) -> R {
    let found = step.word().begin_flush();
    if found.any(FLUSHING | OUT | USER | PEER | NOWRITE) {
        return step.apart(move |step| then(step, flush_not_at_once(step, found)));
    }
    consume_then(step, true, false, move |step, through| then(step, Ok(through)))
}

/// The try to become producer and consumer found more than a connection that takes output.
#[cold]
#[inline(never)]
fn flush_not_at_once<E: Effects + ?Sized>(step: &E, found: Snapshot) -> Result<Through, Refused> {
    let mine = admit(step, found)?;
    if mine || !guard("output.one-consumer", true) {
        return Ok(consume(step, true, false));
    }
    step.append();
    Ok(announce(step))
}

/// Whether the caller, whose try found that, is the producer; and if so, whether it is the consumer too. (O1, O2)
fn admit<E: Effects + ?Sized>(step: &E, found: Snapshot) -> Result<bool, Refused> {
    let mine = !found.any(OUT);
    if guard("output.one-flusher", found.any(FLUSHING)) {
        // The consumer lock came along with the try: serve it, or the other flusher's bytes stay.
        if mine {
            // Unless the end may have been committed: the other one is refused then, or its bytes are dropped. (D2)
            let ended = guard("output.ended-before-serve", found.ending());
            let through = if ended { end_send(step) } else { consume(step, false, false) };
            through.go_on(step);
        }
        return Err(Refused::ConcurrentAccess);
    }
    if guard("output.closed", found.closed() || found.any(NOWRITE)) {
        // The consumer lock came along, perhaps just when a consumer gave it back and wants it again: what that one leaves
        // to its holder may be the end of the output. (O2, E5)
        let through = if mine { give_back(step) } else { Through::default() };
        end_flush(step, through);
        return Err(Refused::Closed);
    }
    Ok(mine)
}

/// There is something for the consumer, who may be the caller. (O2)
fn announce<E: Effects + ?Sized>(step: &E) -> Through {
    let found = step.word().announce_output();
    if found.any(OUT) { Through::default() } else { consume(step, false, false) }
}

/// Ends the output: what was flushed before is sent, then the peer is told, and whatever is flushed after is
/// refused. A connection that its user keeps open ends by this, once its peer's stream has ended too. (E4, E5)
pub fn end<E: Effects + ?Sized>(step: &E) -> Result<(), Refused> {
    let found = step.word().begin_flush();
    let mine = admit(step, found)?;
    if guard("output.end-gates", true) {
        let _ = step.word().gate_output();
    }
    // Who looks at the output after this finds the gate closed.
    let through = if mine { consume(step, false, false) } else { announce(step) };
    end_flush(step, through);
    Ok(())
}

/// Gives the producer lock back. (O1)
#[inline(always)]
pub fn end_flush<E: Effects + ?Sized>(step: &E, through: Through) {
    let found = step.word().end_flush();
    leave(step, found, FLUSHING);
    through.go_on(step);
}

/// The poller's step for a writable fd: it is the consumer iff one is parked. Answers whether it was. (O3)
pub fn writable<E: Effects + ?Sized>(step: &E) -> bool {
    let found = step.word().unpark();
    if guard("output.unpark-claims", !found.any(ARMED)) {
        return false;
    }
    if guard("output.closed-before-send", found.closed()) {
        end_send(step).go_on(step);
        return false;
    }
    consume(step, false, true).go_on(step);
    true
}

/// The consumer: sends until nothing is left, the socket is full, or it fails. `armed`: the mask asks
/// for writability.
fn consume<E: Effects + ?Sized>(step: &E, direct: bool, armed: bool) -> Through {
    consume_then(step, direct, armed, |_, through| through)
}

/// [`consume`], and `then` what follows.
#[inline(always)]
fn consume_then<E: Effects + ?Sized, R>(step: &E, direct: bool, armed: bool, then: impl FnOnce(&E, Through) -> R) -> R {
    // Nothing comes behind what is there now.
    let ends = !direct && step.word().begin_send().any(NOWRITE);
    let result = step.send(direct);
    if result != Sent::All || armed || ends {
        return step.apart(move |step| then(step, consume_on(step, result, armed, ends)));
    }
    let found = step.word().end_send();
    if found.any(WAITW | OUTPEND | HIGH | AWAITED) || !found.any(TASK) {
        return step.apart(move |step| then(step, consume_more(step, found)));
    }
    // The owner of the section is there, and nobody wants anything: it is what a reply finds.
    then(step, Through::default())
}

/// Gives back a consumer lock that came along with a try, and serves whoever met it. Not by [`consume_more`]: called from
/// two places, that costs each request four instructions.
#[cold]
#[inline(never)]
fn give_back<E: Effects + ?Sized>(step: &E) -> Through {
    let found = step.word().end_send();
    after_send(step, found, false).unwrap_or_else(|| consume(step, false, false))
}

/// Goes on after a release of the consumer lock that found more to do.
#[cold]
#[inline(never)]
fn consume_more<E: Effects + ?Sized>(step: &E, found: Snapshot) -> Through {
    after_send(step, found, false).unwrap_or_else(|| {
        let ends = step.word().begin_send().any(NOWRITE);
        let result = step.send(false);
        consume_on(step, result, false, ends)
    })
}

/// Goes on after an attempt to send, with its `result`. `ends`: nothing comes behind what it sent. (E5)
#[cold]
#[inline(never)]
fn consume_on<E: Effects + ?Sized>(step: &E, mut result: Sent, mut armed: bool, mut ends: bool) -> Through {
    let word = step.word();
    let mut lost = false;
    loop {
        match result {
            Sent::Partly => {
                let found = word.park();
                let low = found.any(HIGH) && guard("output.relieve-parked", step.output_low());
                if low {
                    let _ = word.unchoke();
                }
                // Who comes to wait after the parking sees for itself that little is left.
                let awaited = guard("output.relieve-others-parked", found.any(AWAITED)) && step.output_low();
                if found.any(WAITW) {
                    step.write_trigger().reach(step.sent());
                }
                // Parked on a closed connection no event will come; then the release of the mask's lock
                // ends what is left to end.
                interest::apply(step, found);
                return Through { choked: low, awaited };
            }
            Sent::All => {
                if guard("output.end", ends) {
                    step.end_output();
                }
                if std::mem::take(&mut armed) {
                    interest::update(step);
                }
            }
            Sent::Failed => {
                let _ = word.gate_output();
                step.discard();
                lost = true;
            }
        }
        let found = word.end_send();
        if let Some(through) = after_send(step, found, lost) {
            return through;
        }
        ends = word.begin_send().any(NOWRITE);
        result = step.send(false);
    }
}

/// The consumer lock was given back, and `found` is what its release found. `None` if the caller has it again.
fn after_send<E: Effects + ?Sized>(step: &E, found: Snapshot, lost: bool) -> Option<Through> {
    if found.any(WAITW) {
        if lost {
            step.write_trigger().close(Wake::Closed);
        } else {
            step.write_trigger().reach(step.sent());
        }
    }
    if !guard("output.retake", found.any(OUTPEND)) {
        return Some(sent(step, found));
    }
    let found = step.word().retake_send();
    if found.any(OUT) {
        return Some(Through::default());
    }
    // Between the two nothing held the connection, if somebody else has served what is pending. (D2)
    guard("output.ended-before-retake", found.ending()).then(|| end_send(step))
}

fn end_send<E: Effects + ?Sized>(step: &E) -> Through {
    let found = step.word().end_send();
    sent(step, found)
}

/// The consumer lock was given back, and `found` is what its release found: handlers that wait for the
/// output to drain have waited long enough. (O5, O6, H3)
#[inline]
fn sent<E: Effects + ?Sized>(step: &E, found: Snapshot) -> Through {
    let choked = guard("output.relieve", found.any(HIGH));
    if choked {
        let _ = step.word().unchoke();
    }
    leave(step, found, OUT);
    Through { choked, awaited: guard("output.relieve-others", found.any(AWAITED)) }
}
