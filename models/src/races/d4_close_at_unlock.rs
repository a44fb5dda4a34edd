//! D4, close-at-unlock: the connection closes at the instant at which its task leaves.

use loom_tests::rig::User;
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "D4",
    name: "close-at-unlock",
    title: "the close callbacks never run",
    story: "The task has drained, sees that nobody has closed, and is about to unlock `processing`. Now the peer hangs up: \
        the poller marks the connection closed, fails to take the lock, and leaves the end to the task. The task \
        unlocks and goes. The close callbacks never run, and the connection leaks. The published answer is the first \
        double check: look again after the unlock. It needs sequential consistency (race M1); here the unlock is one \
        fetch_and, and its old value is the double check.",
    seen: "named by the published document; the double check was added in its change 304",
    references: &[
        "https://github.com/cloudwego/netpoll/pull/304",
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go",
    ],
    clauses: &["N2", "L1"],
    sequential: false,
    variants: &[
        without("without the double check", without_check, breaks("L1", 1)),
        published(as_published, Expect::Holds),
        repaired(as_repaired),
    ],
    source: include_str!("d4_close_at_unlock.rs"),
};

struct Connection {
    closing: Go,
    processing: Go,
    closes: Count,
}

impl Connection {
    /// The task from its last look on; it has drained. Answers whether it ended the connection.
    fn leave(&self) -> bool {
        let closed = !self.closing.is_active();
        if closed {
            self.close_callback(false);
        } else {
            self.processing.unlock();
        }
        closed
    }

    fn leave_and_look_again(&self) {
        if !self.leave() && self.closing.load() != NONE && self.processing.lock() {
            self.close_callback(false);
        }
    }

    fn on_hup(&self) {
        if self.closing.close_by(POLLER) {
            self.close_callback(true);
        }
    }

    fn close_callback(&self, need_lock: bool) {
        if !need_lock || self.processing.lock() {
            self.closes.ran("close callbacks");
        }
    }
}

fn play(stage: &Stage, task: fn(&Connection)) {
    // The task has the lock, and its handler has returned.
    let c = share(Connection { closing: Go::new(NONE), processing: Go::new(1), closes: Count::default() });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    let (t, h) = (c.clone(), c.clone());
    stage.race([role("T", move || task(&t)), role("H", move || h.on_hup())]);
    promise("L1", c.closes.times() > 0, "the peer hung up, and the close callbacks never ran");
    promise("C2", c.closes.times() == 1, "the close callbacks ran twice");
}

fn without_check(stage: &Stage) {
    play(stage, |c| {
        c.leave();
    });
}

fn as_published(stage: &Stage) {
    play(stage, Connection::leave_and_look_again);
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User::default());
    stage.race([role("T", world.role(|w| w.data())), role("H", world.role(|w| w.hup()))]);
    let _ = world.end();
    promise("L1", world.close_callbacks() == 1, "the peer hung up, and the close callbacks did not run once");
}
