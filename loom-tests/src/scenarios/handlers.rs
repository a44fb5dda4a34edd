//! Chapter "Handlers": set and replaced at any time.

use std::sync::atomic::Ordering::Relaxed;

use pollproof::protocol::slot::SharedSlot;
use pollproof::sync::UnsafeCell;

use crate::rig::{User, World};
use crate::scenario::Runner::{Inline, Spawned};
use crate::scenario::Scenario;
use crate::share::{Shared, share};

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "handler-replaced-while-running",
        chapter: "Handlers",
        clauses: &["R1", "S1"],
        sentence: "A handler that is replaced while it runs finishes its call; what comes from then on is the new one's.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { sets: true, ..User::default() });
            let setter = world.role(|w| {
                w.set_handler(2);
                w.data();
            });
            setup.race(vec![world.role(|w| w.data()), setter]);
            let before = world.end();
            // Of the two, the setter's own came after it.
            assert!(world.took_by_first() <= 1, "{before}");
            world.data();
            let outcome = world.end();
            assert!(outcome.contains("request2"), "{outcome}");
            assert!(world.count("request") <= 2, "{outcome}, after {before}");
            outcome
        },
    },
    Scenario {
        name: "handler-set-when-data-is-there",
        chapter: "Handlers",
        clauses: &["R2", "N1"],
        sentence: "A first handler is called for data that came before it, or with it.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { handler: false, sets: true, ..User::default() });
            let setter = world.role(|w| w.set_handler(1));
            setup.race(vec![world.role(|w| w.data()), setter]);
            let outcome = world.end();
            assert_eq!(world.requests(), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "handler-set-against-hup",
        chapter: "Handlers",
        clauses: &["C6", "R2", "N5"],
        sentence: "A first handler set at or after send-then-close gets the data, and the connection ends.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { handler: false, sets: true, ..User::default() });
            let poller = world.role(|w| {
                w.data();
                w.hup();
            });
            setup.race(vec![poller, world.role(|w| w.set_handler(1))]);
            let outcome = world.end();
            assert_eq!((world.requests(), world.close_callbacks()), (1, 1), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "handler-set-after-hup",
        chapter: "Handlers",
        clauses: &["C6", "R2", "S4"],
        sentence: "A first handler set after send-then-close, against a user close: called at most once, and one end.",
        runners: &[Inline, Spawned],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { handler: false, sets: true, ..User::default() });
            world.data();
            world.hup();
            assert_eq!(world.close_callbacks(), 0, "closed, and nobody attended");
            setup.race(vec![world.role(|w| w.set_handler(1)), world.closer()]);
            let outcome = world.end();
            assert!(world.requests() <= 1, "{outcome}");
            assert_eq!((world.count("disconnect"), world.close_callbacks()), (1, 1), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "half-packet-and-new-handler",
        chapter: "Handlers",
        clauses: &["R1", "N4"],
        sentence: "A new handler is called for half a packet that the old one has seen and left.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { packet: 2, sets: true, ..User::default() });
            let setter = world.role(|w| w.set_handler(2));
            setup.race(vec![world.role(|w| w.data()), setter]);
            let outcome = world.end();
            assert_eq!(world.count("request2"), 1, "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "shared-handler-replaced",
        chapter: "Handlers",
        clauses: &["R3"],
        sentence: "A handler that another thread replaces is seen whole: the old one or the new.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let slot = share(SharedSlot::<Shared<Handler>>::default());
            let _ = slot.set(share(Handler(UnsafeCell::new(1))));
            let seen = share(std::sync::atomic::AtomicU32::new(0));
            let setter = {
                let slot = slot.clone();
                Box::new(move || {
                    let _ = slot.set(share(Handler(UnsafeCell::new(2))));
                })
            };
            let caller = {
                let seen = seen.clone();
                Box::new(move || {
                    let handler = slot.get().expect("set before the race");
                    // Safety: nobody writes it once it is in the slot (R3).
                    seen.store(handler.0.with(|id| unsafe { *id }), Relaxed);
                })
            };
            setup.race(vec![setter, caller]);
            format!("called {}", seen.load(Relaxed))
        },
    },
];

/// A handler whose contents the checkers see being built and read.
struct Handler(UnsafeCell<u32>);

// Safety: written before it is shared, and read after.
unsafe impl Sync for Handler {}
// Safety: it belongs to no thread.
unsafe impl Send for Handler {}
