//! Chapter "Nothing lost": data and hup at the instant of release, half packets, two pollers.

use crate::rig::{User, World};
use crate::scenario::Runner::{Inline, Spawned};
use crate::scenario::Scenario;

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "data-at-task-exit",
        chapter: "Nothing lost",
        clauses: &["N2", "N1"],
        sentence: "Data that arrives while a task is leaving is handled: by its double check, or by the poller's.",
        runners: &[Spawned],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            setup.race(vec![world.role(|w| {
                w.data();
                w.data();
            })]);
            let outcome = world.end();
            assert!(world.requests() >= 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "data-behind-a-handler-against-drain",
        chapter: "Nothing lost",
        clauses: &["N1", "O2", "O3"],
        sentence: "Bytes that are announced to a busy owner are handled, whatever the output does meanwhile.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            assert!(world.flush(1).is_ok());
            let poller = world.role(|w| {
                w.data();
                w.peer_takes(2);
                let _ = w.flush(1);
            });
            setup.race(vec![world.role(|w| w.data()), poller]);
            let outcome = world.end();
            assert!(outcome.contains("read 2 handled 2"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "data-while-the-owner-comes-back",
        chapter: "Nothing lost",
        clauses: &["N1", "N2"],
        sentence: "Bytes that are announced while an owner comes back for earlier ones are handled, by it or by the next.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            let poller = world.role(|w| {
                w.data();
                w.data();
            });
            setup.race(vec![world.role(|w| w.data()), poller]);
            let outcome = world.end();
            assert!(outcome.contains("read 3 handled 3"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "data-during-a-flush",
        chapter: "Nothing lost",
        clauses: &["O1", "N1"],
        sentence: "Requests that are read and handled while somebody flushes leave the output to that flush.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { room: 9, ..User::default() });
            let flusher = world.flusher(1);
            let poller = world.role(|w| {
                w.data();
                let _ = w.flush(1);
            });
            setup.race(vec![flusher, poller]);
            let outcome = world.end();
            assert!(world.all_sent() && outcome.contains("read 1 handled 1"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "hup-at-task-exit",
        chapter: "Nothing lost",
        clauses: &["N2", "L1", "N5"],
        sentence: "A hup that arrives while a task is leaving still ends the connection, after its data.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            world.peer_sends();
            setup.race(vec![world.poller(), world.hanger_up()]);
            let outcome = world.end();
            assert_eq!((world.requests(), world.close_callbacks()), (1, 1), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "data-against-second-pollers-hup",
        chapter: "Nothing lost",
        clauses: &["N3", "N5", "C1"],
        sentence: "Two pollers that bring data and the same hup: the bytes before the hup are handled, the hup is taken once.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            world.peer_sends();
            let first = world.role(|w| {
                w.poll();
                w.hup();
            });
            setup.race(vec![first, world.hanger_up()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            assert_eq!(world.count("disconnect"), 1, "{outcome}");
            assert!(outcome.contains("read 1 handled 1"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "send-then-close-before-connect",
        chapter: "Nothing lost",
        clauses: &["N5", "H2"],
        sentence: "A peer that sends and closes before OnConnect gets OnConnect, OnDisconnect, OnRequest for its bytes, and one close.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let world = World::registered(setup, User::default());
            let acceptor = world.clone();
            setup.race_beside(
                || acceptor.connect(),
                vec![world.role(|w| {
                    w.data();
                    w.hup();
                })],
            );
            let outcome = world.end();
            assert_eq!((world.requests(), world.close_callbacks()), (1, 1), "{outcome}");
            assert_eq!((world.count("connect"), world.count("disconnect")), (1, 1), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "half-packet",
        chapter: "Nothing lost",
        clauses: &["N4", "N1"],
        sentence: "A handler that consumes nothing is called again only for more bytes, and no byte that comes during a call is lost.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let user = User { packet: 2, ..User::default() };
            let world = World::connected(setup, user);
            setup.race(vec![world.role(|w| w.data()), world.role(|w| w.data())]);
            let outcome = world.end();
            assert!((1..=2).contains(&world.requests()), "{outcome}");
            assert!(outcome.contains("read 2 handled 2"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "half-packet-at-close",
        chapter: "Nothing lost",
        clauses: &["N4"],
        sentence: "Half a packet at the peer's close: one more call, which says that nothing more will come, and then the end.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let user = User { packet: 2, ..User::default() };
            let world = World::connected(setup, user);
            world.peer_sends();
            setup.race(vec![world.poller(), world.hanger_up()]);
            let outcome = world.end();
            assert_eq!((world.last_told(), world.close_callbacks()), (1, 1), "{outcome}");
            assert!((1..=2).contains(&world.requests()), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "one-event-one-read",
        chapter: "Nothing lost",
        clauses: &["F1"],
        sentence: "One event is one read, also when a peer has sent more and a second poller looks at the same time.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            (0..3).for_each(|_| world.peer_sends());
            setup.race(vec![world.role(|w| w.event_once()), world.role(|w| w.event_once())]);
            let read = world.segments_read();
            assert!((1..=2).contains(&read), "two events read {read} segments");
            world.end() + &format!(" after {read}")
        },
    },
];
