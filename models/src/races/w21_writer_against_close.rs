//! W21, writer-against-close: a writer finds the connection open, and its buffer gone.

use loom_tests::recording::{self, Shown};
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::{self, *};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W21",
    name: "writer-against-close",
    title: "a writer finds its buffer gone",
    story: "A writer asks whether the connection is still active, and it is. Before it takes memory from the output buffer, \
        another thread calls Close(): nothing keeps that from tearing the buffers down at once, because a write outside \
        handlers holds no lock. The writer goes on with its old answer, finds no buffer, and panics on a nil pointer. \
        Here a flush takes FLUSHING with the very step that asks whether the connection is closed, and a connection does \
        not end while that is held.",
    seen: "1 in 127,000 to 870,000",
    references: &[
        "https://github.com/cloudwego/netpoll/pull/96",
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_impl.go",
    ],
    clauses: &["H3", "O1"],
    sequential: false,
    variants: &[published(as_published, breaks("H3", 1)), repaired(as_repaired)],
    source: include_str!("w21_writer_against_close.rs"),
};

const GONE: u32 = 0;
const THERE: u32 = 1;

struct Connection {
    closing: Go,
    processing: Go,
    output: Go,
    panics: Count,
}

impl Connection {
    /// `Malloc`, of the writer.
    fn malloc(&self) {
        if !self.closing.is_active() {
            recording::note("connection closed: an error");
            return;
        }
        recording::label("Malloc");
        if self.output.load() == GONE {
            self.panics.ran("nil pointer: panics");
        }
    }

    /// `Close()`, down to `closeBuffer`; a close callback was added.
    fn close(&self) {
        if self.closing.close_by(published::USER) && self.processing.lock() {
            recording::note("close callbacks");
            recording::label("closeBuffer");
            self.output.store(GONE);
        }
    }
}

fn as_published(stage: &Stage) {
    let c = share(Connection {
        closing: Go::new(NONE),
        processing: Go::new(0),
        output: Go::new(THERE),
        panics: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    c.output.name("output", Shown::Values(&["gone", "there"]));
    let (w, u) = (c.clone(), c.clone());
    stage.race([role("W", move || w.malloc()), role("U", move || u.close())]);
    promise("H3", c.panics.times() == 0, "the buffer was torn down under a writer");
}

fn as_repaired(stage: &Stage) {
    // Output is parked in epoll, so that the writer only appends, and FLUSHING is all that it holds. The rig reports an
    // end that overlaps a writer.
    let world = stage.connected(User { output: true, ..User::default() });
    let parked = world.flush(1);
    let writer = world.role(|w| {
        let taken = w.flush(1);
        w.note(if taken.is_ok() { "written" } else { "refused" });
    });
    stage.race([role("W", writer), role("U", world.closer())]);
    let _ = world.end();
    promise("O1", parked.is_ok(), "the only flush was refused");
    promise("H3", world.close_callbacks() == 1, "whoever was last did not end the connection");
}
