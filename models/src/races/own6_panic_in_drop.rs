//! OWN6, panic-in-drop: a user's value panics as it is dropped, and the lock that it was dropped under never goes back.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use loom_tests::recording;
use pollproof::protocol::effects::{Effects as _, Sent};
use pollproof::protocol::output;
use pollproof::protocol::waits;
use pollproof::protocol::word::{FINAL, OUT};

use crate::inside::{As, Code, Conn, Home, UserPanic, panics};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "OWN6",
    name: "panic-in-drop",
    title: "a panic in the drop of what was sent keeps the output's lock",
    story: "This one was ours. A user lends bytes to the output, with an owner of their own that is dropped when they are \
        sent, and waits for that. The socket was full. A poller finds it writable: it takes the consumer's lock, sends, and \
        drops the owner at once, under that lock. The drop is a user's code, and panics. The panic unwinds through the send \
        and ends the polling thread. The lock stays taken by nobody, and nobody tells the one who waits. Whoever flushes \
        later finds a consumer at work, and leaves its bytes to it for ever; and a drop that calls its own connection would \
        meet the lock of its own thread. Now what was sent is only put aside under the lock. It is dropped when the step \
        has given back what it held, and a panic in it closes the connection.",
    seen: "always, with a drop that panics",
    references: &[],
    clauses: &["U4", "U1"],
    sequential: false,
    variants: &[without("as it was here at first", as_at_first, deadlock("U4", 0)), repaired(as_repaired)],
    source: include_str!("own6_panic_in_drop.rs"),
};

struct Lender;

impl Code for Lender {
    /// The socket is full at first.
    fn writes(&self, nth: u64) -> Sent {
        if nth == 1 { Sent::Partly } else { Sent::All }
    }

    fn drop_lent(&self) {
        panics("the drop of what was sent panics");
    }
}

/// A thread that polls: it ends by what nobody catches.
fn polling(thread: impl FnOnce()) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(thread)) else { return };
    if !payload.is::<UserPanic>() {
        resume_unwind(payload);
    }
    recording::note("the polling thread ends");
}

/// Whoever has lent it waits until it is sent.
fn wait(conn: &Conn<Lender>) {
    let waited = waits::wait_sent(conn, conn.flushed(), |trigger, ticket| {
        recording::note("waits until it is sent");
        trigger.wait(ticket)
    });
    recording::note(if waited.is_ok() { "goes on" } else { "another waits" });
}

/// Returns the connection when every thread has ended.
fn play(stage: &Stage, how: As) -> Conn<Lender> {
    let home = Home::new();
    let conn = Conn::connected("word", how, &home, true, Lender);
    // What is lent waits for the socket.
    if let Ok(through) = output::flush(&conn) {
        output::end_flush(&conn, through);
    }
    let (p, f) = (conn.another(), conn.another());
    let poll = move || {
        polling(|| {
            let _ = output::writable(&p);
        });
    };
    stage.race([role("P", poll), role("F", move || wait(&f))]);
    // The next turn of the loop.
    home.serve_what_is_there();
    conn
}

fn as_at_first(stage: &Stage) {
    let _ = play(stage, As::ItWas);
}

fn as_repaired(stage: &Stage) {
    let conn = play(stage, As::ItIs);
    let at = conn.word().look();
    promise("U4", !at.any(OUT), "what was lent is sent, and the consumer's lock has not come back");
    promise("P2", at.any(FINAL), "a drop panicked, and its connection was not closed");
}
