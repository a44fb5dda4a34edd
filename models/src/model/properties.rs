//! What must hold: clauses of SPEC.md as properties of the model's states.
//!
//! Three kinds. A clause that a step can break is remembered by the step (`Machine::must`) and is [`CLAUSES`]. What
//! must hold in every state as it is, and what must be the case where nobody can move any more, is [`STANDING`] and
//! [`FINALLY`]. What must happen is in `liveness`.

use pollproof::protocol::word::*;

use super::op::Op;
use super::space::Space;
use super::state::State;
use super::step::{choices, closed, closing, held, unattended};

macro_rules! clauses {
    ($($index:literal $id:literal $sentence:literal;)*) => {
        /// Clauses that steps check: id, sentence, and whether a state is free of that breach.
        pub const CLAUSES: &[Property] = &[$(Property {
            id: $id,
            name: concat!($id, ": ", $sentence),
            holds: |_, state| state.ghost.broken & (1 << $index) == 0,
        }),*];
    };
}

/// A property of single states.
pub struct Property {
    /// The clause of SPEC.md.
    pub id: &'static str,
    /// The clause, and what must hold.
    pub name: &'static str,
    /// Whether it does.
    pub holds: fn(&Space, &State) -> bool,
}

clauses! {
    0 "A1" "every transition leaves a valid state";
    1 "S1" "OnRequest never overlaps itself, OnConnect, or the close callbacks";
    2 "S2" "nothing runs before OnConnect is over";
    3 "S4" "no OnRequest begins after its owner has found a user close";
    4 "N3" "one reader of the fd at a time";
    5 "N5" "what was read reached OnRequest before the end, unless a user closed";
    6 "H1" "OnDisconnect runs at most once";
    7 "H3" "at the end nobody is about to use the fd, or in a callback";
    8 "H4" "OnDisconnect never overlaps the close callbacks, and they overlap nothing";
    9 "H5" "OnDisconnect never begins before OnConnect is over";
    10 "C1" "exactly one close is the first";
    11 "C2" "the close callbacks run once";
    12 "C4" "the DEL comes before FINAL, and TASK is never released after it";
    13 "C6" "a connection that nobody attends is not ended";
    14 "D1" "no DEL without an ADD";
    15 "D2" "the fd is not used after the end";
    16 "D3" "one detach gets the fd";
    17 "E3" "a half-closed connection ends when its output is sent";
    18 "E5" "nothing is sent behind the end of the output";
    19 "O1" "one producer of output at a time";
    20 "O2" "one consumer of output at a time";
    21 "I1" "one owner of the mask at a time";
    22 "T2" "a flush that reports success has sent its bytes";
    23 "T4" "a reader is woken as ready only when what it waits for is there";
}

/// The index of a clause in [`CLAUSES`].
pub fn clause(id: &str) -> usize {
    CLAUSES.iter().position(|clause| clause.id == id).unwrap_or_else(|| panic!("{id} is no clause of the model"))
}

/// What must hold in every state.
pub const STANDING: &[Property] = &[
    Property {
        id: "C3",
        name: "C3: at the end every accepted close callback has run, and none that came later",
        holds: |_, s| s.ghost.finishes == 0 || s.ghost.callbacks[0] == s.ghost.callbacks[1],
    },
    Property {
        id: "C5",
        name: "C5: the fd is closed or handed back once",
        holds: |_, s| s.ghost.finishes <= 1 && (s.ghost.finishes == 1) == s.kernel.closed,
    },
    Property {
        id: "H1",
        name: "H1: at the end OnDisconnect has run if it was due, and only then",
        holds: |_, s| s.ghost.finishes == 0 || s.ghost.disconnect_due == (s.ghost.disconnects == 1),
    },
    Property {
        id: "D1",
        name: "D1: at the end there was one DEL for each ADD",
        holds: |_, s| s.ghost.finishes == 0 || s.ghost.adds == s.ghost.dels,
    },
    Property {
        id: "D3",
        name: "D3: the fd is handed back if and only if a detach was told so",
        holds: |_, s| s.ghost.finishes == 0 || s.ghost.handed_back == (s.ghost.winners == 1),
    },
    Property {
        id: "G2",
        name: "G2: a shutdown ends no connection with something unhandled or unsent",
        holds: |_, s| s.ghost.finishes == 0 || !s.ghost.by_shutdown || s.data.consumed == s.data.produced,
    },
];

/// Where nobody can move: what must be the case.
pub const FINALLY: &[Property] = &[
    Property {
        id: "L1",
        name: "L1: a closed connection that somebody attends has ended",
        holds: |space, s| quiet(space, s, |s| !closing(s.word) || unattended(s.word) || kept(space, s) || ended(s)),
    },
    Property {
        id: "H3",
        name: "H3: nothing is held any more",
        holds: |space, s| {
            quiet(space, s, |s| {
                let open = !ended(s) && s.any(OUTPEND) && !s.any(ARMED);
                !held(s.word) && !s.any(WAITW | SYNC | MASKED) && !open || asleep(s)
            })
        },
    },
    Property {
        id: "N2",
        name: "N2: the section is free, and nothing that was read waits for an owner",
        holds: |space, s| quiet(space, s, |s| ended(s) || asleep(s) || !s.any(TASK) && !waits(space, s)),
    },
    Property {
        id: "T1",
        name: "T1: nobody sleeps whom something should have woken",
        holds: |space, s| {
            quiet(space, s, |s| {
                s.parties.iter().all(|party| match party.stack.last() {
                    Some(Op::SleepR { target }) => s.data.produced < *target && !closing(s.word),
                    Some(Op::SleepW { target }) => s.data.sent < *target && !closed(s.word) && s.any(ARMED),
                    _ => true,
                })
            })
        },
    },
    Property {
        id: "I1",
        name: "I1: epoll's mask is what the word says",
        holds: |space, s| {
            quiet(space, s, |s| {
                let wanted = (!s.any(EOF | FULL), s.any(ARMED), false);
                !s.kernel.registered || closed(s.word) || s.kernel.mask == wanted
            })
        },
    },
    Property {
        id: "N3",
        name: "N3: what arrived is read, unless reading has stopped",
        holds: |space, s| {
            quiet(space, s, |s| s.kernel.inbox == 0 || !s.kernel.registered || closing(s.word) || s.any(FULL))
        },
    },
    Property {
        id: "G1",
        name: "G1: a shutdown has ended the connection, but for half a packet or output that nobody takes",
        holds: |space, s| {
            quiet(space, s, |s| {
                let half = s.data.produced > s.data.consumed || space.config.keeps_open;
                !s.any(SHUTDOWN) || ended(s) || half || s.any(ARMED) || asleep(s)
            })
        },
    },
];

fn quiet(space: &Space, state: &State, holds: impl Fn(&State) -> bool) -> bool {
    let config = &space.config;
    !(0..state.parties.len()).all(|party| choices(state, config, party) == 0) || holds(state)
}

pub(super) fn ended(s: &State) -> bool {
    s.any(FINAL) && s.ghost.finishes == 1
}

/// Somebody sleeps outside handlers: T1 says whether it should.
fn asleep(s: &State) -> bool {
    s.parties.iter().any(|party| matches!(party.stack.last(), Some(Op::SleepR { .. } | Op::SleepW { .. })))
}

/// It is the user's or another connection's move, or the peer's to take output.
fn kept(space: &Space, s: &State) -> bool {
    let open = space.config.keeps_open && !closed(s.word) && !s.any(NOWRITE);
    let output = !closed(s.word) && s.any(ARMED);
    open || output || choked(s) || asleep(s)
}

fn choked(s: &State) -> bool {
    s.any(HIGH) && !closed(s.word)
}

/// OnRequest is due, and no reason is there why it is not called.
fn waits(space: &Space, s: &State) -> bool {
    let data = &s.data;
    let due = data.handler && data.produced > data.consumed && data.produced > data.seen;
    due && !(choked(s) && s.output_high(&space.config)) && !s.any(CONNECTING)
}

/// What SPEC.md's table of valid states says, restated: the rule that this word breaks.
pub fn invalid(word: u32) -> bool {
    let rule = |bits: u32, all: u32, any: u32| word & bits == 0 || word & all == all && (any == 0 || word & any != 0);
    !(rule(FINAL, TASK | DET, CLOSING)
        && rule(CONNECTING, TASK, 0)
        && rule(PEER, DET, 0)
        && rule(BACK, USER, 0)
        && rule(NOREAD, SHUTDOWN, TASK | USER)
        && rule(FRESH, HANDLER | PENDING, 0)
        && rule(HIGH, HANDLER, 0)
        && rule(ARMED, OUT, 0)
        && rule(WAITR, TASK, 0)
        && rule(WAITW, SYNC, 0)
        && rule(MASKED, READING, 0))
}
