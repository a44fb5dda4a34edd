//! Chapter "Half-close": the peer sends no more, and still wants its answer.

use crate::rig::{User, World};
use crate::scenario::Runner::{Inline, Spawned};
use crate::scenario::Scenario;
use pollproof::protocol::effects::Ran;

fn answers_two(world: &World) -> Ran {
    assert!(world.flush(2).is_ok(), "an answer after the end of the stream is refused");
    Ran::Done
}

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "eof-with-answer",
        chapter: "Half-close",
        clauses: &["E1", "E3", "I1"],
        sentence: "Request, shutdown of the writing side, and a full socket: the whole answer goes out, then the connection ends.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let user = User { on_request: answers_two, room: 1, output: true, ..User::default() };
            let world = World::connected(setup, user);
            let poller = world.role(|w| {
                w.data();
                w.eof();
            });
            setup.race(vec![poller, world.role(|w| w.peer_takes(1))]);
            let outcome = world.end();
            assert!(world.all_sent(), "{outcome}");
            assert_eq!((world.count("disconnect"), world.close_callbacks()), (1, 1), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "eof-against-close",
        chapter: "Half-close",
        clauses: &["E1", "C1", "H4"],
        sentence: "The end of the stream against a user close: OnDisconnect at most once, one end.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            setup.race(vec![world.role(|w| w.eof()), world.closer()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            assert_eq!(world.count("disconnect") == 0, outcome.contains("close:First"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "eof-then-hup",
        chapter: "Half-close",
        clauses: &["E2", "H4", "C1"],
        sentence: "The end of the stream and a hup, seen by two pollers: OnDisconnect once, one end, at most one DEL.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::default());
            setup.race(vec![world.role(|w| w.eof()), world.hanger_up()]);
            let outcome = world.end();
            assert_eq!(world.count("disconnect"), 1, "{outcome}");
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "hup-after-eof-against-close",
        chapter: "Half-close",
        clauses: &["E2", "H3", "D1"],
        sentence: "A hup after the end of the stream, against the user's close: one DEL, and nobody uses the fd after the end.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { handler: false, ..User::default() });
            world.eof();
            setup.race(vec![world.hanger_up(), world.closer()]);
            let outcome = world.end();
            assert_eq!((world.count("disconnect"), world.close_callbacks()), (1, 1), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "hup-drops-output",
        chapter: "Half-close",
        clauses: &["E2", "O3"],
        sentence: "Output parked in epoll when the peer hangs up is dropped, and the connection ends.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { room: 1, output: true, ..User::default() };
            let world = World::connected(setup, user);
            let flusher = world.role(|w| {
                let taken = w.flush(2);
                w.note(format!("flush:{taken:?}"));
            });
            setup.race(vec![flusher, world.hanger_up()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "flush-against-end-after-eof",
        chapter: "Half-close",
        clauses: &["E3", "O1"],
        sentence: "A flush against the end that follows the end of the stream: refused, or sent whole.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { room: 2, output: true, ..User::default() };
            let world = World::connected(setup, user);
            let flusher = world.role(|w| {
                let taken = w.flush(2);
                w.note(format!("flush:{taken:?}"));
            });
            setup.race(vec![flusher, world.role(|w| w.eof())]);
            let outcome = world.end();
            assert!(world.all_sent(), "{outcome}");
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "unattended-eof",
        chapter: "Half-close",
        clauses: &["C6", "E1"],
        sentence: "The end of the stream without handlers: the user can still write, until it closes.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { handler: false, room: 2, output: true, ..User::default() };
            let world = World::connected(setup, user);
            let user = world.role(|w| {
                assert!(w.flush(2).is_ok(), "the user's answer is refused");
                w.note(format!("eof:{}", w.look().any(pollproof::protocol::word::EOF)));
                let _ = w.close();
            });
            setup.race(vec![world.role(|w| w.eof()), user]);
            let outcome = world.end();
            assert!(world.all_sent(), "{outcome}");
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
];
