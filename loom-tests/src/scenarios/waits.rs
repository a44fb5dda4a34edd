//! Chapter "Wake-ups": a blocked reader against everything that may wake it.
//!
//! The reader waits outside handlers, as the section's owner. A timeout is a role: a thread that expires
//! the wait.

use crate::rig::{User, World};
use crate::scenario::Runner::Inline;
use crate::scenario::{Role, Scenario, Setup};

fn reader_of_two(setup: &Setup, roles: impl FnOnce(&World) -> Vec<Role>) -> (World, String) {
    let world = World::connected(setup, User { handler: false, ..User::default() });
    let mut all = vec![world.role(|w| w.read_blocking(2))];
    all.extend(roles(&world));
    setup.race(all);
    let outcome = world.end();
    (world, outcome)
}

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "reader-against-data",
        chapter: "Wake-ups",
        clauses: &["T1", "T4", "S3"],
        sentence: "A reader that waits for two segments is woken when both are there, and not for one.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let poller = |w: &World| {
                vec![w.role(|w| {
                    w.data();
                    w.data();
                })]
            };
            let (_, outcome) = reader_of_two(setup, poller);
            assert!(outcome.contains("Ready") || outcome.contains("busy"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "reader-against-hup",
        chapter: "Wake-ups",
        clauses: &["T3", "T1", "C6"],
        sentence: "A reader that is one segment short is woken by the hup.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let poller = |w: &World| {
                vec![w.role(|w| {
                    w.data();
                    w.hup();
                })]
            };
            reader_of_two(setup, poller).1
        },
    },
    Scenario {
        name: "reader-against-eof",
        chapter: "Wake-ups",
        clauses: &["T3", "E1"],
        sentence: "A reader that is one segment short is told of the end of the stream.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let poller = |w: &World| {
                vec![w.role(|w| {
                    w.data();
                    w.eof();
                })]
            };
            let (_, outcome) = reader_of_two(setup, poller);
            assert!(outcome.contains("Eof") || outcome.contains("busy"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "reader-against-close",
        chapter: "Wake-ups",
        clauses: &["T3", "S3"],
        sentence: "A blocked reader is woken by a user close, and the connection ends once it has left.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (world, outcome) = reader_of_two(setup, |w| vec![w.role(|w| w.data()), w.closer()]);
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "reader-against-timeout",
        chapter: "Wake-ups",
        clauses: &["T2", "T1"],
        sentence: "A timeout against the data that is waited for: the reader gets one or the other, and its next wait gets its own.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { handler: false, ..User::default() });
            let reader = world.role(|w| {
                w.read_blocking(1);
                w.read_blocking(1);
            });
            let poller = world.role(|w| w.data());
            setup.race(vec![reader, poller, world.role(|w| w.reader_times_out())]);
            world.end()
        },
    },
    Scenario {
        name: "two-readers",
        chapter: "Wake-ups",
        clauses: &["S3"],
        sentence: "Of two readers outside handlers one owns the section, and the other is told so.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { handler: false, ..User::default() });
            world.data();
            let second = world.role(|w| w.read_blocking(1));
            setup.race(vec![world.role(|w| w.read_blocking(1)), second]);
            let outcome = world.end();
            assert!(outcome.contains("Ready"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "readers-in-turn",
        chapter: "Wake-ups",
        clauses: &["S3"],
        sentence: "Two readers outside handlers that do not wait: who owns the section finds it as the other left it.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { handler: false, ..User::default() });
            world.data();
            let second = world.role(|w| w.read_what_is_there());
            setup.race(vec![world.role(|w| w.read_what_is_there()), second]);
            let outcome = world.end();
            assert_eq!(world.handled(), 1, "{outcome}");
            outcome
        },
    },
];
