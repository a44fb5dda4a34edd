//! Waiting for bytes that come or go, and the wake-up at a close.
//!
//! A waiter says in the word that it waits, and looks once more: whoever changes what it waits for finds its bit, or it
//! finds the change (T1, T2). Not here: how a thread sleeps (`trigger`).

use super::effects::Effects;
use super::interest;
use super::output::Refused;
use super::trigger::{Ticket, Trigger, Wake};
use super::word::{FULL, OUT, OUTPEND, SYNC, Snapshot, WAITR, WAITW};
use crate::mutation::guard;

/// Blocks the section's owner until `target` bytes were read since birth, or the connection closes, or
/// `sleep` gives up. Called under `TASK`, never on the thread that would read. (T1, T4)
pub fn wait_readable<E: Effects + ?Sized>(step: &E, target: u64, sleep: impl FnOnce(&Trigger, Ticket) -> Wake) -> Wake {
    let trigger = step.read_trigger();
    let ticket = trigger.begin(target);
    let found = step.word().begin_wait(WAITR);
    if guard("trigger.wants-more", found.any(FULL)) {
        let _ = interest::read_on(step, found);
    }
    let wake = if guard("trigger.recheck", step.produced() >= target) {
        trigger.cancel(ticket);
        Wake::Ready
    } else if guard("trigger.recheck", found.closed()) {
        trigger.cancel(ticket);
        Wake::Closed
    } else if guard("trigger.recheck", found.closing()) {
        trigger.cancel(ticket);
        Wake::Eof
    } else {
        sleep(trigger, ticket)
    };
    let _ = step.word().end_wait(WAITR);
    wake
}

/// Blocks a flusher until `target` bytes were sent since birth, or the output is lost, or `sleep` gives
/// up. Called after the flush, by one flusher at a time, never on the thread that polls. Success is the
/// total, not the token: a flush is through when its own bytes are. (T2, O4)
///
/// # Errors
///
/// [`Refused::ConcurrentAccess`] when another flusher waits.
pub fn wait_sent<E: Effects + ?Sized>(
    step: &E,
    target: u64,
    sleep: impl FnOnce(&Trigger, Ticket) -> Wake,
) -> Result<Wake, Refused> {
    if guard("trigger.one-flusher", step.word().begin_sync().any(SYNC)) {
        return Err(Refused::ConcurrentAccess);
    }
    let trigger = step.write_trigger();
    let ticket = trigger.begin(target);
    let found = step.word().begin_wait(WAITW);
    let wake = if guard("trigger.recheck", step.sent() >= target) {
        trigger.cancel(ticket);
        Wake::Ready
    } else if guard("trigger.recheck", found.closed() || !found.any(OUT | OUTPEND)) {
        trigger.cancel(ticket);
        Wake::Closed
    } else {
        sleep(trigger, ticket)
    };
    let _ = step.word().end_wait(WAITW | SYNC);
    Ok(wake)
}

/// Wakes whom a closing step must wake, going by the value that it found. (T3)
pub(super) fn wake_for_close<E: Effects + ?Sized>(step: &E, found: Snapshot, reason: Wake) {
    if guard("trigger.close-wakes", found.any(WAITR)) {
        step.read_trigger().close(reason);
    }
    if reason == Wake::Closed && guard("trigger.close-wakes", found.any(WAITW)) {
        step.write_trigger().close(reason);
    }
}
