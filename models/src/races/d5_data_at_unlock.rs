//! D5, data-at-unlock: data arrive at the instant at which the task leaves.

use loom_tests::rig::User;
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "D5",
    name: "data-at-unlock",
    title: "data are never handled",
    story: "The task finds nothing left to read and is about to unlock `processing`. Now the poller appends data and tries \
        to start a task: the lock is still taken, so it leaves the data to the task that runs. That task unlocks and \
        goes. The request lies there until the peer sends more. The published answer is the second double check. Here \
        the poller's PENDING is either in the value that the release finds, or the poller finds TASK clear.",
    seen: "named by the published document, which answers it",
    references: &["https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go"],
    clauses: &["N2", "N1"],
    sequential: false,
    variants: &[
        without("without the double check", without_check, breaks("N1", 1)),
        published(as_published, Expect::Holds),
        repaired(as_repaired),
    ],
    source: include_str!("d5_data_at_unlock.rs"),
};

struct Connection {
    processing: Go,
    unread: Go,
    requests: Count,
}

impl Connection {
    /// The task from its drain on.
    fn drain_and_leave(&self) {
        while self.unread.load() > 0 {
            self.requests.ran("OnRequest");
            self.unread.store(0);
        }
        self.processing.unlock();
    }

    fn drain_leave_and_look_again(&self) {
        loop {
            self.drain_and_leave();
            if self.unread.load() == 0 || !self.processing.lock() {
                return;
            }
        }
    }

    /// The poller: appends, and starts a task unless one runs.
    fn input_ack(&self, task: fn(&Connection)) {
        self.unread.add(1);
        if self.processing.lock() {
            task(self);
        }
    }
}

fn play(stage: &Stage, task: fn(&Connection)) {
    // The task has the lock, and its handler has returned.
    let c = share(Connection { processing: Go::new(1), unread: Go::new(0), requests: Count::default() });
    c.processing.name("processing", FLAG);
    c.unread.name("unread", NUMBER);
    let (t, p) = (c.clone(), c.clone());
    stage.race([role("T", move || task(&t)), role("P", move || p.input_ack(task))]);
    promise("N1", c.unread.load() == 0, "data arrived, and no OnRequest came for them");
}

fn without_check(stage: &Stage) {
    play(stage, Connection::drain_and_leave);
}

fn as_published(stage: &Stage) {
    play(stage, Connection::drain_leave_and_look_again);
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User::default());
    stage.race([role("T", world.role(|w| w.data())), role("P", world.role(|w| w.data()))]);
    let _ = world.end();
    promise("N1", world.handled() == 2, "data arrived, and no OnRequest came for them");
}
