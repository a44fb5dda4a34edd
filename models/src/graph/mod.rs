//! The complete state graph of one variant, as data: every position that some order reaches, and who can go on there.
//!
//! For: playing the scheduler where no checker is at hand, in a browser. Two orders that leave every thread with the
//! same history and every cell with the same value lead to one state. Made by `explore graph`. A graph that is too
//! large is made around one schedule, and says where it ends. [`Graph::reduced`] leaves out what a player cannot tell
//! apart.

mod reduce;

use loom_tests::timeline::Row;
use serde::{Deserialize, Serialize};

use crate::report::Failure;

/// The states; the first is the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// The threads that have a step in it, by name.
    pub threads: Vec<String>,
    /// Every state.
    pub states: Vec<State>,
    /// The states along the schedule that it was made around, the beginning first.
    #[serde(default)]
    pub along: Vec<usize>,
}

/// One state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Who can go on; nobody at an end.
    pub moves: Vec<Move>,
    /// What broke, at an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What comes after it is not part of this graph.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
}

/// One thread goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Who.
    pub thread: String,
    /// With what; nothing where that is not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The rows that the timeline gets by it.
    pub rows: Vec<Row>,
    /// The state that it leads to.
    pub to: usize,
}
