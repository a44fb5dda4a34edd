//! `models/races.toml`: the counts behind each verdict. Written by `cargo race run --record` and by nothing else.
//!
//! What must come out stands in the race's own file; how many executions it took stands here, because it follows the
//! protocol, and a difference is worth a look.

use loom_tests::plan::Bound;
use loom_tests::record::Committed;
use serde::{Deserialize, Serialize};

use crate::checked::minimal::Minimal;

/// The file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Every variant, in the order of the races.
    #[serde(default, rename = "variant")]
    pub variants: Vec<Count>,
}

impl Committed for Counts {
    const PATH: &'static str = "models/races.toml";
    const HEADER: &'static str = "\
# How many executions each verdict took; any difference fails `cargo race run`. Written by `cargo race run --record`.
# to-first-failure: executions until it broke, those at smaller preemption bounds included. rows: of its timeline.
# minimal: the roles and operations that were dropped because it breaks without; those without any one of which it no
# longer breaks (needed); and those without which what is to hold breaks too (promised). rows: with what is left.
# dfs, loom: executions of a proof and its preemption bound; loom's in the forward and in the reverse spawn order.
";
}

/// What was seen of one variant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Count {
    /// `race/variant`.
    pub id: String,
    /// Of a variant that breaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_first_failure: Option<u64>,
    /// Of its timeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<usize>,
    /// The reduction of a variant that breaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimal: Option<Minimal>,
    /// The proof by depth-first search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dfs: Option<Proof>,
    /// The proof by loom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loom: Option<Proof>,
}

/// An exploration that found nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// How many preemptions it explored.
    pub bound: Bound,
    /// How many executions that took; loom's in both spawn orders.
    pub executions: Vec<u64>,
}

impl Counts {
    /// What is committed for `id`.
    pub fn get(&self, id: &str) -> Option<&Count> {
        self.variants.iter().find(|count| count.id == id)
    }
}
