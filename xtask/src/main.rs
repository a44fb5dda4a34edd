//! `cargo xtask`: the project's own commands.
//!
//! For: what CI runs and what writes the committed files. Not for: users of the crate.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `bench` | `bench`: one measurement |
//! | `cargo_mutants` | `cargo-mutants`: mutants of what no scenario knows |
//! | `cell` | a cell of a table in Markdown |
//! | `choose` | `verify --choose`: bounds of models, by time |
//! | `deep` | `verify --deep`: bounded models for longer |
//! | `only_tests` | which items are there in tests alone |
//! | `inventory` | `unsafe`: each `unsafe` with its reason and its check |
//! | `mutate` | `mutate`: each mutant and the scenario that notices |
//! | `sim` | `sim`, `hostile`: the reactor on its simulated kernel |
//! | `tables` | `verify`: the generated tables |
//! | `toolchain` | other toolchains |
//! | `miri` | the step `miri` |
//! | `sanitize` | the steps under sanitizers |
//! | `steps` | the steps of `test` |
//! | `log` | what the log of a step tells |
//! | `runner` | `test`: runs the steps |
#![deny(missing_docs)]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a command-line tool around the checkers, never inside one"
)]

mod bench;
mod cargo_mutants;
mod cell;
mod choose;
mod deep;
mod inventory;
mod log;
mod miri;
mod mutate;
mod only_tests;
mod runner;
mod sanitize;
mod sim;
mod steps;
mod tables;
mod toolchain;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that CI checks, step by step; goes on after a step that failed.
    Test {
        /// Only these steps.
        #[arg(long, value_name = "STEP")]
        only: Vec<String>,
        /// Not these steps.
        #[arg(long, value_name = "STEP")]
        skip: Vec<String>,
        /// Lists the steps and what they check.
        #[arg(long)]
        list: bool,
        /// Shows all that the steps print, and not only how each ended.
        #[arg(long, short)]
        verbose: bool,
        /// Fails if a step was skipped, or a test ignored, for example because a tool is not installed.
        #[arg(long)]
        no_skips: bool,
    },
    /// One step in this process, as `test` runs it.
    #[command(hide = true)]
    Step {
        /// Which one.
        name: String,
    },
    /// The tables in VERIFICATION.md, and the committed files behind them.
    Verify(Verify),
    /// verification/unsafe.md: each `unsafe` of the crate, why it is right, and the check that would see it broken.
    Unsafe {
        /// Fails if it is not what would be written.
        #[arg(long)]
        check: bool,
    },
    /// A measurement, on a machine that does nothing else: instructions, calls, cost, idle, micro, churn, pairs, rates,
    /// or all of them.
    Bench {
        /// Which one; `help` says more.
        name: String,
        /// Its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// The reactor on its simulated kernel, under shuttle.
    Sim {
        /// Schedules of each scheduler, for each scenario.
        #[arg(long, default_value_t = sim::FULL)]
        schedules: usize,
        /// Puts each known race back, and expects its scenario to fail.
        #[arg(long)]
        races: bool,
        /// The table as Markdown.
        #[arg(long)]
        markdown: bool,
        /// Only these scenarios.
        scenarios: Vec<String>,
    },
    /// Programs of hostile users on the simulated kernel, or with `--sockets` on this machine: `--seconds 60`, `--program
    /// FILE`; `--help` says more.
    Hostile {
        /// Its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Changes guards, bits and orderings of the protocol one at a time; some model must fail with each. Without
    /// --all: one mutant for each site, with the model that is known to fail.
    Mutate {
        /// Every mutant, with every model that could tell; writes loom-tests/mutants.toml.
        #[arg(long)]
        all: bool,
        /// Each recorded kill once more; writes into loom-tests/mutants.toml how it fails now.
        #[arg(long, conflicts_with = "all")]
        again: bool,
        /// With --all: how much processor time a mutant may take.
        #[arg(long, default_value_t = 60, requires = "all")]
        seconds: u64,
        /// With --all or --again: only these mutants or sites.
        names: Vec<String>,
    },
    /// cargo-mutants on the buffers, the reactor, and what is around it: some test must fail with each of its mutants.
    /// `cargo install cargo-mutants` first.
    CargoMutants {
        group: cargo_mutants::Group,
        /// Arguments of cargo-mutants, for example `--shard 0/8`.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
}

#[derive(Args)]
struct Verify {
    /// Fails if VERIFICATION.md is not what would be written.
    #[arg(long, conflicts_with_all = ["choose", "deep"])]
    check: bool,
    /// Chooses the bound of each model by time, runs it and writes loom-tests/scenarios.toml.
    #[arg(long, conflicts_with = "deep")]
    choose: bool,
    /// Explores the bounded models again, for long, and writes loom-tests/deep.toml.
    #[arg(long)]
    deep: bool,
    /// With --choose: how much processor time loom may take for one spawn order.
    #[arg(long, default_value_t = 5, requires = "choose")]
    seconds: u64,
    /// With --deep: how much processor time loom may take for one spawn order of one attempt.
    #[arg(long, default_value_t = 10.0, requires = "deep")]
    minutes: f64,
    /// With --deep: when to begin no further attempt, by the clock.
    #[arg(long, default_value_t = 180, requires = "deep")]
    total_minutes: u64,
    /// With --choose or --deep: only these scenarios or models.
    names: Vec<String>,
}

fn main() -> ExitCode {
    let good = match Arguments::parse().command {
        Command::Test { list: true, .. } => {
            runner::list();
            Ok(true)
        }
        Command::Test { only, skip, verbose, no_skips, .. } => {
            runner::run(&runner::Options { only, skip, verbose, no_skips })
        }
        Command::Step { name } => match runner::one(&name) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Verify(verify) if verify.choose => choose::run(&verify.names, verify.seconds),
        Command::Verify(verify) if verify.deep => {
            deep::run(&verify.names, Duration::from_secs_f64(60.0 * verify.minutes), verify.total_minutes)
        }
        Command::Verify(verify) => tables::run(verify.check),
        Command::Unsafe { check } => inventory::run(check),
        Command::Bench { name, arguments } => bench::run(&name, &arguments),
        Command::Sim { schedules, races, markdown, scenarios } => {
            let flags = [("--races", races), ("--markdown", markdown)].into_iter().filter(|flag| flag.1);
            let flags = flags.map(|flag| flag.0.to_owned());
            let schedules = ["--schedules".to_owned(), schedules.to_string()];
            sim::run(races, schedules.into_iter().chain(flags).chain(scenarios))
        }
        Command::Hostile { arguments } => sim::hostile(arguments),
        Command::Mutate { all: true, seconds, names, .. } => mutate::all(&names, seconds),
        Command::Mutate { again: true, names, .. } => mutate::again(&names),
        Command::Mutate { names, .. } if !names.is_empty() => Err(anyhow::anyhow!("names need --all or --again")),
        Command::Mutate { .. } => mutate::quick(),
        Command::CargoMutants { group, arguments } => cargo_mutants::run(group, &arguments),
    };
    match good {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}
