//! A program under many schedules, on the simulated kernel.

use std::sync::Arc;

use super::explore::{Explored, Failure, Plan};
use super::program::Program;
use super::run::execute;
use super::world::{self, Executed};
use crate::explore::{By, Limits, schedules};

/// How many programs run at a time.
pub const PARALLEL: u64 = 2;
/// A smaller program gets so many times the schedules.
pub const AGAIN: usize = 4;

/// More steps than that are a livelock.
const STEPS: usize = 400_000;

/// Runs schedules of `program` by each scheduler, until one fails.
pub fn explore(program: &Program, plan: &Plan) -> Explored {
    let mut all = Explored { schedules: 0, executed: Executed::new(), failure: None };
    for by in By::ALL {
        let (shared, forgiven) = (Arc::new(program.clone()), plan.forgiven.clone());
        let limits = Limits { steps: STEPS, stops_at_unwinding: false };
        let after = || (world::timeline(), world::end());
        let execution = move || {
            execute(&shared, &forgiven);
            if let Some(violation) = world::violation() {
                panic!("{violation}");
            }
        };
        let (ran, (timeline, (executed, violation))) =
            schedules(by, plan.seed, plan.schedules, limits, execution, after);
        all.schedules += ran.schedules;
        for (cell, count) in executed {
            *all.executed.entry(cell).or_default() += count;
        }
        if let Some(failure) = ran.failure {
            let what = violation.unwrap_or(failure);
            let (by, schedule, report) = (by.name(), ran.schedules, String::new());
            all.failure = Some(Failure { by, schedule, what, timeline, report });
            return all;
        }
    }
    all
}
