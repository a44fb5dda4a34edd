//! Guards, bits and orderings that a mutation build can change by name, so that each is shown to be needed.
//!
//! In every build but `--cfg mutation` the functions here return what they were given, and the names vanish at
//! compile time. In a mutation build the environment variable `POLLPROOF_MUTANT` names one mutant of those that
//! `mutants` lists: a guard that answers `false`, as if its condition had been left out; a bit that a
//! transition leaves out or has too many; an ordering that is one step weaker. Which scenario notices is recorded
//! in `loom-tests/mutants.toml`.
//!
//! This is not a feature for users: it is how `cargo xtask mutate` asks "what if this line were different?".

#[cfg(not(mutation))]
use crate::sync::atomic::Ordering;

/// The environment variable that names the mutant of a mutation build.
pub const VARIABLE: &str = "POLLPROOF_MUTANT";

#[cfg(mutation)]
mod run;
#[cfg(mutation)]
mod table;

#[cfg(mutation)]
pub(crate) use run::{changed, named};
#[cfg(mutation)]
pub use run::{guard, mask, mutants, order, touched};

/// The condition, unless a mutation build drops the guard `name`.
#[cfg(not(mutation))]
#[inline(always)]
pub fn guard(_name: &'static str, condition: bool) -> bool {
    condition
}

/// The bits of the transition `name`, unless a mutation build has one more or one less.
#[cfg(not(mutation))]
#[inline(always)]
pub fn mask(_name: &'static str, bits: u32) -> u32 {
    bits
}

/// Notes, in a mutation build, that the transition `name` was to change `bits` of the value `found`.
#[cfg(not(mutation))]
#[inline(always)]
pub(crate) fn changed(_name: &'static str, _bits: u32, _found: u32) {}

/// The ordering of the operation `site`, unless a mutation build weakens it.
#[cfg(not(mutation))]
#[inline(always)]
pub fn order(_site: &'static str, order: Ordering) -> Ordering {
    order
}
