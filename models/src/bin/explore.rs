//! Explores one variant of one race and prints what that showed as a line of JSON.
//!
//! This is the child process of `cargo race`. By hand, in a build with the fitting `--cfg`:
//! `explore find lost-disconnect published`, `explore loom lost-disconnect repaired unbounded forward`.
//!
//! Exit status: 0 explored, 101 loom found a failure (and the last line says which), 2 it could not be run.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use loom_tests::plan::Bound;
use loom_tests::scenario::Order;
use pollproof_models::cast;
use pollproof_models::explore::{self, Task};

#[derive(Parser)]
#[command(about = "Explores one variant of one race")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Args)]
struct What {
    /// The race.
    race: String,
    /// Its variant.
    variant: String,
    /// A role or an operation that does not take part.
    #[arg(long)]
    without: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Raises the preemption bound until it breaks.
    Find {
        #[command(flatten)]
        what: What,
        /// No more executions than this.
        #[arg(long, default_value_t = 5_000_000)]
        most: u64,
        /// Only what breaks like this, and within this bound: both as JSON.
        #[arg(long)]
        like: Option<String>,
    },
    /// Explores every order.
    Prove {
        #[command(flatten)]
        what: What,
        /// A number of preemptions, or `unbounded`.
        #[arg(long, default_value = "unbounded")]
        bound: Bound,
        /// No more executions than this.
        #[arg(long, default_value_t = 5_000_000)]
        most: u64,
    },
    /// Runs along a schedule, given as JSON.
    Follow {
        #[command(flatten)]
        what: What,
        /// Whose turn it is.
        turns: String,
    },
    /// Is scheduled by hand.
    Step {
        #[command(flatten)]
        what: What,
    },
    /// Makes the state graph.
    Graph {
        #[command(flatten)]
        what: What,
        /// No more states than this.
        #[arg(long, default_value_t = 20_000)]
        most: usize,
        /// Where there are more: those next to this schedule, given as JSON.
        #[arg(long, default_value = "[]")]
        along: String,
    },
    /// Explores under loom.
    Loom {
        #[command(flatten)]
        what: What,
        /// A number of preemptions, or `unbounded`.
        bound: Bound,
        /// `forward` or `reverse`.
        order: Order,
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
    let (what, task) = match command {
        Command::Find { what, most, like } => {
            (what, Task::Find(most, like.map(|like| serde_json::from_str(&like)).transpose()?))
        }
        Command::Prove { what, bound, most } => (what, Task::Prove(bound, most)),
        Command::Follow { what, turns } => (what, Task::Follow(serde_json::from_str(&turns)?)),
        Command::Step { what } => (what, Task::Step),
        Command::Graph { what, most, along } => (what, Task::Graph(most, serde_json::from_str(&along)?)),
        Command::Loom { what, bound, order } => (what, Task::Loom(bound, order)),
    };
    cast::without(what.without);
    let (race, variant) = explore::select(&what.race, &what.variant)?;
    explore::run(race, variant, task)
}
