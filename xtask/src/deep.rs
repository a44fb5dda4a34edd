//! `cargo xtask verify --deep`: the bounded models again, for as long as one is willing to wait.
//!
//! Climbs from the committed bound until an attempt does not end in time, which is the processor's. Where a
//! further preemption adds no execution, the model has no more of them, and the unbounded exploration is
//! tried: it must reach the same in both spawn orders, and everything that shuttle has reached.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use loom_tests::driver::{Driver, in_parallel};
use loom_tests::plan::{Bound, Build};
use loom_tests::record::{Committed as _, Deep, DeepRecord, ModelRecord, Scenarios};
use loom_tests::report::Report;
use loom_tests::scenario::Model;
use loom_tests::verdict::ORDERS_DIFFER;
use pollproof_models::scenarios::select;

use crate::choose::{Attempt, attempt};

/// Explores the bounded models that `names` select. Returns whether all of them passed.
pub fn run(names: &[String], limit: Duration, total_minutes: u64) -> anyhow::Result<bool> {
    let committed = Scenarios::load()?;
    let driver = Driver::build(Build::Loom)?;
    let end = Instant::now() + Duration::from_secs(60 * total_minutes);
    let bounded: Vec<(Model, &ModelRecord)> = select(names)?
        .into_iter()
        .filter_map(|model| committed.get(&model.id()).map(|record| (model, record)))
        .filter(|(_, record)| record.bound != Bound::Unbounded)
        .collect();
    println!("{} models are bounded in {}", bounded.len(), Scenarios::PATH);
    let file = Mutex::new(Deep::load()?);
    let results = in_parallel(&bounded, |(model, record)| {
        if Instant::now() >= end {
            println!("{}: not begun, the {total_minutes} minutes are over", record.id);
            return Ok(true);
        }
        let result = climb(&driver, *model, record, limit, end)?;
        match result {
            Ok(deep) => {
                println!("{}", line(&deep));
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.models.retain(|old| old.id != deep.id);
                file.models.push(deep);
                file.models.sort_by(|a, b| a.id.cmp(&b.id));
                // After each model, so that a run that is stopped keeps what it has.
                file.save()?;
                Ok(true)
            }
            Err(failure) => {
                println!("{}: {failure}", record.id);
                Ok(false)
            }
        }
    });
    let mut file = file.into_inner().unwrap_or_else(PoisonError::into_inner);
    file.models.retain(|deep| committed.get(&deep.id).is_some_and(|record| record.bound != Bound::Unbounded));
    file.save()?;
    results.into_iter().collect::<anyhow::Result<Vec<bool>>>().map(|all| all.iter().all(|good| *good))
}

fn climb(
    driver: &Driver,
    model: Model,
    record: &ModelRecord,
    limit: Duration,
    end: Instant,
) -> anyhow::Result<Result<DeepRecord, String>> {
    let mut deep = DeepRecord {
        id: record.id.clone(),
        bound: record.bound,
        executions: record.executions,
        new_outcomes: std::collections::BTreeSet::new(),
        gave_up: Vec::new(),
        seconds: limit.as_secs(),
    };
    let mut next = match record.bound {
        Bound::Preemptions(most) => Bound::Preemptions(most + 1),
        Bound::Unbounded => return Ok(Ok(deep)),
    };
    while Instant::now() < end {
        match attempt(driver, model, next, limit)? {
            Attempt::Failed(failure) => return Ok(Err(failure)),
            Attempt::Late => {
                deep.gave_up.push(next);
                break;
            }
            Attempt::Ended(reports) => {
                if next == Bound::Unbounded
                    && let Err(failure) = complete(&reports, record)
                {
                    return Ok(Err(failure));
                }
                let before = deep.executions;
                take(&mut deep, next, &reports, record);
                next = match next {
                    Bound::Unbounded => break,
                    Bound::Preemptions(_) if before == deep.executions => Bound::Unbounded,
                    Bound::Preemptions(most) => Bound::Preemptions(most + 1),
                };
            }
        }
    }
    Ok(Ok(deep))
}

/// What an exploration without a bound must show.
fn complete([forward, reverse]: &[Report; 2], record: &ModelRecord) -> Result<(), String> {
    if forward.outcomes != reverse.outcomes {
        return Err(ORDERS_DIFFER.to_owned());
    }
    match record.beyond_loom.iter().find(|outcome| !forward.outcomes.contains(*outcome)) {
        Some(outcome) => Err(format!("shuttle reached `{outcome}`, loom, unbounded, did not")),
        None => Ok(()),
    }
}

fn take(deep: &mut DeepRecord, bound: Bound, reports: &[Report; 2], record: &ModelRecord) {
    deep.bound = bound;
    deep.executions = [reports[0].executions, reports[1].executions];
    deep.new_outcomes = reports
        .iter()
        .flat_map(|report| report.outcomes.iter().cloned())
        .filter(|outcome| !record.loom_reached(outcome))
        .collect();
}

fn line(deep: &DeepRecord) -> String {
    let gave_up: Vec<String> = deep.gave_up.iter().map(Bound::to_string).collect();
    format!(
        "{}: bound {}, {} + {} executions, {} new outcomes{}",
        deep.id,
        deep.bound,
        deep.executions[0],
        deep.executions[1],
        deep.new_outcomes.len(),
        if gave_up.is_empty() { String::new() } else { format!(", gave up at {}", gave_up.join(", ")) }
    )
}
