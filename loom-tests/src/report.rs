//! What one run of one model showed.
//!
//! The `model` binary prints it as one line of JSON, the last of its standard output.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::steps::Step;
use crate::timeline::Timeline;

/// One run of one model in one spawn order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The model, see [`crate::scenario::Model::id`].
    pub model: String,
    /// The spawn order, by name.
    pub order: String,
    /// The plan, as text.
    pub plan: String,
    /// Executions, schedules or repeats; of a failed run, those until it failed.
    pub executions: u64,
    /// Whether a search saw all that it was asked to see. Random schedulers and plain threads never do.
    pub complete: bool,
    /// Every outcome that was reached.
    pub outcomes: BTreeSet<String>,
    /// Wall-clock time.
    pub seconds: f64,
    /// Why the run failed, if it did.
    pub failure: Option<String>,
    /// Where that was asserted. For a reader who looks now, and for no record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// In a mutation build, of a run that passed: the mutants that would have changed something in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub touched: Vec<String>,
    /// How it came to that, if it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
    /// The steps of the word that it took, if they were collected.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub steps: BTreeSet<Step>,
}

impl Report {
    /// Why the run failed, and where, for who reads it now.
    pub fn told(&self) -> String {
        let place = self.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
        format!("{}{place}", self.failure.as_deref().unwrap_or("no message"))
    }
}
