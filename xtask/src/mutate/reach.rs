//! Which runs of which models each mutant could show in, asked of the models as they are.
//!
//! That is also the baseline: without a mutant every model must show in this build what is committed, else any mutant
//! would seem killed. It takes as long as the suite, so it is kept in the target directory for as long as the binary
//! and the committed counts are the same.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use loom_tests::driver::{Driver, in_parallel};
use loom_tests::plan::Plan;
use loom_tests::record::{Committed as _, Scenarios, root};
use loom_tests::scenario::Order;
use pollproof_models::show::bar;
use serde::{Deserialize, Serialize};

/// Far above what a model of the suite takes.
const LIMIT: Duration = Duration::from_secs(600);

/// One model in one spawn order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    pub model: String,
    pub order: String,
    /// Its executions, as committed.
    pub executions: u64,
    /// The mutants that would have changed something.
    touched: Vec<String>,
}

#[derive(Default, Serialize, Deserialize)]
struct Kept {
    /// What it holds for.
    stamp: String,
    runs: Vec<Shown>,
}

/// The runs, the cheap ones first, and where each mutant shows.
#[derive(Default)]
pub struct Reach {
    runs: Vec<Shown>,
    of: BTreeMap<String, Vec<usize>>,
}

impl Reach {
    /// Asks every model, or takes what is kept. `None`: some model does not show what is committed, which was printed.
    pub fn of(driver: &Driver, committed: &Scenarios) -> anyhow::Result<Option<Self>> {
        let stamp = stamp(driver)?;
        let path = root().join("target/mutation/reach.json");
        let kept: Kept =
            std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        if kept.stamp == stamp {
            println!("without a mutant: as before, by the same binary");
            return Ok(Some(Self::from(kept.runs)));
        }
        let mut wanted: Vec<(&str, Order, u64)> = committed
            .models
            .iter()
            .flat_map(|record| {
                Order::BOTH.into_iter().zip(record.executions).map(|(order, count)| (record.id.as_str(), order, count))
            })
            .collect();
        wanted.sort_by_key(|(_, _, count)| *count);
        println!("without a mutant: {} runs", wanted.len());
        let bar = bar(wanted.len());
        let results = in_parallel(&wanted, |(model, order, _)| {
            let result = run(driver, committed, model, *order);
            bar.inc(1);
            result
        });
        bar.finish_and_clear();
        let mut runs = Vec::new();
        let mut good = true;
        for result in results {
            match result? {
                Ok(shown) => runs.push(shown),
                Err(problem) => {
                    good = false;
                    println!("{problem}");
                }
            }
        }
        if !good {
            return Ok(None);
        }
        std::fs::write(&path, serde_json::to_vec(&Kept { stamp, runs: runs.clone() })?)?;
        Ok(Some(Self::from(runs)))
    }

    fn from(runs: Vec<Shown>) -> Self {
        let mut of: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, run) in runs.iter().enumerate() {
            for mutant in &run.touched {
                of.entry(mutant.clone()).or_default().push(at);
            }
        }
        Self { runs, of }
    }

    /// Whether there is a run in which `mutant` would change something.
    pub fn has(&self, mutant: &str) -> bool {
        self.of.contains_key(mutant)
    }

    /// The runs in which `mutant` would change something.
    pub fn runs(&self, mutant: &str) -> impl Iterator<Item = &Shown> {
        self.of.get(mutant).into_iter().flatten().map(|&at| &self.runs[at])
    }
}

/// Which binary, and which committed counts.
fn stamp(driver: &Driver) -> anyhow::Result<String> {
    let of = |path: PathBuf| -> anyhow::Result<String> {
        let file = std::fs::metadata(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let changed = file.modified()?.duration_since(std::time::UNIX_EPOCH)?;
        Ok(format!("{} {}", file.len(), changed.as_nanos()))
    };
    Ok(format!("{} {}", of(driver.binary().to_owned())?, of(root().join(Scenarios::PATH))?))
}

/// Runs one model without a mutant: it must show what is committed.
pub fn run(driver: &Driver, committed: &Scenarios, model: &str, order: Order) -> anyhow::Result<Result<Shown, String>> {
    let Some(record) = committed.get(model) else { return Ok(Err(format!("{model}: there is no such model"))) };
    let run = driver.run(model, order, Plan::Loom(record.bound), LIMIT)?;
    let index = usize::from(order == Order::Reverse);
    Ok(match run.passed() {
        Err(failure) => Err(format!("{model}: {failure}")),
        Ok(report)
            if report.executions != record.executions[index] || report.outcomes != *record.outcomes_of(index) =>
        {
            Err(format!("{model} ({}): without a mutant, it does not show what is committed", order.name()))
        }
        Ok(report) => Ok(Shown {
            model: model.to_owned(),
            order: order.name().to_owned(),
            executions: report.executions,
            touched: report.touched.clone(),
        }),
    })
}
