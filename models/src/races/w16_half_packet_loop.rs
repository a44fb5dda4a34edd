//! W16, half-packet-loop: a handler that waits for the rest of a packet is called again and again.

use loom_tests::recording;
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::{self, *};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W16",
    name: "half-packet-loop",
    title: "half a packet is a busy loop",
    story: "The document's own example of a handler looks for the length of a packet, and returns if the packet is not \
        complete, to be called when there is more. But the drain loop asks only whether there is anything to read, and \
        there is: half a packet. It calls the handler again at once, and again, until the rest arrives. One slow client, \
        or a hostile one with a single byte, takes a worker and a processor. Here the owner remembers how much the \
        handler had seen when it consumed nothing, and calls it again for more than that.",
    seen: "always; no second thread is needed",
    references: &["https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go"],
    clauses: &["N4"],
    sequential: true,
    variants: &[published(as_published, breaks("N4", 0)), repaired(as_repaired)],
    source: include_str!("w16_half_packet_loop.rs"),
};

/// Bytes of a packet.
const PACKET: u32 = 4;
/// Calls after which the story is told; the loop itself has no end.
const ENOUGH: u32 = 3;

struct Connection {
    closing: Go,
    unread: Go,
    calls: Count,
    in_vain: Count,
}

impl Connection {
    /// The task's steps 3 and 4.
    fn drain(&self) {
        if self.unread.load() > 0 {
            self.on_request();
        }
        while self.calls.times() < ENOUGH {
            let closed_by = self.closing.load();
            if closed_by == published::USER || self.unread.load() == 0 {
                break;
            }
            self.on_request();
        }
    }

    /// The user's, as in the document.
    fn on_request(&self) {
        self.calls.ran("OnRequest");
        recording::label("peek");
        if self.unread.load() < PACKET {
            self.in_vain.ran("not a whole packet: returns");
            return;
        }
        self.unread.store(0);
    }
}

fn as_published(stage: &Stage) {
    let c = share(Connection {
        closing: Go::new(NONE),
        unread: Go::new(3),
        calls: Count::default(),
        in_vain: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.unread.name("unread", NUMBER);
    let t = c.clone();
    stage.race([role("T", move || t.drain())]);
    promise("N4", c.in_vain.times() <= 1, "OnRequest was called again and again for the same bytes");
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User { packet: 2, ..User::default() });
    stage.race([role("T", world.role(|w| w.data()))]);
    let _ = world.end();
    promise("N4", world.requests() == 1, "OnRequest was called again and again for the same bytes");
    world.data();
    let _ = world.end();
    promise("N4", world.requests() == 2 && world.handled() == 2, "the rest of the packet came, and OnRequest did not");
}
