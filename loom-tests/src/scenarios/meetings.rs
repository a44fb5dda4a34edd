//! Chapter "Everything together", continued: meetings that the abstract model comes to and no other chapter does.
//!
//! Each is here for a decision of `models/src/model/coverage.rs`, which the comment above it names.

use crate::rig::{User, World};
use crate::scenario::Runner::Inline;
use crate::scenario::{Role, Scenario, Setup};

/// A connection with output and no room, and who comes to it. It ends, once.
fn ends(setup: &Setup, user: User, roles: impl FnOnce(&World) -> Vec<Role>) -> (World, String) {
    let world = World::connected(setup, User { output: true, ..user });
    setup.race(roles(&world));
    let outcome = world.end();
    assert_eq!(world.close_callbacks(), 1, "{outcome}");
    (world, outcome)
}

/// The scenarios of this part of the chapter.
pub const SCENARIOS: &[Scenario] = &[
    // park: WAITW, AWAITED, MOD; end_send: WAITW, AWAITED.
    Scenario {
        name: "awaited-flush-in-parts",
        chapter: "Everything together",
        clauses: &["O4", "O6", "T2"],
        sentence: "Output that is sent in three parts, for a flusher that waits and for another connection's handler.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { output: true, high: 9, ..User::default() });
            let first = world.role(|w| {
                let _ = w.awaits_drain();
                w.peer_takes(1);
            });
            let rest = world.role(|w| {
                w.peer_takes(1);
                w.peer_takes(1);
            });
            setup.race(vec![world.waiting_flusher(3), first, rest]);
            let outcome = world.end();
            assert!(world.all_sent(), "{outcome}");
            outcome
        },
    },
    // end_send: WAITW, AWAITED, last one out.
    Scenario {
        name: "awaited-flush-against-its-end",
        chapter: "Everything together",
        clauses: &["E4", "E5", "O6", "H3"],
        sentence: "A flush that is waited for, by its flusher and by others, is sent before the end of its output ends the connection.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::kept());
            world.eof();
            let ender = world.role(|w| {
                let _ = w.awaits_drain();
                let _ = w.end_output();
                w.poll();
            });
            setup.race(vec![world.waiting_flusher(2), ender, world.role(|w| w.peer_takes(2))]);
            // It is refused while another flush begins.
            let _ = world.end_output();
            let outcome = world.end();
            assert!(world.all_sent() && world.output_ended(), "{outcome}");
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    // Found by the abstract model: a refused try that brings the consumer lock along, just when a consumer gives it back.
    Scenario {
        name: "refused-end-behind-a-consumer",
        chapter: "Everything together",
        clauses: &["O2", "E5", "H3"],
        sentence: "An end of the output that comes too late serves what it keeps a consumer from: the end before it is told.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::kept());
            world.eof();
            assert!(world.flush(1).is_ok(), "it parks");
            let ender = || {
                world.role(|w| {
                    let ended = w.end_output();
                    w.note(format!("end:{ended:?}"));
                })
            };
            setup.race(vec![world.role(|w| w.peer_takes(1)), ender(), ender()]);
            let outcome = world.end();
            assert!(world.all_sent() && world.output_ended(), "{outcome}");
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    // close: TASK, closing, WAITW.
    Scenario {
        name: "waiting-flush-against-eof-and-close",
        chapter: "Everything together",
        clauses: &["T3", "E1", "C1"],
        sentence: "A flusher that waits is woken by a user close, whoever owns the section, before and after the end of the stream.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let roles = |w: &World| vec![w.waiting_flusher(1), w.role(|w| w.eof()), w.closer()];
            ends(setup, User::default(), roles).1
        },
    },
    // hup: WAITW, closing.
    Scenario {
        name: "waiting-flush-against-hup-after-eof",
        chapter: "Everything together",
        clauses: &["T3", "E2"],
        sentence: "A flusher that waits is woken by a hup that comes after the end of the stream.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::kept());
            world.eof();
            setup.race(vec![world.waiting_flusher(1), world.hanger_up()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    // close: TASK, closing, WAITR; eof: WAITR, closing.
    Scenario {
        name: "reader-against-eof-and-close",
        chapter: "Everything together",
        clauses: &["T3", "S3"],
        sentence: "A reader that waits is woken once, by the end of the stream or by a user close, and the connection ends.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let roles = |w: &World| vec![w.role(|w| w.read_blocking(1)), w.role(|w| w.eof()), w.closer()];
            ends(setup, User::default(), roles).1
        },
    },
    // hup: WAITR, closing, DET.
    Scenario {
        name: "reader-against-eof-and-hup",
        chapter: "Everything together",
        clauses: &["T3", "E2", "D1"],
        sentence: "A reader that begins to wait between the end of the stream and a hup does not sleep, and the connection ends.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let roles = |w: &World| vec![w.role(|w| w.read_blocking(1)), w.role(|w| w.eof()), w.hanger_up()];
            ends(setup, User::default(), roles).1
        },
    },
    // begin_wait: FULL, closing.
    Scenario {
        name: "reader-at-the-limit-against-hup",
        chapter: "Everything together",
        clauses: &["N6", "T3"],
        sentence: "A reader that comes when reading has stopped at its limit, and the peer hangs up, does not sleep.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { handler: false, limit: 1, ..User::default() });
            world.data();
            setup.race(vec![world.role(|w| w.read_blocking(2)), world.hanger_up()]);
            let outcome = world.end();
            assert!(outcome.contains("reader1:Closed") || outcome.contains("reader1:busy"), "{outcome}");
            outcome
        },
    },
    // begin_read: FULL.
    Scenario {
        name: "nobody-reads-for-two-pollers",
        chapter: "Everything together",
        clauses: &["N6", "N3"],
        sentence: "Where nobody consumes, two pollers stop at the limit, or one read behind it, which the other began before.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { handler: false, limit: 1, ..User::default() });
            setup.race(vec![world.role(|w| w.data()), world.role(|w| w.data())]);
            let read = world.segments_read();
            assert!((1..=2).contains(&read), "{read} segments were read");
            world.end()
        },
    },
    // commit: AWAITED, BACK.
    Scenario {
        name: "awaited-output-against-detach",
        chapter: "Everything together",
        clauses: &["O6", "D3"],
        sentence: "A detach lets those go on who wait for the output of what it takes back.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let waiter = |w: World| {
                let waits = w.awaits_drain();
                w.note(format!("waits:{waits}"));
            };
            let roles = |w: &World| vec![w.role(waiter), w.detacher()];
            let outcome = ends(setup, User::default(), roles).1;
            assert!(outcome.contains("handed back"), "{outcome}");
            outcome
        },
    },
    // detach: BACK.
    Scenario {
        name: "two-detaches-against-data",
        chapter: "Everything together",
        clauses: &["D3", "H3"],
        sentence: "Two detaches while a poller reads: one of them gets the fd, when the poller is through with it.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let roles = |w: &World| vec![w.detacher(), w.detacher(), w.role(|w| w.data())];
            let outcome = ends(setup, User { output: false, ..User::default() }, roles).1;
            assert!(outcome.contains("handed back"), "{outcome}");
            outcome
        },
    },
    // mask_read: closed.
    Scenario {
        name: "mask-against-unattended-hup",
        chapter: "Everything together",
        clauses: &["K6", "C6", "D1"],
        sentence: "A poller that is about to mask an fd finds that its peer has gone and nobody attends: it stays, out of epoll.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { handler: false, shares: true, ..User::default() });
            setup.race(vec![world.hanger_up(), world.hanger_up()]);
            let outcome = world.end();
            assert!(!world.in_epoll() && world.close_callbacks() == 0, "{outcome}");
            outcome
        },
    },
    // retake_interest: MOD.
    Scenario {
        name: "three-wishes-for-the-mask",
        chapter: "Everything together",
        clauses: &["I1", "O3"],
        sentence: "A consumer that parks, the end of the stream and a consumer that is through: the mask is what the last asked for.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let flusher = |w: World| {
                let taken = w.flush(1);
                w.note(format!("flush:{taken:?}"));
            };
            let roles = |w: &World| vec![w.role(flusher), w.role(|w| w.eof()), w.role(|w| w.peer_takes(1))];
            let (world, outcome) = ends(setup, User::default(), roles);
            assert!(world.all_sent(), "{outcome}");
            outcome
        },
    },
];
