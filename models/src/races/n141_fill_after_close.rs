//! N141, fill-after-close: a reader fills a buffer that its connection's close has freed.

use loom_tests::recording;
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::{self, *};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "N141",
    name: "fill-after-close",
    title: "a blocked reader fills a freed buffer",
    story: "A client without handlers waits in Read(). The peer closes; the reader wakes up, finds the connection inactive but \
        the fd still open, and reads what is left in the socket straight into the input buffer. Another thread calls \
        Close(): no task runs, so it takes `processing`, runs the close callbacks and frees the buffer, with the reader \
        inside it. The reader's next step is a nil pointer and ends the process; or the block belongs to another \
        connection by then. A reader outside handlers is nobody's task and holds no lock. Here it owns the section, \
        as a handler does, and the end waits for the owner.",
    seen: "after about a minute of reading and closing together, with the reproducer of issue 140",
    references: &[
        "https://github.com/cloudwego/netpoll/issues/140",
        "https://github.com/cloudwego/netpoll/pull/141",
        "https://github.com/cloudwego/netpoll/pull/147",
    ],
    clauses: &["S3", "C4"],
    sequential: false,
    variants: &[without("as before change 141", before, breaks("S3", 1)), repaired(as_repaired)],
    source: include_str!("n141_fill_after_close.rs"),
};

struct Connection {
    closing: Go,
    processing: Go,
    /// The input buffer is there.
    buffer: Go,
    fd_closed: Go,
    dangling: Count,
}

impl Connection {
    /// The reader, after it was woken by the peer's close.
    fn wait_read(&self) {
        if self.closing.is_active() {
            return;
        }
        recording::label("still open?");
        if self.fd_closed.load() == 0 {
            self.fill();
        }
    }

    fn fill(&self) {
        self.use_buffer("book");
        recording::note("read(2) into it");
        self.use_buffer("bookAck");
    }

    fn use_buffer(&self, label: &'static str) {
        recording::label(label);
        if self.buffer.load() == 0 {
            self.dangling.ran("the buffer is gone");
        }
    }

    fn on_close(&self) {
        self.closing.force(published::USER);
        if self.processing.lock() {
            recording::label("free");
            self.buffer.store(0);
            recording::label("close(2)");
            self.fd_closed.store(1);
        }
    }
}

fn before(stage: &Stage) {
    // The peer has closed; without a handler that leaves the end to the user.
    let c = share(Connection {
        closing: Go::new(POLLER),
        processing: Go::new(0),
        buffer: Go::new(1),
        fd_closed: Go::new(0),
        dangling: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    c.buffer.name("buffer", FLAG);
    c.fd_closed.name("fd closed", FLAG);
    let (r, u) = (c.clone(), c.clone());
    stage.race([role("R", move || r.wait_read()), role("U", move || u.on_close())]);
    promise("S3", c.dangling.times() == 0, "the buffer was freed under a reader that was filling it");
}

fn as_repaired(stage: &Stage) {
    // The rig's end frees what the reader consumes; loom reports it if the two are not ordered.
    let world = stage.connected(User { handler: false, ..User::default() });
    world.peer_sends();
    stage.race([role("R", world.role(|w| w.read_blocking(1))), role("U", world.closer())]);
    let _ = world.end();
    promise("C4", world.close_callbacks() == 1, "the close callbacks did not run once");
}
