//! Chapter "Serial execution": one owner at a time, whoever triggers.

use crate::rig::{User, World, closes};
use crate::scenario::Runner::{Inline, Spawned};
use crate::scenario::Scenario;

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "serial-two-triggers",
        chapter: "Serial execution",
        clauses: &["S1", "N1"],
        sentence: "Two pollers that bring data at once never run OnRequest twice at once, and both are handled.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            setup.race(vec![world.role(|w| w.data()), world.role(|w| w.data())]);
            let outcome = world.end();
            assert!((1..=2).contains(&world.requests()), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "serial-born-owned",
        chapter: "Serial execution",
        clauses: &["S2", "S1"],
        sentence: "Data before the end of OnConnect only sets bits; its OnRequest comes after OnConnect.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let world = World::registered(setup, User::default());
            let acceptor = world.clone();
            setup.race_beside(
                || acceptor.connect(),
                vec![world.role(|w| {
                    w.data();
                    w.data();
                })],
            );
            let outcome = world.end();
            assert!((1..=2).contains(&world.requests()), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "serial-user-close-stops-drain",
        chapter: "Serial execution",
        clauses: &["S4"],
        sentence: "A user close inside OnRequest stops the drain at once: what is left stays unhandled.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { per_call: 1, on_request: closes, ..User::default() };
            let world = World::registered(setup, user);
            let acceptor = world.clone();
            setup.race_beside(
                || acceptor.connect(),
                vec![world.role(|w| {
                    w.data();
                    w.data();
                })],
            );
            let outcome = world.end();
            assert_eq!(world.requests(), 1, "{outcome}");
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "a-look-changes-nothing",
        chapter: "Serial execution",
        clauses: &["A1"],
        sentence: "Whoever only asks what the word says changes nothing: what arrives meanwhile is handled.",
        runners: &[Inline],
        race: false,
        body: |setup| {
            let world = World::connected(setup, User::default());
            let asks = world.role(|w| {
                let active = w.is_active();
                w.note(format!("active: {active}"));
            });
            setup.race(vec![asks, world.role(|w| w.data())]);
            let outcome = world.end();
            assert!(outcome.contains("read 1 handled 1"), "{outcome}");
            outcome
        },
    },
];
