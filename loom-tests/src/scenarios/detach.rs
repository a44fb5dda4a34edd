//! Chapter "Detach": the one DEL, and the fd that is handed back.

use crate::rig::{User, World};
use crate::scenario::Runner::{Inline, Spawned};
use crate::scenario::Scenario;
use pollproof::protocol::effects::Ran;

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
            setup.race(vec![world.role(|w| w.data()), world.detacher()]);
            let outcome = world.end();
            assert!(outcome.contains("del 1 handed back"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "detachs-writes-are-visible",
        chapter: "Detach",
        clauses: &["C7", "D3"],
        sentence: "What was written before a detach is visible in the close callbacks, whoever runs them.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            let user = world.role(|w| {
                w.write_note();
                w.detach();
            });
            setup.race(vec![world.role(|w| w.data()), user]);
            let outcome = world.end();
            assert!(outcome.contains("note seen"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "detach-against-blocked-reader",
        chapter: "Detach",
        clauses: &["T3", "D3"],
        sentence: "A detach wakes a blocked reader, and hands the fd back once it has left.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { handler: false, ..User::default() });
            setup.race(vec![world.role(|w| w.read_blocking(1)), world.detacher()]);
            let outcome = world.end();
            assert!(outcome.contains("handed back"), "{outcome}");
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
            setup.race(vec![world.detacher(), world.closer()]);
            world.end()
        },
    },
    Scenario {
        name: "two-closes-with-detach",
        chapter: "Detach",
        clauses: &["D3", "C1", "D1"],
        sentence: "Two user closes and a detach at once: at most one close is first, one DEL, and the fd goes to who was promised it.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            setup.race(vec![world.closer(), world.closer(), world.detacher()]);
            let outcome = world.end();
            assert!(outcome.matches(":First").count() <= 1, "{outcome}");
            assert!(outcome.contains("del 1"), "{outcome}");
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
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
            setup.race(vec![world.detacher(), world.detacher()]);
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
            setup.race(vec![world.detacher(), world.hanger_up()]);
            let outcome = world.end();
            assert!(outcome.contains("del 1"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "close-while-the-owner-is-busy",
        chapter: "Detach",
        clauses: &["D1", "L1"],
        sentence: "A poller that finds the connection closed takes it out of epoll, however long its owner is busy.",
        runners: &[Inline],
        race: false,
        body: |setup| {
            fn busy(world: &World) -> Ran {
                let _ = world.close();
                world.data();
                assert!(!world.in_epoll(), "epoll reports a closed connection for ever");
                Ran::Done
            }
            let world = World::registered(setup, User { on_connect: busy, ..User::default() });
            let acceptor = world.clone();
            setup.race_beside(|| acceptor.connect(), vec![]);
            let outcome = world.end();
            assert!(outcome.contains("del 1"), "{outcome}");
            outcome
        },
    },
];
