//! W3, late-adder: a close callback is accepted after the list has run.

use loom_tests::recording;
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::{self, *};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W3",
    name: "late-adder",
    title: "a close callback is accepted and never runs",
    story: "A connection closes and its list of close callbacks runs. After that somebody adds another one, because nothing \
        told them that it is too late: the list has no end. The call returns without an error, and the callback never \
        runs. A thread that races with the close cannot even know which of the two it was. Here the list is sealed \
        before it runs, and a callback that comes later is given back to its adder.",
    seen: "always",
    references: &["https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go"],
    clauses: &["C3"],
    sequential: true,
    variants: &[published(as_published, breaks("C3", 0)), repaired(as_repaired)],
    source: include_str!("w03_late_adder.rs"),
};

struct Connection {
    closing: Go,
    processing: Go,
    /// How many nodes the list has.
    list: Go,
    accepted: Count,
    ran: Count,
}

impl Connection {
    /// Go's AddCloseCallback never fails.
    fn add_close_callback(&self) {
        let pre = self.list.load();
        self.list.store(pre + 1);
        self.accepted.ran("close callback accepted");
    }

    fn on_close(&self) {
        if self.closing.close_by(published::USER) {
            self.close_callback();
        }
    }

    fn close_callback(&self) {
        if !self.processing.lock() {
            return;
        }
        recording::label("run");
        for _ in 0..self.list.load() {
            self.ran.ran("a close callback");
        }
    }
}

fn as_published(stage: &Stage) {
    let c = share(Connection {
        closing: Go::new(NONE),
        processing: Go::new(0),
        list: Go::new(0),
        accepted: Count::default(),
        ran: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    c.list.name("list", NUMBER);
    let u = c.clone();
    stage.race([role("U", move || {
        op("close", || u.on_close());
        op("add", || u.add_close_callback());
    })]);
    promise("C3", c.ran.times() == c.accepted.times(), "the close callback was accepted, and never runs");
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User { callbacks: 0, ..User::default() });
    let u = world.role(|w| {
        op("close", || w.close());
        op("add", || w.add_close_callback(1));
    });
    stage.race([role("U", u)]);
    // The rig runs what was accepted, and counts what was given back.
    let outcome = world.end();
    promise("C3", outcome.contains("rejected 1"), "the close callback was accepted, and never runs");
}
