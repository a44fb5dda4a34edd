//! `cargo race`: runs the checked scenarios and says what each of them showed.
//!
//! A plain driver: it links no checker. What it needs under a cfg it builds with cargo, into a target
//! directory of its own, and runs as child processes.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pollproof_models::scenarios;

/// Every interleaving of every scenario, checked by loom.
///
/// Without a command: `run`. Exit status 0 if every verdict is as expected, 1 if one is not, 2 if the
/// scenarios could not be run.
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
    /// Lists the scenarios, their clauses and what they check.
    List,
    /// Runs scenarios under loom.
    Run {
        /// Names as `list` prints them; all if none is given.
        names: Vec<String>,
    },
}

fn main() -> ExitCode {
    let Arguments { command, json } = Arguments::parse();
    let good = match command.unwrap_or(Command::Run { names: Vec::new() }) {
        Command::List => scenarios::list().map(|()| true),
        Command::Run { names } => scenarios::select(&names).and_then(|selected| scenarios::run(&selected, json)),
    };
    match good {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("race: {error:#}");
            ExitCode::from(2)
        }
    }
}
