//! `cargo xtask verify --choose`: the one thing that sets bounds by time.
//!
//! For each model: unbounded if that ends in time in both spawn orders, else the largest preemption bound
//! that does; then shuttle's depth-first search, or random and PCT where it does not end. Time is the
//! processor's, so a busy machine chooses the same. What was seen is what gets committed, so look at the
//! difference before you do.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use loom_tests::driver::{Driver, End, in_parallel};
use loom_tests::plan::{Bound, Build, Plan};
use loom_tests::record::{Committed as _, ModelRecord, Scenarios, ShuttleRecord};
use loom_tests::report::Report;
use loom_tests::scenario::{Model, Order, models};
use loom_tests::verdict::{ORDERS_DIFFER, random_and_pct};
use pollproof_models::scenarios::select;
use pollproof_models::show::bar;

/// Depth-first searches with more schedules are given up.
const DFS_MOST: u64 = 2_000_000;
/// Schedules of the random and of the PCT scheduler.
const SCHEDULES: u64 = 100_000;
/// What shuttle may take for one run. The numbers of schedules are the limit, so that a choice does not depend
/// on the machine; a run that takes longer than this hangs.
const HANGS: Duration = Duration::from_secs(600);
/// What shuttle says of an execution that does not end.
const UNFAIR: &str = "exceeded max_steps bound";
/// No bound above this is tried; a model that ends at it and not unbounded has a loop that never ends.
const BOUND_MOST: u8 = 12;

/// Chooses for the models that `names` select. Returns whether all of them passed.
pub fn run(names: &[String], seconds: u64) -> anyhow::Result<bool> {
    let selected = select(names)?;
    let loom = Driver::build(Build::Loom)?;
    let shuttle = Driver::build(Build::Shuttle)?;
    let file = Mutex::new(Scenarios::load()?);
    let bar = bar(selected.len());
    let results = in_parallel(&selected, |model| {
        bar.set_message(model.id());
        let record = choose(&loom, &shuttle, *model, Duration::from_secs(seconds));
        match &record {
            Ok(Ok(record)) => bar.suspend(|| println!("{}", line(record))),
            Ok(Err(failure)) => bar.suspend(|| println!("{}: {failure}", model.id())),
            Err(error) => bar.suspend(|| println!("{}: {error:#}", model.id())),
        }
        bar.inc(1);
        let Ok(record) = record? else { return Ok(false) };
        // After each model, so that a run that is stopped keeps what it has.
        put(&mut file.lock().unwrap_or_else(PoisonError::into_inner), record)?;
        Ok(true)
    });
    bar.finish_and_clear();
    let file = file.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{} models are recorded in {}", file.models.len(), Scenarios::PATH);
    results.into_iter().collect::<anyhow::Result<Vec<bool>>>().map(|all| all.iter().all(|good| *good))
}

/// Replaces one record and writes the file: the models that there are, in their order.
fn put(file: &mut Scenarios, record: ModelRecord) -> anyhow::Result<()> {
    let order: Vec<String> = models(loom_tests::all()).iter().map(Model::id).collect();
    file.models.retain(|old| old.id != record.id && order.contains(&old.id));
    file.models.push(record);
    file.models.sort_by_key(|record| order.iter().position(|id| *id == record.id));
    file.save()
}

/// loom in both spawn orders at one bound.
#[expect(clippy::large_enum_variant, reason = "a handful of them live at a time")]
pub enum Attempt {
    /// Both ended.
    Ended([Report; 2]),
    /// One did not end in time.
    Late,
    /// One failed, in words.
    Failed(String),
}

/// Tries one bound.
pub fn attempt(loom: &Driver, model: Model, bound: Bound, limit: Duration) -> anyhow::Result<Attempt> {
    let mut reports = Vec::new();
    for order in Order::BOTH {
        let run = loom.run(&model.id(), order, Plan::Loom(bound), limit)?;
        match run.end {
            End::Passed(report) => reports.push(report),
            End::Hung(used) if used >= limit => return Ok(Attempt::Late),
            // Asleep: a deadlock that the checker does not see.
            End::Hung(_) | End::Failed(_) | End::Crashed(_) => {
                return Ok(Attempt::Failed(format!("loom {bound}: {}", run.failure())));
            }
        }
    }
    match <[Report; 2]>::try_from(reports) {
        Ok(reports) => Ok(Attempt::Ended(reports)),
        Err(_) => anyhow::bail!("two runs, and not two reports"),
    }
}

fn choose(
    loom: &Driver,
    shuttle: &Driver,
    model: Model,
    limit: Duration,
) -> anyhow::Result<Result<ModelRecord, String>> {
    // A cheap look first: a model that is wrong usually shows it at a small bound, with a short trace.
    let mut best = match attempt(loom, model, Bound::Preemptions(1), limit)? {
        Attempt::Ended(reports) => (Bound::Preemptions(1), reports),
        Attempt::Late => return Ok(Err("loom does not even end at bound 1: make the scenario smaller".to_owned())),
        Attempt::Failed(failure) => return Ok(Err(failure)),
    };
    match attempt(loom, model, Bound::Unbounded, limit)? {
        Attempt::Ended(reports) => best = (Bound::Unbounded, reports),
        Attempt::Failed(failure) => return Ok(Err(failure)),
        Attempt::Late => {
            for bound in (2..=BOUND_MOST).map(Bound::Preemptions) {
                match attempt(loom, model, bound, limit)? {
                    Attempt::Ended(reports) => best = (bound, reports),
                    Attempt::Failed(failure) => return Ok(Err(failure)),
                    Attempt::Late => break,
                }
            }
        }
    }
    let (bound, [forward, reverse]) = best;
    if bound == Bound::Unbounded && forward.outcomes != reverse.outcomes {
        return Ok(Err(ORDERS_DIFFER.to_owned()));
    }
    let mut record = ModelRecord {
        id: model.id(),
        bound,
        executions: [forward.executions, reverse.executions],
        outcomes_reverse: (forward.outcomes != reverse.outcomes).then_some(reverse.outcomes),
        outcomes: forward.outcomes,
        beyond_loom: BTreeSet::new(),
        shuttle: ShuttleRecord::Dfs { schedules: 0, outcomes: 0 },
    };
    if model.scenario.race && record.outcome_count() < 2 {
        return Ok(Err("a race with one outcome: its roles never meet".to_owned()));
    }
    let reached = match search(shuttle, model, &mut record)? {
        Ok(reached) => reached,
        Err(failure) => return Ok(Err(failure)),
    };
    let beyond: BTreeSet<String> = reached.into_iter().filter(|outcome| !record.loom_reached(outcome)).collect();
    if bound == Bound::Unbounded && !beyond.is_empty() {
        return Ok(Err(format!("shuttle reached what loom, unbounded, did not: {beyond:?}")));
    }
    record.beyond_loom = beyond;
    Ok(Ok(record))
}

/// shuttle's part: fills in `record.shuttle` and returns the outcomes.
fn search(
    shuttle: &Driver,
    model: Model,
    record: &mut ModelRecord,
) -> anyhow::Result<Result<BTreeSet<String>, String>> {
    let run = shuttle.run(&record.id, Order::Forward, Plan::Dfs(DFS_MOST), HANGS)?;
    match run.end {
        End::Passed(report) if report.complete => {
            record.shuttle = ShuttleRecord::Dfs { schedules: report.executions, outcomes: report.outcomes.len() };
            return Ok(Ok(report.outcomes));
        }
        End::Passed(_) => {}
        // A thread that polls again and again until another has moved: this search alone never lets the other move.
        // A loop without end does not get past random and PCT, nor past loom.
        End::Failed(_) if run.failure().contains(UNFAIR) => {}
        End::Failed(_) | End::Crashed(_) | End::Hung(_) => {
            return Ok(Err(format!("shuttle's search: {}", run.failure())));
        }
    }
    let seed = seed(&record.id);
    let mut reached = BTreeSet::new();
    for (order, plan) in random_and_pct(SCHEDULES, seed) {
        let run = shuttle.run(&model.id(), order, plan, HANGS)?;
        match run.passed() {
            Ok(report) => reached.extend(report.outcomes.iter().cloned()),
            Err(failure) => return Ok(Err(format!("shuttle's {plan}: {failure}"))),
        }
    }
    record.shuttle = ShuttleRecord::RandomAndPct { schedules: SCHEDULES, seed, outcomes: reached.len() };
    Ok(Ok(reached))
}

/// A seed for each model that depends on nothing but its name (FNV-1a).
fn seed(id: &str) -> u64 {
    u64::from(id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)))
}

fn line(record: &ModelRecord) -> String {
    let ModelRecord { id, bound, executions: [forward, reverse], .. } = record;
    let shuttle = match record.shuttle {
        ShuttleRecord::Dfs { schedules, .. } => format!("dfs {schedules}"),
        ShuttleRecord::RandomAndPct { schedules, .. } => format!("random + pct {schedules}"),
    };
    format!(
        "{id}: loom {bound}, {forward} + {reverse} executions, {} outcomes; shuttle {shuttle}",
        record.outcome_count()
    )
}
