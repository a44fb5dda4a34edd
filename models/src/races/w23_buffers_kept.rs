//! W23, buffers-kept: a connection without close callbacks keeps its buffers.

use loom_tests::recording::{self, Shown};
use loom_tests::rig::User;
use loom_tests::share;
use pollproof::protocol::word::FINAL;

use crate::published::{self, *};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W23",
    name: "buffers-kept",
    title: "buffers are kept without a close callback",
    story: "The end of a connection runs its close callbacks and then gives its buffers back to the pool. It begins with a \
        look at the list, and if nobody has added a callback it returns there: before the buffers. A connection that was \
        dialed and closed, with nothing else set up, so leaks its blocks out of the pool. Here the end frees what a \
        connection owns whether or not there was anything to call.",
    seen: "always; no second thread is needed",
    references: &["https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go"],
    clauses: &["C5"],
    sequential: true,
    variants: &[published(as_published, breaks("C5", 0)), repaired(as_repaired)],
    source: include_str!("w23_buffers_kept.rs"),
};

const FREED: u32 = 0;
const HELD: u32 = 1;

struct Connection {
    closing: Go,
    processing: Go,
    /// How many close callbacks there are.
    callbacks: Go,
    buffers: Go,
}

impl Connection {
    fn on_close(&self) {
        if self.closing.close_by(published::USER) && self.processing.lock() {
            self.close_callback();
        }
    }

    fn close_callback(&self) {
        let latest = self.callbacks.load();
        if latest == 0 {
            recording::note("nothing to call: returns");
            return;
        }
        for _ in 0..latest {
            recording::note("close callback");
        }
        recording::label("closeBuffer");
        self.buffers.store(FREED);
    }
}

fn as_published(stage: &Stage) {
    let c = share(Connection {
        closing: Go::new(NONE),
        processing: Go::new(0),
        callbacks: Go::new(0),
        buffers: Go::new(HELD),
    });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    c.callbacks.name("callbacks", NUMBER);
    c.buffers.name("buffers", Shown::Values(&["freed", "held"]));
    let u = c.clone();
    stage.race([role("U", move || u.on_close())]);
    promise("C5", c.buffers.load() == FREED, "the connection is closed, and its buffers are held");
}

fn as_repaired(stage: &Stage) {
    // The rig reports an end that was committed and freed nothing, or not once.
    let world = stage.connected(User { callbacks: 0, ..User::default() });
    stage.race([role("U", world.closer())]);
    let _ = world.end();
    promise("C5", world.look().any(FINAL), "the connection is closed, and its end was not committed");
}
