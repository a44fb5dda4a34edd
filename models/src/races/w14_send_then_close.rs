//! W14, send-then-close: data and a hup arrive at the instant at which the task leaves.

use loom_tests::recording;
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W14",
    name: "send-then-close",
    title: "the last request of a peer that closes is lost",
    story: "The task has drained: it has looked at `closing`, and at the length of the input, and found nothing. Now a request \
        arrives, and right after it the peer's hup. The poller handles both: each time `processing` is taken, so it leaves \
        the request and the end to the task. The task unlocks and makes its two double checks, the one for a close \
        first. It finds the close and ends the connection, without a look at the data. The request was read and is never \
        handled. Here both bits are in the one value that the release finds, and the owner drains before it ends.",
    seen: "4 of 894,219 connections, library untouched",
    references: &[
        "https://github.com/cloudwego/netpoll/pull/278",
        "https://github.com/cloudwego/netpoll/pull/304",
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go",
    ],
    clauses: &["N5", "N2"],
    sequential: false,
    variants: &[published(as_published, breaks("N5", 1)), repaired(as_repaired)],
    source: include_str!("w14_send_then_close.rs"),
};

struct Connection {
    closing: Go,
    processing: Go,
    unread: Go,
    closes: Count,
}

impl Connection {
    /// The task from its drain on: its handler has been called once.
    fn task(&self) {
        loop {
            let mut closed_by;
            loop {
                recording::label("status");
                closed_by = self.closing.load();
                recording::label("Len");
                if self.unread.load() == 0 {
                    break;
                }
                recording::note("OnRequest");
                self.unread.store(0);
            }
            if closed_by != NONE {
                self.close_callback(false);
                return;
            }
            self.processing.unlock();
            recording::label("double check");
            if self.closing.load() != NONE && self.processing.lock() {
                self.close_callback(false);
                return;
            }
            recording::label("double check");
            if self.unread.load() == 0 || !self.processing.lock() {
                return;
            }
        }
    }

    /// The poller: a request, then the hup.
    fn poll(&self) {
        op("request", || self.input_ack());
        op("hup", || self.on_hup());
    }

    fn input_ack(&self) {
        recording::label("bookAck");
        self.unread.add(1);
        if self.processing.lock() {
            self.task();
        }
    }

    fn on_hup(&self) {
        if self.closing.close_by(POLLER) {
            self.close_callback(true);
        }
    }

    fn close_callback(&self, need_lock: bool) {
        if !need_lock || self.processing.lock() {
            self.closes.ran("close callbacks");
        }
    }
}

fn as_published(stage: &Stage) {
    // The task has the lock.
    let c = share(Connection {
        closing: Go::new(NONE),
        processing: Go::new(1),
        unread: Go::new(0),
        closes: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    c.unread.name("unread", NUMBER);
    let (t, p) = (c.clone(), c.clone());
    let task = move || {
        recording::note("OnRequest");
        t.task();
    };
    stage.race([role("T", task), role("P", move || p.poll())]);
    let ended = c.closes.times() > 0;
    promise(
        "N5",
        !ended || c.unread.load() == 0,
        "the connection has ended, and the request that was read is never handled",
    );
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User::default());
    // What the task is busy with.
    world.peer_sends();
    let task = world.role(|w| w.event_once());
    let poller = world.role(|w| {
        op("request", || w.peer_sends());
        op("hup", || w.peer_is_gone());
        w.event_once();
        w.event_once();
    });
    stage.race([role("T", task), role("P", poller)]);
    let _ = world.end();
    promise("N5", world.handled() == 2, "a request that was read is never handled");
    promise("C2", world.close_callbacks() == 1, "the close callbacks did not run once");
}
