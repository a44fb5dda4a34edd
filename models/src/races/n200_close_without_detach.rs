//! N200, close-without-detach: the user closes, and the registration stays in epoll.

use loom_tests::recording;
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::{self, *};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "N200",
    name: "close-without-detach",
    title: "a user close leaves the fd in epoll",
    story: "Change 166 stopped the user's close from detaching, because that raced with the poller's own detach (race \
        N283): the poller alone was to do it. But the poller detaches at a hang-up, and a user's close causes none. So \
        nobody detaches. The operator is freed and may be given to another connection while epoll still has the old fd \
        with it, until the fd is closed, or for good if it was duplicated: what is reported for the one is taken for \
        the other. No second thread is needed. Change 200 put the detach \
        back; the lesson is that the DEL needs a claim, not an owner who may never come.",
    seen: "always, between changes 166 and 200",
    references: &["https://github.com/cloudwego/netpoll/pull/200", "https://github.com/cloudwego/netpoll/pull/166"],
    clauses: &["D1", "C4"],
    sequential: true,
    variants: &[
        without("as between changes 166 and 200", before, breaks("D1", 0)),
        published(as_published, Expect::Holds),
        repaired(as_repaired),
    ],
    source: include_str!("n200_close_without_detach.rs"),
};

struct Connection {
    closing: Go,
    processing: Go,
    /// The fd is in epoll.
    registered: Go,
    freed_while_registered: Count,
}

impl Connection {
    fn on_close(&self, need_detach: bool) {
        if self.closing.close_by(published::USER) {
            self.close_callback(need_detach);
        }
    }

    fn close_callback(&self, need_detach: bool) {
        if !self.processing.lock() {
            return;
        }
        if need_detach {
            recording::label("EPOLL_CTL_DEL");
            self.registered.store(0);
        }
        recording::label("free the operator");
        if self.registered.load() == 1 {
            self.freed_while_registered.ran("epoll still has it");
        }
    }
}

fn play(stage: &Stage, need_detach: bool) {
    let c = share(Connection {
        closing: Go::new(NONE),
        processing: Go::new(0),
        registered: Go::new(1),
        freed_while_registered: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    c.registered.name("in epoll", FLAG);
    let u = c.clone();
    stage.race([role("U", move || u.on_close(need_detach))]);
    promise("D1", c.freed_while_registered.times() == 0, "the operator was freed, and its fd is still in epoll");
}

fn before(stage: &Stage) {
    play(stage, false);
}

fn as_published(stage: &Stage) {
    play(stage, true);
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User::default());
    stage.race([role("U", world.closer())]);
    let outcome = world.end();
    promise("D1", outcome.contains("del 1") && !world.in_epoll(), "the fd is still in epoll");
}
