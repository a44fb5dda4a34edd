//! N128, closed-unanswered: a peer that sends and closes at once is not served.

use loom_tests::rig::User;
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "N128",
    name: "closed-unanswered",
    title: "a request is dropped because its sender has closed",
    story: "A peer sends one request and closes: a log line, a metric, a farewell. The poller appends the bytes and starts a \
        task; before the task's thread gets to run, the poller reports the hang-up too. The task's loop asks for data \
        *and* an open connection, so it goes straight to the close callbacks. The request was read from the socket, \
        and OnRequest never sees it. The change calls OnRequest at least once. Here the drain does not look at the \
        peer's close at all; only a user close stops it.",
    seen: "always when the task starts after the hang-up",
    references: &["https://github.com/cloudwego/netpoll/pull/128", "https://github.com/cloudwego/netpoll/pull/278"],
    clauses: &["N5", "S4"],
    sequential: false,
    variants: &[
        without("as before change 128", before, breaks("N5", 0)),
        published(as_published, Expect::Holds),
        repaired(as_repaired),
    ],
    source: include_str!("n128_closed_unanswered.rs"),
};

struct Connection {
    closing: Go,
    processing: Go,
    unread: Go,
    requests: Count,
    closes: Count,
}

impl Connection {
    fn handle(&self) {
        self.requests.ran("OnRequest");
        self.unread.store(0);
    }

    /// The task, which was started for the request and has the lock.
    fn task(&self) {
        while self.unread.load() > 0 && self.closing.is_active() {
            self.handle();
        }
        self.finish();
    }

    fn task_at_least_once(&self) {
        if self.unread.load() > 0 {
            self.handle();
        }
        self.task();
    }

    fn finish(&self) {
        if self.closing.is_active() {
            self.processing.unlock();
            if self.closing.load() == NONE || !self.processing.lock() {
                return;
            }
        }
        self.closes.ran("close callbacks");
    }

    fn on_hup(&self) {
        if self.closing.close_by(POLLER) && self.processing.lock() {
            self.closes.ran("close callbacks");
        }
    }
}

fn play(stage: &Stage, task: fn(&Connection)) {
    // The poller has read the request and taken the lock for the task that it has started.
    let c = share(Connection {
        closing: Go::new(NONE),
        processing: Go::new(1),
        unread: Go::new(1),
        requests: Count::default(),
        closes: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    c.unread.name("unread", NUMBER);
    let (t, h) = (c.clone(), c.clone());
    stage.race([role("T", move || task(&t)), role("H", move || h.on_hup())]);
    promise("N5", c.requests.times() > 0, "the peer sent a request and closed, and OnRequest was never called");
}

fn before(stage: &Stage) {
    play(stage, Connection::task);
}

fn as_published(stage: &Stage) {
    play(stage, Connection::task_at_least_once);
}

fn as_repaired(stage: &Stage) {
    // Read before OnConnect: whoever runs that owns the section from birth, and drains what is there.
    let world = stage.registered(User::default());
    world.data();
    stage.race([role("T", world.role(|w| w.connect())), role("H", world.role(|w| w.hup()))]);
    let _ = world.end();
    promise("N5", world.handled() == 1, "the peer sent a request and closed, and OnRequest was never called");
}
