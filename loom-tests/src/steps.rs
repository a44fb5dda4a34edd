//! The steps of the word that a run takes: which transition found what, and what it left.
//!
//! For: the comparison with the abstract model (`models/src/model`), which must have each of them. A run takes
//! millions of steps and few different ones, so they are collected as a set, in the process that explores.
//!
//! Not here: their order. That is the record's, see [`crate::timeline`].

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use anyhow::Context as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The transition that decides nothing and changes nothing; it is left out.
pub const LOOK: &str = "look";

/// One transition of the word, as it happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step {
    /// The transition, as SPEC.md names it.
    pub transition: String,
    /// The value that it found.
    pub before: u32,
    /// The value that it left.
    pub after: u32,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:07x} {:07x}", self.transition, self.before, self.after)
    }
}

impl FromStr for Step {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split_ascii_whitespace();
        let mut part = || parts.next().with_context(|| format!("`{text}` is no step"));
        let transition = part()?.to_owned();
        let mut word = || anyhow::Ok(u32::from_str_radix(part()?, 16)?);
        Ok(Self { transition, before: word()?, after: word()? })
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(any(loom, shuttle))]
pub(crate) use recorded::{collect, start, take};

#[cfg(not(any(loom, shuttle)))]
pub(crate) use nothing::{collect, start, take};

#[cfg(any(loom, shuttle))]
mod recorded {
    use std::collections::HashSet;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{LazyLock, Mutex, PoisonError};

    use pollproof::sync::record::{self, Op};

    use super::{BTreeSet, LOOK, Step};

    static ON: AtomicBool = AtomicBool::new(false);
    type Seen = HashSet<(&'static str, u64, u64)>;

    static SEEN: LazyLock<Mutex<Seen>> = LazyLock::new(Mutex::default);

    fn seen() -> std::sync::MutexGuard<'static, Seen> {
        SEEN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Collects from here on.
    pub(crate) fn start() {
        seen().clear();
        ON.store(true, Ordering::Relaxed);
    }

    /// Adds what the record has, before it is forgotten.
    pub(crate) fn collect() {
        if !ON.load(Ordering::Relaxed) {
            return;
        }
        let mut seen = seen();
        record::with(|log| {
            let words: Vec<usize> = log.cells.iter().filter(|cell| cell.name == "word").map(|cell| cell.cell).collect();
            for step in log.steps.iter().filter(|step| step.op == Op::Update && words.contains(&step.cell)) {
                if let (std::borrow::Cow::Borrowed(label), Some(before)) = (&step.label, step.seen)
                    && *label != LOOK
                {
                    seen.insert((label, before, step.left));
                }
            }
        });
    }

    /// All that was collected.
    pub(crate) fn take() -> BTreeSet<Step> {
        ON.store(false, Ordering::Relaxed);
        let word = |bits: u64| u32::try_from(bits).expect("the word has 32 bits");
        let step = |(label, before, after): (&str, u64, u64)| Step {
            transition: label.to_owned(),
            before: word(before),
            after: word(after),
        };
        seen().drain().map(step).collect()
    }
}

#[cfg(not(any(loom, shuttle)))]
mod nothing {
    use super::{BTreeSet, Step};

    /// There is no record to collect from.
    pub(crate) fn start() {}

    /// There is no record to collect from.
    pub(crate) fn collect() {}

    /// Nothing.
    pub(crate) fn take() -> BTreeSet<Step> {
        BTreeSet::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_survives_its_own_text() {
        let step = Step { transition: "begin_read".to_owned(), before: 0x100_0000, after: 0x100_0201 };
        assert_eq!(step.to_string().parse::<Step>().unwrap(), step);
        assert!("begin_read 12".parse::<Step>().is_err());
    }
}
