//! Every measurement, one after the other, each kept: what `benches/results/` and README.md show.
//!
//! Each is a process of its own, for some keep themselves on one processor. Those without a clock come first: they are
//! true on a busy machine too.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::report::ELSEWHERE;

/// Every measurement, kept.
#[derive(Args, Debug)]
pub struct Options {
    /// About how long all of it takes on an idle machine; slices are cut to that.
    #[arg(long, default_value_t = 27, value_parser = clap::value_parser!(u64).range(15..))]
    minutes: u64,
    /// To see that all of it works: a fraction of the time, figures that are worth nothing, and so they are written
    /// below `target/`.
    #[arg(long)]
    quick: bool,
    /// Only these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// The arguments of each.
const FULL: &[&str] = &[
    "instructions",
    "calls",
    "cost",
    "idle",
    "micro",
    "churn",
    "pairs --slices 5",
    "rates --slices 5",
    "saturated --slices 15 --millis 150",
];

/// Minutes of a run that the length of a slice does not change.
const FIXED: u64 = 12;

/// Milliseconds of a slice, for each minute that is left.
const MILLIS: [(&str, u64); 2] = [("pairs", 14), ("rates", 8)];

const QUICK: &[&str] = &[
    "instructions --few 200 --many 600 again naive",
    "calls --few 1000 --many 3000 again naive",
    "cost --few 1000 --many 3000 --slices 2 --millis 50",
    "idle 500",
    "micro --max-time 0.05",
    "churn --slices 2 --connections 50",
    "pairs --slices 2 --millis 20 --connections 1,64",
    "rates --slices 2 --millis 20 --connections 1,64",
    "saturated --slices 2 --millis 20 --connections 1,64",
];

impl Options {
    /// Measures.
    ///
    /// # Errors
    ///
    /// When one of them fails.
    pub fn run(&self) -> anyhow::Result<()> {
        // Once: building the others may put another file in its place.
        let binary = std::env::current_exe()?;
        for part in if self.quick { QUICK } else { FULL } {
            let mut arguments: Vec<String> = part.split(' ').map(str::to_owned).collect();
            let name = arguments[0].clone();
            if !self.only.is_empty() && !self.only.contains(&name) {
                continue;
            }
            let mut command = Command::new(&binary);
            if self.quick {
                command.env(ELSEWHERE, elsewhere(&binary)?);
            } else if let Some((_, millis)) = MILLIS.iter().find(|(sliced, _)| *sliced == name) {
                arguments.extend(["--millis".to_owned(), (millis * (self.minutes - FIXED)).to_string()]);
            }
            eprintln!("==== {}", arguments.join(" "));
            let started = Instant::now();
            let status = command.arg("--save").args(&arguments).status()?;
            ensure!(status.success(), "{name}: {status}");
            eprintln!("==== {name} took {:.0} s", started.elapsed().as_secs_f64());
        }
        Ok(())
    }
}

/// Beside the profile's folder.
fn elsewhere(binary: &Path) -> anyhow::Result<PathBuf> {
    Ok(binary.parent().and_then(Path::parent).context("target")?.join("quick-results"))
}
