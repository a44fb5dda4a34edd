//! The `explore` binaries, one for each checker, and how they are run.
//!
//! For: the commands of `cargo race`. Everything that may break, hang or abort runs in a child, so that it costs one
//! verdict and not the run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use loom_tests::driver::{Ended, built_binary, cargo, clean, watched};
use loom_tests::plan::{Bound, Build};
use loom_tests::scenario::Order;
use loom_tests::timeline::Timeline;
use serde::de::DeserializeOwned;

use crate::graph::Graph;
use crate::race::{Checkers, Race, Variant};
use crate::report::{Broken, Failure, Finding, Turn};

/// loom's bounds are tried up to this for what is to break.
const LARGEST: u8 = 4;
/// A child that takes more processor time hangs.
const LIMIT: Duration = Duration::from_secs(120);
/// So does one that takes none for so long.
const ASLEEP: Duration = Duration::from_secs(60);
/// More executions than this are not run for one verdict.
pub const MOST: u64 = 1_000_000;

/// The two builds of the `explore` binary.
#[derive(Clone, Debug)]
pub struct Children {
    shuttle: Option<PathBuf>,
    loom: Option<PathBuf>,
    /// Roles and operations that do not take part.
    without: Vec<String>,
}

impl Children {
    /// Binaries that are built already.
    pub fn built(shuttle: Option<PathBuf>, loom: Option<PathBuf>) -> Self {
        Self { shuttle, loom, without: Vec::new() }
    }

    /// Builds them; cargo's progress goes to the standard error.
    ///
    /// # Errors
    ///
    /// When cargo fails.
    pub fn build(with_loom: bool) -> anyhow::Result<Self> {
        let build = |build: Build| {
            let mut cargo = cargo(build);
            cargo.args(["build", "--release", "--quiet", "--package", "pollproof-models", "--bin", "explore"]);
            built_binary(cargo, "explore")
        };
        Ok(Self::built(Some(build(Build::Shuttle)?), with_loom.then(|| build(Build::Loom)).transpose()?))
    }

    /// The same, whose explorations do without the roles and operations of these names.
    pub fn without(&self, parts: &[String]) -> Self {
        Self { without: parts.to_vec(), ..self.clone() }
    }

    fn explore(&self, binary: &Path, command: &str, race: &Race, variant: &Variant) -> Command {
        let mut child = clean(binary);
        child.args([command, race.name, variant.name]);
        child.args(self.without.iter().flat_map(|part| ["--without", part]));
        child
    }

    /// A command of the shuttle build, to be run by hand.
    ///
    /// # Errors
    ///
    /// When that was not built.
    pub fn by_hand(&self, command: &str, race: &Race, variant: &Variant) -> anyhow::Result<Command> {
        let binary = self.shuttle.as_ref().context("the shuttle build is not there")?;
        Ok(self.explore(binary, command, race, variant))
    }

    /// The smallest bound at which the variant breaks, by the depth-first search.
    ///
    /// # Errors
    ///
    /// When the child says nothing.
    pub fn find(&self, race: &Race, variant: &Variant) -> anyhow::Result<Finding> {
        let mut child = self.by_hand("find", race, variant)?;
        said(child.args(["--most", &MOST.to_string()]), LIMIT)
    }

    /// Whether the variant breaks like `before`, within the bound of that, by the depth-first search.
    ///
    /// # Errors
    ///
    /// When the child says nothing.
    pub fn find_like(&self, race: &Race, variant: &Variant, before: &Broken) -> anyhow::Result<Finding> {
        let mut child = self.by_hand("find", race, variant)?;
        let like = serde_json::to_string(&(before.bound, &before.failure))?;
        said(child.args(["--most", &MOST.to_string(), "--like", &like]), LIMIT)
    }

    /// Every order within the bound, by the depth-first search.
    ///
    /// # Errors
    ///
    /// When the child says nothing.
    pub fn prove(&self, race: &Race, variant: &Variant, bound: Bound) -> anyhow::Result<Finding> {
        let mut child = self.by_hand("prove", race, variant)?;
        said(child.args(["--most", &MOST.to_string(), "--bound", &bound.to_string()]), LIMIT)
    }

    /// One execution along `turns`.
    ///
    /// # Errors
    ///
    /// When the child says nothing.
    pub fn follow(
        &self,
        race: &Race,
        variant: &Variant,
        turns: &[Turn],
    ) -> anyhow::Result<(Timeline, Option<Failure>)> {
        said(self.by_hand("follow", race, variant)?.arg(serde_json::to_string(turns)?), LIMIT)
    }

    /// The state graph; where it is too large, the part of it next to `turns`.
    ///
    /// # Errors
    ///
    /// When the child says nothing.
    pub fn graph(&self, race: &Race, variant: &Variant, turns: &[Turn]) -> anyhow::Result<Graph> {
        said(self.by_hand("graph", race, variant)?.args(["--along", &serde_json::to_string(turns)?]), LIMIT)
    }

    /// Everything within the bound, by loom. `limit` is processor time.
    ///
    /// # Errors
    ///
    /// When the child says nothing, or its time was up.
    pub fn loom(
        &self,
        race: &Race,
        variant: &Variant,
        bound: Bound,
        order: Order,
        limit: Duration,
    ) -> anyhow::Result<Finding> {
        let binary = self.loom.as_ref().context("the loom build is not there")?;
        let mut child = self.explore(binary, "loom", race, variant);
        said(child.args([&bound.to_string(), order.name()]), limit)
    }

    /// How the variant breaks, by the checker that shows it.
    ///
    /// # Errors
    ///
    /// When a child says nothing.
    pub fn breaking(&self, race: &Race, variant: &Variant) -> anyhow::Result<Finding> {
        if variant.by == Checkers::Loom { self.loom_find(race, variant, LARGEST) } else { self.find(race, variant) }
    }

    /// Raises loom's preemption bound from 0 until the variant breaks, up to `most`.
    ///
    /// # Errors
    ///
    /// When a child says nothing.
    pub fn loom_find(&self, race: &Race, variant: &Variant, most: u8) -> anyhow::Result<Finding> {
        let mut before = 0;
        for bound in 0..=most {
            match self.loom(race, variant, Bound::Preemptions(bound), Order::Forward, LIMIT)? {
                Finding::Breaks(mut broken) => {
                    broken.executions += before;
                    return Ok(Finding::Breaks(broken));
                }
                Finding::Holds { executions, .. } | Finding::Unfinished { executions } => before += executions,
            }
        }
        Ok(Finding::Unfinished { executions: before })
    }
}

/// The last line of what a child wrote.
fn said<T: DeserializeOwned>(command: &mut Command, limit: Duration) -> anyhow::Result<T> {
    let output = watched(command, limit, ASLEEP)?;
    if let Some(said) = output.stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()) {
        return Ok(said);
    }
    let how = match output.status {
        Ended::Itself(status) => format!("{status}"),
        Ended::Killed(after) => format!("killed after {:.0} s of processor time", after.as_secs_f64()),
    };
    bail!(
        "{}: {how}\n{}",
        command.get_args().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" "),
        output.stderr.trim_end()
    )
}
