//! One step of one party: the transition, what is remembered of it, and what its party does then.
//!
//! [`Machine`] is what the modules with the rules (`process`, `lifecycle`, `output`, `waits`, `world`) work on.
//! Not here: which party steps, and all the states that come of it (`space`).

use pollproof::protocol::word::*;

use super::config::Config;
use super::op::{Op, Rest};
use super::properties::clause;
use super::state::{State, kept};

/// A transition of the word that a step did: its name, the value that it found, the value that it left.
pub type Edge = (&'static str, u32, u32);

/// Who holds what, see [`super::state::Ghost::holders`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    Reader,
    Producer,
    Consumer,
    Mask,
}

/// A step on its way.
pub(super) struct Machine<'a> {
    pub s: &'a mut State,
    pub c: &'a Config,
    pub me: usize,
    pub choice: u8,
    pub edge: Option<Edge>,
}

/// How many ways the next step of party `me` can go: 0, it cannot be taken now or there is none.
pub fn choices(s: &State, c: &Config, me: usize) -> u8 {
    let Some(op) = s.parties[me].stack.last() else { return 0 };
    let sleeps = |slot: usize| u8::from(s.slots[slot].token.is_some()) + u8::from(c.timeouts);
    match op {
        Op::Poll | Op::PollOnce => u8::from(s.kernel.event().is_some() || s.data.passed_on > 0),
        Op::SleepR { .. } => sleeps(0),
        Op::SleepW { .. } => sleeps(1),
        Op::Register => 1 + u8::from(c.panics.prepare),
        Op::Connected => 1 + u8::from(c.panics.connect),
        Op::Consume { .. } => 1 + u8::from(c.panics.request),
        Op::Disconnected { .. } => 1 + u8::from(c.panics.disconnect),
        Op::Add => 1 + u8::from(c.add_fails),
        op if may_be_left_out(*op) => 2,
        _ => 1,
    }
}

/// Takes the next step of party `me`, the way `choice`.
pub fn step(s: &mut State, c: &Config, me: usize, choice: u8) -> Option<Edge> {
    let op = s.parties[me].stack.pop()?;
    let mut machine = Machine { s, c, me, choice, edge: None };
    if choice == 0 || !may_be_left_out(op) {
        machine.act(op);
    }
    let edge = machine.edge;
    while let Some(&op) = machine.s.parties[me].stack.last()
        && is_own(op)
    {
        machine.s.parties[me].stack.pop();
        machine.act(op);
    }
    if let Some((_, _, left)) = edge
        && super::properties::invalid(left)
    {
        machine.broken("A1");
    }
    edge
}

/// What nobody is obliged to do.
fn may_be_left_out(op: Op) -> bool {
    matches!(
        op,
        Op::PeerSends
            | Op::PeerStops
            | Op::PeerIsGone
            | Op::PeerTakes { .. }
            | Op::Close
            | Op::Detach
            | Op::Shutdown
            | Op::PutHandler
            | Op::AddCallback
            | Op::BeginFlush { .. }
            | Op::AwaitDrain
            | Op::Acquire { .. }
    )
}

/// Whether only the party itself can see this step.
fn is_own(op: Op) -> bool {
    matches!(
        op,
        Op::Leave { .. }
            | Op::Deregistered { .. }
            | Op::AfterRead { .. }
            | Op::AfterClose { .. }
            | Op::Through { .. }
            | Op::GoOn { .. }
            | Op::GoOnLater
    )
}

impl Machine<'_> {
    fn act(&mut self, op: Op) {
        let known = self.process(op) || self.lifecycle(op) || self.output(op) || self.waits(op) || self.world(op);
        debug_assert!(known, "no rule for {op:?}");
    }

    pub fn then(&mut self, op: Op) {
        self.s.parties[self.me].stack.push(op);
    }

    /// What user code does inside a callback, before `end`.
    pub fn callback(&mut self, end: Op, acts: &[Op]) {
        self.then(end);
        acts.iter().rev().for_each(|&act| self.then(act));
    }

    /// A transition that sets bits.
    pub fn set(&mut self, name: &'static str, bits: u32) -> u32 {
        let found = self.s.word;
        self.s.word |= bits;
        self.edge = Some((name, found, self.s.word));
        found
    }

    /// A transition that clears bits.
    pub fn clear(&mut self, name: &'static str, bits: u32) -> u32 {
        let found = self.s.word;
        self.s.word &= !bits;
        self.edge = Some((name, found, self.s.word));
        if bits & TASK != 0 && found & FINAL != 0 {
            self.broken("C4");
        }
        found
    }

    /// A condition that the protocol rests on, as `pollproof::mutation::guard`: false where it is left out.
    pub fn guard(&self, name: &'static str, condition: bool) -> bool {
        condition && self.c.without != Some(name)
    }

    pub fn broken(&mut self, id: &str) {
        self.s.ghost.broken |= 1 << clause(id);
    }

    pub fn must(&mut self, id: &str, holds: bool) {
        if !holds {
            self.broken(id);
        }
    }

    pub fn enter(&mut self, role: Role) {
        let holders = &mut self.s.ghost.holders[role as usize];
        *holders += 1;
        let alone = *holders == 1;
        self.must(["N3", "O1", "O2", "I1"][role as usize], alone);
    }

    pub fn exit(&mut self, role: Role) {
        self.s.ghost.holders[role as usize] -= 1;
    }

    /// A use of the fd.
    pub fn use_fd(&mut self) {
        let open = !self.s.kernel.closed;
        self.must("D2", open);
    }

    /// Runs the section, which the party owns: at once, or by a task that is free.
    pub fn run(&mut self, at: u32) {
        let free = |party: usize| self.c.parties[party].is_task && self.s.parties[party].stack.is_empty();
        match (0..self.c.parties.len()).find(|&party| free(party)) {
            Some(task) => self.s.parties[task].stack.push(Op::Start { at: kept(at) }),
            None => self.drain(at, false, false),
        }
    }

    /// A hold is over, and `found` is what its release found: the last one out ends the connection.
    pub fn leave(&mut self, found: u32, bit: u32) {
        if found & TASK != 0 {
            return;
        }
        let now = found & !bit;
        let end = if closing(now) {
            self.guard("leave.last-one-out", !at_rest(now))
        } else {
            self.guard("leave.shutdown", now & SHUTDOWN != 0 && !busy(now))
        };
        if end {
            self.then(Op::TakeAndRun);
        }
    }

    pub fn release(&mut self, rest: Rest) {
        self.then(Op::Release(rest));
    }
}

/// The end may have been committed by now.
pub(super) fn ending(word: u32) -> bool {
    closed(word) || closing(word) && word & DET != 0
}

/// Closed by anyone, or half-closed.
pub(super) fn closing(word: u32) -> bool {
    word & CLOSING != 0
}

/// Closed in both directions.
pub(super) fn closed(word: u32) -> bool {
    word & (USER | PEER) != 0
}

/// Nobody is there who would end it.
pub(super) fn unattended(word: u32) -> bool {
    word & (PEER | EOF) != 0 && word & (USER | SHUTDOWN | HANDLER) == 0
}

/// Output is on its way.
pub(super) fn sending(word: u32) -> bool {
    word & (OUT | FLUSHING | OUTPEND) != 0
}

/// Half-closed, and output is on its way.
pub(super) fn output_left(word: u32) -> bool {
    !closed(word) && sending(word)
}

/// Somebody uses the fd, the buffers or the callbacks.
pub(super) fn held(word: u32) -> bool {
    word & (READING | MOD | FLUSHING) != 0 || word & (OUT | ARMED) == OUT
}

/// A closing connection that somebody else must move.
pub(super) fn at_rest(word: u32) -> bool {
    unattended(word) || held(word) || output_left(word)
}

/// A request is being read, or its answer sent.
pub(super) fn busy(word: u32) -> bool {
    word & READING != 0 || sending(word)
}
