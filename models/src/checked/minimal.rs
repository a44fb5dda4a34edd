//! The reduction of a variant that breaks: roles and operations are dropped while it still breaks.
//!
//! A part is dropped only if without it the variant breaks as it did (the same clause with the same message, within the
//! same preemption bound) *and* every variant of the race that is to hold still does, explored as far as it is with
//! all parts. The second half is the control: a promise that is about the part breaks without it everywhere, which
//! shows nothing. One part at a time, in the order in which the parts begin, from the first again after each that
//! was dropped; so what is left is 1-minimal: none of it can be dropped alone.
//!
//! Not dropped: what is done before the race and judged after it, and what a file does not mark as an operation.

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::checked::committed::Counts;
use crate::checked::run::{Case, explored};
use crate::children::Children;
use crate::race::{Checkers, Expect, Variant};
use crate::report::{Broken, Finding};

/// What the reduction of one variant has come to: each of its parts is in one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Minimal {
    /// It breaks without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// Without any one of them it no longer breaks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed: Vec<String>,
    /// Without any one of them it still breaks, but so does what is to hold: the promise is about them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promised: Vec<String>,
}

impl Minimal {
    /// What `minimal` has dropped; nothing where there is none.
    pub fn dropped_of(minimal: Option<&Self>) -> &[String] {
        minimal.map_or(&[], |minimal| &minimal.dropped)
    }

    /// In a sentence or two.
    pub fn words(&self) -> String {
        let mut words = match self.dropped.as_slice() {
            [] => "1-minimal, nothing is dropped:".to_owned(),
            dropped => format!("Dropped, because it breaks without: {}. 1-minimal:", list(dropped, "and")),
        };
        if !self.needed.is_empty() {
            words += &format!(" without {} it no longer breaks", list(&self.needed, "or"));
        }
        if !self.promised.is_empty() {
            let comma = if self.needed.is_empty() { "" } else { ";" };
            words += &format!(
                "{comma} without {} what holds would break too, because the promise is about that",
                list(&self.promised, "or")
            );
        }
        words + "."
    }
}

fn list(parts: &[String], last: &str) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., one] => format!("{} {last} {one}", rest.join(", ")),
    }
}

/// Reduces `case`, which broke as `whole`; returns what is left of it as well, broken.
///
/// # Errors
///
/// When a child says nothing, an exploration does not end, or a part of the variant has no counterpart in the
/// repaired one although the variant breaks without it.
pub fn reduce(
    children: &Children,
    case: Case,
    whole: &Broken,
    committed: Option<&Counts>,
) -> anyhow::Result<(Minimal, Broken)> {
    let mut minimal = Minimal::default();
    let mut broken = whole.clone();
    'anew: loop {
        (minimal.needed, minimal.promised) = (Vec::new(), Vec::new());
        let left: Vec<String> = broken.parts.iter().filter(|part| !minimal.dropped.contains(part)).cloned().collect();
        for part in left {
            let mut parts = minimal.dropped.clone();
            parts.push(part.clone());
            let fewer = children.without(&parts);
            let Some(less) = still_breaks(&fewer, case, &broken).with_context(|| format!("without {part}"))? else {
                minimal.needed.push(part);
                continue;
            };
            if holds(&fewer, case, &part, committed).with_context(|| format!("without {part}"))? {
                if less.parts.iter().all(|met| parts.contains(met)) {
                    bail!("it breaks with nobody left to break it: the promise demands more than its sentence says");
                }
                minimal.dropped = parts;
                broken = less;
                continue 'anew;
            }
            minimal.promised.push(part);
        }
        return Ok((minimal, broken));
    }
}

/// The variant of `case`, if it breaks as `before`.
fn still_breaks(fewer: &Children, case: Case, before: &Broken) -> anyhow::Result<Option<Broken>> {
    let Case { race, variant } = case;
    // loom stops at the first failure that it finds: if that is another one, it counts as no longer breaking.
    let found = if variant.by == Checkers::Loom {
        fewer.loom_find(race, variant, before.bound)?
    } else {
        fewer.find_like(race, variant, before)?
    };
    match found {
        Finding::Breaks(broken) => Ok(Some(*broken).filter(|broken| broken.failure.same(&before.failure))),
        Finding::Holds { .. } => Ok(None),
        Finding::Unfinished { .. } if variant.by == Checkers::Loom => Ok(None),
        Finding::Unfinished { executions } => bail!("it did not break in {executions} executions, which are not all"),
    }
}

/// The control: whether every variant that is to hold does, without `part` and what was dropped before.
fn holds(fewer: &Children, case: Case, part: &str, committed: Option<&Counts>) -> anyhow::Result<bool> {
    let to_hold = |variant: &&Variant| variant.expect == Expect::Holds;
    let mut controlled = false;
    for variant in case.race.variants.iter().filter(to_hold) {
        let control = explored(fewer, Case { race: case.race, variant }, committed)?;
        if control.broken.is_some() {
            return Ok(false);
        }
        if let Some(problem) = control.problems.first() {
            bail!("{}: {problem}", control.count.id);
        }
        controlled |= variant.name == "repaired" && control.parts.iter().any(|met| met == part);
    }
    if !controlled {
        bail!(
            "it still breaks, but nothing tells whether the promise is about that part, because the repaired variant \
             has none of that name: give a part the same name in each variant"
        );
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_words_name_every_part() {
        let (needed, none) = (parts(&["T", "H", "P"]), Vec::new);
        let nothing = Minimal { dropped: none(), needed: needed.clone(), promised: none() };
        assert_eq!(nothing.words(), "1-minimal, nothing is dropped: without T, H or P it no longer breaks.");
        let all = Minimal { dropped: parts(&["C", "look"]), needed, promised: parts(&["U"]) };
        assert_eq!(
            all.words(),
            "Dropped, because it breaks without: C and look. 1-minimal: without T, H or P it no longer breaks; \
             without U what holds would break too, because the promise is about that."
        );
    }
}
