//! The scenarios, by what they are about.

mod accepting;
mod closing;
mod dialing;
mod faults;
mod opening;
mod output;
mod running;
mod users;

use pollproof::sim::Faults;

use crate::stage::Stage;

/// A whole system, and what it is about.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// Clauses of SPEC.md that it is a check of.
    pub clauses: &'static [&'static str],
    /// What must hold.
    pub what: &'static str,
    /// What must have happened, each at least once over all schedules of a scheduler.
    pub targets: &'static [&'static str],
    /// Limits and faults of its kernel.
    pub faults: fn() -> Faults,
    /// How often the clock may go on while others could.
    pub races: u32,
    /// What happens.
    pub run: fn(&Stage),
}

impl Scenario {
    /// One that needs nothing special.
    const fn new(
        name: &'static str,
        clauses: &'static [&'static str],
        what: &'static str,
        targets: &'static [&'static str],
        run: fn(&Stage),
    ) -> Self {
        Self { name, clauses, what, targets, faults: Faults::default, races: 0, run }
    }

    /// With these limits and faults.
    const fn faults(mut self, faults: fn() -> Faults) -> Self {
        self.faults = faults;
        self
    }

    /// With so many moves of the clock in a race.
    const fn races(mut self, races: u32) -> Self {
        self.races = races;
        self
    }
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    let chapters =
        [opening::ALL, closing::ALL, output::ALL, accepting::ALL, dialing::ALL, running::ALL, faults::ALL, users::ALL];
    chapters.into_iter().flatten()
}
