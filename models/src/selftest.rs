//! Races that are wrong on purpose, for the tests of the atlas: what a reader sees who adds one wrongly.
//!
//! No part of the atlas; the `explore` binary knows them by name.

use loom_tests::{Shared, share};

use crate::published::{Count, Go, NUMBER};
use crate::race::*;

/// The lost update with wrong expectations, and races for the reduction.
pub static RACES: &[&Race] = &[
    &wrong(
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
    ),
    &wrong("selftest-crowd", &[published(lost_in_a_crowd, breaks("N1", 1)), sound(|s| crowd(s, atomic).judge())]),
    &wrong("selftest-bound", &[published(|s| split(s, true), breaks("N1", 0)), sound(|s| split(s, false))]),
    &wrong("selftest-promise", &[published(lost_update, breaks("N1", 1)), sound(one_at_a_time)]),
    &wrong("selftest-nobody", &[published(|s| lose(s, 2), breaks("N1", 1)), sound(|s| lose(s, 0))]),
    &wrong("selftest-names", &[published(|s| named(s, "C", lossy), breaks("N1", 1)), sound(|s| named(s, "D", atomic))]),
];

/// By the depth-first search alone: loom would tell the reduction no more.
const fn sound(body: fn(&Stage)) -> Variant {
    published(body, Expect::Holds).named("repaired", "as repaired")
}

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
    two(stage, lossy);
}

fn one_at_a_time(stage: &Stage) {
    two(stage, atomic);
}

fn lossy(counter: &Go) {
    counter.store(counter.load() + 1);
}

fn atomic(counter: &Go) {
    counter.add(1);
}

/// Demands more of a lost update than that none is lost: that there were some.
fn lose(stage: &Stage, least: u32) {
    let counter = share(Go::new(0));
    let (one, other) = (counter.clone(), counter.clone());
    stage.race([role("A", move || lossy(&one)), role("B", move || lossy(&other))]);
    promise("N1", counter.load() >= least, "an update was lost");
}

struct Crowd {
    counter: Go,
    other: Go,
    bumps: Count,
    looks: Count,
}

impl Crowd {
    fn new() -> Self {
        Self { counter: Go::new(0), other: Go::new(0), bumps: Count::default(), looks: Count::default() }
    }

    fn bump(&self, bump: fn(&Go)) {
        bump(&self.counter);
        self.bumps.ran("bump");
    }

    fn judge(&self) {
        promise("N1", self.counter.load() == self.bumps.times(), "an update was lost");
    }
}

/// The lost update, and some who have no part in it: C, and an operation of A.
fn crowd(stage: &Stage, bump: fn(&Go)) -> Shared<Crowd> {
    let crowd = share(Crowd::new());
    let (a, b, c) = (crowd.clone(), crowd.clone(), crowd.clone());
    let look_and_bump = move || {
        op("look", || a.looks.ran("look"));
        op("bump", || a.bump(bump));
    };
    stage.race([role("C", move || c.other.store(1)), role("A", look_and_bump), role("B", move || b.bump(bump))]);
    crowd
}

/// Without C, and as long as somebody looks, it breaks in another way: so C cannot go before the look has gone. The
/// control does not mind.
fn lost_in_a_crowd(stage: &Stage) {
    let crowd = crowd(stage, lossy);
    promise("N2", crowd.looks.times() == 0 || crowd.other.load() == 1, "looked at what nobody has stored");
    crowd.judge();
}

/// Loading and storing on two threads, L and S: an update is lost without a preemption. With A in their place it takes
/// one.
fn split(stage: &Stage, lost: bool) {
    let bump = if lost { lossy } else { atomic };
    let crowd = share(Crowd::new());
    let (a, b, l, s) = (crowd.clone(), crowd.clone(), crowd.clone(), crowd.clone());
    let load = move || l.other.store(1 + l.counter.load());
    let store = move || match (s.other.load(), lost) {
        (0, _) => (),
        (next, true) => {
            s.counter.store(next);
            s.bumps.ran("bump");
        }
        (_, false) => s.bump(atomic),
    };
    let (one, two) = (role("A", move || a.bump(bump)), role("B", move || b.bump(bump)));
    stage.race([role("L", load), role("S", store), one, two]);
    crowd.judge();
}

/// The same with a superfluous role that is not called the same in both variants.
fn named(stage: &Stage, name: &'static str, bump: fn(&Go)) {
    let crowd = share(Crowd::new());
    let (a, b, c) = (crowd.clone(), crowd.clone(), crowd.clone());
    stage.race([
        role("A", move || a.bump(bump)),
        role("B", move || b.bump(bump)),
        role(name, move || c.other.store(1)),
    ]);
    crowd.judge();
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
