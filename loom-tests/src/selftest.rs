//! Scenarios for the tests of this harness: a race with two outcomes, and ones that are wrong on purpose.
//!
//! A harness that has not been seen failing is not a check. These are no part of the suite; the `model`
//! binary knows them by name.

use pollproof::sync::atomic::{AtomicU32, Ordering};
use pollproof::sync::{Mutex, UnsafeCell, lock};

use crate::recording::{self, Shown};
use crate::rig::{User, World};
use crate::scenario::{Role, Runner, Scenario, Setup};
use crate::share::share;

/// Every self-test scenario.
pub fn all() -> Vec<&'static Scenario> {
    SCENARIOS.iter().collect()
}

const SCENARIOS: &[Scenario] = &[
    toy("selftest-lost-update", true, lost_update),
    toy("selftest-two-increments", false, two_increments),
    toy("selftest-assertion", true, assertion),
    toy("selftest-hidden-assertion", true, hidden_assertion),
    toy("selftest-data-race", false, data_race),
    toy("selftest-deadlock", true, deadlock),
    toy("selftest-nobody-wakes", true, nobody_wakes),
    toy("selftest-left-in-the-queue", true, left_in_the_queue),
    toy("selftest-asleep", false, asleep),
    toy("selftest-endless", false, endless),
];

const fn toy(name: &'static str, race: bool, body: fn(&Setup) -> String) -> Scenario {
    Scenario { name, chapter: "Selftest", clauses: &[], sentence: "", runners: &[Runner::Inline], race, body }
}

/// A load and a store instead of an addition: one of the two can be lost.
fn lost_update(setup: &Setup) -> String {
    let counter = share(AtomicU32::new(0));
    recording::name(&*counter, "counter", Shown::Number);
    let bump = |counter: &AtomicU32| counter.store(counter.load(Ordering::Acquire) + 1, Ordering::Release);
    let (mine, other) = (counter.clone(), counter.clone());
    let roles: Vec<Role> = vec![Box::new(move || bump(&other))];
    setup.race_beside(|| bump(&mine), roles);
    format!("counter={}", counter.load(Ordering::Acquire))
}

/// Nothing is lost, so there is one outcome.
fn two_increments(setup: &Setup) -> String {
    let counter = share(AtomicU32::new(0));
    let (mine, other) = (counter.clone(), counter.clone());
    let roles: Vec<Role> = vec![Box::new(move || {
        other.fetch_add(1, Ordering::AcqRel);
    })];
    setup.race_beside(
        || {
            mine.fetch_add(1, Ordering::AcqRel);
        },
        roles,
    );
    format!("counter={}", counter.load(Ordering::Acquire))
}

/// Asserts what does not always hold. Plain threads need repeats to see it.
fn assertion(setup: &Setup) -> String {
    let outcome = lost_update(setup);
    assert_eq!(outcome, "counter=2", "an update was lost");
    outcome
}

/// The same, in a role whose panic somebody catches.
fn hidden_assertion(setup: &Setup) -> String {
    let caught = std::panic::catch_unwind(|| assertion(setup));
    caught.unwrap_or_else(|_| "hidden".to_owned())
}

/// Two threads write one cell and nothing orders them.
fn data_race(setup: &Setup) -> String {
    struct Cell(UnsafeCell<u32>);
    // Safety: it is not; this is the mistake that the checker is to find.
    unsafe impl Sync for Cell {}
    // Safety: a `u32` may go anywhere.
    unsafe impl Send for Cell {}
    impl Cell {
        fn bump(&self) {
            self.0.with_mut(|value| {
                // Safety: it is not; see above.
                unsafe { *value += 1 }
            });
        }
    }
    let cell = share(Cell(UnsafeCell::new(0)));
    let (mine, other) = (cell.clone(), cell.clone());
    let roles: Vec<Role> = vec![Box::new(move || other.bump())];
    setup.race_beside(|| mine.bump(), roles);
    String::new()
}

/// Two locks taken in both orders.
fn deadlock(setup: &Setup) -> String {
    let locks = share((Mutex::new(()), Mutex::new(())));
    let (mine, other) = (locks.clone(), locks.clone());
    let roles: Vec<Role> = vec![Box::new(move || {
        let _second = lock(&other.1);
        let _first = lock(&other.0);
    })];
    setup.race_beside(
        || {
            let _first = lock(&mine.0);
            let _second = lock(&mine.1);
        },
        roles,
    );
    String::new()
}

/// The end of a connection is left to its home loop, by a thread that wakes nobody.
fn wakes_nobody(setup: &Setup) -> (World, Role) {
    let world = World::connected(setup, User { handler: false, ..User::default() });
    let closer = world.role(|w| {
        w.passing_for_the_leader().in_user_code(|w| {
            let _ = w.close();
        });
    });
    (world, closer)
}

/// The home loop's thread waits to be woken.
fn nobody_wakes(setup: &Setup) -> String {
    let (world, closer) = wakes_nobody(setup);
    setup.race(vec![closer, world.home_loop()]);
    world.end()
}

/// Nobody is there to be woken.
fn left_in_the_queue(setup: &Setup) -> String {
    let (world, closer) = wakes_nobody(setup);
    setup.race(vec![closer, world.hanger_up()]);
    world.end()
}

/// Sleeps for ever, behind the checker's back.
fn asleep(_: &Setup) -> String {
    loop {
        std::thread::park();
    }
}

/// Never ends, and never meets the checker again.
fn endless(_: &Setup) -> String {
    loop {
        std::hint::spin_loop();
    }
}
