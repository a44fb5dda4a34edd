//! Giving a hold back: the last one out takes the section of a connection that is to end. (H3)
//!
//! Not here: what the section does then (`process`).

use super::effects::Effects;
use super::word::*;
use crate::mutation::guard;

/// A hold is over: the last one out takes the section of a connection that is to end. `found` is what
/// the release of `bit` found. (H3)
#[inline(always)]
pub(super) fn leave<E: Effects + ?Sized>(step: &E, found: Snapshot, bit: u32) {
    if !found.any(TASK) {
        step.apart(|step| leave_unowned(step, found.without(bit)));
    }
}

/// The last one out takes the section, if that is due; `now` is the value that the release left behind.
#[cold]
fn leave_unowned<E: Effects + ?Sized>(step: &E, now: Snapshot) {
    let end = if now.closing() {
        guard("leave.last-one-out", !now.at_rest())
    } else {
        guard("leave.shutdown", now.any(SHUTDOWN) && !now.busy())
    };
    if end {
        let found = step.word().take();
        if !found.any(TASK) {
            step.run_task(found.with(TASK));
        }
    }
}
