//! W22, half-close: a peer that shuts down its writing side and waits gets no answer.

use loom_tests::recording;
use loom_tests::rig::{User, World};
use loom_tests::share;
use pollproof::protocol::effects::Ran;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W22",
    name: "half-close",
    title: "half-close loses the answer",
    story: "A client sends its request, shuts down its writing side and waits for the answer: `printf ... | nc`, or any \
        protocol where the end of the request is the end of the stream. The server's poller gets the bytes together with \
        EPOLLRDHUP, and takes that for the end of the connection: it starts the task for the bytes, and its hup closes. \
        If the hup comes first, and it does as soon as the handler has anything to do, the answer is refused, although \
        the peer is there and reads. Here the end of the stream is a bit of its own, EOF: the drain goes on, writing \
        works, and the connection ends when it is drained and sent.",
    seen: "47 to 100 % of such requests",
    references: &["https://github.com/cloudwego/netpoll/blob/fcc5e9d/poll_default_linux.go"],
    clauses: &["E1", "E3"],
    sequential: false,
    variants: &[published(as_published, breaks("E1", 0)), repaired(as_repaired)],
    source: include_str!("w22_half_close.rs"),
};

struct Connection {
    closing: Go,
    refused: Count,
}

impl Connection {
    /// The task, which the poller has started for the request.
    fn task(&self) {
        recording::note("OnRequest");
        if self.closing.is_active() {
            recording::note("the answer goes out");
        } else {
            self.refused.ran("the answer is refused");
        }
    }

    /// For `EPOLLRDHUP` too, up to the close callbacks, which it leaves to the task.
    fn on_hup(&self) {
        self.closing.close_by(POLLER);
    }
}

fn as_published(stage: &Stage) {
    // The poller has read the request, and started a task.
    let c = share(Connection { closing: Go::new(NONE), refused: Count::default() });
    c.closing.name("closing", CLOSING);
    let (t, h) = (c.clone(), c.clone());
    stage.race([role("T", move || t.task()), role("H", move || h.on_hup())]);
    promise("E1", c.refused.times() == 0, "the peer has only shut down its writing side, and its answer was refused");
}

fn answers(world: &World) -> Ran {
    let taken = world.flush(1).is_ok();
    promise("E1", taken, "the peer has only shut down its writing side, and its answer was refused");
    Ran::Done
}

fn as_repaired(stage: &Stage) {
    // The socket is full: the answer goes out when the peer reads, which it does last.
    let world = stage.connected(User { on_request: answers, output: true, ..User::default() });
    world.peer_sends();
    stage.race([role("T", world.role(|w| w.event_once())), role("H", world.role(|w| w.eof()))]);
    promise("E3", world.close_callbacks() == 0, "the connection ended with its answer unsent");
    world.peer_takes(1);
    let _ = world.end();
    promise("E1", world.requests() == 1 && world.all_sent(), "the peer did not get its answer");
    promise("E3", world.close_callbacks() == 1, "drained and sent, and the connection did not end");
}
