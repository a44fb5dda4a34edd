//! Chapter "Relaying": a connection that passes on what another one reads, and an output that its user ends.

use crate::rig::{User, World};
use crate::scenario::Runner::Inline;
use crate::scenario::{Role, Scenario, Setup};
use pollproof::protocol::effects::Ran;
use pollproof::protocol::output::Refused;
use pollproof::protocol::word::NOWRITE;

/// Passes one byte on, and finds that there is room for it.
fn passes_on(world: &World) -> Ran {
    assert!(!world.other_is_high(), "OnRequest, though it is to wait");
    assert!(world.pass_on(1).is_ok(), "nobody closes");
    Ran::Done
}

/// Passes one byte on if it can: somebody may have closed.
fn passes_on_if_open(world: &World) -> Ran {
    let _ = world.pass_on(1);
    Ran::Done
}

/// Passes two bytes on.
fn passes_two_on(world: &World) -> Ran {
    assert!(world.pass_on(2).is_ok(), "nobody closes");
    Ran::Done
}

/// Passes on what there is, and then the end.
fn passes_all_on(world: &World) -> Ran {
    if world.handled() < world.segments_read() {
        assert!(world.pass_on(1).is_ok(), "its end comes after");
    }
    world.pass_end_on();
    Ran::Done
}

/// Where the bytes go: it has no room, and one byte is much.
fn slow() -> User {
    User { handler: false, high: 1, output: true, ..User::default() }
}

/// Where they come from.
fn relay(on_request: fn(&World) -> Ran) -> User {
    User { on_request, per_call: 1, ..User::default() }
}

/// A connection that has passed on the first of two segments to one that is `to`; then the second comes, and `another`
/// with it. Both connections, and the outcome.
fn second_segment_against(
    setup: &Setup,
    to: User,
    on_request: fn(&World) -> Ran,
    another: impl FnOnce(&World, &World) -> Role,
) -> (World, World, String) {
    let to = World::connected(setup, to);
    let from = World::relaying_to(&to, setup, relay(on_request));
    from.data();
    setup.race(vec![from.role(|w| w.data()), another(&from, &to)]);
    let outcome = from.end_with(&to);
    (from, to, outcome)
}

/// A connection that has passed on one of two segments, and waits for the other connection with the second; the peer
/// of that one takes `bytes`, and `event` happens there.
fn waiting_against(setup: &Setup, bytes: u64, event: fn(&World)) -> String {
    let to = World::connected(setup, slow());
    let from = World::relaying_to(&to, setup, relay(passes_on_if_open));
    from.data();
    from.data();
    setup.race(vec![to.role(move |w| event(&w)), to.role(move |w| w.peer_takes(bytes))]);
    let outcome = from.end_with(&to);
    assert!(outcome.contains("read 2 handled 2"), "{outcome}");
    outcome
}

/// Somebody who ends the output, and notes what came of it.
fn noting_ender(world: &World) -> Role {
    world.role(|w| {
        let ended = w.end_output();
        w.note(format!("end:{ended:?}"));
    })
}

/// Somebody who sends `bytes`, as the answer from elsewhere, and ends the output behind them.
fn answers_and_ends(world: &World, bytes: u64) {
    assert!(world.flush(bytes).is_ok(), "an answer after the end of the stream is refused");
    assert!(world.end_output().is_ok(), "its end is refused");
}

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "relay-against-drain",
        chapter: "Relaying",
        clauses: &["O6", "N2"],
        sentence: "A handler that waits for another connection's output is called as soon as that has drained, and not before.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let to = World::connected(setup, slow());
            let from = World::relaying_to(&to, setup, relay(passes_on));
            from.data();
            setup.race(vec![from.role(|w| w.data()), to.role(|w| w.peer_takes(1))]);
            to.peer_takes(1);
            let outcome = from.end_with(&to);
            assert!(to.all_sent() && outcome.contains("read 2 handled 2"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "relay-against-part",
        chapter: "Relaying",
        clauses: &["O6"],
        sentence: "A handler that waits for another's output is called when the peer has taken enough of it, though not all.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let to = User { high: 2, ..slow() };
            let taker = |_: &World, to: &World| to.role(|w| w.peer_takes(1));
            let (_, _, outcome) = second_segment_against(setup, to, passes_two_on, taker);
            assert!(outcome.contains("read 2 handled 2"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "relay-against-another-flush",
        chapter: "Relaying",
        clauses: &["O6", "O2"],
        sentence: "A handler that waits for what another thread sends to the other connection goes on when that is sent.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let to = World::connected(setup, User { room: 9, ..slow() });
            let from = World::relaying_to(&to, setup, relay(passes_on_if_open));
            let flusher = to.flusher(2);
            setup.race(vec![from.role(|w| w.data()), flusher]);
            let outcome = from.end_with(&to);
            assert!(outcome.contains("read 1 handled 1"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "relay-against-data-of-the-other",
        chapter: "Relaying",
        clauses: &["O6", "N3"],
        sentence: "A handler that waits for another connection is called when that has drained, though bytes are read there meanwhile.",
        runners: &[Inline],
        race: true,
        body: |setup| waiting_against(setup, 9, World::data),
    },
    Scenario {
        name: "relay-against-a-flush-and-a-drain",
        chapter: "Relaying",
        clauses: &["O6", "O1"],
        sentence: "A handler that waits for another connection goes on when that has drained, though somebody else flushes there.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let flushes = |to: &World| {
                let _ = to.flush(1);
            };
            waiting_against(setup, 9, flushes)
        },
    },
    Scenario {
        name: "relay-against-eof-of-the-other",
        chapter: "Relaying",
        clauses: &["O6", "I1"],
        sentence: "A handler that waits for another connection, whose stream ends: it goes on, and the mask there is as it should be.",
        runners: &[Inline],
        race: true,
        body: |setup| waiting_against(setup, 9, World::eof),
    },
    Scenario {
        name: "relay-against-part-and-eof-of-the-other",
        chapter: "Relaying",
        clauses: &["O6", "I1"],
        sentence: "As before, and what the handler passes on next is parked.",
        runners: &[Inline],
        race: true,
        body: |setup| waiting_against(setup, 1, World::eof),
    },
    Scenario {
        name: "relay-against-close-of-the-other",
        chapter: "Relaying",
        clauses: &["O6", "L1"],
        sentence: "A handler that waits for another's output goes on when that connection is closed.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let closer = |_: &World, to: &World| to.closer();
            let (_, to, outcome) = second_segment_against(setup, slow(), passes_on_if_open, closer);
            assert!(outcome.contains("read 2 handled 2"), "{outcome}");
            assert_eq!(to.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "relay-against-hup-of-the-other",
        chapter: "Relaying",
        clauses: &["O6", "E2"],
        sentence: "A handler that waits for another's output goes on when the peer there hangs up, and the output is lost.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let to = User { handler: true, ..slow() };
            let peer = |_: &World, to: &World| to.hanger_up();
            let (_, to, outcome) = second_segment_against(setup, to, passes_on_if_open, peer);
            assert!(outcome.contains("read 2 handled 2"), "{outcome}");
            assert_eq!(to.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "relay-against-its-own-close",
        chapter: "Relaying",
        clauses: &["O6", "L1", "C2"],
        sentence: "A user close ends a connection whose handler waits for another's output.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let closer = |from: &World, _: &World| from.closer();
            let (from, _, outcome) = second_segment_against(setup, slow(), passes_on_if_open, closer);
            assert_eq!(from.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "relay-passes-the-end-on",
        chapter: "Relaying",
        clauses: &["O6", "E4", "E5"],
        sentence: "The end of a stream waits behind what its handler has not passed on, and is then the end of the other's.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let to = World::connected(setup, User { ends: true, ..slow() });
            let from = World::relaying_to(&to, setup, User { keeps_open: true, ..relay(passes_all_on) });
            from.data();
            from.peer_sends();
            setup.race(vec![from.role(|w| w.eof()), to.role(|w| w.peer_takes(2))]);
            let outcome = from.end_with(&to);
            assert!(to.all_sent() && outcome.contains("read 2 handled 2"), "{outcome}");
            assert!(to.output_ended(), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "kept-open-until-the-output-ends",
        chapter: "Relaying",
        clauses: &["E4", "E5", "E3"],
        sentence: "A connection that is kept open outlives the end of the stream until its output is ended and sent.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { room: 1, ..User::kept() });
            let poller = world.role(|w| {
                w.eof();
                w.peer_takes(1);
            });
            setup.race(vec![poller, world.role(|w| answers_and_ends(&w, 2))]);
            let outcome = world.end();
            assert!(world.all_sent() && world.output_ended(), "{outcome}");
            assert_eq!((world.count("disconnect"), world.close_callbacks()), (1, 1), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "kept-open-against-close",
        chapter: "Relaying",
        clauses: &["E4", "C2"],
        sentence: "A user close ends a connection that is kept open, whether or not its output is ended.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { room: 9, ..User::kept() });
            world.eof();
            setup.race(vec![noting_ender(&world), world.closer()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "end-of-output-against-flush",
        chapter: "Relaying",
        clauses: &["E5", "O1"],
        sentence: "A flush against the end of the output: sent whole and before it, or refused.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { room: 1, ..User::kept() });
            let flusher = world.role(|w| {
                let taken = w.flush(2);
                w.note(format!("flush:{taken:?}"));
            });
            setup.race(vec![flusher, noting_ender(&world)]);
            world.peer_takes(2);
            let refused = world.flush(1);
            let outcome = world.end();
            let ended = outcome.contains("end:Ok");
            assert!(world.all_sent() && world.output_ended() == ended, "{outcome}");
            assert_eq!(refused == Err(Refused::Closed), ended, "{outcome}");
            assert_eq!(world.close_callbacks(), 0, "the connection is still read: {outcome}");
            outcome
        },
    },
    Scenario {
        name: "end-of-output-against-eof",
        chapter: "Relaying",
        clauses: &["E5", "E4", "L1"],
        sentence: "The end of the output against the end of the stream: once both are there, the connection ends.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User::kept());
            let ender = world.role(|w| assert!(w.end_output().is_ok()));
            setup.race(vec![ender, world.role(|w| w.eof())]);
            let outcome = world.end();
            assert!(world.output_ended(), "{outcome}");
            assert_eq!((world.count("disconnect"), world.close_callbacks()), (1, 1), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "shutdown-against-kept-open",
        chapter: "Relaying",
        clauses: &["E4", "G1", "G2"],
        sentence: "A graceful shutdown leaves a connection that is kept open alone until both of its streams have ended.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { room: 9, ..User::kept() });
            let ender = world.role(|w| answers_and_ends(&w, 2));
            let shuts = world.role(|w| {
                w.shutdown();
                w.note(format!("ended before:{}", w.look().any(NOWRITE)));
            });
            setup.race(vec![shuts, ender]);
            assert_eq!(world.close_callbacks(), 0, "its peer still sends");
            world.eof();
            let outcome = world.end();
            assert!(world.all_sent() && world.output_ended(), "{outcome}");
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
];
