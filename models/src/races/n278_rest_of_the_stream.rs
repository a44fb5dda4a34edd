//! N278, rest-of-the-stream: the drain stops at the peer's close, with packets left.

use loom_tests::recording;
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::{self, *};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "N278",
    name: "rest-of-the-stream",
    title: "the drain stops at the peer's close",
    story: "A peer sends two packets and closes. The handler takes one packet a call, and the task calls it again while data \
        are left and the connection is open. The hang-up is reported before the first \
        packet is done: the loop ends, the close callbacks run, and the second packet, which was read already, is \
        thrown away. Change 278 ends the loop for a \
        user's close only, and drains for the peer's. Here it is the same rule: USER stops the drain, PEER does not.",
    seen: "whenever the hang-up comes before the last packet is handled",
    references: &["https://github.com/cloudwego/netpoll/pull/278", "https://github.com/cloudwego/netpoll/issues/220"],
    clauses: &["N5", "S4"],
    sequential: false,
    variants: &[
        without("as before change 278", before, breaks("N5", 0)),
        published(as_published, Expect::Holds),
        repaired(as_repaired),
    ],
    source: include_str!("n278_rest_of_the_stream.rs"),
};

struct Connection {
    closing: Go,
    processing: Go,
    unread: Go,
    closes: Count,
}

/// Whether the drain ends although data are left.
type Stops = fn(&Connection) -> bool;

impl Connection {
    /// The task, which has the lock.
    fn task(&self, stops: Stops) {
        // At least once, since change 128 (race N128).
        self.take_one();
        while !stops(self) && self.unread.load() > 0 {
            self.take_one();
        }
        if self.closing.is_active() {
            self.processing.unlock();
            if self.closing.load() == NONE || !self.processing.lock() {
                return;
            }
        }
        self.closes.ran("close callbacks");
    }

    fn take_one(&self) {
        recording::label("OnRequest takes one");
        self.unread.add(u32::MAX);
    }

    fn on_hup(&self) {
        if self.closing.close_by(POLLER) && self.processing.lock() {
            self.closes.ran("close callbacks");
        }
    }
}

fn play(stage: &Stage, stops: Stops) {
    let c = share(Connection {
        closing: Go::new(NONE),
        processing: Go::new(1),
        unread: Go::new(2),
        closes: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    c.unread.name("unread", NUMBER);
    let (t, h) = (c.clone(), c.clone());
    stage.race([role("T", move || t.task(stops)), role("H", move || h.on_hup())]);
    promise("N5", c.unread.load() == 0, "two packets were read, and one of them was never handled");
}

fn before(stage: &Stage) {
    play(stage, |c| !c.closing.is_active());
}

fn as_published(stage: &Stage) {
    play(stage, |c| c.closing.load() == published::USER);
}

fn as_repaired(stage: &Stage) {
    // Read before OnConnect: whoever runs that owns the section from birth, and drains what is there.
    let world = stage.registered(User { per_call: 1, ..User::default() });
    world.data();
    world.data();
    stage.race([role("T", world.role(|w| w.connect())), role("H", world.role(|w| w.hup()))]);
    let _ = world.end();
    promise("N5", world.handled() == 2, "two packets were read, and one of them was never handled");
}
