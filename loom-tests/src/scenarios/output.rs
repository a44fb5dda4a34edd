//! Chapter "Output": flushers, the poller that drains their rest, timeouts, closes.

use crate::rig::{User, World};
use crate::scenario::Runner::{Inline, Spawned};
use crate::scenario::{Role, Scenario, Setup};

fn with_room(setup: &Setup, room: u64, roles: impl FnOnce(&World) -> Vec<Role>) -> (World, String) {
    let world = World::connected(setup, User { room, output: true, ..User::default() });
    setup.race(roles(&world));
    let outcome = world.end();
    (world, outcome)
}

fn flusher(world: &World, bytes: u64) -> Role {
    world.role(move |w| {
        let taken = w.flush(bytes);
        w.note(format!("flush:{taken:?}"));
    })
}

/// A connection whose consumer is parked with one byte, and three who come to it: the peer, another flush, and
/// `another`. It ends, once.
fn parked_and_flushed_against(setup: &Setup, another: impl FnOnce(&World) -> Role) -> (World, String) {
    let world = World::connected(setup, User { output: true, ..User::default() });
    assert!(world.flush(1).is_ok(), "it is queued");
    let roles = vec![world.role(|w| w.peer_takes(2)), flusher(&world, 1), another(&world)];
    setup.race(roles);
    let outcome = world.end();
    assert_eq!(world.close_callbacks(), 1, "{outcome}");
    (world, outcome)
}

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "flush-behind-a-consumer-against-eof",
        chapter: "Output",
        clauses: &["E3", "O2", "D2"],
        sentence: "A flush that a consumer at work is to send is sent, though the stream ends meanwhile.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (world, outcome) = parked_and_flushed_against(setup, |world| world.role(|w| w.eof()));
            assert!(world.all_sent(), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "flush-behind-a-consumer-against-close",
        chapter: "Output",
        clauses: &["D2", "O2", "L1"],
        sentence: "A consumer that goes on for a flush behind it does not touch the fd once the connection is closed.",
        runners: &[Inline],
        race: true,
        body: |setup| parked_and_flushed_against(setup, World::closer).1,
    },
    Scenario {
        name: "flush-behind-a-consumer-against-shutdown",
        chapter: "Output",
        clauses: &["G1", "G2", "O2"],
        sentence: "A flush that a consumer at work is to send is sent before a graceful shutdown ends the connection.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (world, outcome) = parked_and_flushed_against(setup, |world| world.role(|w| w.shutdown()));
            assert!(world.all_sent(), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "flush-against-close",
        chapter: "Output",
        clauses: &["O1", "T3", "H3"],
        sentence: "A flush that waits for a full socket is ended by a user close, and the connection ends once it has left.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (world, outcome) = with_room(setup, 1, |w| {
                let flusher = w.waiting_flusher(2);
                vec![flusher, w.closer()]
            });
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "flush-against-flush",
        chapter: "Output",
        clauses: &["O1", "O2"],
        sentence: "Two flushes at once: one may be refused, and what was taken is sent once.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (world, outcome) = with_room(setup, 9, |w| vec![flusher(w, 1), flusher(w, 2)]);
            assert!(world.all_sent(), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "flush-against-poller",
        chapter: "Output",
        clauses: &["O3", "T1", "O2", "I1"],
        sentence: "A flush that waits while the poller drains its rest is woken when its own bytes are sent.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (world, outcome) = with_room(setup, 1, |w| {
                let flusher = w.waiting_flusher(2);
                vec![flusher, w.role(|w| w.peer_takes(1))]
            });
            assert!(world.all_sent() && outcome.contains("flush:Ready"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "blocked-flusher-against-parts",
        chapter: "Output",
        clauses: &["T4", "O3", "O4"],
        sentence: "A flusher whose bytes are sent in two parts sleeps on after the first, and is woken by the second.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (world, outcome) = with_room(setup, 0, |w| {
                let flusher = w.waiting_flusher(2);
                let poller = w.role(|w| {
                    w.peer_takes(1);
                    w.peer_takes(1);
                });
                vec![flusher, poller]
            });
            assert!(world.all_sent() && outcome.contains("flush:Ready"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "blocked-flusher-against-data",
        chapter: "Output",
        clauses: &["T1", "N1", "O4"],
        sentence: "A flusher that sleeps while requests are read and handled is woken when its bytes are sent, and no byte is lost.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { room: 1, ..User::default() });
            let flusher = world.waiting_flusher(2);
            let poller = world.role(|w| {
                w.data();
                w.peer_takes(1);
                w.data();
            });
            setup.race(vec![flusher, poller]);
            let outcome = world.end();
            assert!(world.all_sent() && outcome.contains("read 2 handled 2"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "flush-against-timeout",
        chapter: "Output",
        clauses: &["O4", "T2"],
        sentence: "A flush that times out while the poller drains: the next flush reports its own bytes, and none is sent twice.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (world, outcome) = with_room(setup, 1, |w| {
                let flusher = w.role(|w| {
                    let first = w.flush_blocking(2);
                    w.no_deadline();
                    if first.is_some() {
                        let _ = w.flush(1);
                    }
                });
                vec![flusher, w.role(|w| w.peer_takes(9)), w.role(|w| w.flusher_times_out())]
            });
            assert!(world.all_sent(), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "two-waiting-flushers",
        chapter: "Output",
        clauses: &["O4", "T2"],
        sentence: "Of two flushers that want to wait one may be refused; both appended, and who reports success has sent its own.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (world, outcome) =
                with_room(setup, 0, |w| vec![w.waiting_flusher(1), w.waiting_flusher(1), w.role(|w| w.peer_takes(2))]);
            assert!(world.all_sent(), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "flush-against-one-that-has-waited",
        chapter: "Output",
        clauses: &["O1", "O4"],
        sentence: "A flusher that has waited, and flushes again, against another flush: one producer at a time.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (world, outcome) = with_room(setup, 9, |w| {
                let waits = w.role(|w| {
                    let _ = w.flush_blocking(1);
                    let _ = w.flush(1);
                });
                vec![waits, flusher(w, 1)]
            });
            assert!(world.all_sent(), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "stale-token-after-timeout",
        chapter: "Output",
        clauses: &["T2", "O4"],
        sentence: "After a timeout, the wake-up that was meant for that wait never ends the next one early.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (world, outcome) = with_room(setup, 0, |w| {
                let flusher = w.role(|w| {
                    let _ = w.flush_blocking(1);
                    w.no_deadline();
                    let _ = w.flush_blocking(1);
                });
                let poller = w.role(|w| {
                    w.flusher_times_out();
                    w.peer_takes(2);
                });
                vec![flusher, poller]
            });
            assert!(world.all_sent(), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "two-pollers-drain",
        chapter: "Output",
        clauses: &["O3", "O2"],
        sentence: "Two pollers that report the same writable socket: one is the consumer, the other ignores it.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { output: true, ..User::default() });
            assert!(world.flush(2).is_ok());
            setup.race(vec![world.role(|w| w.peer_takes(1)), world.role(|w| w.peer_takes(1))]);
            let outcome = world.end();
            assert!(world.all_sent(), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "flush-against-drain-and-flush",
        chapter: "Output",
        clauses: &["O2", "O1", "O3"],
        sentence: "Two flushes while the poller drains: what was taken is sent, once and whole.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { output: true, ..User::default() });
            assert!(world.flush(1).is_ok());
            let poller = world.role(|w| w.peer_takes(9));
            setup.race(vec![flusher(&world, 1), flusher(&world, 2), poller]);
            let outcome = world.end();
            assert!(world.all_sent(), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "flushes-behind-a-close",
        chapter: "Output",
        clauses: &["D2", "O1"],
        sentence: "Two flushes against a user close: none of the two, accepted or refused, touches the fd after the end.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { room: 9, output: true, ..User::default() });
            let closer = world.clone();
            setup.race_beside(|| _ = closer.close(), vec![flusher(&world, 1), flusher(&world, 1)]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "flushes-behind-an-end",
        chapter: "Output",
        clauses: &["D2", "O1", "E3"],
        sentence: "Two flushes against the end of the stream: none of the two touches the fd after the end.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { room: 9, output: true, ..User::default() });
            let poller = world.clone();
            setup.race_beside(|| poller.eof(), vec![flusher(&world, 1), flusher(&world, 1)]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            assert!(world.all_sent(), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "flush-behind-parked-output",
        chapter: "Output",
        clauses: &["H3", "O1", "O3"],
        sentence: "A flush that only appends, because a consumer is parked, against a user close: the end waits for it.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { output: true, ..User::default() });
            assert!(world.flush(1).is_ok());
            setup.race(vec![flusher(&world, 1), world.closer()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "flush-behind-a-drain-that-fills",
        chapter: "Output",
        clauses: &["O2", "O3"],
        sentence: "A flush behind a consumer at work, and a socket that is full again: one consumer parks with the rest.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { output: true, ..User::default() });
            assert!(world.flush(1).is_ok());
            setup.race(vec![flusher(&world, 1), world.role(|w| w.peer_takes(1))]);
            let outcome = world.end();
            assert!(outcome.contains("sent 1 of 2"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "drain-against-close",
        chapter: "Output",
        clauses: &["D2", "O3", "H3"],
        sentence: "The poller that drains parked output against a user close: it is finished first, or begins nothing.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { output: true, ..User::default() });
            assert!(world.flush(1).is_ok());
            setup.race(vec![world.role(|w| w.peer_takes(1)), world.closer()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "flush-against-hup",
        chapter: "Output",
        clauses: &["E2", "E3", "O1"],
        sentence: "A flush against a hup: refused, failed or sent; the writer is told, and the connection ends.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (world, outcome) = with_room(setup, 1, |w| {
                let flusher = w.waiting_flusher(2);
                vec![flusher, w.hanger_up()]
            });
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
];
