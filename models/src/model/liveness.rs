//! What must happen: obligations, none of which a fair run may leave open for ever.
//!
//! An obligation is open in a state in which something is due and nobody outside may hold it up any more: that a peer
//! takes no output, or that another connection's output is high, is not the protocol's to end. "Closed leads to the
//! end" is then: from no state on does a fair run have it open for ever. What fair means is said in `lasso`.
//!
//! Not here: what must hold in each state (`properties`).

use pollproof::protocol::word::*;

use super::op::Op;
use super::properties::ended;
use super::space::Space;
use super::state::State;
use super::step::{closed, closing, held, unattended};

/// Something that must happen.
pub struct Obligation {
    /// The clause of SPEC.md.
    pub id: &'static str,
    /// The clause, and what must happen.
    pub name: &'static str,
    /// Whether it is due, and has not happened.
    pub open: fn(&Space, &State) -> bool,
}

/// The name of what no obligation says: that fair runs come to rest.
pub const REST: &str = "L1: every run comes to rest, so nobody is busy with nothing";

/// All of them.
pub const OBLIGATIONS: &[Obligation] = &[
    Obligation { id: "L1", name: "L1: a user's close leads to the end", open: |_, s| s.any(USER) && !ended(s) },
    Obligation {
        id: "L1",
        name: "L1: a hup that somebody attends to leads to the end",
        open: |_, s| s.any(PEER) && !unattended(s.word) && !ended(s),
    },
    Obligation {
        id: "E3",
        name: "E3: the end of the stream leads to the end, once the peer has taken what it is sent",
        open: |space, s| {
            let kept = space.config.keeps_open && !s.any(NOWRITE);
            s.any(EOF) && !unattended(s.word) && !kept && !stopped_by_output(s) && !ended(s)
        },
    },
    Obligation {
        id: "G1",
        name: "G1: a shutdown leads to the end, but for half a packet, and output that nobody takes",
        open: |space, s| {
            let unfinished = s.data.produced > s.data.consumed || space.config.keeps_open;
            s.any(SHUTDOWN) && !unfinished && !stopped_by_output(s) && !reader(s, |_| true) && !ended(s)
        },
    },
    Obligation {
        id: "N5",
        name: "N5: data leads to OnRequest, unless a user closes first",
        open: |space, s| {
            let (data, waits) = (&s.data, s.any(HIGH) && s.output_high(&space.config));
            let due = data.handler && data.produced > data.consumed && data.produced > data.seen;
            due && !s.any(USER) && !waits && !reader(s, |_| true)
        },
    },
    Obligation {
        id: "R1",
        name: "R1: a handler that was set is installed, unless the end comes first",
        open: |_, s| s.data.put && !s.any(USER | FINAL) && !s.any(HIGH) && !reader(s, |_| true),
    },
    Obligation {
        id: "N3",
        name: "N3: what arrives is read, unless reading has stopped at its limit",
        open: |_, s| s.kernel.registered && s.kernel.inbox > 0 && !closing(s.word) && !s.any(FULL),
    },
    Obligation {
        id: "E1",
        name: "E1: the end of the stream is seen, unless reading has stopped at its limit",
        open: |_, s| s.kernel.registered && s.kernel.eof && !closing(s.word) && !s.any(FULL),
    },
    Obligation {
        id: "E2",
        name: "E2: a hup is seen, whatever epoll was asked for",
        open: |_, s| s.kernel.registered && s.kernel.gone && !closed(s.word),
    },
    Obligation {
        id: "T4",
        name: "T4: a reader is woken when what it waits for is there, and at a close",
        open: |_, s| reader(s, |target| s.data.produced >= target || closing(s.word)),
    },
    Obligation {
        id: "T3",
        name: "T3: a flusher is woken when its bytes are sent, and when they are lost",
        open: |_, s| {
            s.parties.iter().any(|party| match party.stack.last() {
                Some(Op::SleepW { target }) => s.data.sent >= *target || closed(s.word) || !s.any(OUT | OUTPEND),
                _ => false,
            })
        },
    },
    Obligation {
        id: "O3",
        name: "O3: a parked consumer goes on when the socket takes bytes",
        open: |_, s| s.any(ARMED) && s.kernel.registered && s.kernel.room > 0 && !closed(s.word),
    },
    Obligation {
        id: "O2",
        name: "O2: announced output finds a consumer",
        open: |_, s| s.any(OUTPEND) && !s.any(ARMED) && !s.any(FINAL),
    },
    Obligation {
        id: "O5",
        name: "O5: a handler that waits for output goes on once that has drained",
        open: |space, s| s.any(HIGH) && !closed(s.word) && !s.output_high(&space.config),
    },
    Obligation {
        id: "I1",
        name: "I1: epoll's mask becomes what the word says",
        open: |_, s| {
            let wanted = (!s.any(EOF | FULL), s.any(ARMED), false);
            s.kernel.registered && !closed(s.word) && s.kernel.mask != wanted
        },
    },
    Obligation {
        id: "H3",
        name: "H3: every hold is given back, and the section unless somebody reads or the end is committed",
        open: |_, s| {
            let owned = s.any(TASK) && !s.any(FINAL) && !reader(s, |_| true);
            held(s.word) || s.any(MASKED) || owned
        },
    },
];

/// The peer does not take what it is sent, or another connection's does not.
fn stopped_by_output(s: &State) -> bool {
    !closed(s.word) && s.any(ARMED | HIGH)
}

/// A reader sleeps, and waits for such a total.
fn reader(s: &State, such: impl Fn(u8) -> bool) -> bool {
    s.parties.iter().any(|party| matches!(party.stack.last(), Some(Op::SleepR { target }) if such(*target)))
}
