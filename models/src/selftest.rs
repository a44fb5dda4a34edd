//! Races that are wrong on purpose, for the tests of the atlas: what a reader sees who adds one wrongly.
//!
//! No part of the atlas; the `explore` binary knows them by name.

use loom_tests::share;

use crate::published::{Go, NUMBER};
use crate::race::*;

/// Each is the lost update, with another wrong expectation.
pub static RACES: &[&Race] = &[&wrong(
    "selftest-wrong",
    &[
        published(lost_update, Expect::Holds),
        published(lost_update, breaks("N2", 1)).named("clause", "the wrong clause"),
        published(lost_update, breaks("N1", 0)).named("bound", "the wrong bound"),
        published(one_at_a_time, breaks("N1", 1)).named("sound", "nothing to break"),
        published(endless, Expect::Holds).named("endless", "never ends"),
        published(lost_update, breaks("N1", 1)).named("right", "as it is"),
        published(three, Expect::Holds).named("three", "three threads"),
    ],
)];

const fn wrong(name: &'static str, variants: &'static [Variant]) -> Race {
    Race {
        id: "X1",
        name,
        title: "",
        story: "",
        seen: "",
        references: &[],
        clauses: &["N1"],
        sequential: false,
        variants,
        source: "",
    }
}

fn two(stage: &Stage, bump: fn(&Go)) {
    let counter = share(Go::new(0));
    counter.name("counter", NUMBER);
    let (one, other) = (counter.clone(), counter.clone());
    stage.race([role("A", move || bump(&one)), role("B", move || bump(&other))]);
    promise("N1", counter.load() == 2, "an update was lost");
}

fn lost_update(stage: &Stage) {
    two(stage, |counter| counter.store(counter.load() + 1));
}

fn one_at_a_time(stage: &Stage) {
    two(stage, |counter| {
        counter.add(1);
    });
}

fn endless(stage: &Stage) {
    let never = share(Go::new(0));
    let waits = never.clone();
    stage.race([role("A", move || while waits.load() == 0 {}), role("B", move || never.store(0))]);
}

/// Three threads on three cells, some of whose steps have no order that matters.
fn three(stage: &Stage) {
    let cells = share([Go::new(0), Go::new(0), Go::new(0)]);
    ["x", "y", "z"].into_iter().zip(cells.iter()).for_each(|(name, cell)| cell.name(name, NUMBER));
    let roles = [("A", 0), ("B", 1), ("C", 2)].map(|(name, own)| {
        let cells = cells.clone();
        role(name, move || {
            let seen = cells[own].load();
            cells[(own + 1) % 3].store(seen + 1);
            cells[own].cas(1, 7);
        })
    });
    stage.race(roles);
}
