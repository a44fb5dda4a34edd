//! N165, handler-set-late: data that came before SetOnRequest are never handled.

use loom_tests::recording;
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "N165",
    name: "handler-set-late",
    title: "SetOnRequest misses what is there already",
    story: "A connection has no OnRequest yet: it was dialed, or accepted by hand. The peer sends. The poller appends, finds \
        no handler, and wakes a blocked reader, of which there is none. Then the user sets OnRequest. A task is only \
        started by data that arrive, and they have arrived already: the request lies there until the peer sends more. \
        Change 165 lets SetOnRequest look at the input. Here a handler is announced by the same bit as data are, so \
        that whoever comes second starts the task.",
    seen: "always, for data that are faster than the user",
    references: &["https://github.com/cloudwego/netpoll/pull/165"],
    clauses: &["R2", "N1"],
    sequential: true,
    variants: &[
        without("as before change 165", before, breaks("R2", 0)),
        published(as_published, Expect::Holds),
        repaired(as_repaired),
    ],
    source: include_str!("n165_handler_set_late.rs"),
};

struct Connection {
    handler: Go,
    processing: Go,
    unread: Go,
    requests: Count,
}

impl Connection {
    fn input_ack(&self) {
        recording::label("append");
        self.unread.add(1);
        self.on_request();
    }

    fn on_request(&self) {
        if self.handler.load() == 0 {
            recording::note("no handler: wake a reader");
            return;
        }
        while self.unread.load() > 0 && self.processing.lock() {
            self.requests.ran("OnRequest");
            self.unread.store(0);
            self.processing.unlock();
        }
    }

    fn set_on_request(&self) {
        recording::label("SetOnRequest");
        self.handler.store(1);
    }

    fn set_on_request_and_look(&self) {
        self.set_on_request();
        if self.unread.load() > 0 {
            self.on_request();
        }
    }
}

fn play(stage: &Stage, set_on_request: fn(&Connection)) {
    let c = share(Connection {
        handler: Go::new(0),
        processing: Go::new(0),
        unread: Go::new(0),
        requests: Count::default(),
    });
    c.handler.name("handler", FLAG);
    c.processing.name("processing", FLAG);
    c.unread.name("unread", NUMBER);
    let (p, u) = (c.clone(), c.clone());
    stage.race([role("P", move || p.input_ack()), role("U", move || set_on_request(&u))]);
    promise("R2", c.requests.times() > 0, "a handler is set, data are there, and OnRequest was never called");
}

fn before(stage: &Stage) {
    play(stage, Connection::set_on_request);
}

fn as_published(stage: &Stage) {
    play(stage, Connection::set_on_request_and_look);
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User { handler: false, sets: true, ..User::default() });
    stage.race([role("P", world.role(|w| w.data())), role("U", world.role(|w| w.set_handler(1)))]);
    let _ = world.end();
    promise("R2", world.handled() == 1, "a handler is set, data are there, and OnRequest was never called");
}
