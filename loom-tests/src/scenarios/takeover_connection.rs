//! Chapter "Takeover": two pollers on one connection, one of them deposed in the middle of a callback.
//!
//! Not here: who leads a loop, which is in `takeover`.

use crate::rig::{User, World, holds_up};
use crate::scenario::Runner::Inline;
use crate::scenario::Scenario;

/// The scenarios of this part of the chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "takeover-in-mid-handler",
        chapter: "Takeover",
        clauses: &["K3", "S1", "N1"],
        sentence: "While a deposed thread's handler is held up, its successor reads on; the bytes are handled after, in order.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { shares: true, on_request: holds_up, ..User::default() });
            let deposed = world.deposed(|w| w.data());
            let successor = world.role(|w| {
                w.peer_sends();
                w.poll_until_quiet();
                w.let_go();
            });
            setup.race(vec![deposed, successor]);
            let outcome = world.end();
            assert!((1..=2).contains(&world.requests()), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "takeover-in-mid-disconnect",
        chapter: "Takeover",
        clauses: &["K6", "H4", "I1"],
        sentence: "A hup while a deposed thread is held up in OnDisconnect is reported once, and again once it is through.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { shares: true, on_disconnect: holds_up, ..User::default() });
            let deposed = world.deposed(|w| w.eof());
            let successor = world.role(|w| {
                w.peer_is_gone();
                w.poll_until_quiet();
                w.let_go();
            });
            setup.race(vec![deposed, successor]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "takeover-output-of-a-masked-fd",
        chapter: "Takeover",
        clauses: &["K3", "K6", "O3"],
        sentence: "A thread that is deposed with a writable event of a masked fd in hand does not lose it.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { shares: true, output: true, room: 1, on_disconnect: holds_up, ..User::default() };
            let world = World::connected(setup, user);
            assert_eq!(world.flush(2), Ok(()));
            let deposed = world.deposed(|w| {
                w.peer_stops();
                w.event_once();
            });
            let successor = world.role(|w| {
                w.poll_until_quiet();
                w.peer_makes_room(1);
                if let Some(event) = w.take_event() {
                    w.drop_event(event);
                }
                w.poll_until_quiet();
                assert!(w.all_sent(), "the other thread is held up, and only this one polls");
                w.let_go();
            });
            setup.race(vec![deposed, successor]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "takeover-drain-of-a-masked-fd",
        chapter: "Takeover",
        clauses: &["K6", "I1", "O3"],
        sentence: "A poller masks the fd that another one reads, and drains its output: the mask is lifted all the same.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { shares: true, ..User::default() });
            assert_eq!(world.flush(1), Ok(()));
            let second = world.role(|w| {
                w.data();
                w.peer_takes(1);
            });
            setup.race(vec![world.role(|w| w.data()), second]);
            let outcome = world.end();
            assert!(world.all_sent() && outcome.contains("read 2 handled 2"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "takeover-flushes-of-a-masked-fd",
        chapter: "Takeover",
        clauses: &["K6", "I1", "O2"],
        sentence: "A poller masks the fd that another one reads, while flushes come one behind another: the mask is lifted all the same.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { shares: true, room: 9, ..User::default() });
            let flusher = world.flusher(1);
            let poller = world.role(|w| {
                w.data();
                let _ = w.flush(1);
            });
            setup.race(vec![flusher, poller, world.role(|w| w.data())]);
            let outcome = world.end();
            assert!(world.all_sent() && outcome.contains("read 2 handled 2"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "takeover-mask-against-end-of-read",
        chapter: "Takeover",
        clauses: &["K6", "I1", "N3"],
        sentence: "A poller that masks the fd just when the other is through with its read: what comes next is reported.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { shares: true, ..User::default() });
            setup.race(vec![world.role(|w| w.data()), world.role(|w| w.data())]);
            world.data();
            let outcome = world.end();
            assert!((1..=3).contains(&world.requests()), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "takeover-mask-against-close",
        chapter: "Takeover",
        clauses: &["D2", "K6", "H3"],
        sentence: "A mask that is laid and lifted while the connection is closed never touches a closed fd.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { shares: true, ..User::default() });
            setup.race(vec![world.role(|w| w.eof()), world.poller(), world.closer()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "takeover-close-while-all-are-held-up",
        chapter: "Takeover",
        clauses: &["K6", "D1"],
        sentence: "One thread is held up in OnRequest, one in OnDisconnect; a close silences epoll before they are back.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { shares: true, on_request: holds_up, on_disconnect: holds_up, ..User::default() };
            let world = World::connected(setup, user);
            world.peer_sends();
            let handles = world.deposed(|w| w.event_once());
            let disconnects = world.deposed(|w| {
                w.peer_stops();
                w.event_once();
            });
            let closer = world.role(|w| {
                let which = w.close();
                w.note(format!("close:{which:?}"));
                w.poll_until_quiet();
                w.let_go();
            });
            setup.race(vec![handles, disconnects, closer]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
];
