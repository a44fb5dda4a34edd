//! W7, lost-detach: Close() leaves the detach to a task that has looked already.

use loom_tests::recording;
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::{self, *};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W7",
    name: "lost-detach",
    title: "nobody takes the fd out of epoll",
    story: "The task has drained and seen that nobody has closed. Now a user calls Close(): it marks the connection closed, \
        fails to take `processing`, and leaves the rest to the task, which is to detach the fd as well. The task unlocks, \
        and its double check finds the close. But there the published code takes it for a hang-up, whose fd is detached \
        already: it passes needDetach = false. The close callbacks run, and nobody has taken the fd out of epoll. With \
        Detach() the fd stays open: epoll reports it with a freed registration, at first 100 % of a processor, later \
        the death of an unrelated connection. Here the DEL belongs to whoever finds its claim, DET, clear.",
    seen: "162 of 359,526 closes, 139 of 348,242 detaches, library untouched",
    references: &[
        "https://github.com/cloudwego/netpoll/pull/200",
        "https://github.com/cloudwego/netpoll/pull/249",
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go",
    ],
    clauses: &["D1"],
    sequential: false,
    variants: &[published(as_published, breaks("D1", 1)), repaired(as_repaired)],
    source: include_str!("w07_lost_detach.rs"),
};

struct Connection {
    closing: Go,
    processing: Go,
    in_epoll: Go,
    closes: Count,
}

impl Connection {
    /// The task from its last look on: its handler has returned, and nothing is left.
    fn leave(&self) {
        recording::note("OnRequest");
        recording::label("status");
        let closed_by = self.closing.load();
        if closed_by != NONE {
            self.close_callback(false, closed_by == published::USER);
            return;
        }
        self.processing.unlock();
        recording::label("double check");
        if self.closing.load() != NONE && self.processing.lock() {
            self.close_callback(false, false);
        }
    }

    fn on_close(&self) {
        if self.closing.close_by(published::USER) {
            self.close_callback(true, true);
        }
    }

    fn close_callback(&self, need_lock: bool, need_detach: bool) {
        if need_lock && !self.processing.lock() {
            return;
        }
        if need_detach {
            recording::label("EPOLL_CTL_DEL");
            self.in_epoll.store(0);
        } else {
            recording::note("needDetach is false: no DEL");
        }
        self.closes.ran("close callbacks");
    }
}

fn as_published(stage: &Stage) {
    // The task has the lock.
    let c = share(Connection {
        closing: Go::new(NONE),
        processing: Go::new(1),
        in_epoll: Go::new(1),
        closes: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    c.in_epoll.name("in epoll", FLAG);
    let (t, u) = (c.clone(), c.clone());
    stage.race([role("T", move || t.leave()), role("U", move || u.on_close())]);
    let freed = c.closes.times() > 0;
    promise("D1", !freed || c.in_epoll.load() == 0, "the connection is closed and freed, and its fd is still in epoll");
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User::default());
    stage.race([role("T", world.role(|w| w.data())), role("U", world.closer())]);
    let outcome = world.end();
    promise("D1", outcome.contains("del 1") && !world.in_epoll(), "the fd was not taken out of epoll once");
}
