//! Carries out the mutant that the environment asks for, and notes which mutants a run could have noticed.
#![allow(clippy::disallowed_types, reason = "what is noted must be invisible to the checker")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use super::table::{self, Change, GUARDS, Mutant, ORDERS, TRANSITIONS, Transition};
use crate::sync::atomic::Ordering;

/// The mutant of this process.
///
/// # Panics
///
/// When `POLLPROOF_MUTANT` names none: what is not in the table would never be tried.
fn mutant() -> Option<Mutant> {
    static MUTANT: OnceLock<Option<Mutant>> = OnceLock::new();
    *MUTANT.get_or_init(|| {
        let wanted = std::env::var(super::VARIABLE).ok()?;
        let found = table::mutants().into_iter().find(|(name, _)| *name == wanted);
        Some(found.unwrap_or_else(|| panic!("there is no mutant `{wanted}`")).1)
    })
}

/// What one run has shown of the sites. No ordering matters: an execution of a checker has one thread of the machine.
struct Noted {
    guards: [AtomicBool; GUARDS.len()],
    /// Bits that a transition has really changed.
    changed: [AtomicU32; TRANSITIONS.len()],
    /// Bits that it would have changed, had they been among its own.
    would_change: [AtomicU32; TRANSITIONS.len()],
    ran: [AtomicBool; TRANSITIONS.len()],
    orders: [AtomicBool; ORDERS.len()],
    /// The next operation has a name.
    named: AtomicBool,
}

static NOTED: Noted = Noted {
    guards: [const { AtomicBool::new(false) }; GUARDS.len()],
    changed: [const { AtomicU32::new(0) }; TRANSITIONS.len()],
    would_change: [const { AtomicU32::new(0) }; TRANSITIONS.len()],
    ran: [const { AtomicBool::new(false) }; TRANSITIONS.len()],
    orders: [const { AtomicBool::new(false) }; ORDERS.len()],
    named: AtomicBool::new(false),
};

fn row(name: &str) -> Option<(usize, &'static Transition)> {
    TRANSITIONS.iter().enumerate().find(|(_, row)| row.name == name)
}

/// The condition, unless `POLLPROOF_MUTANT` names this guard.
///
/// # Panics
///
/// When the guard is not in the table.
pub fn guard(name: &'static str, condition: bool) -> bool {
    let at = GUARDS.iter().position(|guard| *guard == name);
    let at = at.unwrap_or_else(|| panic!("guard {name} is not listed in mutation::table::GUARDS"));
    if condition {
        // Ordering: Relaxed, as `Noted` says.
        NOTED.guards[at].store(true, Relaxed);
    }
    condition && mutant() != Some(Mutant::Guard(name))
}

/// The bits of the transition `name`, unless `POLLPROOF_MUTANT` adds one or leaves one out.
///
/// # Panics
///
/// When the transition is not in the table, or has other bits there.
pub fn mask(name: &'static str, bits: u32) -> u32 {
    let (_, row) = row(name).unwrap_or_else(|| panic!("{name} is not listed in mutation::table::TRANSITIONS"));
    assert!(
        bits & row.always == row.always && bits & !(row.always | row.sometimes) == 0,
        "{name} changes {bits:#x}, which is not what mutation::table::TRANSITIONS says"
    );
    match mutant() {
        Some(Mutant::Drop(wanted, bit)) if wanted == name => bits & !bit,
        Some(Mutant::Add(wanted, bit)) if wanted == name => bits | bit,
        _ => bits,
    }
}

/// Notes that the transition `name` was to change `bits` of the value `found`.
pub(crate) fn changed(name: &'static str, bits: u32, found: u32) {
    if let Some((at, row)) = row(name) {
        let open = if row.change == Change::Set { !found } else { found };
        // Ordering: Relaxed, as `Noted` says.
        NOTED.changed[at].fetch_or(bits & open, Relaxed);
        NOTED.would_change[at].fetch_or(!bits & open, Relaxed);
        NOTED.ran[at].store(true, Relaxed);
    }
}

/// The ordering of the operation `site`, unless `POLLPROOF_MUTANT` weakens it.
///
/// # Panics
///
/// When the site is not in the table, or has another ordering there.
pub fn order(site: &'static str, order: Ordering) -> Ordering {
    let listed = match ORDERS.iter().position(|(name, _)| *name == site) {
        Some(at) => {
            // Ordering: Relaxed, as `Noted` says.
            NOTED.orders[at].store(true, Relaxed);
            ORDERS[at].1 == order
        }
        None => row(site).is_some_and(|(_, row)| row.order == order),
    };
    assert!(listed, "{site} is not listed in mutation::table with {order:?}");
    // Ordering: Relaxed, as `Noted` says.
    NOTED.named.store(true, Relaxed);
    match mutant() {
        Some(Mutant::Order(wanted, weak)) if wanted == site => weak,
        _ => order,
    }
}

/// Called for each operation of the facade's atomics, with its ordering and the file that it is in.
///
/// # Panics
///
/// When that is a file of this crate and the ordering can be weaker, but has no name: no mutant would weaken it. Not
/// with the simulated kernel, where the reactor is there as well: shuttle takes all orderings for the strongest.
pub(crate) fn named(order: Ordering, file: &str) {
    let named = NOTED.named.swap(false, Relaxed);
    assert!(
        named || order == Ordering::Relaxed || !file.starts_with("core/src/") || cfg!(sim),
        "an operation in {file} with {order:?} does not go through mutation::order"
    );
}

/// Every mutant, by the name with which `POLLPROOF_MUTANT` asks for it.
pub fn mutants() -> Vec<String> {
    table::mutants().into_iter().map(|(name, _)| name).collect()
}

/// The mutants that would have changed something in this run: the guard's condition held, the transition changed the
/// bit or could have, the operation was done.
pub fn touched() -> Vec<String> {
    let bit =
        // Ordering: Relaxed, as `Noted` says.
        |bits: &[AtomicU32], name: &str, bit: u32| row(name).is_some_and(|(at, _)| bits[at].load(Relaxed) & bit != 0);
    let ran = |site: &str| match ORDERS.iter().position(|(name, _)| *name == site) {
        Some(at) => NOTED.orders[at].load(Relaxed),
        None => row(site).is_some_and(|(at, _)| NOTED.ran[at].load(Relaxed)),
    };
    let touched = |mutant: &Mutant| match *mutant {
        Mutant::Guard(name) => {
            // Ordering: Relaxed, as `Noted` says.
            GUARDS.iter().position(|guard| *guard == name).is_some_and(|at| NOTED.guards[at].load(Relaxed))
        }
        Mutant::Drop(name, wanted) => bit(&NOTED.changed, name, wanted),
        Mutant::Add(name, wanted) => bit(&NOTED.would_change, name, wanted),
        Mutant::Order(site, _) => ran(site),
    };
    table::mutants().into_iter().filter(|(_, mutant)| touched(mutant)).map(|(name, _)| name).collect()
}
