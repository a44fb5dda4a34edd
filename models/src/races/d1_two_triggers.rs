//! D1, two-triggers: two tasks of one connection, and nothing that keeps OnRequest from running twice at once.

use loom_tests::rig::User;
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "D1",
    name: "two-triggers",
    title: "OnRequest runs twice at once",
    story: "Two events bring data for one connection, and each starts a task. Nothing keeps the second task from calling \
        OnRequest while the first is inside it: two threads parse one stream. The published answer is the `processing` \
        lock, and whoever fails to take it leaves. Here the same lock is the bit TASK.",
    seen: "named by the published document, which answers it",
    references: &["https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go"],
    clauses: &["S1"],
    sequential: false,
    variants: &[
        without("without the processing lock", without_lock, breaks("S1", 1)),
        published(as_published, Expect::Holds),
        repaired(as_repaired),
    ],
    source: include_str!("d1_two_triggers.rs"),
};

struct Connection {
    processing: Go,
    unread: Go,
    on_request: Callback,
}

impl Connection {
    fn new() -> Self {
        Self { processing: Go::new(0), unread: Go::new(2), on_request: Callback::new("OnRequest", "OnRequest ends") }
    }

    fn name(&self) {
        self.processing.name("processing", FLAG);
        self.unread.name("unread", NUMBER);
        self.on_request.name();
    }

    /// The task without its lock.
    fn task(&self) {
        if self.unread.load() > 0 {
            self.on_request.run(|| self.unread.store(0));
        }
    }

    /// The task as published.
    fn locked_task(&self) {
        if !self.processing.lock() {
            return;
        }
        self.task();
        self.processing.unlock();
    }
}

fn play(stage: &Stage, task: fn(&Connection)) {
    let c = share(Connection::new());
    c.name();
    let (one, two) = (c.clone(), c.clone());
    stage.race([role("T1", move || task(&one)), role("T2", move || task(&two))]);
    promise("S1", c.on_request.overlaps() == 0, "OnRequest began while it was running");
}

fn without_lock(stage: &Stage) {
    play(stage, Connection::task);
}

fn as_published(stage: &Stage) {
    play(stage, Connection::locked_task);
}

fn as_repaired(stage: &Stage) {
    // The rig reports OnRequest that overlaps itself.
    let world = stage.connected(User::default());
    stage.race([role("T1", world.role(|w| w.data())), role("T2", world.role(|w| w.data()))]);
    let _ = world.end();
    promise("N1", world.handled() == 2, "bytes were left unhandled");
}
