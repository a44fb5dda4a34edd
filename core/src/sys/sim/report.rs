//! What happened: what must not have, and how often what a scenario is about did.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::sys::sim::state::State;

// One thread of the machine runs all threads of an execution.
std::thread_local! {
    static COUNTS: RefCell<BTreeMap<&'static str, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// How a kernel was left.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What must not happen and did.
    pub broken: Vec<String>,
    /// Fds that are still open.
    pub open: usize,
    /// System calls of the reactor.
    pub calls: u64,
}

pub(super) fn report(state: &State) -> Report {
    Report { broken: state.broken.clone(), open: state.in_use(), calls: state.calls }
}

/// Something happened that a scenario may be about.
pub fn count(event: &'static str) {
    COUNTS.with_borrow_mut(|counts| *counts.entry(event).or_default() += 1);
}

/// How often what happened, over all executions of this thread of the machine since it was asked last.
pub fn take_counts() -> BTreeMap<&'static str, u64> {
    COUNTS.take()
}
