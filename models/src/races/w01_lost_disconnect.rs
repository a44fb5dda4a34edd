//! W1, lost-disconnect: OnDisconnect falls between OnConnect's last look and its unlock.

use loom_tests::rig::User;
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W1",
    name: "lost-disconnect",
    title: "OnDisconnect is lost",
    story: "The task runs OnConnect under the `connecting` lock, then looks once whether the connection is still active, \
        then unlocks. A hang-up that comes between the look and the unlock cannot take `connecting`, and leaves \
        OnDisconnect to the task. The task has looked already. Nobody runs OnDisconnect: what OnConnect set up (a \
        session, a place in a registry) is never torn down.",
    seen: "1 in about 750,000 connections, library untouched",
    references: &["https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go"],
    clauses: &["H1"],
    sequential: false,
    variants: &[published(as_published, breaks("H1", 1)), repaired(as_repaired)],
    source: include_str!("w01_lost_disconnect.rs"),
};

struct Connection {
    closing: Go,
    connecting: Go,
    state: Go,
    connects: Count,
    disconnects: Count,
}

impl Connection {
    /// The task of `onConnect`: it holds `connecting`, and `processing`, which this story does not need.
    fn on_connect(&self) {
        if !self.connecting.lock() {
            return;
        }
        if self.state.change(0, CONNECTED) {
            self.connects.ran("OnConnect");
            if !self.closing.is_active() && self.state.change(CONNECTED, DISCONNECTED) {
                self.disconnects.ran("OnDisconnect");
            }
            self.connecting.unlock();
        }
    }

    /// The poller's side of a hang-up, up to the close callbacks.
    fn on_hup(&self) {
        if self.closing.close_by(POLLER) {
            self.on_disconnect();
        }
    }

    fn on_disconnect(&self) {
        if self.state.load() != 0 && self.connecting.lock() {
            if self.state.change(CONNECTED, DISCONNECTED) {
                self.disconnects.ran("OnDisconnect");
            }
            self.connecting.unlock();
        }
        // Else OnConnect is running, or has not begun: it will do it for us.
    }
}

fn as_published(stage: &Stage) {
    let c = share(Connection {
        closing: Go::new(NONE),
        connecting: Go::new(0),
        state: Go::new(0),
        connects: Count::default(),
        disconnects: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.connecting.name("connecting", FLAG);
    c.state.name("state", STATE);
    let (t, h) = (c.clone(), c.clone());
    stage.race([role("T", move || t.on_connect()), role("H", move || h.on_hup())]);
    promise(
        "H1",
        c.disconnects.times() == c.connects.times(),
        "OnConnect ran, the peer hung up, OnDisconnect never ran",
    );
}

fn as_repaired(stage: &Stage) {
    let world = stage.registered(User::default());
    stage.race([role("T", world.role(|w| w.connect())), role("H", world.role(|w| w.hup()))]);
    let _ = world.end();
    promise("H1", world.count("disconnect") == 1, "OnConnect ran, the peer hung up, OnDisconnect never ran");
}
