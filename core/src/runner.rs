//! Where a serial section runs, once somebody owns it.
//!
//! The protocol hands over the owned section of a connection ([`Effects::run_task`]); a runner runs it,
//! and with it the handler. Only the inline runner is here: the thread that polled runs the handler, so
//! that a request costs no hand-over.
//!
//! [`Effects::run_task`]: crate::protocol::effects::Effects::run_task

#![forbid(unsafe_code)]

use crate::protocol::effects::Effects;
use crate::protocol::process;
use crate::protocol::word::Snapshot;

/// Runs owned sections. `TASK` travels with the call. (S1)
pub(crate) trait Runner {
    fn run<E: Effects>(&self, fx: &E, at: Snapshot);
}

/// On the thread that owns the section.
pub(crate) struct Inline;

impl Runner for Inline {
    #[inline]
    fn run<E: Effects>(&self, fx: &E, at: Snapshot) {
        process::run(fx, at);
    }
}
