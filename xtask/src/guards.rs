//! `cargo xtask guards`: is each guard of the protocol needed?
//!
//! Builds the models with `--cfg mutation`, drops one guard at a time and looks for a model that fails
//! without it. A kill is a panic, a crash, a hang, or an outcome that is not committed. A guard that
//! nothing needs is either superfluous or unchecked: it must say why it survives, or the check fails.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::ensure;
use loom_tests::driver::{Driver, End, Run, in_parallel};
use loom_tests::plan::{Build, Plan};
use loom_tests::record::{Committed as _, GuardRecord, Guards, Killer, ModelRecord, Scenarios};
use loom_tests::scenario::{Model, Order, models};
use loom_tests::verdict;
use pollproof_models::show::{bar, table};

/// A mutant that takes more processor time hangs: the models of the suite end well within this.
const LIMIT: Duration = Duration::from_secs(120);

/// The environment variable by which a mutation build is told which guard to drop.
const MUTANT: &str = "POLLPROOF_MUTANT";

/// A guard, its record, and the seconds that it took.
type Row = (GuardRecord, f64);

/// Asks for each of `sites` (all if empty). With `check` only the committed killers run and nothing is
/// written. Returns whether each guard has a killer or a reason to survive.
pub fn run(check: bool, sites: &[String]) -> anyhow::Result<bool> {
    let committed = Scenarios::load()?;
    let mut file = Guards::load()?;
    let driver = Driver::build(Build::Mutation)?;
    let all = driver.sites()?;
    for site in sites {
        ensure!(all.contains(site), "there is no guard `{site}`");
    }
    let wanted: Vec<&String> = all.iter().filter(|site| sites.is_empty() || sites.contains(site)).collect();
    if !baseline(&driver, &committed, check.then_some(&file))? {
        return Ok(false);
    }
    let bar = bar(wanted.len());
    let rows = in_parallel(&wanted, |site| {
        bar.set_message((*site).clone());
        let started = Instant::now();
        let old = file.guards.iter().find(|record| record.site == **site);
        let killer = hunt(&driver, &committed, site, old.and_then(|record| record.killer.as_ref()), check);
        bar.inc(1);
        killer.map(|killer| {
            let survives = old.and_then(|record| record.survives.clone()).filter(|_| killer.is_none());
            (GuardRecord { site: (*site).clone(), killer, survives }, started.elapsed().as_secs_f64())
        })
    });
    bar.finish_and_clear();
    let rows = rows.into_iter().collect::<anyhow::Result<Vec<Row>>>()?;
    show(&rows);
    let mut problems: Vec<String> = rows
        .iter()
        .filter(|(record, _)| record.killer.is_none() && record.survives.is_none())
        .map(|(record, _)| format!("{}: nothing fails without it, and guards.toml does not say why", record.site))
        .collect();
    if check {
        let gone = file.guards.iter().filter(|record| !all.contains(&record.site));
        problems.extend(gone.map(|record| format!("{}: guards.toml has it, the source has not", record.site)));
    } else {
        for (record, _) in rows {
            file.guards.retain(|old| old.site != record.site);
            file.guards.push(record);
        }
        file.guards.retain(|record| all.contains(&record.site));
        file.guards.sort_by_key(|record| all.iter().position(|site| *site == record.site));
        file.save()?;
        println!("{} guards are recorded in {}", file.guards.len(), Guards::PATH);
    }
    problems.iter().for_each(|problem| println!("{problem}"));
    Ok(problems.is_empty())
}

/// With every guard in place the models must pass in this build too, else any mutant would seem killed.
/// With `only`, those models alone that it names as killers.
fn baseline(driver: &Driver, committed: &Scenarios, only: Option<&Guards>) -> anyhow::Result<bool> {
    let killers: Option<BTreeSet<&str>> = only.map(|file| {
        file.guards.iter().filter_map(|record| record.killer.as_ref()).map(|killer| killer.model.as_str()).collect()
    });
    let wanted: Vec<Model> = models(loom_tests::all())
        .into_iter()
        .filter(|model| killers.as_ref().is_none_or(|killers| killers.contains(model.id().as_str())))
        .collect();
    println!("with every guard in place: {} models", wanted.len());
    let mut good = true;
    for verdict in in_parallel(&wanted, |model| verdict::check(driver, Build::Mutation, committed, *model)) {
        let verdict = verdict?;
        for problem in &verdict.problems {
            good = false;
            println!("{}: {problem}", verdict.id);
        }
    }
    Ok(good)
}

/// Drops `site` and returns the first run that fails: the committed one if it still does; else, unless
/// `check`, the first of all models, the cheap ones first.
fn hunt(
    driver: &Driver,
    committed: &Scenarios,
    site: &str,
    known: Option<&Killer>,
    check: bool,
) -> anyhow::Result<Option<Killer>> {
    let driver = driver.clone().env(MUTANT, site);
    if let Some(killer) = known
        && let Some(record) = committed.get(&killer.model)
        && let Some(killer) = shoot(&driver, record, killer.order.parse()?)?
    {
        return Ok(Some(killer));
    }
    if check {
        return Ok(None);
    }
    let mut records: Vec<&ModelRecord> = committed.models.iter().collect();
    records.sort_by_key(|record| record.executions.iter().sum::<u64>());
    for record in records {
        for order in Order::BOTH {
            if let Some(killer) = shoot(&driver, record, order)? {
                return Ok(Some(killer));
            }
        }
    }
    Ok(None)
}

/// Runs one model without the guard.
fn shoot(driver: &Driver, record: &ModelRecord, order: Order) -> anyhow::Result<Option<Killer>> {
    let Run { end, .. } = driver.run(&record.id, order, Plan::Loom(record.bound), LIMIT)?;
    let killer = |executions, how: String| Killer {
        model: record.id.clone(),
        order: order.name().to_owned(),
        executions,
        how: how.lines().next().unwrap_or_default().to_owned(),
    };
    Ok(match end {
        End::Failed(report) => Some(killer(Some(report.executions), report.failure.unwrap_or_default())),
        End::Crashed(status) => Some(killer(None, status.to_string())),
        End::Hung(_) => Some(killer(None, "hung".to_owned())),
        End::Passed(report) => report
            .outcomes
            .iter()
            .find(|outcome| !record.loom_reached(outcome))
            .map(|outcome| killer(Some(report.executions), format!("outcome {outcome}"))),
    })
}

fn show(rows: &[Row]) {
    let mut table = table(&["guard", "killed by", "executions", "how", "time"], 2..3);
    for (GuardRecord { site, killer, survives }, seconds) in rows {
        let time = format!("{seconds:.2} s");
        match killer {
            Some(Killer { model, order, executions, how }) => table.add_row([
                site.clone(),
                format!("{model} ({order})"),
                executions.map_or_else(String::new, |count| count.to_string()),
                how.chars().take(60).collect(),
                time,
            ]),
            None => {
                let why = survives.clone().unwrap_or_else(|| "SURVIVES".to_owned());
                table.add_row([site.clone(), String::new(), String::new(), why, time])
            }
        };
    }
    println!("{table}");
    let mut by_model: BTreeMap<&str, usize> = BTreeMap::new();
    for killer in rows.iter().filter_map(|(record, _)| record.killer.as_ref()) {
        *by_model.entry(&killer.model).or_default() += 1;
    }
    let killed: usize = by_model.values().sum();
    println!("{killed} of {} guards killed, by {} models", rows.len(), by_model.len());
}
