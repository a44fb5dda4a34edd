//! W9, panic-in-close-callback: one close callback panics, and the list runs from its head again.

use loom_tests::recording;
use loom_tests::rig::{User, panics};
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W9",
    name: "panic-in-close-callback",
    title: "a close callback panics, and the fd leaks",
    story: "The task of a closed connection runs the close callbacks, newest first; the last one, which every connection \
        has, closes the fd. One in the middle panics. The task's recovery takes that for a panic of the handler and runs \
        the list, from its head again: the newer callbacks run a second time, the same one panics again, and this time \
        nobody recovers it but the pool. The older ones and the closing of the fd never run. If it is the poller that \
        runs the list, the process ends. Here each callback is caught on its own, and the list goes on.",
    seen: "always",
    references: &["https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go"],
    clauses: &["P3", "C2"],
    sequential: true,
    variants: &[published(as_published, breaks("P3", 0)), repaired(as_repaired)],
    source: include_str!("w09_panic_in_close_callback.rs"),
};

/// A panic that unwinds.
struct Panicked;

struct Connection {
    closing: Go,
    processing: Go,
    fd_open: Go,
    newest: Count,
    middle: Count,
}

impl Connection {
    /// The task from its last look on, with its deferred recovery.
    fn task(&self) {
        if self.leave().is_err() {
            self.processing.unlock();
            if !self.closing.is_active() {
                // What panics here leaves the task; the pool that runs it catches and logs it.
                let _ = self.close_callback();
            }
        }
    }

    fn leave(&self) -> Result<(), Panicked> {
        recording::label("status");
        if self.closing.load() != NONE { self.close_callback() } else { Ok(()) }
    }

    fn close_callback(&self) -> Result<(), Panicked> {
        self.newest.ran("newest callback");
        self.middle.ran("the next one panics");
        if self.middle.times() > 0 {
            return Err(Panicked);
        }
        recording::label("close(fd)");
        self.fd_open.store(0);
        Ok(())
    }
}

fn as_published(stage: &Stage) {
    // The poller has seen the hup, and left the end to the task, whose handler has returned.
    let c = share(Connection {
        closing: Go::new(POLLER),
        processing: Go::new(1),
        fd_open: Go::new(1),
        newest: Count::default(),
        middle: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    c.fd_open.name("fd open", FLAG);
    let t = c.clone();
    stage.race([role("T", move || t.task())]);
    promise(
        "P3",
        c.newest.times() == 1 && c.fd_open.load() == 0,
        "the newest close callback ran twice, and the fd is never closed",
    );
}

fn as_repaired(stage: &Stage) {
    // The newest of three panics.
    let world = stage.connected(User { callbacks: 3, on_close: panics, ..User::default() });
    stage.race([role("T", world.role(|w| w.hup()))]);
    // The rig reports callbacks that run twice, and an fd that is not closed.
    let _ = world.end();
    promise("P3", world.close_callbacks() == 3, "a close callback panicked, and others did not run");
}
