//! An execution as a timeline: one row a step, in words, with the cells decoded.
//!
//! For: showing how a scenario or a race came to its end. It is made from what the facade's recorder wrote down
//! (`of_record`, in the checked builds), and travels as JSON from the child process that
//! explored to whoever shows it. Not for: drawing, see [`draw`].

pub mod draw;
#[cfg(any(loom, shuttle))]
mod read;

use serde::{Deserialize, Serialize};

#[cfg(any(loom, shuttle))]
pub use read::{intent, of_log, of_record};

/// One execution, as far as it was recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// The names of its threads.
    pub threads: Vec<String>,
    /// Its steps.
    pub rows: Vec<Row>,
}

/// One step, or something that happened between two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Whose, an index of [`Timeline::threads`].
    pub thread: usize,
    /// What it is.
    pub kind: Kind,
    /// In words.
    pub text: String,
    /// Every cell that has something to say after this step.
    pub state: Vec<Token>,
    /// For a load that did not find the newest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<Stale>,
    /// The file and the line that it comes from.
    pub place: (String, u32),
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An operation on a cell.
    Step,
    /// Something that happened.
    Note,
    /// A promise was broken.
    Break,
}

/// A bit that is set, or a cell that holds something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// As it is shown.
    pub text: String,
    /// Whether this step changed it.
    pub change: Change,
}

/// What a step did to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It was there before.
    Same,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
}

/// A load that weak memory let read an old store. Rows are numbered from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stale {
    /// The row that stored what was read; none for the first value of the cell.
    pub read: Option<usize>,
    /// The rows that stored something newer, which it passed over.
    pub passed_over: Vec<usize>,
}

impl Timeline {
    /// Adds the row at which a promise broke, by the thread that found it.
    pub fn break_at_the_end(&mut self, text: String) {
        let last = self.rows.last();
        let (thread, place) = last.map_or((0, (String::new(), 0)), |row| (row.thread, row.place.clone()));
        let unchanged = |token: &Token| Token { change: Change::Same, ..token.clone() };
        let state = last.map_or_else(Vec::new, |row| {
            row.state.iter().filter(|token| token.change != Change::Removed).map(unchanged).collect()
        });
        self.rows.push(Row { thread, kind: Kind::Break, text, state, stale: None, place });
    }

    /// How often the thread changes from one step to the next.
    pub fn switches(&self) -> usize {
        self.rows.windows(2).filter(|pair| pair[0].thread != pair[1].thread).count()
    }
}
