//! M1, double-check-weak: the double check, ported with Release and Acquire instead of Go's sequential consistency.

use loom_tests::recording::{self, Shown};
use loom_tests::rig::User;
use loom_tests::share;
use pollproof::sync::atomic::AtomicU32;
use pollproof::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use crate::published::{CLOSING, Count, NONE, POLLER};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "M1",
    name: "double-check-weak",
    title: "the double check misses on both sides",
    story: "The published double check is a store-buffering pair: the task stores its unlock and then loads `closing`; the \
        poller stores `closing` and then tries the lock. Go's atomics are sequentially consistent, so one of the two \
        sees the other. Ported with a Release unlock and an Acquire re-check, nothing orders a store before a later \
        load of another cell: the task reads the old `closing`, although the poller has stored it, and the close is \
        lost. Here both sides change one word, and of two changes of one cell one always sees the other.",
    seen: "3 of 25 executions under loom; on hardware that reorders a store and a later load, x86 included",
    references: &["https://github.com/tokio-rs/loom/issues/180"],
    clauses: &["A1", "N2"],
    sequential: false,
    variants: &[
        published(weak, breaks("N2", 0)).under_loom().named("published", "as ported, Release and Acquire"),
        repaired(as_repaired),
    ],
    source: include_str!("m1_double_check.rs"),
};

struct Connection {
    closing: AtomicU32,
    /// 1 taken at first, 0 unlocked by the task, 2 taken by the poller, 3 taken again by the task: each its own value.
    processing: AtomicU32,
    closes: Count,
}

fn weak(stage: &Stage) {
    let c =
        share(Connection { closing: AtomicU32::new(NONE), processing: AtomicU32::new(1), closes: Count::default() });
    recording::name(&c.closing, "closing", CLOSING);
    recording::name(&c.processing, "processing", Shown::Values(&["free", "task", "poller", "task again"]));
    let (t, h) = (c.clone(), c.clone());
    let task = move || {
        recording::label("unlock");
        t.processing.store(0, Release);
        recording::label("double check");
        if t.closing.load(Acquire) != NONE {
            recording::label("lock");
            if t.processing.compare_exchange(0, 3, AcqRel, Acquire).is_ok() {
                t.closes.ran("close callbacks");
            }
        }
    };
    let hup = move || {
        recording::label("closeBy");
        h.closing.store(POLLER, Release);
        // loom's failing compare-exchange reads the newest store; the language lets it read an old one, as a load may.
        recording::label("look");
        if h.processing.load(Acquire) == 0 {
            recording::label("lock");
            if h.processing.compare_exchange(0, 2, AcqRel, Acquire).is_ok() {
                h.closes.ran("close callbacks");
            }
        }
    };
    stage.race([role("T", task), role("H", hup)]);
    let locked = c.processing.load(Acquire) != 0;
    promise("N2", locked || c.closes.times() > 0, "both missed each other: the close callbacks never ran");
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User::default());
    stage.race([role("T", world.role(|w| w.data())), role("H", world.role(|w| w.hup()))]);
    let _ = world.end();
    promise("N2", world.close_callbacks() == 1, "the peer hung up, and the close callbacks did not run once");
}
