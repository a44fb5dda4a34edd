//! W18, disconnect-meets-close: OnDisconnect is still running when the task closes the fd.

use loom_tests::recording::{self, Shown};
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W18",
    name: "disconnect-meets-close",
    title: "the fd is closed under OnDisconnect",
    story: "The peer hangs up while a task is draining. The poller's goroutine marks the connection closed and calls \
        OnDisconnect, which takes its time: it writes a last line, or looks up who the peer was. Nothing tells the task \
        of it. The task finds the connection closed, runs the close callbacks and closes the fd. OnDisconnect goes on \
        with a number that the next accept may have been given: it writes to a stranger. Here OnDisconnect runs under \
        READING, and a connection does not end while that is held.",
    seen: "always, with an OnDisconnect that is slow",
    references: &["https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go"],
    clauses: &["H4", "H3"],
    sequential: false,
    variants: &[published(as_published, breaks("H4", 1)), repaired(as_repaired)],
    source: include_str!("w18_disconnect_meets_close.rs"),
};

const CLOSED: u32 = 0;
const OPEN: u32 = 1;

struct Connection {
    closing: Go,
    processing: Go,
    fd: Go,
    too_late: Count,
}

impl Connection {
    /// The task from its last look on; it has drained.
    fn leave(&self) {
        if !self.closing.is_active() {
            return self.close_callback(false);
        }
        self.processing.unlock();
        if self.closing.load() != NONE && self.processing.lock() {
            self.close_callback(false);
        }
    }

    fn on_hup(&self) {
        if self.closing.close_by(POLLER) {
            self.on_disconnect();
            self.close_callback(true);
        }
    }

    /// The user's: it writes a last line.
    fn on_disconnect(&self) {
        recording::note("OnDisconnect begins");
        recording::label("write");
        if self.fd.load() == CLOSED {
            self.too_late.ran("to a stranger");
        }
    }

    fn close_callback(&self, need_lock: bool) {
        if !need_lock || self.processing.lock() {
            recording::note("close callbacks");
            recording::label("close");
            self.fd.store(CLOSED);
        }
    }
}

fn as_published(stage: &Stage) {
    // The task has the lock, and its handler has returned.
    let c = share(Connection {
        closing: Go::new(NONE),
        processing: Go::new(1),
        fd: Go::new(OPEN),
        too_late: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    c.fd.name("fd", Shown::Values(&["closed", "open"]));
    let (t, h) = (c.clone(), c.clone());
    stage.race([role("T", move || t.leave()), role("H", move || h.on_hup())]);
    promise("H4", c.too_late.times() == 0, "the task closed the fd while OnDisconnect was running");
}

fn as_repaired(stage: &Stage) {
    // The rig reports close callbacks that overlap OnDisconnect, and an OnDisconnect that comes after them.
    let world = stage.connected(User::default());
    stage.race([role("T", world.role(|w| w.data())), role("H", world.role(|w| w.hup()))]);
    let _ = world.end();
    promise("H4", world.count("disconnect") == 1, "the peer hung up, and OnDisconnect did not run once");
    promise("H3", world.close_callbacks() == 1, "whoever was last did not end the connection");
}
