//! M2, store-beside-rmw: what a checker cannot see. A plain store of `closing` beside a re-check by read-modify-write.

use loom_tests::recording::{self, Shown};
use loom_tests::rig::User;
use loom_tests::share;
use pollproof::sync::atomic::AtomicU32;
use pollproof::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use crate::published::{CLOSING, Count, NONE, POLLER};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "M2",
    name: "store-beside-rmw",
    title: "loom passes, and the close can be lost",
    story: "A port repairs the double check of M1 by making the re-check a read-modify-write, which must read the newest \
        value. The poller still sets `closing` by a plain store, and then tries the lock. loom explores every execution \
        that it knows and finds nothing. That is not a proof. To loom a store has its place in the order of its cell as \
        soon as it is executed, and a failing compare-exchange reads the newest value. The language asks for neither: \
        the task's read-modify-write may come before the store in the order of `closing`, and the failing \
        compare-exchange, which is a load, may read the lock as it was before the unlock, because nothing orders the \
        two cells. The last variant writes that execution down, by letting the store arrive after the try: the same \
        reads, and the close is lost. So the rule here is that every change of the word acquires and releases, and that \
        none can fail: whoever comes second in the order of the cell has seen all that the first one did before.",
    seen: "by no checker: loom passes, C11 allows the loss",
    references: &[
        "https://github.com/tokio-rs/loom/issues/180",
        "https://github.com/tokio-rs/loom/issues/254",
        "https://github.com/tokio-rs/loom/issues/389",
    ],
    clauses: &["A1", "N2"],
    sequential: false,
    variants: &[
        published(as_ported, Expect::Holds)
            .under_loom()
            .named("published", "as ported: loom passes, which proves nothing"),
        published(store_arrives_late, breaks("N2", 1))
            .under_loom()
            .named("late", "as C11 allows: the store arrives late"),
        repaired(as_repaired),
    ],
    source: include_str!("m2_store_beside_rmw.rs"),
};

struct Connection {
    closing: AtomicU32,
    /// 0 free, 1 the task's, 2 the poller's, 3 the task's again: each its own value.
    processing: AtomicU32,
    closes: Count,
}

impl Connection {
    /// The task, which has drained and seen nobody close.
    fn leave(&self) {
        recording::label("unlock");
        self.processing.store(0, Release);
        recording::label("double check by RMW");
        if self.closing.fetch_or(0, AcqRel) != NONE {
            self.try_close(3);
        }
    }

    fn try_close(&self, who: u32) {
        recording::label("lock");
        if self.processing.compare_exchange(0, who, AcqRel, Acquire).is_ok() {
            self.closes.ran("close callbacks");
        }
    }

    fn set_closing(&self) {
        recording::label("store");
        self.closing.store(POLLER, Release);
    }
}

fn play(stage: &Stage, hup: fn(&Connection)) {
    let c =
        share(Connection { closing: AtomicU32::new(NONE), processing: AtomicU32::new(1), closes: Count::default() });
    recording::name(&c.closing, "closing", CLOSING);
    recording::name(&c.processing, "processing", Shown::Values(&["free", "task", "poller", "task again"]));
    let (t, h) = (c.clone(), c.clone());
    stage.race([role("T", move || t.leave()), role("H", move || hup(&h))]);
    promise("N2", c.closes.times() > 0, "both missed each other: the close callbacks never ran");
}

fn as_ported(stage: &Stage) {
    play(stage, |c| {
        c.set_closing();
        c.try_close(2);
    });
}

fn store_arrives_late(stage: &Stage) {
    play(stage, |c| {
        c.try_close(2);
        c.set_closing();
    });
}

fn as_repaired(stage: &Stage) {
    // The task is that of OnConnect: it owns the section from birth, and leaves it.
    let world = stage.registered(User::default());
    stage.race([role("T", world.role(|w| w.connect())), role("H", world.role(|w| w.hup()))]);
    let _ = world.end();
    promise("N2", world.close_callbacks() == 1, "the peer hung up, and the close callbacks did not run once");
}
