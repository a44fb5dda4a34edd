//! W10, stale-token: a flush is woken by the token of a flush before it, which timed out.

use loom_tests::recording;
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W10",
    name: "stale-token",
    title: "flush reports success with bytes unsent",
    story: "The socket is full. A flush waits for the poller to send the rest, and its time is up: it looks for a token \
        once more, finds none and reports a timeout. Now the poller sends the rest and puts its token into the one-slot \
        channel, where nobody waits any more. The next flush writes something, waits, finds that token and returns at \
        once with success, though its own bytes are still in the queue; a writer that trusts this closes, and they are \
        lost. Here a token belongs to one wait, and success is the total that was sent.",
    seen: "4.5 % of write timeouts; always, with a deadline that is past",
    references: &[
        "https://github.com/cloudwego/netpoll/pull/206",
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_impl.go",
    ],
    clauses: &["T2", "O4"],
    sequential: false,
    variants: &[published(as_published, breaks("T2", 0)), repaired(as_repaired)],
    source: include_str!("w10_stale_token.rs"),
};

struct Connection {
    unsent: Go,
    /// The channel `writeTrigger`, which has one slot.
    token: Go,
    wrong: Count,
}

impl Connection {
    /// The second flush: the full socket does not take its bytes, and its time is up before they are sent.
    fn flush(&self) {
        recording::label("append");
        self.unsent.add(1);
        self.wait_flush();
    }

    fn wait_flush(&self) {
        recording::label("take");
        if !self.token.cas(1, 0) {
            recording::note("flush 2 times out");
            return;
        }
        recording::note("flush 2 succeeds");
        recording::label("look");
        if self.unsent.load() > 0 {
            self.wrong.ran("its bytes are unsent");
        }
    }

    /// The poller, once the socket takes something: `outputs`, `outputAck` and `triggerWrite`.
    fn writable(&self) {
        recording::label("send all");
        self.unsent.store(0);
        recording::label("triggerWrite");
        self.token.cas(0, 1);
    }
}

fn as_published(stage: &Stage) {
    // The first flush has queued its bytes, waited, looked for the token once more, and timed out.
    let c = share(Connection { unsent: Go::new(1), token: Go::new(0), wrong: Count::default() });
    c.unsent.name("unsent", NUMBER);
    c.token.name("token", FLAG);
    let (u, p) = (c.clone(), c.clone());
    stage.race([role("U", move || u.flush()), role("P", move || p.writable())]);
    promise("T2", c.wrong.times() == 0, "a flush took the token of another and reported success with bytes unsent");
}

fn as_repaired(stage: &Stage) {
    // Both flushes are in the race here, so that the end of the first may meet its token. Neither has any time. The rig
    // reports one that succeeds before its bytes are sent.
    let world = stage.connected(User { output: true, ..User::default() });
    let user = world.role(|w| {
        let _ = w.flush_blocking(1);
        let _ = w.flush_blocking(1);
    });
    world.flusher_times_out();
    stage.race([role("U", user), role("P", world.role(|w| w.peer_takes(1)))]);
    world.peer_takes(1);
    let _ = world.end();
    promise("O4", world.all_sent(), "what a flush left behind by time was not sent");
}
