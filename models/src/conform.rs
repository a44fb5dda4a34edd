//! Runs against the abstract model: what steps of the word runs take, as a committed file.
//!
//! For: `cargo race steps`, which writes the file, and the tests that compare it with the model. The steps come from
//! loom: every model of `loom-tests`, in both spawn orders, at its own preemption bound if it has no more than [`MOST`]
//! executions, else at most at [`BOUND`]: the suite runs those at the larger bound, but does not record them.
//!
//! Not here: the model, see `model`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use loom_tests::checker::Recorded;
use loom_tests::driver::{Driver, in_parallel};
use loom_tests::plan::{Bound, Build, Plan};
use loom_tests::record::{Committed as _, ModelRecord, Scenarios};
use loom_tests::scenario::Order;
use loom_tests::steps::Step;

use crate::scenarios::select;
use crate::show::bar;

/// Models of more executions, both orders together, are run at [`BOUND`] instead.
pub const MOST: u64 = 43_000;
/// The preemption bound of those, unless their own is smaller.
pub const BOUND: u8 = 3;

/// Steps, each with the first model of `loom-tests` whose run takes it.
pub type Steps = BTreeMap<Step, String>;

/// A run that takes more processor time hangs.
const LIMIT: Duration = Duration::from_secs(600);

const HEADER: &str = "\
# Every step of the word that loom sees: transition, word before, word after, and the first model whose run takes it.
# Written by `cargo race steps --record`.
# models/tests/conformance.rs compares it with the abstract model.
";

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("steps.txt")
}

/// The steps that are committed.
///
/// # Errors
///
/// When there is no such file, or it is damaged.
pub fn committed() -> anyhow::Result<Steps> {
    let text = std::fs::read_to_string(path()).context("models/steps.txt cannot be read")?;
    let read = |line: &str| {
        let (step, by) = line.rsplit_once(' ').with_context(|| format!("`{line}` is no step with its model"))?;
        Ok((step.parse()?, by.to_owned()))
    };
    text.lines().filter(|line| !line.starts_with('#')).map(read).collect()
}

/// The steps that the models `names` select take now, all if there are none.
///
/// # Errors
///
/// When a model fails or cannot be run.
pub fn collect(names: &[String]) -> anyhow::Result<Steps> {
    let models = select(names)?;
    let driver = Driver::build(Build::Loom)?;
    let records = Scenarios::load()?;
    let bar = bar(models.len());
    let steps = in_parallel(&models, |model| {
        let id = model.id();
        bar.set_message(id.clone());
        let bound = match records.get(&id) {
            Some(record) if record.executions.iter().sum::<u64>() <= MOST => record.bound,
            Some(ModelRecord { bound: Bound::Preemptions(bound), .. }) => Bound::Preemptions(BOUND.min(*bound)),
            _ => Bound::Preemptions(BOUND),
        };
        let mut steps = BTreeSet::new();
        for order in Order::BOTH {
            let plan = Plan::Loom(bound);
            let run = driver.run_recorded(&id, order, plan, LIMIT, Recorded::Steps)?;
            let report = run.passed().map_err(|failure| anyhow::anyhow!("{id}: {failure}"))?;
            steps.extend(report.steps.iter().cloned());
        }
        bar.inc(1);
        anyhow::Ok(steps)
    });
    bar.finish_and_clear();
    let mut all = Steps::new();
    for (model, steps) in models.iter().zip(steps) {
        for step in steps? {
            all.entry(step).or_insert_with(|| model.id());
        }
    }
    Ok(all)
}

/// What is committed, with `seen` in the place of what it has of the same models.
///
/// # Errors
///
/// As [`committed`].
pub fn replaced(seen: Steps) -> anyhow::Result<Steps> {
    let models: BTreeSet<String> = seen.values().cloned().collect();
    let mut all = committed()?;
    all.retain(|_, by| !models.contains(by));
    for (step, by) in seen {
        all.entry(step).or_insert(by);
    }
    Ok(all)
}

/// Writes the file.
///
/// # Errors
///
/// When it cannot be written.
pub fn save(steps: &Steps) -> anyhow::Result<()> {
    let lines: String = steps.iter().map(|(step, by)| format!("{step} {by}\n")).collect();
    std::fs::write(path(), format!("{HEADER}{lines}")).context("models/steps.txt cannot be written")
}
