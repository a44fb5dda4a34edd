//! W17, starvation: a peer that never stops sending keeps its worker from everybody else.

use loom_tests::recording;
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::{self, *};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W17",
    name: "starvation",
    title: "one connection starves the others",
    story: "One worker, two connections. The drain loop of the first goes on for as long as there is something to read, and \
        its peer sends the next request while the handler works on this one: so there always is. The second connection's \
        request waits behind it, for ever. With tasks run by the poller itself, the whole loop stands still. Here a \
        drain that has used up its budget goes to the end of the queue, and its ownership of the connection with it.",
    seen: "by design: the published loop has no budget",
    references: &["https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go"],
    clauses: &["F2"],
    sequential: true,
    variants: &[published(as_published, breaks("F2", 0)), repaired(as_repaired)],
    source: include_str!("w17_starvation.rs"),
};

/// Requests of the first peer, after which the story is told; the peer itself never stops.
const ENOUGH: u32 = 2;

#[derive(Default)]
struct Other {
    waited: Count,
    requests: Count,
}

struct Connection {
    closing: Go,
    unread: Go,
    requests: Count,
    /// The one that waits behind it.
    other: Other,
}

impl Connection {
    fn worker(&self) {
        self.drain();
        self.other.requests.ran("OnRequest of the other");
    }

    /// The task's step 4.
    fn drain(&self) {
        loop {
            let closed_by = self.closing.load();
            if closed_by == published::USER || self.unread.load() == 0 {
                return;
            }
            self.on_request();
        }
    }

    fn on_request(&self) {
        self.requests.ran("OnRequest");
        if self.requests.times() > 1 && self.other.requests.times() == 0 {
            self.other.waited.ran("the other waits");
        }
        if self.requests.times() < ENOUGH {
            // It has consumed one, and the next one came meanwhile.
            recording::label("still 1");
            self.unread.store(1);
        } else {
            self.unread.store(0);
        }
    }
}

fn as_published(stage: &Stage) {
    let c = share(Connection {
        closing: Go::new(NONE),
        unread: Go::new(1),
        requests: Count::default(),
        other: Other::default(),
    });
    c.closing.name("closing", CLOSING);
    c.unread.name("unread", NUMBER);
    let t = c.clone();
    stage.race([role("T", move || t.worker())]);
    promise("F2", c.other.waited.times() == 0, "one connection had request after request while the other waited");
}

fn as_repaired(stage: &Stage) {
    // Two requests are there, and the handler takes one a call. The budget is one call.
    let world = stage.registered(User { per_call: 1, passes_on: true, ..User::default() });
    world.data();
    world.data();
    let worker = world.role(|w| {
        w.connect();
        promise("F2", w.requests() == 1, "one connection had request after request while the other waited");
        recording::note("OnRequest of the other");
        w.poll();
    });
    stage.race([role("T", worker)]);
    let _ = world.end();
    promise("F2", world.requests() == 2 && world.handled() == 2, "the section did not come back from the queue");
}
