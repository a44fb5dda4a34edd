//! D3, disconnect-in-connect: OnDisconnect against an OnConnect that is still running.

use loom_tests::rig::User;
use loom_tests::{Shared, share};

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "D3",
    name: "disconnect-in-connect",
    title: "OnDisconnect runs inside OnConnect",
    story: "The peer hangs up while OnConnect is still setting the connection up. Without an answer the poller calls \
        OnDisconnect at once, which tears down what OnConnect has half built. The published answer is the `connecting` \
        lock: OnDisconnect is left to OnConnect's exit. That exit looks before it unlocks, so a hang-up between the two \
        finds the lock taken and is seen by nobody: OnDisconnect is lost (race W1). Here the end of OnConnect is one \
        fetch_and, whose old value is the look.",
    seen: "named by the published document; the answer was added in its change 307, and loses 1 in about 750,000",
    references: &[
        "https://github.com/cloudwego/netpoll/pull/307",
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go",
    ],
    clauses: &["H5", "H1"],
    sequential: false,
    variants: &[
        without("without the connecting lock", without_lock, breaks("H5", 1)),
        published(as_published, breaks("H1", 1)),
        repaired(as_repaired),
    ],
    source: include_str!("d3_disconnect_in_connect.rs"),
};

struct Connection {
    closing: Go,
    connecting: Go,
    state: Go,
    on_connect: Callback,
    disconnects: Count,
    too_early: Count,
}

impl Connection {
    fn disconnect(&self) {
        if self.on_connect.running("OnDisconnect") {
            self.too_early.ran("OnConnect is still running");
        }
        self.disconnects.ran("OnDisconnect was called");
    }

    fn connect_unlocked(&self) {
        self.state.change(0, CONNECTED);
        self.on_connect.run(|| ());
    }

    fn hup_unlocked(&self) {
        if self.closing.close_by(POLLER) && self.state.change(CONNECTED, DISCONNECTED) {
            self.disconnect();
        }
    }

    fn connect_published(&self) {
        if self.connecting.lock() && self.state.change(0, CONNECTED) {
            self.on_connect.run(|| ());
            if !self.closing.is_active() && self.state.change(CONNECTED, DISCONNECTED) {
                self.disconnect();
            }
            self.connecting.unlock();
        }
    }

    fn hup_published(&self) {
        if self.closing.close_by(POLLER) && self.state.load() != 0 && self.connecting.lock() {
            if self.state.change(CONNECTED, DISCONNECTED) {
                self.disconnect();
            }
            self.connecting.unlock();
        }
    }
}

fn play(stage: &Stage, connect: fn(&Connection), hup: fn(&Connection)) -> Shared<Connection> {
    let c = share(Connection {
        closing: Go::new(NONE),
        connecting: Go::new(0),
        state: Go::new(0),
        on_connect: Callback::new("OnConnect", "OnConnect ends"),
        disconnects: Count::default(),
        too_early: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.connecting.name("connecting", FLAG);
    c.state.name("state", STATE);
    c.on_connect.name();
    let (t, h) = (c.clone(), c.clone());
    stage.race([role("T", move || connect(&t)), role("H", move || hup(&h))]);
    promise("H5", c.too_early.times() == 0, "OnDisconnect ran while OnConnect was running");
    c
}

fn without_lock(stage: &Stage) {
    let _ = play(stage, Connection::connect_unlocked, Connection::hup_unlocked);
}

fn as_published(stage: &Stage) {
    let c = play(stage, Connection::connect_published, Connection::hup_published);
    promise("H1", c.disconnects.times() == 1, "OnConnect ran, the peer hung up, OnDisconnect never ran");
}

fn as_repaired(stage: &Stage) {
    // The rig reports OnDisconnect before or inside OnConnect.
    let world = stage.registered(User::default());
    stage.race([role("T", world.role(|w| w.connect())), role("H", world.role(|w| w.hup()))]);
    let _ = world.end();
    promise("H1", world.count("disconnect") == 1, "OnConnect ran, the peer hung up, OnDisconnect never ran");
}
