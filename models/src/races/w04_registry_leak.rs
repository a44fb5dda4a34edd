//! W4, registry-leak: a peer hangs up while its connection is being accepted, and its registry entry stays for ever.

use loom_tests::recording::{self, Shown};
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W4",
    name: "registry-leak",
    title: "a closed connection stays in the server's registry",
    story: "The acceptor registers a new connection with epoll, sees that it is still active, adds the close callback that \
        will delete it from the server's registry, and then puts it there. A peer that hangs up in between is served by \
        the poller at once: it closes the connection and runs the close callbacks, the deleting one not yet among them. \
        The acceptor goes on and enters a dead connection, which nobody deletes. Its `processing` is held, so it never \
        counts as idle: graceful shutdown waits for it without end. Here a connection is born owned: until accept is \
        through, a hup only sets a bit.",
    seen: "1 in 450,000 connections with 4 pollers, library untouched",
    references: &[
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/netpoll_server.go",
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go",
    ],
    clauses: &["S2", "C3"],
    sequential: false,
    variants: &[published(as_published, breaks("S2", 1)), repaired(as_repaired)],
    source: include_str!("w04_registry_leak.rs"),
};

struct Connection {
    closing: Go,
    processing: Go,
    list: Go,
    registry: Go,
}

impl Connection {
    /// The server's onAccept, from where the fd is in epoll.
    fn on_accept(&self) {
        if !self.closing.is_active() {
            return;
        }
        op("add", || {
            recording::label("AddCloseCallback");
            self.list.store(1);
        });
        op("enter", || {
            recording::label("enter");
            self.registry.store(1);
        });
    }

    fn on_hup(&self) {
        if self.closing.close_by(POLLER) && self.processing.lock() {
            recording::label("run");
            if self.list.load() != 0 {
                recording::label("delete");
                self.registry.store(0);
            }
        }
    }
}

fn as_published(stage: &Stage) {
    let c =
        share(Connection { closing: Go::new(NONE), processing: Go::new(0), list: Go::new(0), registry: Go::new(0) });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    c.list.name("list", Shown::Values(&["empty", "delete"]));
    c.registry.name("registry", Shown::Values(&["absent", "entered"]));
    let (a, h) = (c.clone(), c.clone());
    stage.race([role("A", move || a.on_accept()), role("H", move || h.on_hup())]);
    promise("S2", c.registry.load() == 0, "the connection is closed for good, and its entry stays in the registry");
}

fn as_repaired(stage: &Stage) {
    let world = stage.registered(User { callbacks: 0, ..User::default() });
    let acceptor = world.role(|w| {
        op("add", || w.add_close_callback(1));
        op("enter", || {
            recording::note("enter");
            promise("S2", w.close_callbacks() == 0, "the close callbacks ran before the connection was entered");
        });
        w.connect();
    });
    stage.race([role("A", acceptor), role("H", world.role(|w| w.hup()))]);
    let _ = world.end();
    promise("C3", world.close_callbacks() == 1, "the entry was never deleted");
}
