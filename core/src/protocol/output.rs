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
use super::process::leave;
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
/// fn send(fx: &impl Effects) -> Result<(), Refused> {
///     let through = output::flush(fx)?;
///     output::end_flush(fx, through);
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
/// fn send(fx: &impl Effects) {
///     if let Ok(through) = output::flush(fx) {
///         // Still the only flusher; nothing was called that might flush.
///         output::end_flush(fx, through);
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
    fn go_on<E: Effects + ?Sized>(self, fx: &E) {
        if self.choked {
            fx.apart(go_on);
        }
        if self.awaited {
            fx.apart(relieve_others);
        }
    }
}

/// In this order: who comes to wait in between is found now, or by the next who sees the bit. (O6)
#[cold]
#[inline(never)]
fn relieve_others<E: Effects + ?Sized>(fx: &E) {
    let _ = fx.word().end_await();
    fx.relieve_others();
}

/// `HIGH` was cleared: an owner that has not left yet finds it clear, else the caller is the owner. (O5)
#[cold]
#[inline(never)]
fn go_on<E: Effects + ?Sized>(fx: &E) {
    let found = fx.word().take();
    if !found.any(TASK) {
        fx.run_task(found.with(TASK));
    }
}

/// The output that the handler waits for has drained, and is another connection's. Any thread. (O6)
pub fn relieve<E: Effects + ?Sized>(fx: &E) {
    // Who finds it clear is late: whoever cleared it has run the section, or its owner has seen it.
    if fx.word().unchoke().any(HIGH) {
        go_on(fx);
    }
}

/// The owner of another connection is about to wait for this one's output, and is where
/// [`Effects::relieve_others`] finds it. `false`: it is closed, and maybe nobody will call that. Else it is called,
/// if the output is still high after this: then somebody has it to send, and finds the bit. (O6)
#[must_use]
pub fn await_drain<E: Effects + ?Sized>(fx: &E) -> bool {
    let found = fx.word().await_drain();
    !guard("output.await-closed", found.closed())
}

/// Begins a flush and sends what the socket takes; the rest is queued, and sent by whoever is the
/// consumer then. The caller holds `FLUSHING` when this returns `Ok`, and ends with [`end_flush`]. (O1, O2)
#[inline]
pub fn flush<E: Effects + ?Sized>(fx: &E) -> Result<Through, Refused> {
    flush_then(fx, |_, flushed| flushed)
}

/// [`flush`] and [`end_flush`], for a caller that does nothing in between. (O1, O2)
#[inline(always)]
pub fn flush_at_once<E: Effects + ?Sized>(fx: &E) -> Result<(), Refused> {
    flush_then(fx, |fx, flushed| flushed.map(|through| end_flush(fx, through)))
}

/// A flush, and `then` what follows: each way that it may go has its own copy of that.
#[inline(always)]
fn flush_then<E: Effects + ?Sized, R>(fx: &E, then: impl FnOnce(&E, Result<Through, Refused>) -> R) -> R {
    let found = fx.word().begin_flush();
    if found.any(FLUSHING | OUT | USER | PEER | NOWRITE) {
        return fx.apart(move |fx| then(fx, flush_not_at_once(fx, found)));
    }
    consume_then(fx, true, false, move |fx, through| then(fx, Ok(through)))
}

/// The try to become producer and consumer found more than a connection that takes output.
#[cold]
#[inline(never)]
fn flush_not_at_once<E: Effects + ?Sized>(fx: &E, found: Snapshot) -> Result<Through, Refused> {
    let mine = admit(fx, found)?;
    if mine || !guard("output.one-consumer", true) {
        return Ok(consume(fx, true, false));
    }
    fx.append();
    Ok(announce(fx))
}

/// Whether the caller, whose try found that, is the producer; and if so, whether it is the consumer too. (O1, O2)
fn admit<E: Effects + ?Sized>(fx: &E, found: Snapshot) -> Result<bool, Refused> {
    let mine = !found.any(OUT);
    if guard("output.one-flusher", found.any(FLUSHING)) {
        // The consumer lock came along with the try: serve it, or the other flusher's bytes stay.
        if mine {
            // Unless the end may have been committed: the other one is refused then, or its bytes are dropped. (D2)
            let ended = guard("output.ended-before-serve", found.ending());
            let through = if ended { end_send(fx) } else { consume(fx, false, false) };
            through.go_on(fx);
        }
        return Err(Refused::ConcurrentAccess);
    }
    if guard("output.closed", found.closed() || found.any(NOWRITE)) {
        // The consumer lock came along, perhaps just when a consumer gave it back and wants it again: what that one leaves
        // to its holder may be the end of the output. (O2, E5)
        let through = if mine { give_back(fx) } else { Through::default() };
        end_flush(fx, through);
        return Err(Refused::Closed);
    }
    Ok(mine)
}

/// There is something for the consumer, who may be the caller. (O2)
fn announce<E: Effects + ?Sized>(fx: &E) -> Through {
    let found = fx.word().announce_output();
    if found.any(OUT) { Through::default() } else { consume(fx, false, false) }
}

/// Ends the output: what was flushed before is sent, then the peer is told, and whatever is flushed after is
/// refused. A connection that its user keeps open ends by this, once its peer's stream has ended too. (E4, E5)
pub fn end<E: Effects + ?Sized>(fx: &E) -> Result<(), Refused> {
    let found = fx.word().begin_flush();
    let mine = admit(fx, found)?;
    if guard("output.end-gates", true) {
        let _ = fx.word().gate_output();
    }
    // Who looks at the output after this finds the gate closed.
    let through = if mine { consume(fx, false, false) } else { announce(fx) };
    end_flush(fx, through);
    Ok(())
}

/// Gives the producer lock back. (O1)
#[inline(always)]
pub fn end_flush<E: Effects + ?Sized>(fx: &E, through: Through) {
    let found = fx.word().end_flush();
    leave(fx, found, FLUSHING);
    through.go_on(fx);
}

/// The poller's step for a writable fd: it is the consumer iff one is parked. Answers whether it was. (O3)
pub fn writable<E: Effects + ?Sized>(fx: &E) -> bool {
    let found = fx.word().unpark();
    if guard("output.unpark-claims", !found.any(ARMED)) {
        return false;
    }
    if guard("output.closed-before-send", found.closed()) {
        end_send(fx).go_on(fx);
        return false;
    }
    consume(fx, false, true).go_on(fx);
    true
}

/// The consumer: sends until nothing is left, the socket is full, or it fails. `armed`: the mask asks
/// for writability.
fn consume<E: Effects + ?Sized>(fx: &E, direct: bool, armed: bool) -> Through {
    consume_then(fx, direct, armed, |_, through| through)
}

/// [`consume`], and `then` what follows.
#[inline(always)]
fn consume_then<E: Effects + ?Sized, R>(fx: &E, direct: bool, armed: bool, then: impl FnOnce(&E, Through) -> R) -> R {
    // Nothing comes behind what is there now.
    let ends = !direct && fx.word().begin_send().any(NOWRITE);
    let result = fx.send(direct);
    if result != Sent::All || armed || ends {
        return fx.apart(move |fx| then(fx, consume_on(fx, result, armed, ends)));
    }
    let found = fx.word().end_send();
    if found.any(WAITW | OUTPEND | HIGH | AWAITED) || !found.any(TASK) {
        return fx.apart(move |fx| then(fx, consume_more(fx, found)));
    }
    // The owner of the section is there, and nobody wants anything: it is what a reply finds.
    then(fx, Through::default())
}

/// Gives back a consumer lock that came along with a try, and serves whoever met it. Not by [`consume_more`]: called from
/// two places, that costs each request four instructions.
#[cold]
#[inline(never)]
fn give_back<E: Effects + ?Sized>(fx: &E) -> Through {
    let found = fx.word().end_send();
    after_send(fx, found, false).unwrap_or_else(|| consume(fx, false, false))
}

/// Goes on after a release of the consumer lock that found more to do.
#[cold]
#[inline(never)]
fn consume_more<E: Effects + ?Sized>(fx: &E, found: Snapshot) -> Through {
    after_send(fx, found, false).unwrap_or_else(|| {
        let ends = fx.word().begin_send().any(NOWRITE);
        let result = fx.send(false);
        consume_on(fx, result, false, ends)
    })
}

/// Goes on after an attempt to send, with its `result`. `ends`: nothing comes behind what it sent. (E5)
#[cold]
#[inline(never)]
fn consume_on<E: Effects + ?Sized>(fx: &E, mut result: Sent, mut armed: bool, mut ends: bool) -> Through {
    let word = fx.word();
    let mut lost = false;
    loop {
        match result {
            Sent::Partly => {
                let found = word.park();
                let low = found.any(HIGH) && guard("output.relieve-parked", fx.output_low());
                if low {
                    let _ = word.unchoke();
                }
                // Who comes to wait after the parking sees for itself that little is left.
                let awaited = guard("output.relieve-others-parked", found.any(AWAITED)) && fx.output_low();
                if found.any(WAITW) {
                    fx.write_trigger().reach(fx.sent());
                }
                // Parked on a closed connection no event will come; then the release of the mask's lock
                // ends what is left to end.
                interest::serve(fx, found);
                return Through { choked: low, awaited };
            }
            Sent::All => {
                if guard("output.end", ends) {
                    fx.end_output();
                }
                if std::mem::take(&mut armed) {
                    interest::update(fx);
                }
            }
            Sent::Failed => {
                let _ = word.gate_output();
                fx.discard();
                lost = true;
            }
        }
        let found = word.end_send();
        if let Some(through) = after_send(fx, found, lost) {
            return through;
        }
        ends = word.begin_send().any(NOWRITE);
        result = fx.send(false);
    }
}

/// The consumer lock was given back, and `found` is what its release found. `None` if the caller has it again.
fn after_send<E: Effects + ?Sized>(fx: &E, found: Snapshot, lost: bool) -> Option<Through> {
    if found.any(WAITW) {
        if lost {
            fx.write_trigger().close(Wake::Closed);
        } else {
            fx.write_trigger().reach(fx.sent());
        }
    }
    if !guard("output.retake", found.any(OUTPEND)) {
        return Some(sent(fx, found));
    }
    let found = fx.word().retake_send();
    if found.any(OUT) {
        return Some(Through::default());
    }
    // Between the two nothing held the connection, if somebody else has served what is pending. (D2)
    guard("output.ended-before-retake", found.ending()).then(|| end_send(fx))
}

fn end_send<E: Effects + ?Sized>(fx: &E) -> Through {
    let found = fx.word().end_send();
    sent(fx, found)
}

/// The consumer lock was given back, and `found` is what its release found: handlers that wait for the
/// output to drain have waited long enough. (O5, O6, H3)
#[inline]
fn sent<E: Effects + ?Sized>(fx: &E, found: Snapshot) -> Through {
    let choked = guard("output.relieve", found.any(HIGH));
    if choked {
        let _ = fx.word().unchoke();
    }
    leave(fx, found, OUT);
    Through { choked, awaited: guard("output.relieve-others", found.any(AWAITED)) }
}
