//! Chapter "Detach": the one DEL, and the fd that is handed back.

use crate::rig::{User, World};
use crate::scenario::Runner::{Inline, Spawned};
use crate::scenario::Scenario;

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "detach-at-task-exit",
        chapter: "Detach",
        clauses: &["D3", "D1"],
        sentence: "Detach while the task is leaving: one DEL, and the fd is handed back once.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            setup.race(|| {}, vec![world.role(|w| w.data()), world.role(|w| w.detach())]);
            let outcome = world.end();
            assert!(outcome.contains("del 1 handed back"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "detach-against-close",
        chapter: "Detach",
        clauses: &["D3", "C1"],
        sentence: "Detach against a user close: the fd is handed back iff detach said so, else closed.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            setup.race(|| {}, vec![world.role(|w| w.detach()), world.closer()]);
            world.end()
        },
    },
    Scenario {
        name: "detach-against-detach",
        chapter: "Detach",
        clauses: &["D3"],
        sentence: "Two detaches at once: one of them gets the fd.",
        runners: &[Inline],
        race: false,
        body: |setup| {
            let world = World::connected(setup, User::default());
            setup.race(|| {}, vec![world.role(|w| w.detach()), world.role(|w| w.detach())]);
            let outcome = world.end();
            assert!(outcome.contains("del 1 handed back"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "detach-against-hup",
        chapter: "Detach",
        clauses: &["D3", "D1", "H4"],
        sentence: "Detach against a hup: one DEL; the fd is handed back unless the end was committed before.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            setup.race(|| {}, vec![world.role(|w| w.detach()), world.hanger_up()]);
            let outcome = world.end();
            assert!(outcome.contains("del 1"), "{outcome}");
            outcome
        },
    },
];
