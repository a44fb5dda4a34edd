//! N238, panic-keeps-open: a handler panics, and its connection is neither served nor closed any more.

use loom_tests::recording;
use loom_tests::rig::{User, panics};
use loom_tests::share;

use crate::published::{self, *};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "N238",
    name: "panic-keeps-open",
    title: "nobody closes after a handler's panic",
    story: "OnRequest panics. The task pool catches that and goes on with its next task; the rest of this one, the unlock \
        and the look at `closing`, is skipped. The lock stays taken by nobody. The client waits for its answer. When \
        it gives up and closes, the poller cannot take the lock and leaves the end to the task that runs, and none \
        does: the connection and its fd leak. No second thread is needed. Change 238 closes the connection after a \
        panic; here a panic is a user close, and the owner goes on by its rules.",
    seen: "always",
    references: &["https://github.com/cloudwego/netpoll/pull/238"],
    clauses: &["P1", "L1"],
    sequential: true,
    variants: &[
        without("as before change 238", before, breaks("P1", 0)),
        published(as_published, Expect::Holds),
        repaired(as_repaired),
    ],
    source: include_str!("n238_panic_keeps_open.rs"),
};

struct Connection {
    closing: Go,
    processing: Go,
    closes: Count,
}

impl Connection {
    /// The task up to its OnRequest, which panics: nothing of what would come after is run.
    fn task(&self) -> Result<(), ()> {
        if !self.processing.lock() {
            return Ok(());
        }
        recording::note("OnRequest panics");
        Err(())
    }

    /// The pool, which runs a task and catches its panic.
    fn pool(&self) {
        if self.task().is_err() {
            recording::note("the pool catches it");
        }
    }

    /// The pool, with a task that recovers by itself.
    fn pool_with_recovery(&self) {
        if self.task().is_err() {
            self.processing.unlock();
            if self.closing.is_active() {
                self.on_close();
            } else {
                self.close_callback(false);
            }
        }
    }

    fn on_close(&self) {
        if self.closing.close_by(published::USER) {
            self.close_callback(true);
        }
    }

    fn on_hup(&self) {
        if self.closing.close_by(POLLER) {
            self.close_callback(true);
        }
    }

    fn close_callback(&self, need_lock: bool) {
        if !need_lock || self.processing.lock() {
            self.closes.ran("close callbacks");
        }
    }
}

fn play(stage: &Stage, pool: fn(&Connection)) {
    let c = share(Connection { closing: Go::new(NONE), processing: Go::new(0), closes: Count::default() });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    let one = c.clone();
    // The reduction drops the hup: the panic alone breaks P1. The story goes on to what follows from that.
    let request_and_hup = move || {
        op("request", || pool(&one));
        op("hup", || {
            recording::note("the peer gives up");
            one.on_hup();
        });
    };
    stage.race([role("P", request_and_hup)]);
    promise("P1", c.closes.times() > 0, "OnRequest panicked, and the close callbacks never ran");
    promise("C2", c.closes.times() == 1, "the close callbacks ran twice");
}

fn before(stage: &Stage) {
    play(stage, Connection::pool);
}

fn as_published(stage: &Stage) {
    play(stage, Connection::pool_with_recovery);
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User { on_request: panics, ..User::default() });
    let request_and_hup = world.role(|w| {
        op("request", || w.data());
        op("hup", || w.hup());
    });
    stage.race([role("P", request_and_hup)]);
    let _ = world.end();
    promise("P1", world.close_callbacks() == 1, "OnRequest panicked, and the close callbacks did not run once");
}
