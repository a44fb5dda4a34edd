//! W20, slice-reused: bytes change under their reader when another thread closes the connection.

use loom_tests::recording::{self, Shown};
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::{self, *};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W20",
    name: "slice-reused",
    title: "bytes change under their reader",
    story: "A reader calls Next() and gets a slice of the buffer's own block, without a copy. Before it has used it, another \
        thread closes the connection, which gives the block back to the pool; and the poller takes that block from the \
        pool and reads another connection's bytes into it. The reader's slice now holds a stranger's bytes: garbage, or \
        somebody's password. Go's race detector says nothing, because the pool orders it all. Here a slice owns a share \
        of its block (`buffer::block`), which is read into again when all shares are back.",
    seen: "always, when the close comes between the two",
    references: &[
        "https://github.com/cloudwego/netpoll/pull/325",
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/nocopy_linkbuffer.go",
    ],
    clauses: &["B4", "C5", "S3"],
    sequential: false,
    variants: &[published(as_published, breaks("B4", 1)), repaired(as_repaired)],
    source: include_str!("w20_slice_reused.rs"),
};

/// What the peer sent.
const ITS_OWN: u32 = 1;
/// What somebody else's peer sent.
const A_STRANGERS: u32 = 2;

struct Block {
    bytes: Go,
    /// It is in the pool.
    pooled: Go,
}

struct Connection {
    closing: Go,
    block: Block,
    changed: Count,
}

impl Connection {
    /// A reader outside handlers.
    fn read(&self) {
        recording::label("Next");
        let slice = self.block.bytes.load();
        recording::label("use");
        if self.block.bytes.load() != slice {
            self.changed.ran("it has changed");
        }
    }

    /// `Close()`, down to `closeBuffer`: no task runs, and a close callback was added.
    fn close(&self) {
        if self.closing.close_by(published::USER) {
            recording::label("closeBuffer");
            self.block.pooled.store(1);
        }
    }

    /// The poller, for another connection, which needs a block.
    fn read_into_a_block(&self) {
        recording::label("take");
        if self.block.pooled.cas(1, 0) {
            recording::label("read");
            self.block.bytes.store(A_STRANGERS);
        }
    }
}

fn as_published(stage: &Stage) {
    let c = share(Connection {
        closing: Go::new(NONE),
        block: Block { bytes: Go::new(ITS_OWN), pooled: Go::new(0) },
        changed: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.block.bytes.name("block", Shown::Values(&["none", "own", "other's"]));
    c.block.pooled.name("pooled", FLAG);
    let (r, u, p) = (c.clone(), c.clone(), c.clone());
    stage.race([role("R", move || r.read()), role("U", move || u.close()), role("P", move || p.read_into_a_block())]);
    promise("B4", c.changed.times() == 0, "the reader's slice was read into while it was kept");
}

fn as_repaired(stage: &Stage) {
    // Shares of blocks are plain reference counts over real memory, and are tested without a checker. What the protocol
    // adds: who reads owns the section, and a close that comes meanwhile is carried out when the reader has left.
    // The rig reports a reader and an end that overlap, and bytes that are not what was read.
    let world = stage.connected(User { handler: false, ..User::default() });
    world.data();
    stage.race([role("R", world.role(|w| w.read_blocking(1))), role("U", world.closer())]);
    let outcome = world.end();
    let read = outcome.contains("reader1:Ready") && world.handled() == 1;
    promise("S3", read || outcome.contains("reader1:busy"), "the reader got neither its bytes nor an error");
    promise("C5", world.close_callbacks() == 1, "the connection did not end");
}
