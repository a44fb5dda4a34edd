//! NETTY440, both-ends-close: a cousin in netty 3. Two threads close, and neither reports the disconnect.

use loom_tests::recording::{self, Shown};
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::{Count, FLAG, Go};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "NETTY440",
    name: "both-ends-close",
    title: "channelDisconnected is lost when both ends close (netty)",
    story: "In netty 3 a close first looks whether the channel is connected, then sets it closed, and whoever is the first \
        to do that reports the disconnect, if it was connected. But to set it closed is two steps: the state goes to \
        closed, then a flag is taken that says who was first. One thread sees the channel connected and sets the state, \
        but is not yet the first; a second one sees it disconnected already, and becomes the first. The first to see \
        did not win, the winner did not see: channelDisconnected is never called. The cure in the report \
        is to set the state only after winning. Here one fetch_or both wins and sees.",
    seen: "reported from the field in 2012, for both ends closing at the same time",
    references: &["https://github.com/netty/netty/issues/440"],
    clauses: &["H1", "C1"],
    sequential: false,
    variants: &[
        published(as_reported, breaks("H1", 1)).named("published", "as in netty 3"),
        published(as_cured, Expect::Holds).named("cured", "as cured in the report"),
        repaired(as_repaired),
    ],
    source: include_str!("netty440_both_ends_close.rs"),
};

const CONNECTED: u32 = 1;
const CLOSED: u32 = 2;

struct Channel {
    state: Go,
    /// The close future is done: who did it was the first.
    first: Go,
    disconnects: Count,
}

impl Channel {
    /// `close` of the worker, with one of the two ways to set the channel closed.
    fn close(&self, set_closed: fn(&Channel) -> bool) {
        recording::label("isConnected");
        let connected = self.state.load() == CONNECTED;
        if set_closed(self) && connected {
            self.disconnects.ran("channelDisconnected");
        }
    }

    fn set_state(&self) {
        self.state.store(CLOSED);
    }

    fn be_first(&self) -> bool {
        recording::label("setClosed");
        self.first.cas(0, 1)
    }

    fn state_then_first(&self) -> bool {
        self.set_state();
        self.be_first()
    }

    fn first_then_state(&self) -> bool {
        let first = self.be_first();
        if first {
            self.set_state();
        }
        first
    }
}

fn play(stage: &Stage, set_closed: fn(&Channel) -> bool) {
    let c = share(Channel { state: Go::new(CONNECTED), first: Go::new(0), disconnects: Count::default() });
    c.state.name("state", Shown::Values(&["bound", "connected", "closed"]));
    c.first.name("first", FLAG);
    let (w, u) = (c.clone(), c.clone());
    stage.race([role("W", move || w.close(set_closed)), role("U", move || u.close(set_closed))]);
    promise("H1", c.disconnects.times() > 0, "the channel was connected and is closed: channelDisconnected never came");
    promise("H1", c.disconnects.times() == 1, "channelDisconnected came twice");
}

fn as_reported(stage: &Stage) {
    play(stage, Channel::state_then_first);
}

fn as_cured(stage: &Stage) {
    play(stage, Channel::first_then_state);
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User::default());
    stage.race([role("W", world.role(|w| w.hup())), role("U", world.closer())]);
    let outcome = world.end();
    // The first close decides: the peer's is reported by OnDisconnect, the user's by what `close` returns.
    let reported = world.count("disconnect") + usize::from(outcome.contains("close:First"));
    promise("H1", reported == 1, "not exactly one of the two closes was reported as the first");
}
