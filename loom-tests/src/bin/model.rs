//! Runs one model by one plan and prints what it showed as a line of JSON.
//!
//! This is the child process of the suite, of `cargo race` and of `cargo xtask`. By hand, in a build
//! with the fitting `--cfg`: `model list`, `model run serial-two-triggers/inline forward loom:3`.
//!
//! Exit status: 0 passed, 101 the model failed (and the last line says how), 2 it could not be run.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "not explored by a checker")]

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use loom_tests::checker::Recorded;
use loom_tests::plan::Plan;
use loom_tests::record::{Committed as _, Scenarios};
use loom_tests::scenario::{Model, Order, models};
use loom_tests::{all, checker, selftest};

#[derive(Parser)]
#[command(about = "Runs one model of the loom-tests suite")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the models.
    List,
    /// Lists the mutants of a mutation build.
    Mutants,
    /// Runs a model.
    Run {
        /// As `list` prints it.
        model: String,
        /// `forward` or `reverse`.
        order: Order,
        /// loom:BOUND, dfs:MOST, random:SCHEDULES:SEED, pct:SCHEDULES:SEED or threads:REPEATS.
        plan: Plan,
        /// Records the steps of each execution, and shows those of the failing one.
        #[arg(long)]
        timeline: bool,
        /// Fails at the first outcome that scenarios.toml does not have.
        #[arg(long)]
        only_committed: bool,
        /// Collects the different steps of the word of all executions.
        #[arg(long, conflicts_with = "timeline")]
        steps: bool,
    },
}

fn main() -> ExitCode {
    match act(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

fn act(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List => models(all()).iter().for_each(|model| println!("{}", model.id())),
        Command::Mutants => mutants()?,
        Command::Run { model, order, plan, timeline, only_committed, steps } => {
            if only_committed {
                let committed = Scenarios::load()?;
                let record = committed.get(&model).with_context(|| format!("`{model}` has no record"))?;
                checker::allow_only(record.reached().cloned().collect());
            }
            let recorded = match (timeline, steps) {
                (true, _) => Recorded::Timeline,
                (_, true) => Recorded::Steps,
                _ => Recorded::Nothing,
            };
            let report = checker::run(find(&model)?, order, plan, recorded)?;
            println!("{}", serde_json::to_string(&report)?);
        }
    }
    Ok(())
}

fn find(id: &str) -> anyhow::Result<Model> {
    models(all().into_iter().chain(selftest::all()))
        .into_iter()
        .find(|model| model.id() == id)
        .with_context(|| format!("there is no model `{id}`; `list` shows them all"))
}

#[cfg(mutation)]
fn mutants() -> anyhow::Result<()> {
    pollproof::mutation::mutants().iter().for_each(|name| println!("{name}"));
    Ok(())
}

#[cfg(not(mutation))]
fn mutants() -> anyhow::Result<()> {
    anyhow::bail!("only a build with `--cfg mutation` has mutants")
}
