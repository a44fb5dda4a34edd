//! N283, double-detach: poller and user both take one registration out of epoll, the later one the next connection's.

use loom_tests::recording::{self, Shown};
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::{self, *};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "N283",
    name: "double-detach",
    title: "a late detach hits the next connection",
    story: "The peer hangs up while the user calls Close(), and both detach: the poller for the hang-up that it has in its \
        list, the user for its close. To detach is to take the fd out of epoll and to mark its registration (the \
        operator) unused. The user is faster: it detaches, runs the close callbacks, frees the operator; the next \
        connection is given the same operator and marks it in use. Now the poller's detach goes on and marks it unused. \
        Every event of the new connection is dropped from there on, and epoll, being level-triggered, reports them \
        again and again: a dead connection and a busy loop. Here the DEL is done by whoever finds DET clear, and the \
        slot is freed only when nobody holds the connection.",
    seen: "told by its author in change 142; the same family was fixed again in 166, 280 and 283",
    references: &[
        "https://github.com/cloudwego/netpoll/pull/142",
        "https://github.com/cloudwego/netpoll/pull/166",
        "https://github.com/cloudwego/netpoll/pull/280",
        "https://github.com/cloudwego/netpoll/pull/283",
    ],
    clauses: &["D1", "H3"],
    sequential: false,
    variants: &[without("as before change 142", before, breaks("D1", 1)), repaired(as_repaired)],
    source: include_str!("n283_double_detach.rs"),
};

const UNUSED: u32 = 0;
const IN_USE: u32 = 1;

struct Connection {
    closing: Go,
    processing: Go,
    /// The fd is in epoll.
    registered: Go,
    /// `state` of the operator.
    operator: Go,
    closes: Count,
    redialed: Count,
}

impl Connection {
    /// `operator.Control(PollDetach)`
    fn detach(&self) {
        recording::label("EPOLL_CTL_DEL");
        self.registered.store(0);
        recording::label("unused");
        self.operator.cas(IN_USE, UNUSED);
    }

    /// The poller: epoll reports the hang-up of what is registered, and the poller detaches it after its batch. The
    /// hup goroutine, which it starts then, has no part in this story.
    fn poller(&self) {
        recording::label("epoll_wait");
        if self.registered.load() == 1 {
            self.detach();
        }
    }

    /// The user closes, and dials anew.
    fn user(&self) {
        if self.closing.close_by(published::USER) {
            self.detach();
            if self.processing.lock() {
                self.closes.ran("close callbacks; freed");
                self.redialed.ran("another connection is made");
                recording::label("inuse");
                self.operator.cas(UNUSED, IN_USE);
            }
        }
    }
}

fn before(stage: &Stage) {
    let c = share(Connection {
        closing: Go::new(NONE),
        processing: Go::new(0),
        registered: Go::new(1),
        operator: Go::new(IN_USE),
        closes: Count::default(),
        redialed: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    c.registered.name("in epoll", FLAG);
    c.operator.name("operator", Shown::Values(&["unused", "in use"]));
    let (p, u) = (c.clone(), c.clone());
    stage.race([role("P", move || p.poller()), role("U", move || u.user())]);
    let alive = c.operator.load() == IN_USE;
    promise("D1", c.redialed.times() == 0 || alive, "the old connection's detach marked the new one's operator unused");
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User::default());
    stage.race([role("P", world.role(|w| w.hup())), role("U", world.closer())]);
    let outcome = world.end();
    promise("D1", outcome.contains("del 1"), "not exactly one DEL for the ADD");
}
