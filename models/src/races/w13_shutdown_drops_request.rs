//! W13, shutdown-drops-request: a graceful shutdown closes a connection in the middle of a request.

use loom_tests::recording::{self, Shown};
use loom_tests::rig::{User, World};
use loom_tests::share;
use pollproof::protocol::effects::Ran;

use crate::published::{self, *};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W13",
    name: "shutdown-drops-request",
    title: "a graceful shutdown cuts a request off",
    story: "A server that shuts down closes every connection that is idle. Whether one is idle takes three reads, one after \
        the other: no task, nothing in the input buffer, nothing in the output buffer. Then it calls Close(). A request \
        that the poller has just taken from the socket is in none of the three, and one that it hands over after them \
        starts its handler: the first is never handled, the second finds its connection closed and its answer refused. \
        Both are lost, in a shutdown that is called graceful. Here the owner closes the gate of reading first, and the \
        value that this finds says whether a read is under way.",
    seen: "16 in 3,834 shutdowns",
    references: &[
        "https://github.com/cloudwego/netpoll/pull/382",
        "https://github.com/cloudwego/netpoll/issues/107",
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/netpoll_server.go",
    ],
    clauses: &["G2", "G1"],
    sequential: false,
    variants: &[published(as_published, breaks("G2", 1)), repaired(as_repaired)],
    source: include_str!("w13_shutdown_drops_request.rs"),
};

const EMPTY: u32 = 0;
const A_REQUEST: u32 = 1;
const DETACHED: u32 = 2;

struct Connection {
    socket: Go,
    closing: Go,
    processing: Go,
    unread: Go,
    unsent: Go,
    read: Count,
    answers: Count,
}

impl Connection {
    fn is_idle(&self) -> bool {
        self.processing.load() == 0 && self.unread.load() == 0 && self.unsent.load() == 0
    }

    /// The server's shutdown, of this connection.
    fn shut_down(&self) {
        if self.is_idle() && self.closing.close_by(published::USER) && self.processing.lock() {
            recording::label("detach");
            self.socket.store(DETACHED);
            recording::note("close callbacks");
        }
    }

    /// The poller: reads, and starts a task unless one runs.
    fn readable(&self) {
        recording::label("read");
        if self.socket.cas(A_REQUEST, EMPTY) {
            self.read.ran("a request is read");
            self.input_ack();
        }
    }

    fn input_ack(&self) {
        self.unread.add(1);
        if self.processing.lock() {
            self.on_request();
        }
    }

    /// What follows in the task, which ends the connection, changes nothing any more.
    fn on_request(&self) {
        recording::note("OnRequest");
        if self.closing.is_active() {
            self.answers.ran("the answer goes out");
        } else {
            recording::note("the answer is refused");
        }
    }
}

fn as_published(stage: &Stage) {
    let c = share(Connection {
        socket: Go::new(A_REQUEST),
        closing: Go::new(NONE),
        processing: Go::new(0),
        unread: Go::new(0),
        unsent: Go::new(0),
        read: Count::default(),
        answers: Count::default(),
    });
    c.socket.name("socket", Shown::Values(&["empty", "request", "detached"]));
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    c.unread.name("unread", NUMBER);
    c.unsent.name("unsent", NUMBER);
    let (u, p) = (c.clone(), c.clone());
    stage.race([role("U", move || u.shut_down()), role("P", move || p.readable())]);
    promise("G2", c.answers.times() == c.read.times(), "a request was read, and shutdown kept it from its answer");
}

fn answers(world: &World) -> Ran {
    promise("G2", world.flush(1).is_ok(), "OnRequest ran, and shutdown refused its answer");
    Ran::Done
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User { on_request: answers, room: 1, ..User::default() });
    stage.race([role("U", world.role(|w| w.shutdown())), role("P", world.role(|w| w.data()))]);
    let _ = world.end();
    promise("G2", world.handled() == world.segments_read(), "a request was read and never handled");
    promise("G2", world.all_sent(), "an answer was not sent");
    promise("G1", world.close_callbacks() == 1, "shutdown did not end the connection");
}
