//! W11, two-consumers: after a timeout, flush and poller send the same queue at the same time.

use std::sync::{Mutex, PoisonError};

use loom_tests::recording;
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W11",
    name: "two-consumers",
    title: "blocks are sent twice, and others never",
    story: "A flush times out and leaves its rest in the queue, for the poller. The user flushes again: the `flushing` lock \
        is free, because the first flush has returned, and the poller never takes it. So both take the first block of \
        the queue, both send it, and both skip one: the peer gets block 1 twice and block 2 never, and the stream is \
        garbage from there on. Here the queue has one consumer, which holds OUT, also while it is parked in epoll; a \
        flush that finds OUT set appends and leaves.",
    seen: "80 % of connections that flush again after a timeout",
    references: &[
        "https://github.com/cloudwego/netpoll/pull/206",
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_reactor.go",
    ],
    clauses: &["O2", "O4"],
    sequential: false,
    variants: &[published(as_published, breaks("O2", 1)), repaired(as_repaired)],
    source: include_str!("w11_two_consumers.rs"),
};

/// What the peer gets, block by block.
#[derive(Default)]
struct Wire(Mutex<Vec<u32>>);

impl Wire {
    fn send(&self, block: u32) {
        recording::note(format!("block {block} to the wire"));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(block);
    }

    fn got(&self) -> Vec<u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Connection {
    flushing: Go,
    /// How many blocks the consumer has done with: the head of the output buffer.
    head: Go,
    wire: Wire,
}

impl Connection {
    /// `GetBytes`, `sendmsg`, `Skip`: as often as the socket takes a block, which is once.
    fn send_one(&self) {
        recording::label("GetBytes");
        let head = self.head.load();
        self.wire.send(head + 1);
        recording::label("Skip");
        self.head.add(1);
    }

    /// The second flush: its block is the second in the queue.
    fn flush_again(&self) {
        if self.flushing.lock() {
            self.send_one();
            self.flushing.unlock();
        }
    }
}

fn as_published(stage: &Stage) {
    // The first flush has timed out, and its block is in the queue.
    let c = share(Connection { flushing: Go::new(0), head: Go::new(0), wire: Wire::default() });
    c.flushing.name("flushing", FLAG);
    c.head.name("head", NUMBER);
    let (u, p) = (c.clone(), c.clone());
    stage.race([role("U", move || u.flush_again()), role("P", move || p.send_one())]);
    promise("O2", c.wire.got() != [1, 1], "the peer got block 1 twice, and block 2 never");
}

fn as_repaired(stage: &Stage) {
    // A flush that does not wait leaves the same behind as one whose time was up. The rig reports two consumers, and
    // bytes that are sent twice.
    let world = stage.connected(User { output: true, ..User::default() });
    let first = world.flush(1);
    let user = world.role(|w| {
        let again = w.flush(1);
        promise("O4", again.is_ok(), "a flush behind one that was given up is refused");
    });
    stage.race([role("U", user), role("P", world.role(|w| w.peer_takes(2)))]);
    let _ = world.end();
    promise("O4", first.is_ok() && world.all_sent(), "what a flush left behind by time was not sent, or not once");
}
