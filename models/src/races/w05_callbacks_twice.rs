//! W5, callbacks-twice: a handler panics while the peer hangs up, and two threads run the close callbacks.

use loom_tests::recording;
use loom_tests::rig::{User, panics};
use loom_tests::share;

use crate::published::{self, *};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W5",
    name: "callbacks-twice",
    title: "the close callbacks run twice after a panic",
    story: "OnRequest panics. The task's recovery unlocks `processing` first, then looks whether the connection is active, \
        and if not runs the close callbacks *without* the lock. A hang-up between the unlock and the look finds the lock \
        free and runs them too. The registration is freed twice: the process crashes, or an unrelated connection \
        dies. Here a panic closes the connection and the owner goes on by its rules: it never gives TASK away instead \
        of ending.",
    seen: "a crash within 600 to 20,000 connections, library untouched",
    references: &[
        "https://github.com/cloudwego/netpoll/pull/238",
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go",
    ],
    clauses: &["C2", "P1", "C4"],
    sequential: false,
    variants: &[published(as_published, breaks("C2", 1)), repaired(as_repaired)],
    source: include_str!("w05_callbacks_twice.rs"),
};

struct Connection {
    closing: Go,
    processing: Go,
    closes: Count,
}

impl Connection {
    /// The task, from its handler on: the deferred recovery.
    fn task(&self) {
        recording::note("OnRequest");
        recording::label("panic: unlock");
        self.processing.store(0);
        if self.closing.is_active() {
            self.on_close();
        } else {
            self.close_callback(false);
        }
    }

    fn on_hup(&self) {
        if self.closing.close_by(POLLER) {
            self.close_callback(true);
        }
    }

    fn on_close(&self) {
        if !self.closing.close_by(published::USER) {
            self.closing.force(published::USER);
        }
        self.close_callback(true);
    }

    fn close_callback(&self, need_lock: bool) {
        if !need_lock || self.processing.lock() {
            self.closes.ran("close callbacks");
        }
    }
}

fn as_published(stage: &Stage) {
    // The task has the lock, and is in its handler.
    let c = share(Connection { closing: Go::new(NONE), processing: Go::new(1), closes: Count::default() });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    let (t, h) = (c.clone(), c.clone());
    stage.race([role("T", move || t.task()), role("H", move || h.on_hup())]);
    promise("C2", c.closes.times() <= 1, "the close callbacks ran twice, and freed the registration twice");
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User { on_request: panics, ..User::default() });
    // What the handler panics about.
    world.peer_sends();
    let hup = world.role(|w| {
        w.peer_is_gone();
        w.event_once();
    });
    stage.race([role("T", world.role(|w| w.event_once())), role("H", hup)]);
    let _ = world.end();
    promise("C2", world.close_callbacks() == 1, "the close callbacks did not run once");
}
