//! W19, panic-outside: a panic in OnDisconnect ends the process.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use loom_tests::recording;
use loom_tests::rig::{User, panics};
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W19",
    name: "panic-outside",
    title: "a panic outside the task ends the process",
    story: "A panic in OnRequest is caught: the task recovers, and closes its connection. But OnDisconnect is called by the \
        poller's hup goroutine, and so are the close callbacks when no task runs. Nothing recovers there. One peer that \
        hangs up at the wrong moment, one nil pointer in a callback that says goodbye, and the whole process ends, with \
        every other connection in it. Here every callback is caught where it is called, whichever thread calls it, and \
        a panic closes its own connection.",
    seen: "always; no second thread is needed",
    references: &[
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_reactor.go",
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/poll_default_linux.go",
    ],
    clauses: &["P2", "P3"],
    sequential: true,
    variants: &[published(as_published, breaks("P2", 0)), repaired(as_repaired)],
    source: include_str!("w19_panic_outside.rs"),
};

/// What the user's code panics with; whatever else unwinds is the checker's.
struct UserPanic;

struct Connection {
    closing: Go,
    processing: Go,
    crashes: Count,
    closes: Count,
}

impl Connection {
    /// `go f()`: a panic that nothing in `f` recovers from ends the process.
    fn go(&self, f: impl FnOnce(&Self)) {
        let Err(payload) = catch_unwind(AssertUnwindSafe(|| f(self))) else { return };
        if !payload.is::<UserPanic>() {
            resume_unwind(payload);
        }
        self.crashes.ran("not recovered: the process ends");
    }

    fn on_hup(&self) {
        if self.closing.close_by(POLLER) {
            self.on_disconnect();
            self.close_callback();
        }
    }

    /// The user's.
    #[expect(clippy::unused_self, reason = "as published")]
    fn on_disconnect(&self) {
        recording::note("OnDisconnect panics");
        resume_unwind(Box::new(UserPanic));
    }

    fn close_callback(&self) {
        if self.processing.lock() {
            self.closes.ran("close callbacks");
        }
    }
}

fn as_published(stage: &Stage) {
    let c = share(Connection {
        closing: Go::new(NONE),
        processing: Go::new(0),
        crashes: Count::default(),
        closes: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    let h = c.clone();
    stage.race([role("H", move || h.go(Connection::on_hup))]);
    promise("P2", c.crashes.times() == 0, "a panic in OnDisconnect was caught by nobody");
    promise("P2", c.closes.times() == 1, "a panic in OnDisconnect kept the close callbacks from running");
}

fn as_repaired(stage: &Stage) {
    // The catch itself is the reactor's, around each call, and is tested on sockets. Here: what follows from it.
    let world = stage.connected(User { on_disconnect: panics, on_close: panics, callbacks: 2, ..User::default() });
    stage.race([role("H", world.role(|w| w.hup()))]);
    let _ = world.end();
    promise("P2", world.count("disconnect") == 1, "the peer hung up, and OnDisconnect did not run once");
    promise("P3", world.close_callbacks() == 2, "a panic kept a close callback from running");
}
