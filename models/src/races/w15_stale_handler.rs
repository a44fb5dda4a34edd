//! W15, stale-handler: OnConnect replaces OnRequest, and the task goes on with the old one.

use loom_tests::recording::{self, Shown};
use loom_tests::rig::{User, World};
use loom_tests::share;
use pollproof::protocol::effects::Ran;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W15",
    name: "stale-handler",
    title: "the handler that was replaced is called",
    story: "OnConnect finds out which protocol the peer speaks and sets the OnRequest for it. But the task that runs \
        OnConnect loaded OnRequest before: it was handed both when it started. It calls the old handler with bytes that \
        are for the new one, for as long as there are any: the old one cannot read them, and the task spins. If there \
        was no handler before, it calls none, and the bytes lie there for ever, because the next ones do not start a \
        task: the buffer is not empty. Here a handler that is set announces itself in the word, and the owner installs \
        it before its next call.",
    seen: "always; no second thread is needed",
    references: &[
        "https://github.com/cloudwego/netpoll/pull/165",
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go",
    ],
    clauses: &["R1", "R2"],
    sequential: true,
    variants: &[published(as_published, breaks("R1", 0)), repaired(as_repaired)],
    source: include_str!("w15_stale_handler.rs"),
};

const OLD: u32 = 1;
const NEW: u32 = 2;

struct Connection {
    handler: Go,
    unread: Go,
    calls_of_old: Count,
    calls_of_new: Count,
}

impl Connection {
    /// `onConnect`: captures OnRequest for its task, which it starts.
    fn on_connect(&self) {
        recording::label("capture");
        let captured = self.handler.load();
        self.task(captured);
    }

    /// The task up to its drain; the user's OnConnect sets another handler.
    fn task(&self, on_request: u32) {
        recording::note("OnConnect");
        self.handler.store(NEW);
        if self.unread.load() > 0 {
            match on_request {
                OLD => self.calls_of_old.ran("the old OnRequest"),
                _ => self.calls_of_new.ran("the new OnRequest"),
            }
        }
    }
}

fn as_published(stage: &Stage) {
    let c = share(Connection {
        handler: Go::new(OLD),
        unread: Go::new(1),
        calls_of_old: Count::default(),
        calls_of_new: Count::default(),
    });
    c.handler.name("OnRequest", Shown::Values(&["none", "old", "new"]));
    c.unread.name("unread", NUMBER);
    let t = c.clone();
    stage.race([role("T", move || t.on_connect())]);
    promise("R1", c.calls_of_old.times() == 0, "OnConnect had replaced OnRequest, and the old one was called");
    promise("R2", c.calls_of_new.times() == 1, "the new OnRequest was not called for what was there");
}

fn replaces(world: &World) -> Ran {
    world.set_handler(2);
    Ran::Done
}

fn as_repaired(stage: &Stage) {
    let world = stage.registered(User { sets: true, on_connect: replaces, ..User::default() });
    world.data();
    stage.race([role("T", world.role(|w| w.connect()))]);
    let _ = world.end();
    promise("R1", world.count("request") == 0, "OnConnect had replaced OnRequest, and the old one was called");
    promise("R2", world.count("request2") == 1, "the new OnRequest was not called for what was there");
}
