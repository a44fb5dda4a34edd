//! What a child process says about one variant: one line of JSON, the last of its standard output.

use loom_tests::timeline::{Kind, Timeline};
use serde::{Deserialize, Serialize};

use crate::race::How;

/// The end of an exploration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Finding {
    /// It broke.
    Breaks(Box<Broken>),
    /// Everything was explored, and nothing broke.
    Holds {
        /// Executions that ran to their end.
        executions: u64,
        /// The roles and operations that they came to.
        parts: Vec<String>,
    },
    /// It did not end: more executions than it was given.
    Unfinished {
        /// As many as it ran.
        executions: u64,
    },
}

/// A failing execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// What broke.
    pub failure: Failure,
    /// The smallest preemption bound at which it does, or the one that was explored.
    pub bound: u8,
    /// Executions up to the first failure, those at smaller bounds included.
    pub executions: u64,
    /// The shortest failing execution that was seen.
    pub timeline: Timeline,
    /// Whose turn it was, switch by switch.
    pub schedule: Vec<Turn>,
    /// The roles and operations that the executions came to, dropped ones included.
    pub parts: Vec<String>,
}

/// Steps that one thread does in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The thread, by name.
    pub thread: String,
    /// The last thing that happened in this turn before its last steps, if anything did.
    pub after: Option<String>,
    /// How many steps it does (after that).
    pub steps: usize,
    /// It goes on to its end.
    pub to_the_end: bool,
}

impl Turn {
    /// The turns of an execution.
    pub fn all_of(timeline: &Timeline) -> Vec<Turn> {
        let mut turns: Vec<Turn> = Vec::new();
        let mut current = None;
        for (at, row) in timeline.rows.iter().enumerate().filter(|(_, row)| row.kind != Kind::Break) {
            if current != Some(row.thread) {
                let thread = timeline.threads[row.thread].clone();
                turns.push(Turn { thread, after: None, steps: 0, to_the_end: false });
                current = Some(row.thread);
            }
            let Some(turn) = turns.last_mut() else { continue };
            if row.kind == Kind::Note {
                turn.after = Some(row.text.clone());
                turn.steps = 0;
            } else {
                turn.steps += 1;
            }
            let mut later = timeline.rows[at + 1..].iter().filter(|row| row.kind != Kind::Break);
            turn.to_the_end = !later.any(|later| later.thread == row.thread);
        }
        turns
    }
}

/// What broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// How it showed.
    pub how: Shows,
    /// The clause that a promise named.
    pub clause: Option<String>,
    /// What was said.
    pub message: String,
}

/// How a failure showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shows {
    /// A promise that names its clause.
    Promise,
    /// The checker's report of a data race.
    DataRace,
    /// The checker's report of a deadlock.
    Deadlock,
    /// Another panic: a mistake in the race, or an assertion of the rig.
    Panic,
}

impl Failure {
    /// What a panic that says `message` means.
    pub fn of(message: &str) -> Self {
        let clause = message.split_once(": ").map(|(clause, _)| clause).filter(|clause| is_clause(clause));
        let lower = message.to_lowercase();
        let how = if clause.is_some() {
            Shows::Promise
        } else if lower.contains("causality violation") || lower.contains("concurrent") && lower.contains("access") {
            Shows::DataRace
        } else if lower.contains("deadlock") {
            Shows::Deadlock
        } else {
            Shows::Panic
        };
        // Of a deadlock a checker tells in its own terms.
        let message = match how {
            Shows::Deadlock if lower.contains("already holds") => "deadlock: it waits for a lock that it holds itself",
            Shows::Deadlock => "deadlock: whoever is left waits for ever",
            _ => message.lines().next().unwrap_or_default(),
        };
        Self { how, clause: clause.map(str::to_owned), message: message.to_owned() }
    }

    /// Whether this is what a race expects.
    pub fn is(&self, clause: &str, how: How) -> bool {
        match how {
            How::Promise => self.clause.as_deref() == Some(clause),
            How::DataRace => self.how == Shows::DataRace,
            How::Deadlock => self.how == Shows::Deadlock,
        }
    }

    /// Whether both broke the same way. What is said of a deadlock is not compared.
    pub fn same(&self, other: &Failure) -> bool {
        let said = self.how == Shows::Deadlock || self.message == other.message;
        self.how == other.how && self.clause == other.clause && said
    }
}

fn is_clause(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|letter| letter.is_ascii_uppercase())
        && text.len() > 1
        && letters.all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_broke() {
        let promise = Failure::of("C4: the end is lost");
        assert!(promise.is("C4", How::Promise) && !promise.is("C3", How::Promise));
        assert_eq!(Failure::of("Causality violation: Concurrent read and write accesses.").how, Shows::DataRace);
        assert_eq!(Failure::of("deadlock; threads = [...]").how, Shows::Deadlock);
        assert!(promise.same(&Failure::of("C4: the end is lost")) && !promise.same(&Failure::of("C4: another end")));
        assert!(Failure::of("deadlock; threads = [1]").same(&Failure::of("deadlock; threads = [2]")));
        assert_eq!(Failure::of("index out of bounds: the len is 0").how, Shows::Panic);
    }
}
