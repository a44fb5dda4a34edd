//! W6, callbacks-again: after a panic the connection is not locked up, and the next Close() ends it once more.

use loom_tests::recording::{self, Shown};
use loom_tests::rig::{User, panics};
use loom_tests::share;

use crate::published::{self, *};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W6",
    name: "callbacks-again",
    title: "a later Close() runs the close callbacks again",
    story: "Who runs the close callbacks keeps `processing` for ever, which is what makes them run once. The recovery from \
        a panic does not: it unlocks, sees that the peer has hung up, and runs them without the lock. No race is \
        needed for what follows. Any later Close(), and users are told to close what they have, finds the lock free and \
        runs the whole list again. By now the registration that it frees belongs to another connection. Here TASK is \
        never released after the end is committed.",
    seen: "always",
    references: &[
        "https://github.com/cloudwego/netpoll/pull/238",
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go",
    ],
    clauses: &["C4", "C2", "P1"],
    sequential: true,
    variants: &[published(as_published, breaks("C4", 0)), repaired(as_repaired)],
    source: include_str!("w06_callbacks_again.rs"),
};

const FREE: u32 = 0;
const OURS: u32 = 1;
const ANOTHERS: u32 = 2;

struct Connection {
    closing: Go,
    processing: Go,
    registration: Go,
    closes: Count,
}

impl Connection {
    /// The task, from its handler on: the deferred recovery of a connection that is closed.
    fn task(&self) {
        recording::note("OnRequest");
        recording::label("panic: unlock");
        self.processing.store(0);
        if !self.closing.is_active() {
            self.close_callback(false);
        }
    }

    /// A connection that is accepted later.
    fn another_is_accepted(&self) {
        recording::label("allocate");
        let _ = self.registration.cas(FREE, ANOTHERS);
    }

    fn on_close(&self) {
        if !self.closing.close_by(published::USER) {
            self.closing.force(published::USER);
        }
        self.close_callback(true);
    }

    /// The list has one callback: the last one of every connection, which frees its registration.
    fn close_callback(&self, need_lock: bool) {
        if need_lock && !self.processing.lock() {
            return;
        }
        self.closes.ran("close callbacks");
        recording::label("free");
        self.registration.store(FREE);
    }
}

fn as_published(stage: &Stage) {
    // The poller has seen the hup, and left the end to the task, which is in its handler.
    let c = share(Connection {
        closing: Go::new(POLLER),
        processing: Go::new(1),
        registration: Go::new(OURS),
        closes: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    c.registration.name("registration", Shown::Values(&["free", "ours", "another's"]));
    let t = c.clone();
    stage.race([role("T", move || {
        op("request", || t.task());
        t.another_is_accepted();
        op("close", || t.on_close());
    })]);
    promise(
        "C4",
        c.closes.times() <= 1,
        "the close callbacks ran again, and freed the registration of another connection",
    );
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User { on_request: panics, ..User::default() });
    let t = world.role(|w| {
        op("request", || w.data());
        op("close", || w.close());
    });
    stage.race([role("T", t)]);
    // The rig reports a list that runs again, and an fd that is closed again.
    let _ = world.end();
    promise("C4", world.close_callbacks() == 1, "the close callbacks did not run once");
}
