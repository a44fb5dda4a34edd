//! Compares what a model shows with what is committed.
//!
//! For: the suite and the `race` CLI. A difference in either direction is a problem: a count that drops
//! may mean that a checker skips something, one that grows that the protocol changed.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use crate::checker::Recorded;
use crate::driver::{Driver, End};
use crate::plan::{Bound, Build, Plan};
use crate::record::{ModelRecord, Scenarios, ShuttleRecord};
use crate::report::Report;
use crate::scenario::{Model, Order};
use crate::timeline::draw::draw;

/// Repeats of a model on plain threads, both spawn orders together.
pub const REPEATS: u64 = 10_000;

/// A run of the suite that takes more processor time hangs.
pub const LIMIT: Duration = Duration::from_secs(600);

/// What an unbounded exploration must not show.
pub const ORDERS_DIFFER: &str = "the spawn orders reach different outcomes, unbounded: loom skips interleavings, \
    because it does not see all that the roles share (state behind std types, or a load before an RMW)";

/// What one model showed, and whether that is what is committed.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// See [`Model::id`].
    pub id: String,
    /// What ran, in a word or two.
    pub mode: String,
    /// Executions of each run that passed.
    pub executions: Vec<u64>,
    /// All outcomes.
    pub outcomes: BTreeSet<String>,
    /// Wall-clock time.
    pub seconds: f64,
    /// Everything that is not as it should be.
    pub problems: Vec<String>,
    /// What is worth saying although it is no problem.
    pub notes: Vec<String>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<String> = self.executions.iter().map(u64::to_string).collect();
        write!(
            f,
            "{:<44} {:<22} {:>19} executions {:>4} outcomes {:>8.2} s",
            self.id,
            self.mode,
            counts.join(" + "),
            self.outcomes.len(),
            self.seconds
        )?;
        self.notes.iter().try_for_each(|note| write!(f, "\n    note: {note}"))
    }
}

/// Runs `model` by the checker of `build` and compares.
///
/// # Errors
///
/// When a child cannot be run at all.
pub fn check(driver: &Driver, build: Build, committed: &Scenarios, model: Model) -> anyhow::Result<Verdict> {
    check_repeats(driver, build, committed, model, REPEATS)
}

/// As [`check`], with another number of repeats on plain threads.
///
/// # Errors
///
/// When a child cannot be run at all.
pub fn check_repeats(
    driver: &Driver,
    build: Build,
    committed: &Scenarios,
    model: Model,
    repeats: u64,
) -> anyhow::Result<Verdict> {
    let started = Instant::now();
    let id = model.id();
    let mut verdict = Verdict {
        mode: build.name().to_owned(),
        executions: Vec::new(),
        outcomes: BTreeSet::new(),
        seconds: 0.0,
        problems: Vec::new(),
        notes: Vec::new(),
        id,
    };
    let Some(record) = committed.get(&verdict.id) else {
        verdict
            .problems
            .push(format!("scenarios.toml has no entry: run `cargo xtask verify --choose {}`", model.scenario.name));
        return Ok(verdict);
    };
    let plans = plans(build, record, repeats, &mut verdict.mode);
    let mut reports = Vec::new();
    for (order, plan) in plans {
        let run = driver.run(&verdict.id, order, plan, LIMIT)?;
        match run.passed() {
            Ok(report) if report.executions == 0 => verdict.problems.push(format!("{plan} ran no execution")),
            Ok(report) => reports.push(report.clone()),
            Err(failure) => {
                // The same run once more, with its steps recorded: a checker fails in the same execution again.
                let mut shown = String::new();
                if build != Build::Std && matches!(run.end, End::Failed(_)) {
                    let again = driver.run_recorded(&verdict.id, order, plan, LIMIT, Recorded::Timeline)?;
                    shown = again.timeline().map(|timeline| format!("\n{}", draw(timeline, false))).unwrap_or_default();
                }
                verdict.problems.push(failure + &shown);
            }
        }
    }
    verdict.executions = reports.iter().map(|report| report.executions).collect();
    verdict.outcomes = reports.iter().flat_map(|report| report.outcomes.iter().cloned()).collect();
    if verdict.problems.is_empty() {
        match build {
            Build::Loom | Build::Mutation => compare_loom(record, model, &reports, &mut verdict),
            Build::Shuttle => compare_shuttle(record, &reports, &mut verdict),
            Build::Std => compare_threads(record, &mut verdict),
        }
    }
    verdict.seconds = started.elapsed().as_secs_f64();
    Ok(verdict)
}

/// The runs that `record` asks for.
fn plans(build: Build, record: &ModelRecord, repeats: u64, mode: &mut String) -> Vec<(Order, Plan)> {
    let both = |plan| Order::BOTH.map(|order| (order, plan)).to_vec();
    match build {
        Build::Loom | Build::Mutation => {
            *mode = match record.bound {
                Bound::Unbounded => "loom unbounded".to_owned(),
                Bound::Preemptions(most) => format!("loom bound {most}"),
            };
            both(Plan::Loom(record.bound))
        }
        Build::Shuttle => match record.shuttle {
            ShuttleRecord::Dfs { schedules, .. } => {
                *mode = "shuttle dfs".to_owned();
                // One more than there were, to see that there are no more. The search is complete, so
                // one spawn order is as good as the other.
                vec![(Order::Forward, Plan::Dfs(schedules + 1))]
            }
            ShuttleRecord::RandomAndPct { schedules, seed, .. } => {
                *mode = "shuttle random + pct".to_owned();
                random_and_pct(schedules, seed)
            }
        },
        Build::Std => {
            *mode = "threads".to_owned();
            both(Plan::Threads(repeats / 2))
        }
    }
}

/// Half of the schedules of each scheduler in either spawn order.
pub fn random_and_pct(schedules: u64, seed: u64) -> Vec<(Order, Plan)> {
    [Plan::Random(schedules / 2, seed), Plan::Pct(schedules / 2, seed)]
        .into_iter()
        .flat_map(|plan| Order::BOTH.map(|order| (order, plan)))
        .collect()
}

fn compare_loom(record: &ModelRecord, model: Model, reports: &[Report], verdict: &mut Verdict) {
    for (index, report) in reports.iter().enumerate() {
        let expected = record.executions.get(index).copied().unwrap_or_default();
        if report.executions != expected {
            verdict.problems.push(format!(
                "{} order: {expected} executions are committed, {} were seen",
                report.order, report.executions
            ));
        }
        differ(&report.order, record.outcomes_of(index), &report.outcomes, &mut verdict.problems);
    }
    if model.scenario.race && verdict.outcomes.len() < 2 {
        verdict.problems.push(format!("a race with {} outcome: its roles never meet", verdict.outcomes.len()));
    }
    if record.bound == Bound::Unbounded && record.outcomes_reverse.is_some() {
        verdict.problems.push(ORDERS_DIFFER.to_owned());
    }
}

fn compare_shuttle(record: &ModelRecord, reports: &[Report], verdict: &mut Verdict) {
    let (expected, outcomes) = match record.shuttle {
        ShuttleRecord::Dfs { schedules, outcomes } => {
            if reports.iter().any(|report| !report.complete) {
                verdict.problems.push(format!("the search had {schedules} schedules, now it has more"));
            }
            (schedules, outcomes)
        }
        ShuttleRecord::RandomAndPct { schedules, outcomes, .. } => (2 * schedules, outcomes),
    };
    let seen: u64 = verdict.executions.iter().sum();
    if seen < expected {
        verdict.problems.push(format!("{expected} schedules are committed, {seen} were seen"));
    }
    if verdict.outcomes.len() != outcomes {
        verdict.problems.push(format!("{outcomes} outcomes are committed, {} were reached", verdict.outcomes.len()));
    }
    let beyond: BTreeSet<String> =
        verdict.outcomes.iter().filter(|outcome| !record.loom_reached(outcome)).cloned().collect();
    if record.bound == Bound::Unbounded {
        for outcome in &beyond {
            verdict.problems.push(format!("shuttle reached `{outcome}`, loom, unbounded, did not"));
        }
    } else {
        differ("outcomes beyond loom's bound", &record.beyond_loom, &beyond, &mut verdict.problems);
    }
}

fn compare_threads(record: &ModelRecord, verdict: &mut Verdict) {
    for outcome in &verdict.outcomes {
        if record.loom_reached(outcome) || record.beyond_loom.contains(outcome) {
            continue;
        }
        if record.bound == Bound::Unbounded {
            verdict.problems.push(format!("real threads reached `{outcome}`, loom, unbounded, did not"));
        } else {
            verdict.notes.push(format!("real threads reached `{outcome}`, beyond loom's bound"));
        }
    }
}

fn differ(what: &str, committed: &BTreeSet<String>, seen: &BTreeSet<String>, problems: &mut Vec<String>) {
    for outcome in committed.difference(seen) {
        problems.push(format!("{what}: the committed outcome `{outcome}` was not reached"));
    }
    for outcome in seen.difference(committed) {
        problems.push(format!("{what}: the outcome `{outcome}` was reached and is not committed"));
    }
}
