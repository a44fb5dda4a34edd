//! Looks for the model that fails with a mutant.
//!
//! Only the runs that the mutant touches are tried: first the one that killed it before, then those that killed its
//! neighbours, then the others, the cheap ones first; each for half a second, then again for longer, because a run
//! that fails mostly fails soon.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use loom_tests::driver::{Driver, End, MUTANT, Run};
use loom_tests::failure::{self, Kind};
use loom_tests::plan::Plan;
use loom_tests::record::{Killer, Mutants, Scenarios, site_of};
use loom_tests::scenario::Order;

use super::reach::{Reach, Shown};

/// Processor time for a run in each round. In the last it goes to its end.
const ROUNDS: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(4), Duration::from_secs(600)];

/// Processor time for the run that is known to fail.
const KNOWN: Duration = Duration::from_secs(60);

/// A run that took this much is hung, if that is also fifty times what its executions should take.
const HANGS: Duration = Duration::from_secs(20);

/// Executions in a second, on a slow machine.
const SLOW: u64 = 5_000;

/// What one run showed.
enum Shot {
    Killed(Killer),
    /// It went to its end.
    Passed,
    /// It was stopped before.
    Stopped,
}

/// What is needed to try mutants.
pub struct Hunt<'a> {
    driver: &'a Driver,
    committed: &'a Scenarios,
    reach: &'a Reach,
    /// What each mutant may take in all, of processor time.
    budget: Duration,
    /// Who killed the mutants of a site so far.
    killers: Mutex<BTreeMap<String, Vec<(String, String)>>>,
}

impl<'a> Hunt<'a> {
    /// `known` is what is recorded of other mutants.
    pub fn new(
        driver: &'a Driver,
        committed: &'a Scenarios,
        reach: &'a Reach,
        known: &Mutants,
        budget: Duration,
    ) -> Self {
        let hunt = Self { driver, committed, reach, budget, killers: Mutex::default() };
        for record in &known.mutants {
            record.killer.iter().for_each(|killer| hunt.remember(&record.name, killer));
        }
        hunt
    }

    fn killers(&self) -> MutexGuard<'_, BTreeMap<String, Vec<(String, String)>>> {
        self.killers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, name: &str, killer: &Killer) {
        let run = (killer.model.clone(), killer.order.clone());
        let mut killers = self.killers();
        let known = killers.entry(site_of(name).to_owned()).or_default();
        if !known.contains(&run) {
            known.push(run);
        }
    }

    /// The run that fails with the mutant `name`; or else how many of those that could went through, and how many there
    /// are.
    pub fn hunt(&self, name: &str, known: Option<&Killer>) -> anyhow::Result<(Option<Killer>, Option<[usize; 2]>)> {
        let mut left = self.budget;
        let mut runs: Vec<&Shown> = self.reach.runs(name).collect();
        let neighbours = self.killers().get(site_of(name)).cloned().unwrap_or_default();
        // A stable sort: the cheap ones stay first.
        runs.sort_by_key(|run| !neighbours.iter().any(|(model, order)| *model == run.model && *order == run.order));
        let (of, mut through) = (runs.len(), 0);
        // The one that killed it before may take longer than a first look.
        if let Some(killer) = known
            && let (Shot::Killed(killer), _) = self.shoot(name, &killer.model, killer.order.parse()?, KNOWN)?
        {
            self.remember(name, &killer);
            return Ok((Some(killer), None));
        }
        for round in ROUNDS {
            let mut later = Vec::new();
            for run in runs {
                let limit = round.min(left);
                if limit.is_zero() {
                    return Ok((None, Some([through, of])));
                }
                let (shot, used) = self.shoot(name, &run.model, run.order.parse()?, limit)?;
                left = left.saturating_sub(used);
                match shot {
                    Shot::Killed(killer) => {
                        self.remember(name, &killer);
                        return Ok((Some(killer), None));
                    }
                    Shot::Passed => through += 1,
                    Shot::Stopped => later.push(run),
                }
            }
            runs = later;
        }
        Ok((None, Some([through, of])))
    }

    /// The recorded kill once more: what it is now, or else what is wrong.
    pub fn again(&self, name: &str, killer: &Killer) -> anyhow::Result<Result<Killer, String>> {
        let limit = ROUNDS[ROUNDS.len() - 1];
        Ok(match self.shoot(name, &killer.model, killer.order.parse()?, limit)?.0 {
            Shot::Killed(killer) => Ok(killer),
            _ => Err(format!("{name}: {} ({}) does not fail with it any more", killer.model, killer.order)),
        })
    }

    /// What is wrong, if the recorded killer does not kill any more, or not as it is recorded.
    pub fn still_killed(&self, name: &str, killer: &Killer) -> anyhow::Result<Option<String>> {
        let after = |killer: &Killer| {
            let executions = killer.executions.map_or_else(|| "no".to_owned(), |count| count.to_string());
            format!("after {executions} executions, {}", killer.told())
        };
        Ok(match self.again(name, killer)? {
            Ok(now) if now == *killer => None,
            Ok(now) => Some(format!(
                "{name}: {} ({}) is recorded to fail {}; it fails {}. `cargo xtask mutate --again` records that",
                killer.model,
                killer.order,
                after(killer),
                after(&now)
            )),
            Err(problem) => Some(problem),
        })
    }

    /// Runs one model with the mutant; with the processor time that it took.
    fn shoot(&self, name: &str, model: &str, order: Order, limit: Duration) -> anyhow::Result<(Shot, Duration)> {
        let Some(record) = self.committed.get(model) else { return Ok((Shot::Stopped, Duration::ZERO)) };
        let hangs = HANGS.max(Duration::from_secs(50 * record.executions.iter().sum::<u64>() / SLOW));
        let driver = self.driver.clone().env(MUTANT, name).only_committed();
        let Run { end, .. } = driver.run(model, order, Plan::Loom(record.bound), limit.min(hangs))?;
        let killer = |executions, (failed, said)| {
            Shot::Killed(Killer { model: model.to_owned(), order: order.name().to_owned(), executions, failed, said })
        };
        Ok(match end {
            End::Failed(report) => {
                let told = failure::told(report.failure.as_deref().unwrap_or_default());
                (killer(Some(report.executions), told), Duration::from_secs_f64(report.seconds))
            }
            End::Crashed(status) => (killer(None, (Kind::Crash, status.to_string())), Duration::ZERO),
            End::Hung(used) if used >= hangs => (killer(None, (Kind::Hang, "a loop never ends".to_owned())), used),
            End::Hung(used) if used < limit => (killer(None, (Kind::Hang, "it sleeps for ever".to_owned())), used),
            End::Hung(used) => (Shot::Stopped, used),
            End::Passed(report) => (Shot::Passed, Duration::from_secs_f64(report.seconds)),
        })
    }
}
