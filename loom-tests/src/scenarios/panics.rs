//! Chapter "Panics": a callback that panics closes its connection, and loses nothing else.

use crate::rig::{User, World, panics};
use crate::scenario::Runner::{Inline, Spawned};
use crate::scenario::{Role, Scenario, Setup};

fn against(setup: &Setup, user: User, roles: impl FnOnce(&World) -> Vec<Role>) -> String {
    let world = World::connected(setup, User { callbacks: 2, ..user });
    setup.race(roles(&world));
    let outcome = world.end();
    assert_eq!(world.close_callbacks(), 2, "{outcome}");
    outcome
}

fn prepare_panics(setup: &Setup, role: fn(&World) -> Role) -> String {
    let world = World::born(setup, User { on_prepare: panics, callbacks: 2, ..User::default() });
    let acceptor = world.clone();
    setup.race_beside(
        || {
            acceptor.register();
            acceptor.connect();
        },
        vec![role(&world)],
    );
    let outcome = world.end();
    assert_eq!(world.count("connect") + world.count("disconnect"), 0, "{outcome}");
    assert_eq!(world.close_callbacks(), 2, "{outcome}");
    assert!(outcome.contains("del 0"), "{outcome}");
    outcome
}

/// OnDisconnect panics, and may be due at the end of OnConnect.
fn connect_against(setup: &Setup, role: fn(&World) -> Role) -> (World, String) {
    let world = World::registered(setup, User { on_disconnect: panics, callbacks: 2, ..User::default() });
    let acceptor = world.clone();
    setup.race_beside(|| acceptor.connect(), vec![role(&world)]);
    let outcome = world.end();
    assert_eq!(world.close_callbacks(), 2, "{outcome}");
    (world, outcome)
}

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "request-panics-against-hup",
        chapter: "Panics",
        clauses: &["P1", "C2"],
        sentence: "OnRequest panics against a hup: every close callback once, and one end.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let user = User { on_request: panics, ..User::default() };
            against(setup, user, |w| vec![w.role(|w| w.data()), w.hanger_up()])
        },
    },
    Scenario {
        name: "request-panics-against-close",
        chapter: "Panics",
        clauses: &["P1", "C2"],
        sentence: "OnRequest panics against a user close: every close callback once, and one end.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let user = User { on_request: panics, ..User::default() };
            against(setup, user, |w| {
                let poller = w.role(|w| {
                    w.data();
                    w.data();
                });
                vec![poller, w.closer()]
            })
        },
    },
    Scenario {
        name: "request-panics-against-blocked-flusher",
        chapter: "Panics",
        clauses: &["P1", "T3"],
        sentence: "OnRequest panics while a flusher sleeps: it is woken, and the connection ends once it has left.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { room: 1, on_request: panics, ..User::default() };
            against(setup, user, |w| {
                let flusher = w.waiting_flusher(2);
                vec![flusher, w.role(|w| w.data())]
            })
        },
    },
    Scenario {
        name: "connect-panics-against-hup",
        chapter: "Panics",
        clauses: &["P2", "H1"],
        sentence: "OnConnect panics against a hup: OnDisconnect still runs, once, and the connection ends.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { on_connect: panics, callbacks: 2, ..User::default() };
            let world = World::registered(setup, user);
            let acceptor = world.clone();
            setup.race_beside(|| acceptor.connect(), vec![world.hanger_up()]);
            let outcome = world.end();
            assert_eq!((world.count("disconnect"), world.close_callbacks()), (1, 2), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "connect-panics-against-close",
        chapter: "Panics",
        clauses: &["P2", "H1"],
        sentence: "OnConnect panics against a user close: OnDisconnect iff OnConnect began, and one end.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { on_connect: panics, callbacks: 2, ..User::default() };
            let world = World::registered(setup, user);
            let acceptor = world.clone();
            setup.race_beside(|| acceptor.connect(), vec![world.closer()]);
            let outcome = world.end();
            assert_eq!(world.count("disconnect"), world.count("connect"), "{outcome}");
            assert_eq!(world.close_callbacks(), 2, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "prepare-panics",
        chapter: "Panics",
        clauses: &["P2"],
        sentence: "OnPrepare panics: the connection ends without being registered.",
        runners: &[Inline],
        race: false,
        body: |setup| {
            let world = World::registered(setup, User { on_prepare: panics, ..User::default() });
            let acceptor = world.clone();
            setup.race_beside(|| acceptor.connect(), vec![]);
            let outcome = world.end();
            assert_eq!((world.count("connect"), world.close_callbacks()), (0, 1), "{outcome}");
            assert!(outcome.contains("del 0"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "prepare-panics-against-close",
        chapter: "Panics",
        clauses: &["P2", "H2"],
        sentence: "OnPrepare panics against a user close: not registered, no other callback, every close callback once.",
        runners: &[Inline],
        race: true,
        body: |setup| prepare_panics(setup, World::closer),
    },
    Scenario {
        name: "prepare-panics-against-hup",
        chapter: "Panics",
        clauses: &["P2", "H2"],
        sentence: "OnPrepare panics while the peer hangs up: nobody hears of the hup, every close callback once.",
        runners: &[Inline],
        race: false,
        body: |setup| prepare_panics(setup, World::hanger_up),
    },
    Scenario {
        name: "disconnect-panics-against-data",
        chapter: "Panics",
        clauses: &["P2", "H4"],
        sentence: "OnDisconnect panics on a poller while OnRequest runs on another: closed by it, one end.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { on_disconnect: panics, ..User::default() };
            let outcome = against(setup, user, |w| vec![w.role(|w| w.data()), w.hanger_up()]);
            assert!(outcome.contains("USER"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "disconnect-panics-against-close",
        chapter: "Panics",
        clauses: &["P2", "C2"],
        sentence: "OnDisconnect panics at the end of the stream, against a user close: one end.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { on_disconnect: panics, ..User::default() };
            against(setup, user, |w| vec![w.role(|w| w.eof()), w.closer()])
        },
    },
    Scenario {
        name: "disconnect-panics-at-hup-against-close",
        chapter: "Panics",
        clauses: &["P2", "C2", "H4"],
        sentence: "OnDisconnect panics at a hup, against a user close: every close callback once, after it, and one end.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { on_disconnect: panics, ..User::default() };
            let outcome = against(setup, user, |w| vec![w.hanger_up(), w.closer()]);
            assert_eq!(outcome.contains("disconnect"), outcome.contains("close:Again"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "disconnect-panics-against-hup",
        chapter: "Panics",
        clauses: &["P2", "C1", "H4"],
        sentence: "OnDisconnect panics at the end of the stream, against a second poller's hup: closed by it, one end.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { on_disconnect: panics, ..User::default() };
            let outcome = against(setup, user, |w| vec![w.role(|w| w.eof()), w.hanger_up()]);
            assert!(outcome.contains("USER"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "disconnect-panics-after-connect-against-hup",
        chapter: "Panics",
        clauses: &["P2", "H1"],
        sentence: "OnDisconnect panics that a hup owes, run by it or by the end of OnConnect: closed by it, one end.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (world, outcome) = connect_against(setup, World::hanger_up);
            assert_eq!((world.count("connect"), world.count("disconnect")), (1, 1), "{outcome}");
            assert!(outcome.contains("USER"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "disconnect-panics-after-connect-against-close",
        chapter: "Panics",
        clauses: &["P2", "H1"],
        sentence: "OnDisconnect panics that a user close during OnConnect owes: every close callback once, and one end.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (world, outcome) = connect_against(setup, World::closer);
            assert!(world.count("disconnect") <= world.count("connect"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "close-callback-panics",
        chapter: "Panics",
        clauses: &["P3", "C2", "C5"],
        sentence: "A close callback panics, against a hup and a close: those after it run, once, and the fd is closed.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { on_close: panics, ..User::default() };
            against(setup, user, |w| vec![w.hanger_up(), w.closer()])
        },
    },
];
