//! Chapter "Closing once": who is first, who ends it, and what the close callbacks may rely on.

use crate::rig::{User, World};
use crate::scenario::Runner::{Inline, Spawned};
use crate::scenario::Scenario;
use pollproof::protocol::effects::Ran;

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "close-and-hup",
        chapter: "Closing once",
        clauses: &["C1", "C2", "H4"],
        sentence: "A user close and a hup at once: one end, and OnDisconnect only if the hup was first.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            setup.race(vec![world.hanger_up(), world.closer()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            assert_eq!(world.count("disconnect") == 0, outcome.contains("close:First"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "two-closes",
        chapter: "Closing once",
        clauses: &["C2", "C1", "C4"],
        sentence: "Two user closes at once, a third after them: one of them is first, and one end.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            let first = world.role(|w| {
                let which = w.close();
                w.note(format!("one:{which:?}"));
            });
            let second = world.role(|w| {
                let which = w.close();
                w.note(format!("two:{which:?}"));
            });
            setup.race(vec![first, second]);
            let _ = world.close();
            let outcome = world.end();
            assert_eq!(outcome.matches(":First").count(), 1, "{outcome}");
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "close-at-task-exit",
        chapter: "Closing once",
        clauses: &["D1", "D2", "L1"],
        sentence: "A close from a third thread while the task is leaving: exactly one DEL, before the close callbacks.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            setup.race(vec![world.role(|w| w.data()), world.closer()]);
            let outcome = world.end();
            assert!(outcome.contains("del 1"), "{outcome}");
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "closers-writes-are-visible",
        chapter: "Closing once",
        clauses: &["C7"],
        sentence: "What the closer wrote before its close is visible in the close callbacks, whoever runs them.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            setup.race(vec![world.role(|w| w.data()), world.role(|w| w.close_with_note())]);
            let outcome = world.end();
            assert!(outcome.contains("note seen"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "shutdowns-writes-are-visible",
        chapter: "Closing once",
        clauses: &["C7", "G1"],
        sentence: "What was written before a graceful shutdown is visible in the close callbacks, whoever runs them.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            let user = world.role(|w| {
                w.write_note();
                w.shutdown();
            });
            setup.race(vec![world.role(|w| w.data()), user]);
            let outcome = world.end();
            assert!(outcome.contains("note seen"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "two-adders-against-close",
        chapter: "Closing once",
        clauses: &["C3", "C2"],
        sentence: "Two adders of close callbacks against a close: what was accepted runs once, the rest comes back.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            let first = world.role(|w| w.add_close_callback(10));
            let second = world.role(|w| w.add_close_callback(11));
            setup.race(vec![first, second, world.closer()]);
            world.end() + &format!(" callbacks {}", world.close_callbacks())
        },
    },
    Scenario {
        name: "adder-inside-close-callback",
        chapter: "Closing once",
        clauses: &["C3"],
        sentence: "A close callback that adds one gets it back, whoever closes.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            fn adds(world: &World) -> Ran {
                world.add_close_callback(10);
                Ran::Done
            }
            let user = User { on_close: adds, callbacks: 2, ..User::default() };
            let world = World::connected(setup, user);
            setup.race(vec![world.hanger_up(), world.closer()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 2, "{outcome}");
            assert!(outcome.contains("rejected 1"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "no-close-callback",
        chapter: "Closing once",
        clauses: &["C5"],
        sentence: "Without any close callback the buffers are freed and the fd is closed all the same.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { callbacks: 0, ..User::default() };
            let world = World::connected(setup, user);
            setup.race(vec![world.hanger_up(), world.closer()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 0, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "last-one-out",
        chapter: "Closing once",
        clauses: &["H3", "H4", "D2"],
        sentence: "A read, a close and a hup at once: whoever holds something last ends the connection, and nobody uses the fd after.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            let poller = world.role(|w| w.data());
            setup.race(vec![poller, world.hanger_up(), world.closer()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "unattended-hup",
        chapter: "Closing once",
        clauses: &["C6"],
        sentence: "A peer's close of a connection without handlers waits for the user, who closes it.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { handler: false, ..User::default() };
            let world = World::connected(setup, user);
            setup.race(vec![world.hanger_up(), world.closer()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "unattended-hup-stays",
        chapter: "Closing once",
        clauses: &["C6"],
        sentence: "Without handlers and without a user close, a connection that two pollers see hang up stays open.",
        runners: &[Inline],
        race: false,
        body: |setup| {
            let user = User { handler: false, ..User::default() };
            let world = World::connected(setup, user);
            setup.race(vec![world.hanger_up(), world.hanger_up()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 0, "{outcome}");
            outcome
        },
    },
];
