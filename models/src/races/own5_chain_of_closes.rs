//! OWN5, chain-of-closes: each close callback closes the next connection, and all of them stand on one stack.

use loom_tests::{Shared, share};
use pollproof::protocol::lifecycle;

use crate::inside::{As, Code, Conn, Home};
use crate::published::Count;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "OWN5",
    name: "chain-of-closes",
    title: "a chain of close callbacks overflows the stack",
    story: "This one was ours. The close callback of a connection closes the next one: a proxy its upstream, a room its \
        members. Nobody owned the section of the next, so the close took it and ran it at once: its end, and in it its \
        close callback, which closes the one after that. Each call stands on the one before. With some thousand \
        connections in the chain the stack is full, and the process ends. No second thread is needed. Here three \
        connections are closed on a stack that has room for two callbacks. Now a section that falls due inside user code \
        is left to its home loop, so that one callback is on a stack, however long the chain.",
    seen: "always, with a chain that is long enough",
    references: &[],
    clauses: &["U2"],
    sequential: true,
    variants: &[without("as it was here at first", as_at_first, breaks("U2", 0)), repaired(as_repaired)],
    source: include_str!("own5_chain_of_closes.rs"),
};

/// How many callbacks a stack has room for.
const ROOM: u32 = 2;
const NAMES: [&str; 3] = ["first", "second", "third"];

struct Member {
    next: Option<Conn<Member>>,
    closes: Shared<Count>,
}

impl Code for Member {
    fn on_close(&self, conn: &Conn<Self>) {
        let depth = conn.frames();
        self.closes.ran(match depth {
            1 => "close callback, alone on its stack",
            2 => "close callback, inside another",
            _ => "close callback: the stack is full",
        });
        promise("U2", depth <= ROOM, "the close callback of the third has no room on the stack");
        if let Some(next) = &self.next {
            let _ = lifecycle::close(&next.beside(conn));
        }
    }
}

fn play(stage: &Stage, how: As) {
    let (home, closes) = (Home::new(), share(Count::default()));
    let mut first = None;
    for name in NAMES.into_iter().rev() {
        let member = Member { next: first, closes: closes.clone() };
        first = Some(Conn::connected(name, how, &home, true, member));
    }
    let first = first.expect("there are three");
    let close = move || {
        let _ = lifecycle::close(&first);
    };
    let mut roles = vec![role("U", close)];
    if how == As::ItIs {
        let h = home.clone();
        roles.push(role("H", move || h.serve(2)));
    }
    stage.race(roles);
    home.serve_what_is_there();
    promise("C2", closes.times() == 3, "three connections were closed, and not each called its callback");
}

fn as_at_first(stage: &Stage) {
    play(stage, As::ItWas);
}

fn as_repaired(stage: &Stage) {
    play(stage, As::ItIs);
}
