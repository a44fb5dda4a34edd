//! N304, answered-and-closed: the missing first double check, as the library met it.

use loom_tests::recording;
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "N304",
    name: "answered-and-closed",
    title: "a short connection leaks after its answer",
    story: "A client sends a request, reads the answer and closes: a short connection. The answer is sent from inside \
        OnRequest, so the client may read it and be gone while the task is still on its way out, with the lock taken. \
        The poller sees the hang-up, fails to take the lock and leaves the end to the task. The task had looked whether \
        the connection was closed just before; it unlocks and goes. The connection is never torn down. The answer of \
        change 304 is to look once more after the unlock (race D4 tells it alone).",
    seen: "in production, mainly Unix sockets with short connections: over TCP the close takes longer to arrive",
    references: &["https://github.com/cloudwego/netpoll/pull/304"],
    clauses: &["L1", "N2"],
    sequential: false,
    variants: &[
        without("as before change 304", before, breaks("L1", 1)),
        published(as_published, Expect::Holds),
        repaired(as_repaired),
    ],
    source: include_str!("n304_answered_and_closed.rs"),
};

struct Connection {
    closing: Go,
    processing: Go,
    answer: Go,
    closes: Count,
}

impl Connection {
    /// The task, whose OnRequest answers; then its way out.
    fn task(&self) -> bool {
        recording::label("OnRequest: write");
        self.answer.store(1);
        let closed = !self.closing.is_active();
        if closed {
            self.close_callback(false);
        } else {
            self.processing.unlock();
        }
        closed
    }

    fn task_that_looks_again(&self) {
        if !self.task() && self.closing.load() != NONE && self.processing.lock() {
            self.close_callback(false);
        }
    }

    /// The client closes when it has its answer, and the poller reports that.
    fn client_and_hup(&self) {
        recording::label("the client reads");
        if self.answer.load() == 1 && self.closing.close_by(POLLER) {
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
    let c = share(Connection {
        closing: Go::new(NONE),
        processing: Go::new(1),
        answer: Go::new(0),
        closes: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    c.answer.name("answer", FLAG);
    let (t, h) = (c.clone(), c.clone());
    stage.race([role("T", move || task(&t)), role("H", move || h.client_and_hup())]);
    let closed = c.closing.load() != NONE;
    promise("L1", !closed || c.closes.times() > 0, "the client closed, and the close callbacks never ran");
    promise("C2", c.closes.times() <= 1, "the close callbacks ran twice");
}

fn before(stage: &Stage) {
    play(stage, |c| {
        c.task();
    });
}

fn as_published(stage: &Stage) {
    play(stage, Connection::task_that_looks_again);
}

fn as_repaired(stage: &Stage) {
    // Read before OnConnect: whoever runs that owns the section from birth, and drains what is there.
    // The peer hangs up whether or not it has its answer: more orders than the story needs.
    let world = stage.registered(User::default());
    world.data();
    stage.race([role("T", world.role(|w| w.connect())), role("H", world.role(|w| w.hup()))]);
    let _ = world.end();
    promise("L1", world.close_callbacks() == 1, "the client closed, and the close callbacks did not run once");
}
