//! `cargo xtask mutate`: is each guard, each bit and each ordering of the protocol needed?
//!
//! Builds the models with `--cfg mutation`, where one of them can be changed by name, and looks for a model that
//! fails with the change. A kill is a panic, a crash, a hang, or an outcome that is not committed. A mutant that
//! nothing kills is either a gap in the scenarios, or makes no difference: then `mutants.toml` must say why.
//!
//! `--all` asks for every mutant and writes that file; `--again` runs each recorded kill once more and writes what it
//! says now. Without them each site's quickest kill runs again and must fail as it is recorded; nothing is written.

mod hunt;
mod reach;
pub mod show;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use loom_tests::driver::{Driver, in_parallel};
use loom_tests::plan::Build;
use loom_tests::record::{Committed as _, Killer, MutantRecord, Mutants, Scenarios, site_of};
use pollproof_models::show::bar;

use hunt::Hunt;
use reach::Reach;

/// How often the file is written while the mutants are tried.
const SAVE: Duration = Duration::from_secs(20);

/// At most this share of the mutants may have no killer, in percent.
const EXEMPT: usize = 5;

fn build() -> anyhow::Result<(Driver, Vec<String>)> {
    let driver = Driver::build(Build::Mutation)?.env("RUST_BACKTRACE", "0").asleep(Duration::from_secs(20));
    let all = driver.mutants()?;
    Ok((driver, all))
}

/// Whether `name` is that of the mutant, or of its site.
fn is(mutant: &str, name: &str) -> bool {
    let site = site_of(mutant);
    mutant == name || site == name || site.split_once(':').is_some_and(|(_, site)| site == name)
}

/// Fails if one of `names` is none.
fn known(all: &[String], names: &[String]) -> anyhow::Result<()> {
    for name in names {
        ensure!(all.iter().any(|mutant| is(mutant, name)), "there is no mutant and no site `{name}`");
    }
    Ok(())
}

/// Tries each of `names` (mutants or sites; all if empty), with `seconds` of processor time for each, and records what
/// killed it. Returns whether each has a killer or a reason to survive.
pub fn all(names: &[String], seconds: u64) -> anyhow::Result<bool> {
    let committed = Scenarios::load()?;
    let file = Mutants::load()?;
    let (driver, all) = build()?;
    known(&all, names)?;
    let Some(reach) = Reach::of(&driver, &committed)? else { return Ok(false) };
    let wanted: Vec<&String> = all
        .iter()
        .filter(|mutant| names.is_empty() || names.iter().any(|name| is(mutant, name)))
        .filter(|mutant| reach.has(mutant))
        .collect();
    let hunt = Hunt::new(&driver, &committed, &reach, &file, Duration::from_secs(seconds));
    let without_effect = all.iter().filter(|mutant| !reach.has(mutant)).cloned().collect();
    let mut kept = Mutants { without_effect, mutants: file.mutants.clone() };
    kept.mutants.retain(|record| all.contains(&record.name) && reach.has(&record.name));
    let recorded = Mutex::new((kept, Instant::now()));
    let bar = bar(wanted.len());
    let started = Instant::now();
    for result in in_parallel(&wanted, |name| {
        bar.set_message((*name).clone());
        let old = file.get(name);
        let (killer, passed) = hunt.hunt(name, old.and_then(|record| record.killer.as_ref()))?;
        let survives = old.and_then(|record| record.survives.clone()).filter(|_| killer.is_none());
        bar.inc(1);
        let mut recorded = recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, saved) = &mut *recorded;
        file.mutants.retain(|record| record.name != **name);
        file.mutants.push(MutantRecord { name: (*name).clone(), killer, passed, survives });
        if saved.elapsed() > SAVE {
            *saved = Instant::now();
            save(file, &all)?;
        }
        anyhow::Ok(())
    }) {
        result?;
    }
    bar.finish_and_clear();
    let (mut file, _) = recorded.into_inner().unwrap_or_else(PoisonError::into_inner);
    save(&mut file, &all)?;
    println!("{} mutants were tried in {:.0} s", wanted.len(), started.elapsed().as_secs_f64());
    println!("{}", show::summary(&file));
    let whole = complete(&file, &all);
    Ok(closed(&file) && whole)
}

/// Runs the recorded kills of `names` (mutants or sites; all if empty) once more, and records how each fails now. Returns
/// whether each still does.
pub fn again(names: &[String]) -> anyhow::Result<bool> {
    let committed = Scenarios::load()?;
    let mut file = Mutants::load()?;
    let (driver, all) = build()?;
    known(&all, names)?;
    let wanted: Vec<(&str, &Killer)> = file
        .mutants
        .iter()
        .filter(|record| names.is_empty() || names.iter().any(|name| is(&record.name, name)))
        .filter_map(|record| Some((record.name.as_str(), record.killer.as_ref()?)))
        .collect();
    let reach = Reach::default();
    let hunt = Hunt::new(&driver, &committed, &reach, &file, Duration::ZERO);
    let bar = bar(wanted.len());
    let mut now: BTreeMap<String, Killer> = BTreeMap::new();
    let (mut good, mut changed) = (true, 0);
    let shots = in_parallel(&wanted, |(name, killer)| {
        let shot = hunt.again(name, killer);
        bar.inc(1);
        shot
    });
    bar.finish_and_clear();
    for ((name, before), shot) in wanted.iter().zip(shots) {
        match shot? {
            Ok(killer) => {
                changed += usize::from(killer != **before);
                now.insert((*name).to_owned(), killer);
            }
            Err(problem) => {
                good = false;
                println!("{problem}");
            }
        }
    }
    println!("{} kills once more, {changed} of them otherwise than recorded", wanted.len());
    drop(hunt);
    for record in &mut file.mutants {
        if let Some(killer) = now.remove(&record.name) {
            record.killer = Some(killer);
        }
    }
    save(&mut file, &all)?;
    Ok(good)
}

fn save(file: &mut Mutants, all: &[String]) -> anyhow::Result<()> {
    let place: BTreeMap<&str, usize> = all.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    file.mutants.sort_by_key(|record| place.get(record.name.as_str()).copied());
    file.save()
}

/// Whether the file has every mutant and no other; says what is wrong.
fn complete(file: &Mutants, all: &[String]) -> bool {
    let recorded = file.mutants.iter().map(|record| &record.name);
    let known: BTreeSet<&String> = recorded.chain(&file.without_effect).collect();
    let all: BTreeSet<&String> = all.iter().collect();
    all.difference(&known).for_each(|name| println!("{name}: not tried yet"));
    known.difference(&all).for_each(|name| println!("{name}: the source has no such mutant"));
    all == known
}

/// Whether each mutant has a killer or a reason, and not too many have the latter; says what is wrong.
fn closed(file: &Mutants) -> bool {
    let alive: Vec<&MutantRecord> = file.mutants.iter().filter(|record| record.killer.is_none()).collect();
    let open: Vec<&MutantRecord> = alive.iter().copied().filter(|record| record.survives.is_none()).collect();
    for record in &open {
        let [through, of] = record.passed.unwrap_or_default();
        println!("{}: survives, {through} of {of} runs went through, and no reason is given", record.name);
    }
    let few = alive.len() * 100 <= file.mutants.len() * EXEMPT;
    if !few {
        println!("{} of {} mutants have no killer: more than {EXEMPT} %", alive.len(), file.mutants.len());
    }
    open.is_empty() && few
}

/// Runs the quickest committed kill of each site again. Returns whether all of them still kill, and the file has every
/// mutant, each with a killer or a reason.
pub fn quick() -> anyhow::Result<bool> {
    let committed = Scenarios::load()?;
    let file = Mutants::load()?;
    let (driver, all) = build()?;
    let mut good = complete(&file, &all) & closed(&file);
    let size = |killer: &Killer| committed.get(&killer.model).map_or(u64::MAX, |model| model.executions.iter().sum());
    let mut quickest: BTreeMap<&str, (&MutantRecord, &Killer)> = BTreeMap::new();
    for record in &file.mutants {
        let Some(killer) = &record.killer else { continue };
        let cost = |killer: &Killer| (killer.executions.unwrap_or(u64::MAX), size(killer));
        let best = quickest.entry(site_of(&record.name)).or_insert((record, killer));
        if cost(killer) < cost(best.1) {
            *best = (record, killer);
        }
    }
    let chosen: Vec<(&MutantRecord, &Killer)> = quickest.into_values().collect();
    let models: BTreeSet<(&str, &str)> =
        chosen.iter().map(|(_, killer)| (killer.model.as_str(), killer.order.as_str())).collect();
    let models: Vec<_> = models.into_iter().collect();
    println!("without a mutant: {} runs", models.len());
    for problem in in_parallel(&models, |(model, order)| reach::run(&driver, &committed, model, order.parse()?)) {
        if let Err(problem) = problem? {
            good = false;
            println!("{problem}");
        }
    }
    println!("one mutant for each of {} sites", chosen.len());
    let reach = Reach::default();
    let hunt = Hunt::new(&driver, &committed, &reach, &file, Duration::ZERO);
    for shot in in_parallel(&chosen, |(record, killer)| hunt.still_killed(&record.name, killer)) {
        if let Some(problem) = shot? {
            good = false;
            println!("{problem}");
        }
    }
    println!("{}", show::summary(&file));
    Ok(good)
}
