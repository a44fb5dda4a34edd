//! How one run of a model is to be made.
//!
//! For: the command line of the `model` binary and those who write it. A plan fits one build: loom
//! plans run under `--cfg loom`, shuttle's under `--cfg shuttle`, threads in neither.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many preemptions loom explores. It bounds switches of threads, never stale reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bound {
    /// At most this many.
    Preemptions(u8),
    /// All of them.
    Unbounded,
}

/// One run of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// loom explores everything within the bound.
    Loom(Bound),
    /// shuttle's depth-first search, given up after so many schedules.
    Dfs(u64),
    /// shuttle's random scheduler: schedules and seed.
    Random(u64, u64),
    /// shuttle's PCT scheduler at depth [`PCT_DEPTH`]: schedules and seed.
    Pct(u64, u64),
    /// Repeats on plain threads.
    Threads(u64),
}

/// The depth of the PCT scheduler. It must reach the depth of a bug to find it.
pub const PCT_DEPTH: usize = 5;

impl Plan {
    /// Which of the three builds carries out this plan.
    pub fn build(&self) -> Build {
        match self {
            Plan::Loom(_) => Build::Loom,
            Plan::Dfs(_) | Plan::Random(..) | Plan::Pct(..) => Build::Shuttle,
            Plan::Threads(_) => Build::Std,
        }
    }
}

/// The builds of the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// No cfg: plain threads.
    Std,
    /// `--cfg loom`.
    Loom,
    /// `--cfg shuttle`.
    Shuttle,
    /// `--cfg loom`, and `--cfg mutation` for this workspace alone: loom, with guards, bits and orderings that can be
    /// changed.
    Mutation,
}

impl Build {
    /// The build that this code is part of.
    pub const CURRENT: Build = if cfg!(all(loom, mutation)) {
        Build::Mutation
    } else if cfg!(loom) {
        Build::Loom
    } else if cfg!(shuttle) {
        Build::Shuttle
    } else {
        Build::Std
    };

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Build::Std => "std",
            Build::Loom => "loom",
            Build::Shuttle => "shuttle",
            Build::Mutation => "mutation",
        }
    }

    /// Its target directory, below `target/`. A mutation build has loom's dependencies, and so need not build them again.
    pub fn directory(self) -> &'static str {
        match self {
            Build::Std => "",
            Build::Loom | Build::Mutation => "loom",
            Build::Shuttle => "shuttle",
        }
    }

    /// What RUSTFLAGS must hold, to the letter: flags from the caller's environment would win silently.
    pub fn rustflags(self) -> &'static str {
        match self {
            Build::Std => "",
            Build::Loom | Build::Mutation => "--cfg loom",
            Build::Shuttle => "--cfg shuttle",
        }
    }

    /// Whether a binary of this build can carry out a plan of `wanted`.
    pub fn carries_out(self, wanted: Build) -> bool {
        self == wanted || (self == Build::Mutation && wanted == Build::Loom)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Preemptions(n) => write!(f, "{n}"),
            Bound::Unbounded => f.write_str("unbounded"),
        }
    }
}

impl FromStr for Bound {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "unbounded" => Ok(Bound::Unbounded),
            _ => Ok(Bound::Preemptions(text.parse().context("a bound is a number or `unbounded`")?)),
        }
    }
}

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Bound::Preemptions(n) => serializer.serialize_u8(*n),
            Bound::Unbounded => serializer.serialize_str("unbounded"),
        }
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u8),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(n) => Ok(Bound::Preemptions(n)),
            Either::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Plan::Loom(bound) => write!(f, "loom:{bound}"),
            Plan::Dfs(most) => write!(f, "dfs:{most}"),
            Plan::Random(schedules, seed) => write!(f, "random:{schedules}:{seed}"),
            Plan::Pct(schedules, seed) => write!(f, "pct:{schedules}:{seed}"),
            Plan::Threads(repeats) => write!(f, "threads:{repeats}"),
        }
    }
}

impl FromStr for Plan {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split(':').collect();
        Ok(match parts[..] {
            ["loom", bound] => Plan::Loom(bound.parse()?),
            ["dfs", most] => Plan::Dfs(most.parse()?),
            ["random", schedules, seed] => Plan::Random(schedules.parse()?, seed.parse()?),
            ["pct", schedules, seed] => Plan::Pct(schedules.parse()?, seed.parse()?),
            ["threads", repeats] => Plan::Threads(repeats.parse()?),
            _ => bail!(
                "`{text}` is no plan: loom:BOUND, dfs:MOST, random:SCHEDULES:SEED, pct:SCHEDULES:SEED or threads:REPEATS"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_its_own_text() {
        for plan in [
            Plan::Loom(Bound::Unbounded),
            Plan::Loom(Bound::Preemptions(3)),
            Plan::Dfs(2),
            Plan::Random(5, 7),
            Plan::Pct(5, 7),
            Plan::Threads(1),
        ] {
            assert_eq!(plan.to_string().parse::<Plan>().unwrap(), plan);
        }
        assert!("loom".parse::<Plan>().is_err());
        assert!("loom:many".parse::<Plan>().is_err());
    }
}
