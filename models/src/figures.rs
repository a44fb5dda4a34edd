//! `models/model.toml`: how many states the abstract model has, and how far runs and model agree. Written by
//! `cargo race model --record` and by nothing else.
//!
//! Compared with what is explored by `models/tests/conformance.rs`; VERIFICATION.md shows it.

use loom_tests::record::Committed;
use serde::{Deserialize, Serialize};

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// The comparison with runs.
    #[serde(default)]
    pub agreement: Agreement,
    /// Every configuration, in its order.
    #[serde(default, rename = "configuration")]
    pub configurations: Vec<Figure>,
}

impl Committed for Figures {
    const PATH: &'static str = "models/model.toml";
    const HEADER: &'static str = "\
# The abstract model: how many states each configuration has, steps between them, ends (nobody can move), and states on
# cycles (none of which is fair); and how far it agrees with models/steps.txt. Any difference fails
# models/tests/conformance.rs. Written by `cargo race model --record`.
";
}

/// One configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub about: String,
    /// Parties.
    pub parties: usize,
    /// Different states.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// States in which nobody can move.
    pub ends: usize,
    /// States that lie on a cycle.
    pub cyclic: usize,
}

/// Runs and model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Agreement {
    /// Different steps of the word that runs take.
    pub run_steps: usize,
    /// Those of the model.
    pub model_steps: usize,
    /// Those of both.
    pub common_steps: usize,
    /// What transitions of the model decide on.
    pub decisions: usize,
    /// Those that a run meets.
    pub met: usize,
}
