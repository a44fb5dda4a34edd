//! `cargo race`: runs the races of the atlas and the checked scenarios, and says what each of them showed.
//!
//! A plain driver: it links no checker. What it needs under a cfg it builds with cargo, into a target
//! directory of its own, and runs as child processes.

use std::io::IsTerminal as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand, ValueEnum};
use pollproof_models::checked::run::{self, Case};
use pollproof_models::children::Children;
use pollproof_models::race::{Checkers, Race};
use pollproof_models::races::{self, RACES};
use pollproof_models::{conform, export, scenarios, tell};

/// The race atlas: every known race, broken and repaired, and every scenario of the protocol's own checks.
///
/// Without a command: `run`. Exit status 0 if every verdict is as expected, 1 if one is not, 2 if something
/// could not be run.
#[derive(Parser)]
#[command(name = "cargo race", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// One JSON object a line instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the races and the scenarios.
    List,
    /// Runs races, as published and as repaired, and scenarios.
    Run {
        /// Names or ids as `list` prints them; all if none is given.
        names: Vec<String>,
        /// Only the races, or only the scenarios.
        #[arg(long)]
        only: Option<Kind>,
        /// Writes the counts of the races to models/races.toml instead of comparing with it.
        #[arg(long)]
        record: bool,
    },
    /// Tells a race: its story, the shortest way into it, and the repaired version under the same schedule.
    Show {
        /// The name or the id.
        name: String,
    },
    /// Writes the atlas as a static site that needs no network: an index, and a page a race.
    Export {
        /// Where to; made if it is not there.
        folder: PathBuf,
    },
    #[cfg(not(any(loom, shuttle)))]
    /// Explores the abstract model, every state of each configuration, and says how many there are.
    Model {
        /// Names of configurations; all if none is given.
        names: Vec<String>,
        /// By the `stateright` crate, which has no liveness: a second opinion on the states and on safety.
        #[arg(long, conflicts_with = "record")]
        stateright: bool,
        /// Writes models/model.toml, which VERIFICATION.md shows.
        #[arg(long, conflicts_with = "names")]
        record: bool,
    },
    #[cfg(not(any(loom, shuttle)))]
    /// Serves one configuration of the abstract model to a browser, state by state.
    Explore {
        /// Its name, as `model` prints it.
        name: String,
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:3000")]
        address: String,
    },
    /// Collects the steps of the word that loom's runs take, and compares them with models/steps.txt.
    Steps {
        /// Only those of these models, which must all be in the file.
        names: Vec<String>,
        /// Writes the file instead; with names, only what it has of these models.
        #[arg(long)]
        record: bool,
    },
    /// You are the scheduler: choose who goes next.
    Step {
        /// The name or the id.
        name: String,
        /// Which variant; the published one if this is not given.
        #[arg(long)]
        variant: Option<String>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Races,
    Scenarios,
}

fn main() -> ExitCode {
    let Arguments { command, json } = Arguments::parse();
    let nothing = Command::Run { names: Vec::new(), only: None, record: false };
    match act(command.unwrap_or(nothing), json) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("race: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn act(command: Command, json: bool) -> anyhow::Result<bool> {
    let mut out = std::io::stdout();
    match command {
        Command::List => {
            tell::list(&mut out)?;
            scenarios::list()?;
            Ok(true)
        }
        Command::Run { names, only, record } => run(&names, only, record, json),
        Command::Show { name } => {
            let race = race(&name)?;
            let colours = out.is_terminal();
            let with_loom = race.variants.iter().any(|variant| variant.by == Checkers::Loom);
            tell::show(&mut out, &build(with_loom)?, race, colours)?;
            Ok(true)
        }
        Command::Export { folder } => {
            let bytes = export::site(&build(true)?, RACES, &folder)?;
            println!("{} races, {} kB: {}", RACES.len(), bytes / 1000, folder.join("index.html").display());
            Ok(true)
        }
        #[cfg(not(any(loom, shuttle)))]
        Command::Model { names, stateright, record } => model(&names, stateright, record),
        #[cfg(not(any(loom, shuttle)))]
        Command::Explore { name, address } => pollproof_models::model::tell::serve(&name, &address).map(|()| true),
        Command::Steps { names, record } => steps(&names, record),
        Command::Step { name, variant } => {
            let race = race(&name)?;
            let name = variant.as_deref().unwrap_or("published");
            let variant = race.variant(name).or_else(|| race.variants.first().filter(|_| variant.is_none()));
            let Some(variant) = variant else {
                let names: Vec<_> = race.variants.iter().map(|variant| variant.name).collect();
                bail!("{} has no variant `{name}`, but {}", race.name, names.join(", "))
            };
            // shuttle reports each failing order on the standard error, and there are many on the way.
            let error = build(false)?.by_hand("step", race, variant)?.stderr(Stdio::null()).exec();
            Err(error).context("the player cannot be started")
        }
    }
}

#[cfg(not(any(loom, shuttle)))]
fn model(names: &[String], stateright: bool, record: bool) -> anyhow::Result<bool> {
    use loom_tests::record::Committed as _;
    use pollproof_models::model::tell;

    let configs = tell::select(names)?;
    if stateright {
        return Ok(tell::second_opinion(&configs));
    }
    let explored = tell::explore(&configs);
    let good = tell::table(&configs, &explored);
    if names.is_empty() {
        tell::differences(&explored)?;
    }
    if record {
        tell::figures(&configs, &explored)?.save()?;
    }
    Ok(good)
}

fn steps(names: &[String], record: bool) -> anyhow::Result<bool> {
    let seen = conform::collect(names)?;
    if record {
        let all = if names.is_empty() { seen } else { conform::replaced(seen)? };
        conform::save(&all)?;
        println!("{} steps are recorded", all.len());
        return Ok(true);
    }
    let committed = conform::committed()?;
    let new: Vec<_> = seen.iter().filter(|(step, _)| !committed.contains_key(step)).collect();
    new.iter().for_each(|(step, by)| println!("not recorded: {step} by {by}"));
    let gone = committed.keys().filter(|step| names.is_empty() && !seen.contains_key(step)).count();
    println!("{} steps, {} not recorded, {gone} recorded and not seen", seen.len(), new.len());
    Ok(new.is_empty() && gone == 0)
}

fn race(name: &str) -> anyhow::Result<&'static Race> {
    races::find(name).with_context(|| format!("there is no race `{name}`; `cargo race list` shows them all"))
}

fn build(with_loom: bool) -> anyhow::Result<Children> {
    eprintln!("building the races (the first time takes a minute or two)");
    Children::build(with_loom)
}

fn run(names: &[String], only: Option<Kind>, record: bool, json: bool) -> anyhow::Result<bool> {
    let mut chosen: Vec<&'static Race> = names.iter().filter_map(|name| races::find(name)).collect();
    let others: Vec<String> = names.iter().filter(|name| races::find(name).is_none()).cloned().collect();
    if names.is_empty() && only != Some(Kind::Scenarios) {
        chosen = RACES.to_vec();
    }
    let with_scenarios = if names.is_empty() { only != Some(Kind::Races) && !record } else { !others.is_empty() };
    let models = if with_scenarios { scenarios::select(&others)? } else { Vec::new() };
    let mut good = true;
    if !chosen.is_empty() {
        let verdicts = run::run(&build(true)?, &Case::all_of(&chosen), record)?;
        let mut out = std::io::stdout();
        if json {
            verdicts.iter().for_each(|verdict| println!("{}", tell::object(verdict)));
        } else {
            tell::verdicts(&mut out, &verdicts)?;
        }
        good &= verdicts.iter().all(|verdict| verdict.problems.is_empty());
    }
    if !models.is_empty() {
        good &= scenarios::run(&models, json)?;
    }
    Ok(good)
}
