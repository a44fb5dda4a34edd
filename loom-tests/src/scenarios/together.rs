//! Chapter "Everything together": the acceptor, a poller and a user at once.

use crate::rig::{User, World};
use crate::scenario::Runner::{Inline, Spawned};
use crate::scenario::Scenario;

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "everything",
        chapter: "Everything together",
        clauses: &["L1", "S1", "N1", "H1", "C2", "D1"],
        sentence: "OnConnect, two segments, a hup and a user close at once: every promise together.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let world = World::registered(setup, User { callbacks: 2, ..User::default() });
            let acceptor = world.clone();
            let poller = world.role(|w| {
                w.data();
                w.data();
                w.hup();
            });
            setup.race_beside(|| acceptor.connect(), vec![poller, world.closer()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 2, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "everything-with-output",
        chapter: "Everything together",
        clauses: &["L1", "O2", "H3", "E2"],
        sentence: "A flush, a read, the end of the stream and a user close at once: the last one out ends it.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { room: 1, output: true, ..User::default() });
            let flusher = world.role(|w| {
                let taken = w.flush(2);
                w.note(format!("flush:{taken:?}"));
            });
            let poller = world.role(|w| {
                w.data();
                w.eof();
            });
            setup.race(vec![flusher, poller, world.closer()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
];
