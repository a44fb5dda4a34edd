//! OWN3, disconnect-in-request: OnDisconnect runs inside the OnRequest that it has to wait for.

use loom_tests::recording;
use pollproof::protocol::effects::Input;
use pollproof::protocol::lifecycle;
use pollproof::sync::{Mutex, lock};

use crate::inside::{As, Code, Conn, Home};
use crate::published::Count;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "OWN3",
    name: "disconnect-in-request",
    title: "OnDisconnect waits for the handler below it on its own stack",
    story: "This one was ours. A handler takes a lock of its user's and then waits for more bytes. It runs on the thread that \
        polls, so it reads the socket itself while it waits. What it reads is the end of the stream, and whoever reads \
        the end calls OnDisconnect. So OnDisconnect runs on the handler's own stack, inside the call that waits. It wants \
        the same lock, which the handler below it holds: a deadlock. No second thread is needed. Beside a handler, on \
        another thread, OnDisconnect would wait for a moment and go on. Now a handler that finds the end leaves OnDisconnect, \
        with the reader lock, to the home loop, and goes on.",
    seen: "always, where both callbacks take the same lock",
    references: &[],
    clauses: &["U3", "U2"],
    sequential: true,
    variants: &[without("as it was here at first", as_at_first, deadlock("U3", 0)), repaired(as_repaired)],
    source: include_str!("own3_disconnect_in_request.rs"),
};

/// A session that both callbacks lock.
#[derive(Default)]
struct Session {
    lock: Mutex<()>,
    disconnects: Count,
    closes: Count,
}

impl Code for Session {
    /// One request, and no more.
    fn reads(&self, nth: u64) -> Input {
        if nth == 1 { Input::Data } else { Input::Eof }
    }

    fn on_request(&self, conn: &Conn<Self>) {
        let _session = lock(&self.lock);
        recording::note("OnRequest locks the session");
        recording::note("it waits for more");
        let _ = lifecycle::readable(conn, false);
        recording::note("OnRequest returns");
    }

    fn on_disconnect(&self, _: &Conn<Self>) {
        recording::note("OnDisconnect locks the session");
        let _session = lock(&self.lock);
        self.disconnects.ran("OnDisconnect returns");
    }

    fn on_close(&self, _: &Conn<Self>) {
        self.closes.ran("close callbacks");
    }
}

fn play(stage: &Stage, how: As) {
    let home = Home::new();
    let conn = Conn::connected("word", how, &home, true, Session::default());
    let p = conn.another();
    let poll = move || {
        let _ = lifecycle::readable(&p, false);
        // Nobody else leads the loop: its thread looks at what was left when the handler has returned.
        home.serve_what_is_there();
    };
    stage.race([role("P", poll)]);
    promise("U3", conn.code().disconnects.times() == 1, "the stream has ended, and OnDisconnect did not run once");
    promise("C2", conn.code().closes.times() == 1, "the close callbacks did not run once");
}

fn as_at_first(stage: &Stage) {
    play(stage, As::ItWas);
}

fn as_repaired(stage: &Stage) {
    play(stage, As::ItIs);
}
