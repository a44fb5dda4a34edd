//! The committed files: what each model showed, and which model kills each mutant.
//!
//! For: `scenarios.toml` (bounds, counts, outcomes), `deep.toml` (the long exploration) and
//! `mutants.toml` (who kills which mutant). They are written by `cargo xtask verify` and
//! `cargo xtask mutate` and by nothing else, reasons apart.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failure::Kind;
use crate::plan::Bound;

/// The root of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// One of the committed files.
pub trait Committed: Serialize + DeserializeOwned + Default {
    /// The path below the root of the workspace.
    const PATH: &'static str;
    /// The comment at its top.
    const HEADER: &'static str;

    /// Reads the file; a missing one is empty.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is not what it should be.
    fn load() -> anyhow::Result<Self> {
        let path = root().join(Self::PATH);
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).with_context(|| format!("{} is damaged", Self::PATH)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", Self::PATH)),
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn save(&self) -> anyhow::Result<()> {
        let body = toml::to_string_pretty(self)?;
        std::fs::write(root().join(Self::PATH), format!("{}\n{body}", Self::HEADER))
            .with_context(|| format!("{} cannot be written", Self::PATH))
    }
}

/// `scenarios.toml`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenarios {
    /// Every model, in SPEC.md's order.
    #[serde(default, rename = "model")]
    pub models: Vec<ModelRecord>,
}

impl Committed for Scenarios {
    const PATH: &'static str = "loom-tests/scenarios.toml";
    const HEADER: &'static str = "\
# What each model showed; any difference fails the suite. Written by `cargo xtask verify --choose`.
# executions: loom's, in the forward and in the reverse spawn order, at `bound` preemptions.
# outcomes-reverse: only where the reverse order reached other outcomes than the forward one.
# beyond-loom: outcomes that shuttle reached and loom, being bounded, did not.
";
}

impl Scenarios {
    /// The record of one model.
    pub fn get(&self, id: &str) -> Option<&ModelRecord> {
        self.models.iter().find(|record| record.id == id)
    }
}

/// What one model showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ModelRecord {
    /// See [`crate::scenario::Model::id`].
    pub id: String,
    /// loom's preemption bound.
    pub bound: Bound,
    /// loom's executions: forward, reverse.
    pub executions: [u64; 2],
    /// The outcomes that loom reached, in the forward order.
    pub outcomes: BTreeSet<String>,
    /// Those of the reverse order, where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcomes_reverse: Option<BTreeSet<String>>,
    /// Outcomes that shuttle reached and a bounded loom did not.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub beyond_loom: BTreeSet<String>,
    /// How shuttle runs it.
    pub shuttle: ShuttleRecord,
}

impl ModelRecord {
    /// The outcomes of loom in one order: 0 forward, 1 reverse.
    pub fn outcomes_of(&self, order: usize) -> &BTreeSet<String> {
        match (&self.outcomes_reverse, order) {
            (Some(reverse), 1) => reverse,
            _ => &self.outcomes,
        }
    }

    /// Whether loom reached `outcome` in either order.
    pub fn loom_reached(&self, outcome: &str) -> bool {
        self.outcomes_of(0).contains(outcome) || self.outcomes_of(1).contains(outcome)
    }

    /// Every outcome that loom or shuttle reached.
    pub fn reached(&self) -> impl Iterator<Item = &String> {
        self.outcomes_of(0).iter().chain(self.outcomes_of(1)).chain(&self.beyond_loom)
    }

    /// The number of different outcomes that loom reached.
    pub fn outcome_count(&self) -> usize {
        self.outcomes_of(0).union(self.outcomes_of(1)).count()
    }
}

/// How shuttle runs a model, and how many different outcomes that reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ShuttleRecord {
    /// Depth-first search to its end.
    Dfs {
        /// All schedules that there are.
        schedules: u64,
        /// Different outcomes.
        outcomes: usize,
    },
    /// Random and PCT, half of each in either spawn order: the depth-first search does not end.
    RandomAndPct {
        /// Schedules of each of the two schedulers.
        schedules: u64,
        /// The seed of both.
        seed: u64,
        /// Different outcomes.
        outcomes: usize,
    },
}

/// `deep.toml`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deep {
    /// The models that the default suite explores bounded only.
    #[serde(default, rename = "model")]
    pub models: Vec<DeepRecord>,
}

impl Committed for Deep {
    const PATH: &'static str = "loom-tests/deep.toml";
    const HEADER: &'static str = "\
# The bounded models again, unbounded or at the largest bound that ended in the given seconds of processor time.
# Written by `cargo xtask verify --deep`. A bound that never ended is listed as `gave-up`.
";
}

/// What the long exploration of one model showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeepRecord {
    /// See [`crate::scenario::Model::id`].
    pub id: String,
    /// The largest bound that ended.
    pub bound: Bound,
    /// Its executions: forward, reverse.
    pub executions: [u64; 2],
    /// Outcomes that the default suite's bound does not reach.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub new_outcomes: BTreeSet<String>,
    /// The bounds that were tried and did not end in time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gave_up: Vec<Bound>,
    /// The seconds of processor time that each spawn order of an attempt was given.
    pub seconds: u64,
}

/// `mutants.toml`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Mutants {
    /// The mutants that change nothing in any execution of any model: the bit is always set there already, or clear.
    #[serde(default)]
    pub without_effect: Vec<String>,
    /// All others, in the order of `pollproof::mutation::table::mutants`.
    #[serde(default, rename = "mutant")]
    pub mutants: Vec<MutantRecord>,
}

impl Committed for Mutants {
    const PATH: &'static str = "loom-tests/mutants.toml";
    const HEADER: &'static str = "\
# Each mutant of the protocol, and the model that failed with it. Written by `cargo xtask mutate --all`.
# guard:NAME is a guard that answers false, bit:TRANSITION-BIT a bit left out, bit:TRANSITION+BIT one too many,
# order:SITE=ORDERING a weaker ordering. `failed` and `said` are what failed, and never where: a line of the source is
# another one after the next change. `survives` is written by hand: why no model can tell.
";
}

impl Mutants {
    /// The record of one mutant.
    pub fn get(&self, name: &str) -> Option<&MutantRecord> {
        self.mutants.iter().find(|record| record.name == name)
    }
}

/// What one mutant did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MutantRecord {
    /// Its name.
    pub name: String,
    /// What failed with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub killer: Option<Killer>,
    /// If nothing did: how many runs of models it could show in, and how many of these went through in the time that
    /// it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<[usize; 2]>,
    /// Why nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub survives: Option<Survives>,
}

/// Why no model fails with a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Survives {
    /// In a word.
    pub kind: Exempt,
    /// In a sentence.
    pub reason: String,
}

/// The kinds of mutants that need no killer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exempt {
    /// Nothing differs that anybody could observe.
    Equivalent,
    /// Work is done that need not be, or later than it could be.
    Performance,
}

/// What a mutant's name says of it.
pub fn site_of(mutant: &str) -> &str {
    let end = mutant.find(['-', '+', '=']).filter(|_| !mutant.starts_with("guard:"));
    &mutant[..end.unwrap_or(mutant.len())]
}

/// The run that fails with a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Killer {
    /// The model.
    pub model: String,
    /// The spawn order.
    pub order: String,
    /// loom's executions until it failed; none where it hung or crashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executions: Option<u64>,
    /// What failed.
    pub failed: Kind,
    /// What it said.
    pub said: String,
}

impl Killer {
    /// What failed and what it said, in a line.
    pub fn told(&self) -> String {
        format!("{}: {}", self.failed, self.said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_own_text() {
        let record = ModelRecord {
            id: "a/inline".to_owned(),
            bound: Bound::Preemptions(3),
            executions: [1, 2],
            outcomes: BTreeSet::from(["x".to_owned()]),
            outcomes_reverse: Some(BTreeSet::from(["y".to_owned()])),
            beyond_loom: BTreeSet::new(),
            shuttle: ShuttleRecord::RandomAndPct { schedules: 100_000, seed: 7, outcomes: 2 },
        };
        let file = Scenarios { models: vec![record.clone(), ModelRecord { bound: Bound::Unbounded, ..record }] };
        let text = toml::to_string_pretty(&file).unwrap();
        let again: Scenarios = toml::from_str(&text).unwrap();
        assert_eq!(again.models, file.models);
    }
}
