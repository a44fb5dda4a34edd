//! epoll's interest mask: one owner at a time, computed from the word.
//!
//! `EPOLL_CTL_MOD` replaces the whole mask, so a reader's side and a writer's side that each set their
//! own half can undo each other, and leave output stuck for ever. Here both only say that the wanted
//! mask changed; whoever holds `MOD` computes it from the word: not readable any more after `EOF`, nor while
//! somebody else is at the fd for long (K6); writable while a consumer is parked. Its release finds every wish that came meanwhile (I1).

use super::effects::Effects;
use super::leave::leave;
use super::word::*;
use crate::mutation::guard;

/// The wanted mask changed. The lock of the mask is itself a hold. (I1)
#[cold]
pub(super) fn update<E: Effects + ?Sized>(step: &E) {
    let found = step.word().want_interest();
    apply(step, found);
}

/// Reading stopped at the limit of what is read ahead, and goes on. Returns `at` without `FULL`. (N6, I1)
#[cold]
pub(super) fn read_on<E: Effects + ?Sized>(step: &E, at: Snapshot) -> Snapshot {
    let _ = step.word().unfill();
    update(step);
    at.without(FULL)
}

/// Has epoll report what is wanted now. Called by the poller after the end of the stream was read and its section has run,
/// for an fd that is still registered would report that end for ever; and after the ADD, for output that was parked before
/// it. (I1, E1)
pub fn refresh<E: Effects + ?Sized>(step: &E) {
    update(step);
}

/// Serves the wish that the caller has just announced, if nobody else does; `found` is what the
/// announcement found.
pub(super) fn apply<E: Effects + ?Sized>(step: &E, found: Snapshot) {
    if guard("interest.one-owner", found.any(MOD)) {
        return;
    }
    let word = step.word();
    loop {
        let at = word.begin_interest();
        if !guard("interest.closed", at.fd_off_limits()) {
            let masked = guard("interest.masked", at.any(MASKED));
            step.set_interest(!at.reads_nothing() && !masked, at.any(ARMED), masked);
        } else if guard("interest.masked-closed", at.any(MASKED)) && !word.claim_detach().any(DET) {
            // Closed while somebody is at the fd for long, and the section's owner may be as well: as in
            // `readable`, epoll would report it until somebody does the DEL. MOD is the hold. (D1, K6)
            step.deregister();
        }
        let found = word.end_interest();
        if !guard("interest.retake", found.any(MODPEND)) {
            return leave(step, found, MOD);
        }
        if word.retake_interest().any(MOD) {
            return;
        }
    }
}
