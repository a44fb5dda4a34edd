//! Chapter "Order and hand-over": OnConnect against every way to close.

use pollproof::protocol::effects::Ran;

use crate::rig::{User, World, closes};
use crate::scenario::Runner::{Inline, Spawned};
use crate::scenario::Scenario;

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "connect-against-hup",
        chapter: "Order and hand-over",
        clauses: &["H1", "H5"],
        sentence: "A hup at any point of OnConnect: OnDisconnect runs once, after OnConnect, by its end or by the hup.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::registered(setup, User::default());
            let acceptor = world.clone();
            setup.race_beside(|| acceptor.connect(), vec![world.hanger_up()]);
            let outcome = world.end();
            assert_eq!((world.count("connect"), world.count("disconnect")), (1, 1), "{outcome}");
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "connect-against-close",
        chapter: "Order and hand-over",
        clauses: &["H1", "H2"],
        sentence: "A user close during OnConnect is followed by OnDisconnect; before it, by neither; after it, by the close list alone.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let world = World::registered(setup, User::default());
            let acceptor = world.clone();
            setup.race_beside(|| acceptor.connect(), vec![world.closer()]);
            let outcome = world.end();
            assert!(world.count("disconnect") <= world.count("connect"), "{outcome}");
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "connect-against-hup-and-close",
        chapter: "Order and hand-over",
        clauses: &["H1", "H4"],
        sentence: "OnConnect, a hup and a user close at once: OnDisconnect at most once, never before OnConnect, and one end.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::registered(setup, User::default());
            let acceptor = world.clone();
            setup.race_beside(|| acceptor.connect(), vec![world.hanger_up(), world.closer()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "connect-against-eof",
        chapter: "Order and hand-over",
        clauses: &["H1", "E1"],
        sentence: "The end of the stream during OnConnect is handed to its end, like a hup.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::registered(setup, User::default());
            let acceptor = world.clone();
            setup.race_beside(|| acceptor.connect(), vec![world.role(|w| w.eof())]);
            let outcome = world.end();
            assert_eq!((world.count("connect"), world.count("disconnect")), (1, 1), "{outcome}");
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "a-break-is-known-to-callbacks",
        chapter: "Order and hand-over",
        clauses: &["H1", "E2"],
        sentence: "What the reader knows of a peer that is gone is known in OnDisconnect, whoever runs it.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let on_disconnect = |world: &World| {
                world.asks_whether_it_broke();
                Ran::Done
            };
            let world = World::registered(setup, User { on_disconnect, ..User::default() });
            let acceptor = world.clone();
            setup.race_beside(|| acceptor.connect(), vec![world.hanger_up()]);
            let outcome = world.end();
            assert_eq!((world.count("disconnect"), world.close_callbacks()), (1, 1), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "output-during-connect-against-hup",
        chapter: "Order and hand-over",
        clauses: &["H1", "H5", "O3"],
        sentence: "Output that goes out while OnConnect runs leaves it alone: a hup meanwhile is told once that is over.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::registered(setup, User { room: 1, ..User::default() });
            let acceptor = world.clone();
            let others = world.role(|w| {
                let _ = w.flush(2);
                w.peer_takes(1);
                w.hup();
            });
            setup.race_beside(|| acceptor.connect(), vec![others]);
            let outcome = world.end();
            assert_eq!((world.count("disconnect"), world.close_callbacks()), (1, 1), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "flush-during-connect",
        chapter: "Order and hand-over",
        clauses: &["O1", "H5"],
        sentence: "The end of OnConnect leaves the output to the flush that is under way.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::registered(setup, User { room: 9, ..User::default() });
            let acceptor = world.clone();
            let flusher = world.flusher(1);
            setup.race_beside(
                || {
                    acceptor.connect();
                    let _ = acceptor.flush(1);
                },
                vec![flusher],
            );
            let outcome = world.end();
            assert!(world.all_sent(), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "connect-closes-itself",
        chapter: "Order and hand-over",
        clauses: &["H1"],
        sentence: "OnConnect that closes its connection, against a hup: OnDisconnect once, no OnRequest.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { on_connect: closes, ..User::default() };
            let world = World::registered(setup, user);
            let acceptor = world.clone();
            setup.race_beside(
                || acceptor.connect(),
                vec![world.role(|w| {
                    w.data();
                    w.hup();
                })],
            );
            let outcome = world.end();
            assert_eq!((world.count("disconnect"), world.requests()), (1, 0), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "close-before-connect",
        chapter: "Order and hand-over",
        clauses: &["H2"],
        sentence: "A user close in OnPrepare goes straight to the close list: not registered, no other callback.",
        runners: &[Inline],
        race: false,
        body: |setup| {
            let user = User { on_prepare: closes, ..User::default() };
            let world = World::registered(setup, user);
            let acceptor = world.clone();
            setup.race_beside(|| acceptor.connect(), vec![]);
            let outcome = world.end();
            assert_eq!(world.count("connect") + world.count("disconnect"), 0, "{outcome}");
            assert!(outcome.contains("del 0"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "close-against-register",
        chapter: "Order and hand-over",
        clauses: &["H2", "D1"],
        sentence: "A user close at any point of registering: one DEL iff the fd was added.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::born(setup, User::default());
            let acceptor = world.clone();
            setup.race_beside(
                || {
                    acceptor.register();
                    acceptor.connect();
                },
                vec![world.closer()],
            );
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "output-parked-before-the-add",
        chapter: "Order and hand-over",
        clauses: &["I1", "D2"],
        sentence: "A flush in OnPrepare that the socket does not take waits for the ADD, which then asks for the rest.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let on_prepare = |world: &World| {
                world.flush(1).expect("nobody else flushes, and nobody closes");
                Ran::Done
            };
            let user = User { output: true, flushes_early: true, on_prepare, ..User::default() };
            let world = World::born(setup, user);
            let acceptor = world.clone();
            setup.race_beside(
                || {
                    acceptor.register();
                    acceptor.connect();
                },
                vec![world.role(|w| w.peer_takes(1))],
            );
            let outcome = world.end();
            assert!(world.all_sent(), "{outcome}");
            outcome
        },
    },
];
