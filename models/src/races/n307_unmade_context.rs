//! N307, unmade-context: OnDisconnect is given the context before OnConnect has made it.

use loom_tests::recording::{self, Shown};
use loom_tests::rig::User;
use loom_tests::share;
use pollproof::sync::UnsafeCell;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "N307",
    name: "unmade-context",
    title: "OnDisconnect gets a context that is not made yet",
    story: "OnConnect returns the connection's context: the session, the user, what OnDisconnect is to tear down. The \
        state goes to Connected before OnConnect is called. A hang-up that comes while it runs finds Connected, and \
        calls OnDisconnect with the context as it was before: nothing. What OnConnect then returns is never torn down. \
        And the two threads write and read one field with nothing to order them. The answer of change 307 is the \
        `connecting` lock. Here OnDisconnect is never due before the end of OnConnect.",
    seen: "reported as a race of the context between the two callbacks; fixed by change 307",
    references: &["https://github.com/cloudwego/netpoll/pull/307"],
    clauses: &["H5", "H1"],
    sequential: false,
    variants: &[
        without("as before change 307", before, breaks("H5", 1)),
        published(before_plain, data_race("H5", 0))
            .under_loom()
            .named("memory", "as before change 307, the context in plain memory"),
        published(as_published, Expect::Holds),
        repaired(as_repaired),
    ],
    source: include_str!("n307_unmade_context.rs"),
};

const CONTEXT: Shown = Shown::Values(&["nil", "the session"]);

struct Connection {
    closing: Go,
    connecting: Go,
    state: Go,
    /// `ctx`: 0 until OnConnect has returned.
    context: Go,
    without_context: Count,
}

impl Connection {
    fn new() -> Self {
        let (closing, connecting, state, context) = (Go::new(NONE), Go::new(0), Go::new(0), Go::new(0));
        Self { closing, connecting, state, context, without_context: Count::default() }
    }

    fn name(&self) {
        self.closing.name("closing", CLOSING);
        self.connecting.name("connecting", FLAG);
        self.state.name("state", STATE);
        self.context.name("ctx", CONTEXT);
    }

    fn connect(&self) {
        self.state.change(0, CONNECTED);
        recording::label("OnConnect returns");
        self.context.store(1);
    }

    fn hup(&self) {
        if self.closing.close_by(POLLER) && self.state.change(CONNECTED, DISCONNECTED) {
            self.disconnect();
        }
    }

    fn disconnect(&self) {
        recording::label("OnDisconnect");
        if self.context.load() == 0 {
            self.without_context.ran("it has nothing to tear down");
        }
    }

    fn connect_locked(&self) {
        if self.connecting.lock() && self.state.change(0, CONNECTED) {
            recording::label("OnConnect returns");
            self.context.store(1);
            if !self.closing.is_active() && self.state.change(CONNECTED, DISCONNECTED) {
                self.disconnect();
            }
            self.connecting.unlock();
        }
    }

    fn hup_locked(&self) {
        if self.closing.close_by(POLLER) && self.state.load() != 0 && self.connecting.lock() {
            if self.state.change(CONNECTED, DISCONNECTED) {
                self.disconnect();
            }
            self.connecting.unlock();
        }
    }
}

fn play(stage: &Stage, connect: fn(&Connection), hup: fn(&Connection)) {
    let c = share(Connection::new());
    c.name();
    let (t, h) = (c.clone(), c.clone());
    stage.race([role("T", move || connect(&t)), role("H", move || hup(&h))]);
    promise("H5", c.without_context.times() == 0, "OnDisconnect ran without the context that OnConnect makes");
}

fn before(stage: &Stage) {
    play(stage, Connection::connect, Connection::hup);
}

fn as_published(stage: &Stage) {
    play(stage, Connection::connect_locked, Connection::hup_locked);
}

/// The same with the context where a port would have it.
struct Plain {
    closing: Go,
    state: Go,
    context: UnsafeCell<u32>,
}

// Safety: `context` is what this race is about; it is accessed in ways that loom sees, and never dereferenced.
unsafe impl Sync for Plain {}
// Safety: nothing here belongs to a thread.
unsafe impl Send for Plain {}

fn before_plain(stage: &Stage) {
    let c = share(Plain { closing: Go::new(NONE), state: Go::new(0), context: UnsafeCell::new(0) });
    c.closing.name("closing", CLOSING);
    c.state.name("state", STATE);
    recording::name(&c.context, "ctx", FLAG);
    let (t, h) = (c.clone(), c.clone());
    let connect = move || {
        t.state.change(0, CONNECTED);
        t.context.with_mut(|_| ());
    };
    let hup = move || {
        if h.closing.close_by(POLLER) && h.state.change(CONNECTED, DISCONNECTED) {
            h.context.with(|_| ());
        }
    };
    stage.race([role("T", connect), role("H", hup)]);
}

fn as_repaired(stage: &Stage) {
    // The rig's OnConnect writes the context into a cell that loom watches, and its OnDisconnect reads it there.
    let world = stage.registered(User::default());
    stage.race([role("T", world.role(|w| w.connect())), role("H", world.role(|w| w.hup()))]);
    let _ = world.end();
    promise("H1", world.count("disconnect") == 1, "OnConnect ran, the peer hung up, OnDisconnect never ran");
}
