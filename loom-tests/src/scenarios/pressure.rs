//! Chapter "Back-pressure": reading stops at a limit and goes on, a handler waits for its output to drain,
//! and a drain that goes on for long makes room for others.

use crate::rig::{User, World};
use crate::scenario::Runner::Inline;
use crate::scenario::Scenario;
use pollproof::protocol::effects::Ran;
use pollproof::protocol::output::Refused;

/// Answers each segment with one byte.
fn answers(world: &World) -> Ran {
    assert!(world.flush(1).is_ok(), "nobody else flushes, and nobody closes");
    Ran::Done
}

/// Answers if it can: somebody may have closed.
fn answers_if_open(world: &World) -> Ran {
    let _ = world.flush(1);
    Ran::Done
}

/// Answers, and finds the producer lock held by another thread at most: it would wait for its own for ever.
fn answers_beside_role_1(world: &World) -> Ran {
    if world.flush(1) == Err(Refused::ConcurrentAccess) {
        assert_ne!(world.who(), '1', "a handler runs inside a flush of its own thread");
    }
    Ran::Done
}

fn slow_peer() -> User {
    User { high: 1, output: true, on_request: answers, ..User::default() }
}

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "read-ahead-stops-and-goes-on",
        chapter: "Back-pressure",
        clauses: &["N6", "I1"],
        sentence: "A poller that reads ahead of a busy owner stops at the limit, and goes on when the owner has consumed.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { limit: 1, ..User::default() });
            setup.race(vec![world.role(|w| w.data()), world.role(|w| w.data())]);
            let outcome = world.end();
            assert!(outcome.contains("read 2 handled 2"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "read-ahead-before-the-mask",
        chapter: "Back-pressure",
        clauses: &["N6", "N3"],
        sentence: "Of two pollers that read ahead, one stops at the limit although the other has not come to the mask.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::registered(setup, User { limit: 1, ..User::default() });
            let poller = |w: World| {
                w.peer_sends();
                let event = if w.poll() { "an event" } else { "no event" };
                w.note(format!("{}: {event}", w.who()));
            };
            setup.race(vec![world.role(poller), world.role(poller)]);
            assert_eq!(world.segments_read(), 1, "nobody has consumed");
            world.connect();
            let outcome = world.end();
            assert!(outcome.contains("read 2 handled 2"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "read-ahead-against-half-packet",
        chapter: "Back-pressure",
        clauses: &["N6", "N4"],
        sentence: "A handler that wants more than is read ahead gets it: reading goes on once it has returned.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { limit: 1, packet: 2, ..User::default() });
            setup.race(vec![world.role(|w| w.data()), world.role(|w| w.data())]);
            let outcome = world.end();
            assert!(outcome.contains("read 2 handled 2"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "read-ahead-against-blocked-reader",
        chapter: "Back-pressure",
        clauses: &["N6", "T1"],
        sentence: "A blocked reader that wants more than is read ahead gets it, whenever it begins to wait.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { handler: false, limit: 1, ..User::default() });
            let poller = world.role(|w| {
                w.data();
                w.data();
            });
            setup.race(vec![world.role(|w| w.read_blocking(2)), poller]);
            let outcome = world.end();
            assert!(outcome.contains("Ready") || outcome.contains("busy"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "nobody-reads",
        chapter: "Back-pressure",
        clauses: &["N6"],
        sentence: "Without a handler and a reader, reading stops at the limit; a reader that consumes makes it go on.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { handler: false, limit: 1, ..User::default() });
            world.peer_sends();
            let poller = world.role(|w| w.data());
            setup.race(vec![world.role(|w| w.read_blocking(1)), poller]);
            world.poll();
            assert!(world.segments_read() < 2 || world.handled() > 0, "read on, though nobody consumed");
            world.read_blocking(2);
            let outcome = world.end();
            assert!(outcome.contains("read 2 handled 2"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "full-against-parking",
        chapter: "Back-pressure",
        clauses: &["N6", "I1"],
        sentence: "Reading stops at its limit while output parks: epoll is asked for neither more nor less than that.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { handler: false, limit: 1, ..User::default() };
            let world = World::connected(setup, user);
            let roles = vec![world.flusher(1), world.role(|w| w.read_what_is_there()), world.role(|w| w.data())];
            setup.race(roles);
            world.end()
        },
    },
    Scenario {
        name: "full-against-one-that-has-waited",
        chapter: "Back-pressure",
        clauses: &["N6", "O4"],
        sentence: "A flusher that has waited leaves it to others that reading has stopped at its limit.",
        runners: &[Inline],
        race: false,
        body: |setup| {
            let world = World::connected(setup, User { handler: false, limit: 1, room: 9, ..User::default() });
            let flusher = world.waiting_flusher(1);
            setup.race(vec![flusher, world.role(|w| w.data())]);
            world.end()
        },
    },
    Scenario {
        name: "reading-goes-on-during-a-flush",
        chapter: "Back-pressure",
        clauses: &["N6", "O1"],
        sentence: "A reader that makes room for more leaves the output to the flush that is under way.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { handler: false, limit: 1, room: 9, ..User::default() });
            world.data();
            let flusher = world.flusher(1);
            let reader = world.role(|w| {
                w.read_what_is_there();
                let _ = w.flush(1);
            });
            setup.race(vec![flusher, reader]);
            let outcome = world.end();
            assert!(world.all_sent() && outcome.contains("read 1 handled 1"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "choked-handler-against-drain",
        chapter: "Back-pressure",
        clauses: &["O5", "O3"],
        sentence: "A handler that waits for its output is called as soon as the peer has taken it, and not before.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, slow_peer());
            let poller = world.role(|w| {
                w.data();
                w.data();
            });
            setup.race(vec![poller, world.role(|w| w.peer_takes(2))]);
            let outcome = world.end();
            assert!(world.all_sent() && outcome.contains("read 2 handled 2"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "choked-handler-against-part",
        chapter: "Back-pressure",
        clauses: &["O5"],
        sentence: "A handler that waits for its output is called when the peer has taken enough of it, though not all.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let answers_two = |world: &World| {
                assert!(world.flush(2).is_ok());
                Ran::Done
            };
            let user = User { high: 2, output: true, on_request: answers_two, ..User::default() };
            let world = World::connected(setup, user);
            world.data();
            setup.race(vec![world.role(|w| w.data()), world.role(|w| w.peer_takes(1))]);
            let outcome = world.end();
            assert!(outcome.contains("read 2 handled 2 sent 1 of 4"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "choked-handler-against-data",
        chapter: "Back-pressure",
        clauses: &["O5", "N1"],
        sentence: "A handler that waits for its output is called when the peer has taken it, whatever came in meanwhile.",
        runners: &[Inline],
        race: false,
        body: |setup| {
            let world = World::connected(setup, slow_peer());
            world.data();
            setup.race(vec![world.role(|w| w.data()), world.role(|w| w.data())]);
            assert_eq!(world.requests(), 1, "it is to wait");
            world.peer_takes(9);
            let outcome = world.end();
            assert!(world.all_sent() && outcome.contains("read 3 handled 3"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "choked-handler-against-a-flush-behind",
        chapter: "Back-pressure",
        clauses: &["O5", "O2", "A2"],
        sentence: "A handler that waits for its output is called when that has drained, though another flush came behind it.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { on_request: answers_if_open, ..slow_peer() });
            world.data();
            world.data();
            let flusher = world.flusher(1);
            setup.race(vec![flusher, world.role(|w| w.peer_takes(9))]);
            let outcome = world.end();
            assert!(world.all_sent() && outcome.contains("read 2 handled 2"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "choked-handler-against-part-and-eof",
        chapter: "Back-pressure",
        clauses: &["O5", "I1", "E1"],
        sentence: "The peer takes a part of the output, and ends its stream: the handler goes on, and the mask is as both want it.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let answers_two = |world: &World| {
                let _ = world.flush(2);
                Ran::Done
            };
            let user = User { high: 2, output: true, on_request: answers_two, ..User::default() };
            let world = World::connected(setup, user);
            world.data();
            world.data();
            setup.race(vec![world.role(|w| w.eof()), world.role(|w| w.peer_takes(1))]);
            let outcome = world.end();
            assert!(outcome.contains("read 2 handled 2"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "choked-handler-against-another-flush",
        chapter: "Back-pressure",
        clauses: &["O5", "O2"],
        sentence: "A handler that waits for the output of another thread's flush goes on when that is sent.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { room: 9, high: 1, output: true, ..User::default() };
            let world = World::connected(setup, user);
            let flusher = world.flusher(2);
            setup.race(vec![flusher, world.role(|w| w.data())]);
            let outcome = world.end();
            assert!(world.all_sent() && outcome.contains("read 1 handled 1"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "choked-handler-that-writes-against-another-flush",
        chapter: "Back-pressure",
        clauses: &["O5", "O1"],
        sentence: "A flush that relieves a handler is over before it runs it: the handler may write.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { room: 9, high: 1, output: true, on_request: answers_beside_role_1, ..User::default() };
            let world = World::connected(setup, user);
            let flusher = world.flusher(2);
            setup.race(vec![flusher, world.role(|w| w.data())]);
            let outcome = world.end();
            assert!(world.all_sent() && outcome.contains("read 1 handled 1"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "choked-handler-against-close",
        chapter: "Back-pressure",
        clauses: &["O5", "L1", "C2"],
        sentence: "A user close ends a connection whose handler waits for output that the peer does not take.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { on_request: answers_if_open, ..slow_peer() });
            world.data();
            setup.race(vec![world.role(|w| w.data()), world.closer()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "choked-handler-against-hup",
        chapter: "Back-pressure",
        clauses: &["O5", "N5", "E2"],
        sentence: "A hup drops the output that a handler waits for: what was read is handled, and the connection ends.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { on_request: answers_if_open, ..slow_peer() });
            world.data();
            setup.race(vec![world.role(|w| w.data()), world.hanger_up()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "passed-on-against-close",
        chapter: "Back-pressure",
        clauses: &["F2", "S1", "C2"],
        sentence: "A section that goes to the end of a queue takes its ownership along: closed meanwhile, it ends there.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { per_call: 1, passes_on: true, shares: true, ..User::default() });
            let poller = world.role(|w| {
                w.data();
                w.data();
            });
            setup.race(vec![poller, world.role(|w| w.data()), world.closer()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
];
