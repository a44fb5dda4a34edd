//! Chapter "Shutdown": graceful, and never at the cost of a request whose bytes were read.

use crate::rig::{User, World};
use crate::scenario::Runner::{Inline, Spawned};
use crate::scenario::Scenario;
use pollproof::protocol::effects::Ran;

fn answers_two(world: &World) -> Ran {
    assert!(world.flush(2).is_ok(), "shutdown cut an answer off");
    Ran::Done
}

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "shutdown-against-request",
        chapter: "Shutdown",
        clauses: &["G2", "G1"],
        sentence: "Shutdown against a request: unread, or read, handled and answered; and the connection ends.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let user = User { on_request: answers_two, room: 9, ..User::default() };
            let world = World::connected(setup, user);
            setup.race(vec![world.role(|w| w.data()), world.role(|w| w.shutdown())]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            assert!(world.all_sent(), "{outcome}");
            assert!(!outcome.contains("read 1 handled 0"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "shutdown-against-half-packet",
        chapter: "Shutdown",
        clauses: &["G3", "N4"],
        sentence: "Shutdown with half a packet waits for the rest: what was read is answered.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { packet: 2, ..User::default() });
            let poller = world.role(|w| {
                w.data();
                w.data();
            });
            setup.race(vec![poller, world.role(|w| w.shutdown())]);
            let outcome = world.end();
            assert!(outcome.contains("read 0") || outcome.contains("handled 2"), "{outcome}");
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "shutdown-against-the-mask",
        chapter: "Shutdown",
        clauses: &["G2", "G3", "I1"],
        sentence: "Shutdown that finds half a packet waits for the rest, and leaves the mask to those who change it.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { packet: 2, output: true, ..User::default() });
            world.data();
            let flusher = world.flusher(1);
            setup.race(vec![flusher, world.role(|w| w.eof()), world.role(|w| w.shutdown())]);
            world.end()
        },
    },
    Scenario {
        name: "shutdown-against-output-that-parks",
        chapter: "Shutdown",
        clauses: &["G2", "I1"],
        sentence: "Shutdown that finds output begun since it looked opens its gate again, and leaves the mask alone.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { output: true, ..User::default() });
            let flusher = world.flusher(1);
            setup.race(vec![flusher, world.role(|w| w.eof()), world.role(|w| w.shutdown())]);
            world.end()
        },
    },
    Scenario {
        name: "shutdown-against-output",
        chapter: "Shutdown",
        clauses: &["G2", "O3"],
        sentence: "Shutdown with an answer still queued waits until the peer has taken it.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { on_request: answers_two, room: 1, output: true, ..User::default() };
            let world = World::connected(setup, user);
            let poller = world.role(|w| {
                w.data();
                w.peer_takes(1);
            });
            setup.race(vec![poller, world.role(|w| w.shutdown())]);
            let outcome = world.end();
            assert!(world.all_sent(), "{outcome}");
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "shutdown-against-output-and-request",
        chapter: "Shutdown",
        clauses: &["G2", "O3"],
        sentence: "Output that begins and ends while shutdown looks whether the connection is idle opens no gate: no request is dropped.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            let others = world.role(|w| {
                let _ = w.flush(1);
                w.peer_takes(1);
                w.data();
            });
            setup.race(vec![others, world.role(|w| w.shutdown())]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            assert!(!outcome.contains("read 1 handled 0"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "shutdown-twice",
        chapter: "Shutdown",
        clauses: &["G1", "C2"],
        sentence: "Two shutdowns of an idle connection: one end.",
        runners: &[Inline],
        race: false,
        body: |setup| {
            let world = World::connected(setup, User::default());
            setup.race(vec![world.role(|w| w.shutdown()), world.role(|w| w.shutdown())]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "shutdown-against-connect",
        chapter: "Shutdown",
        clauses: &["G1", "S2"],
        sentence: "Shutdown at any point of OnConnect: the connection is connected, and ends when it is idle.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::registered(setup, User::default());
            let acceptor = world.clone();
            let user = world.role(|w| w.shutdown());
            setup.race_beside(|| acceptor.connect(), vec![user, world.role(|w| w.data())]);
            let outcome = world.end();
            assert_eq!((world.count("connect"), world.close_callbacks()), (1, 1), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "shutdown-against-hup",
        chapter: "Shutdown",
        clauses: &["G1", "C1"],
        sentence: "Shutdown against a hup: one end, and OnDisconnect iff the hup was first.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            setup.race(vec![world.hanger_up(), world.role(|w| w.shutdown())]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
];
