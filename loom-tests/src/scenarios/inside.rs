//! Chapter "User code": what falls due inside user code is left to the home loop, which is woken for it.
//!
//! A role that leads the home loop does nothing until it is woken: a wake-up that is missing leaves it asleep for ever.

use pollproof::protocol::slot::SharedSlot;

use crate::rig::{User, World, reads_on};
use crate::scenario::Runner::Inline;
use crate::scenario::{Role, Scenario, Setup, role};
use crate::share::share;

/// A connection that another connection's callback closes, against `another`, beside its home loop. It ends, once.
fn closed_inside(setup: &Setup, user: User, another: impl FnOnce(&World) -> Role) -> (World, String) {
    let world = World::connected(setup, user);
    let closer = closer_inside(&world);
    ends(setup, world.clone(), vec![closer, another(&world), world.home_loop()])
}

/// A handler that reads the end of its stream itself, against `another`, beside its home loop. It ends, once.
fn reads_the_end(setup: &Setup, user: User, another: impl FnOnce(&World) -> Role) -> (World, String) {
    let world = World::connected(setup, User { on_request: reads_on, ..user });
    world.peer_stops();
    let poller = world.role(|w| w.data());
    ends(setup, world.clone(), vec![poller, another(&world), world.home_loop()])
}

fn ends(setup: &Setup, world: World, roles: Vec<Role>) -> (World, String) {
    setup.race(roles);
    let outcome = world.end();
    assert_eq!(world.close_callbacks(), 1, "{outcome}");
    (world, outcome)
}

/// Another connection's callback closes this one.
fn closer_inside(world: &World) -> Role {
    world.role(|w| {
        w.in_user_code(|w| {
            let _ = w.close();
        });
    })
}

fn served() -> User {
    User { shares: true, ..User::default() }
}

fn unserved() -> User {
    User { handler: false, ..served() }
}

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "end-left-against-hup",
        chapter: "User code",
        clauses: &["U2", "C2", "H4"],
        sentence: "The end of a connection that another one's callback closes is its home loop's, while its peer hangs up.",
        runners: &[Inline],
        race: true,
        body: |setup| closed_inside(setup, unserved(), World::hanger_up).1,
    },
    Scenario {
        name: "end-left-against-flush",
        chapter: "User code",
        clauses: &["U2", "H3", "C4"],
        sentence: "The end of a connection that another one's callback closes is its home loop's, while somebody flushes.",
        runners: &[Inline],
        race: true,
        body: |setup| closed_inside(setup, unserved(), |world| world.flusher(1)).1,
    },
    Scenario {
        name: "end-left-against-shutdown",
        chapter: "User code",
        clauses: &["U2", "G1", "C4"],
        sentence: "The end of a connection that another one's callback closes is its home loop's, or who shuts it down ends it.",
        runners: &[Inline],
        race: true,
        body: |setup| closed_inside(setup, unserved(), |world| world.role(|w| w.shutdown())).1,
    },
    Scenario {
        name: "section-left-against-data",
        chapter: "User code",
        clauses: &["U2", "S4", "N1"],
        sentence: "A section that falls due inside user code goes to the home loop with its ownership, while data comes.",
        runners: &[Inline],
        race: true,
        body: |setup| closed_inside(setup, served(), |world| world.role(|w| w.data())).1,
    },
    Scenario {
        name: "shutdown-inside-against-data",
        chapter: "User code",
        clauses: &["U2", "G2", "N1"],
        sentence: "A shutdown inside user code, while data comes: it is handled if it was read, and the home loop ends the rest.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, served());
            let asker = world.role(|w| w.in_user_code(World::shutdown));
            let poller = world.role(|w| w.data());
            ends(setup, world.clone(), vec![asker, poller, world.home_loop()]).1
        },
    },
    Scenario {
        name: "handler-reads-the-end-against-poller",
        chapter: "User code",
        clauses: &["U3", "H4", "N3"],
        sentence: "A handler reads the end of its stream itself, and a poller is told of it: OnDisconnect is the home loop's, once.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (world, outcome) = reads_the_end(setup, served(), World::poller);
            assert_eq!(world.count("disconnect"), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "handler-reads-the-end-against-close",
        chapter: "User code",
        clauses: &["U3", "H4", "C2"],
        sentence: "A handler reads the end of its stream itself, and a user closes: OnDisconnect first, then the close callbacks.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (world, outcome) = reads_the_end(setup, served(), World::closer);
            assert_eq!(world.count("disconnect") == 0, outcome.contains("close:First"), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "handler-reads-the-end-against-flush",
        chapter: "User code",
        clauses: &["U3", "E3", "H3"],
        sentence: "A handler reads the end of its stream itself, while somebody flushes: the end waits for both.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (world, outcome) = reads_the_end(setup, User { room: 9, ..served() }, |world| world.flusher(1));
            assert!(world.all_sent(), "{outcome}");
            assert_eq!(world.count("disconnect"), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "end-read-inside-as-owner",
        chapter: "User code",
        clauses: &["U2", "U3", "H4"],
        sentence: "The end of a stream that is read inside user code, by who becomes the owner with it, against a user close.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, served());
            world.peer_stops();
            let reader = world.role(|w| w.in_user_code(World::read_itself));
            ends(setup, world.clone(), vec![reader, world.closer(), world.home_loop()]).1
        },
    },
    Scenario {
        name: "dial-inside-against-hup",
        chapter: "User code",
        clauses: &["U2", "H1", "H5"],
        sentence: "A peer hangs up while a connection is dialed inside user code: OnDisconnect is the home loop's.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::registered(setup, served());
            let dialer = world.role(|w| w.in_user_code(World::connect));
            let (world, outcome) = ends(setup, world.clone(), vec![dialer, world.hanger_up(), world.home_loop()]);
            assert_eq!(world.count("disconnect"), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "handler-set-to-a-section-inside",
        chapter: "User code",
        clauses: &["U2", "R2", "N2"],
        sentence: "A connection gets its handler while its section runs in place inside user code: the section is left to the home loop.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { sets: true, ..unserved() });
            world.data();
            let inside = world.role(|w| w.in_user_code(World::own_for_a_moment));
            setup.race(vec![inside, world.role(|w| w.set_handler(1))]);
            let outcome = world.end();
            assert_eq!(world.requests(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "handler-set-to-a-section-inside-against-close",
        chapter: "User code",
        clauses: &["U2", "R2", "S4"],
        sentence: "A handler is set while a section runs in place inside user code, and a user closes: one end, by the home loop.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { sets: true, ..unserved() });
            world.data();
            let inside = world.role(|w| {
                w.in_user_code(|w| {
                    w.own_for_a_moment();
                    let _ = w.close();
                });
            });
            let setter = world.role(|w| w.set_handler(1));
            ends(setup, world.clone(), vec![inside, setter, world.home_loop()]).1
        },
    },
    Scenario {
        name: "handler-set-against-the-end",
        chapter: "User code",
        clauses: &["U4", "R1", "C5"],
        sentence: "A handler that is set while its connection ends is called, or replaced, or comes back: none is kept.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { sets: true, ..served() });
            let setter = world.role(|w| w.set_handler(2));
            ends(setup, world.clone(), vec![setter, world.closer()]).1
        },
    },
    Scenario {
        name: "shared-handler-against-the-end",
        chapter: "User code",
        clauses: &["U4", "R3"],
        sentence: "A handler that any thread may call, set while its slot is sealed: it is in the slot then, or comes back.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let slot = share(SharedSlot::<u32>::default());
            assert_eq!(slot.set(1), None);
            let went = share([(); 3].map(|()| std::sync::atomic::AtomicU32::new(0)));
            let noting = |at: usize, came: fn(&SharedSlot<u32>) -> Option<u32>| {
                let went = went.clone();
                role(&slot, move |slot| {
                    went[at].store(came(slot).unwrap_or(0), std::sync::atomic::Ordering::Relaxed);
                })
            };
            setup.race(vec![noting(0, |slot| slot.set(2)), noting(1, SharedSlot::seal), noting(2, SharedSlot::get)]);
            let [back, sealed, seen] = std::array::from_fn(|at| went[at].load(std::sync::atomic::Ordering::Relaxed));
            assert_eq!(back + sealed, 3, "each comes out once");
            assert_eq!((slot.get(), slot.set(3)), (None, Some(3)), "nothing is kept");
            format!("set gave back {back}, seal {sealed}, and {seen} was seen")
        },
    },
    Scenario {
        name: "end-left-against-end-of-loop",
        chapter: "User code",
        clauses: &["U2", "U4", "L1"],
        sentence: "An end is left to a loop that ends: it is done by that loop, or by who left it, outside user code.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, unserved());
            let closer = closer_inside(&world);
            ends(setup, world.clone(), vec![closer, world.role(|w| w.end_loop())]).1
        },
    },
    Scenario {
        name: "section-left-against-end-of-loop",
        chapter: "User code",
        clauses: &["U2", "U4", "S4"],
        sentence: "A section is left to a loop that ends, while data comes: whoever does it, the connection ends once.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, served());
            let asker = world.role(|w| w.in_user_code(World::shutdown));
            ends(setup, world.clone(), vec![asker, world.role(|w| w.data()), world.role(|w| w.end_loop())]).1
        },
    },
    Scenario {
        name: "disconnect-left-against-end-of-loop",
        chapter: "User code",
        clauses: &["U3", "U4", "L1"],
        sentence: "An OnDisconnect is left to a loop that ends: it runs once, when its own OnRequest is over at the latest.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { on_request: reads_on, ..served() });
            world.peer_stops();
            let poller = world.role(|w| w.data());
            ends(setup, world.clone(), vec![poller, world.role(|w| w.end_loop())]).1
        },
    },
];
