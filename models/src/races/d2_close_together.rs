//! D2, close-together: the poller and the user close at the same time, and both believe to be the first.

use loom_tests::rig::User;
use loom_tests::share;

use crate::published::{self, *};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "D2",
    name: "close-together",
    title: "two closers are both the first",
    story: "The peer hangs up while the user calls Close(). Each looks whether the connection is still open and then \
        marks it closed: between look and mark the other does the same. Both take the first closer's part, and the \
        connection is torn down twice. The published answer is one compare-and-swap, closeBy: the first one wins. Here \
        it is one fetch_or, and who found no closing bit is the first.",
    seen: "named by the published document, which answers it",
    references: &["https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go"],
    clauses: &["C1", "C2"],
    sequential: false,
    variants: &[
        without("without the compare-and-swap", without_cas, breaks("C1", 1)),
        published(as_published, Expect::Holds),
        repaired(as_repaired),
    ],
    source: include_str!("d2_close_together.rs"),
};

struct Connection {
    closing: Go,
    processing: Go,
    firsts: Count,
    closes: Count,
}

/// How a closer marks the connection closed; answers whether it was the first.
type Mark = fn(&Connection, u32) -> bool;

impl Connection {
    fn look_then_store(&self, who: u32) -> bool {
        let first = self.closing.is_active();
        if first {
            self.closing.store(who);
        }
        first
    }

    fn close_by(&self, who: u32) -> bool {
        self.closing.close_by(who)
    }

    fn on_hup(&self, mark: Mark) {
        if !mark(self, POLLER) {
            return;
        }
        self.firsts.ran("first: the poller");
        self.close_callback();
    }

    fn on_close(&self, mark: Mark) {
        if mark(self, published::USER) {
            self.firsts.ran("first: the user");
        } else {
            self.closing.force(published::USER);
        }
        self.close_callback();
    }

    fn close_callback(&self) {
        if self.processing.lock() {
            self.closes.ran("close callbacks");
        }
    }
}

fn play(stage: &Stage, mark: Mark) {
    let c = share(Connection {
        closing: Go::new(NONE),
        processing: Go::new(0),
        firsts: Count::default(),
        closes: Count::default(),
    });
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    let (h, u) = (c.clone(), c.clone());
    stage.race([role("H", move || h.on_hup(mark)), role("U", move || u.on_close(mark))]);
    promise("C1", c.firsts.times() == 1, "the poller and the user were both the first to close");
    promise("C2", c.closes.times() == 1, "the close callbacks did not run once");
}

fn without_cas(stage: &Stage) {
    play(stage, Connection::look_then_store);
}

fn as_published(stage: &Stage) {
    play(stage, Connection::close_by);
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User::default());
    stage.race([role("H", world.role(|w| w.hup())), role("U", world.closer())]);
    let outcome = world.end();
    promise(
        "C1",
        (world.count("disconnect") == 0) == outcome.contains("close:First"),
        "two closers, or none, were the first",
    );
    promise("C2", world.close_callbacks() == 1, "the close callbacks did not run once");
}
