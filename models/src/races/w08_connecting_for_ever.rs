//! W8, connecting-for-ever: OnConnect panics, and nobody unlocks what it held.

use loom_tests::recording;
use loom_tests::rig::{User, panics};
use loom_tests::share;

use crate::published::{self, *};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W8",
    name: "connecting-for-ever",
    title: "OnConnect panics, OnDisconnect never runs",
    story: "OnConnect runs under the `connecting` lock. The peer hangs up meanwhile: the poller cannot take `connecting`, and \
        leaves OnDisconnect to the end of OnConnect. But OnConnect panics. The recovery unlocks `processing` and runs the \
        close callbacks; it does not know of `connecting`, nor of what was left to it. `connecting` is held for ever, and \
        OnDisconnect never runs, for what OnConnect may have set up by half. Here the end of OnConnect is one transition \
        on every way out of it.",
    seen: "always",
    references: &[
        "https://github.com/cloudwego/netpoll/pull/307",
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go",
    ],
    clauses: &["P2", "H1"],
    sequential: false,
    variants: &[published(as_published, breaks("P2", 0)), repaired(as_repaired)],
    source: include_str!("w08_connecting_for_ever.rs"),
};

struct Connection {
    closing: Go,
    connecting: Go,
    processing: Go,
    disconnects: Count,
    closes: Count,
}

impl Connection {
    /// The task of `onConnect`, from the callback on: the deferred recovery.
    fn on_connect(&self) {
        recording::note("OnConnect");
        recording::label("panic: unlock");
        self.processing.store(0);
        if self.closing.is_active() {
            self.on_close();
        } else {
            self.close_callback(false);
        }
    }

    fn on_hup(&self) {
        if self.closing.close_by(POLLER) {
            self.on_disconnect();
            self.close_callback(true);
        }
    }

    /// Without `state`, which is Connected since OnConnect has begun.
    fn on_disconnect(&self) {
        if self.connecting.lock() {
            self.disconnects.ran("OnDisconnect");
            self.connecting.unlock();
        }
        // Else OnConnect is running: it will do it for us.
    }

    fn on_close(&self) {
        if !self.closing.close_by(published::USER) {
            self.closing.force(published::USER);
        }
        self.close_callback(true);
    }

    fn close_callback(&self, need_lock: bool) {
        if !need_lock || self.processing.lock() {
            self.closes.ran("close callbacks");
        }
    }
}

fn as_published(stage: &Stage) {
    // The task has both locks, and is in OnConnect.
    let c = share(Connection {
        closing: Go::new(NONE),
        connecting: Go::new(1),
        processing: Go::new(1),
        disconnects: Count::default(),
        closes: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.connecting.name("connecting", FLAG);
    c.processing.name("processing", FLAG);
    let (t, h) = (c.clone(), c.clone());
    stage.race([role("T", move || t.on_connect()), role("H", move || h.on_hup())]);
    let peer_was_first = c.closing.load() == POLLER;
    promise(
        "P2",
        !peer_was_first || c.disconnects.times() == 1,
        "the peer hung up, OnConnect panicked, and OnDisconnect never ran",
    );
}

fn as_repaired(stage: &Stage) {
    let world = stage.registered(User { on_connect: panics, ..User::default() });
    stage.race([role("T", world.role(|w| w.connect())), role("H", world.role(|w| w.hup()))]);
    let _ = world.end();
    promise("P2", world.count("disconnect") == 1, "OnConnect panicked, and OnDisconnect never ran");
}
