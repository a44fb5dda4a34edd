//! What failed, by kind and in words: that is what `mutants.toml` records of a kill.
//!
//! Where it failed is no part of it. A line of the source is another one after the next change, and a record that
//! points there tells what is not so any more; the words of a promise stay with the promise.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a run begins to say that it reached an outcome which `scenarios.toml` does not have.
pub const NOT_COMMITTED: &str = "outcome that is not committed: ";

/// The kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A scenario or its rig asserts something, and it does not hold.
    BrokenPromise,
    /// The run ended as none without the mutant does.
    NotCommitted,
    /// A transition left a word that breaks the table of valid states.
    InvalidState,
    /// Two threads access a cell, and nothing orders them.
    DataRace,
    /// Threads wait, and nobody is left to wake them.
    Deadlock,
    /// A loop goes on for ever, and meets the checker each time.
    Livelock,
    /// The process ended without a report.
    Crash,
    /// A thread never met the checker again.
    Hang,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::BrokenPromise => "broken promise",
            Kind::NotCommitted => "outcome that is not committed",
            Kind::InvalidState => "state that is not valid",
            Kind::DataRace => "data race",
            Kind::Deadlock => "deadlock",
            Kind::Livelock => "livelock",
            Kind::Crash => "crash",
            Kind::Hang => "hang",
        })
    }
}

/// What the message of a panic tells: the kind of the failure, and what it says beside that.
pub fn told(message: &str) -> (Kind, String) {
    let first = message.lines().next().unwrap_or_default();
    if let Some(outcome) = first.strip_prefix(NOT_COMMITTED) {
        return (Kind::NotCommitted, outcome.to_owned());
    }
    if first.contains(", but the word is ") {
        return (Kind::InvalidState, first.to_owned());
    }
    if let Some(race) = first.strip_prefix("Causality violation: ") {
        return (Kind::DataRace, race.trim_end_matches('.').to_owned());
    }
    // loom's cell, which one thread enters while another is inside.
    if first.starts_with("currently ") && first.ends_with(" cell") {
        return (Kind::DataRace, first.to_owned());
    }
    if first.starts_with("deadlock; threads = ") {
        let count = |what| first.matches(what).count();
        return (Kind::Deadlock, format!("{} of {} threads wait", count("Blocked("), count("(Id(")));
    }
    if first.starts_with("Model exceeded maximum number of branches") {
        return (Kind::Livelock, "a loop meets loom's limit of branches".to_owned());
    }
    // loom counts a thread's steps in 16 bits, and finds two stores of the same age when that overflows.
    if first.starts_with("assertion ") && message.contains("left: VersionVec") {
        return (Kind::Livelock, "a loop meets loom's limit of steps".to_owned());
    }
    (Kind::BrokenPromise, promise(message))
}

/// The text of an assertion: its own, or else what it compares.
fn promise(message: &str) -> String {
    let mut lines = message.lines();
    let first = lines.next().unwrap_or_default();
    let Some(rest) = first.strip_prefix("assertion `") else {
        return first.strip_prefix("assertion failed: ").unwrap_or(first).to_owned();
    };
    if let Some((_, text)) = rest.split_once("` failed: ") {
        return text.to_owned();
    }
    let compared = rest.trim_end_matches("` failed");
    let sides: Vec<&str> =
        lines.map(str::trim_start).filter(|line| line.starts_with("left:") || line.starts_with("right:")).collect();
    format!("{compared}, with {}", sides.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(message: &str, kind: Kind, said: &str) {
        assert_eq!(told(message), (kind, said.to_owned()), "{message}");
    }

    #[test]
    fn a_message_tells_the_kind() {
        is("left behind: HANDLER", Kind::BrokenPromise, "left behind: HANDLER");
        is(&format!("{NOT_COMMITTED}close@0 | -"), Kind::NotCommitted, "close@0 | -");
        let word = "FINAL means TASK, DET and closing, but the word is FINAL";
        is(word, Kind::InvalidState, word);
        is(
            "Causality violation: Concurrent write accesses.\n  created: x",
            Kind::DataRace,
            "Concurrent write accesses",
        );
        is("currently writing to cell", Kind::DataRace, "currently writing to cell");
        let threads = "deadlock; threads = [(Id(0), Blocked(Location(None))), (Id(1), Terminated)]";
        is(threads, Kind::Deadlock, "1 of 2 threads wait");
        let branches = "Model exceeded maximum number of branches. This is often caused by spin locks.";
        is(branches, Kind::Livelock, "a loop meets loom's limit of branches");
        let ages = "assertion `left != right` failed\n  left: VersionVec { versions: [65526] }\n right: VersionVec";
        is(ages, Kind::Livelock, "a loop meets loom's limit of steps");
    }

    #[test]
    fn an_assertion_is_told_by_its_text() {
        let two = "\n  left: 1\n right: 2";
        is(&format!("assertion `left == right` failed: a lead: x{two}"), Kind::BrokenPromise, "a lead: x");
        is(
            &format!("assertion `left == right` failed{two}"),
            Kind::BrokenPromise,
            "left == right, with left: 1, right: 2",
        );
        is("assertion failed: flush(3).is_ok()", Kind::BrokenPromise, "flush(3).is_ok()");
    }
}
