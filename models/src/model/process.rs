//! The serial section, step by step: its drain, its release, its end. Beside `core/src/protocol/process.rs`.

use pollproof::protocol::word::*;

use super::op::{Op, Rest, Then, Wake};
use super::state::kept;
use super::step::{Machine, busy, closed, closing, held, output_left, sending, unattended};

/// Whether an owner that left for `rest` must come back, going by what its release found.
fn is_over(m: &Machine<'_>, rest: Rest, found: u32) -> bool {
    if rest == Rest::Choked {
        return m.guard("process.retake-choked", found & HIGH == 0 || closed(found));
    }
    let pending = m.guard("process.retake-pending", found & PENDING != 0 && found & USER == 0);
    let closing = m.guard("process.retake-closing", closing(found));
    pending
        || match rest {
            Rest::Idle => closing || m.guard("process.retake-shutdown", found & SHUTDOWN != 0),
            Rest::Held => m.guard("process.retake-rest-over", !super::step::at_rest(found)),
            Rest::Busy => closing || m.guard("process.retake-idle-over", !busy(found)),
            Rest::Unfinished => closing,
            Rest::Kept => m.guard("process.retake-kept", closed(found) || found & NOWRITE != 0),
            Rest::Choked => false,
        }
}

/// Whether this step uses the fd.
fn uses_fd(op: &Op) -> bool {
    matches!(op, Op::Read { .. } | Op::Send { .. } | Op::EndOutput | Op::SetInterest { .. } | Op::Deregister | Op::Add)
}

impl Machine<'_> {
    pub fn process(&mut self, op: Op) -> bool {
        match op {
            Op::Start { at } => self.drain(at, false, false),
            Op::LookAndRun => {
                let found = self.set("look", 0);
                self.run(found);
            }
            Op::BeginDrain { called } => {
                let found = self.clear("begin_drain", PENDING | FRESH);
                if self.guard("process.install-handler", found & FRESH != 0) {
                    self.s.data.handler |= std::mem::take(&mut self.s.data.put);
                    (self.s.data.seen, self.s.data.told) = (0, false);
                }
                self.drain(found & !(PENDING | FRESH), called, false);
            }
            Op::LookFull { at, called, unpaced } => {
                if self.s.input_full(self.c) {
                    self.then(Op::Call { at, called, unpaced });
                } else {
                    self.then(Op::Call { at: at & !FULL, called, unpaced });
                    self.then(Op::Unfill);
                }
            }
            Op::Call { at, called, unpaced } => self.call(at, called, unpaced),
            Op::Consume { at, produced } => self.consume_input(at, produced),
            Op::Requested { at, produced, consumed } => self.requested(at, produced, consumed),
            Op::Choke { at, called } => {
                let found = self.set("choke", HIGH);
                let (mut waits, mut unpaced) = (sending(found), false);
                if self.c.paced {
                    self.s.data.other_awaited = true;
                    waits = !self.s.data.other_closed;
                    unpaced = !waits;
                }
                self.then(Op::ChokeLook { at, called, waits, unpaced });
            }
            Op::ChokeLook { at, called, waits, unpaced } => {
                if waits && self.s.output_high(self.c) {
                    self.rest_reading(at, at & FULL != 0, true, true);
                } else {
                    self.then(Op::UnchokeAndGoOn { at, called, unpaced });
                }
            }
            Op::UnchokeAndGoOn { called, unpaced, .. } => {
                let found = self.clear("unchoke", HIGH);
                self.drain(found, called, unpaced);
            }
            Op::Leave { at, choked } => self.leave_section(at, choked),
            Op::Release(rest) => {
                let found = self.clear("release", TASK);
                if is_over(self, rest, found) {
                    self.then(Op::Retake);
                }
            }
            Op::Retake => {
                if self.set("take", TASK) & TASK == 0 {
                    self.then(Op::BeginDrain { called: false });
                }
            }
            Op::TakeAndRun => {
                let found = self.set("take", TASK);
                if found & TASK == 0 {
                    self.run(found);
                }
            }
            _ => return self.end(op),
        }
        true
    }

    fn end(&mut self, op: Op) -> bool {
        match op {
            Op::GateOutputToEnd => {
                let found = self.set("gate_output", NOWRITE);
                if output_left(found) { self.release(Rest::Held) } else { self.then(Op::ClaimToEnd) }
            }
            Op::ClaimToEnd => {
                let found = self.set("claim_detach", DET);
                self.then(Op::Deregistered { held: held(found) });
                if found & DET == 0 {
                    self.then(Op::Deregister);
                }
            }
            Op::Deregistered { held } => {
                if held {
                    self.release(Rest::Held);
                } else {
                    self.then(Op::Commit);
                }
            }
            Op::Commit => {
                let found = self.set("commit", FINAL);
                self.must("C6", found & (USER | SHUTDOWN | HANDLER) != 0);
                let data = &self.s.data;
                let seen = self.s.ghost.offered == data.produced || !data.handler;
                let sent = data.queued == data.sent + data.dropped;
                self.must("N5", found & USER != 0 || seen);
                self.must("E3", closed(found) || sent);
                self.then(Op::Finish { back: found & BACK != 0 });
                self.then(Op::Seal);
                let alone = self.s.ghost.inside == [0; 4];
                self.s.ghost.inside[3] += 1;
                self.must("H4", alone);
                let unregistered = !self.s.kernel.registered;
                self.must("C4", unregistered);
                self.s.ghost.closes += 1;
                let once = self.s.ghost.closes == 1;
                self.must("C2", once);
            }
            Op::Seal => {
                self.s.ghost.sealed = true;
                self.s.ghost.callbacks[1] = self.s.ghost.callbacks[0];
                let acts = self.c.acts.close;
                self.callback(Op::Closed, acts);
            }
            Op::Closed => self.s.ghost.inside[3] -= 1,
            Op::Finish { back } => {
                let nobody = !self.s.parties.iter().flat_map(|party| party.stack.iter()).any(uses_fd);
                self.must("H3", nobody && self.s.ghost.inside == [0; 4]);
                self.use_fd();
                self.s.kernel.closed = true;
                self.s.ghost.finishes += 1;
                self.s.ghost.handed_back = back;
            }
            Op::GateInput => {
                let found = self.set("gate_input", NOREAD);
                self.then(Op::GateLook { found });
            }
            Op::GateLook { found } => {
                let whole = self.whole();
                if !closing(found) && !busy(found) && whole {
                    self.s.ghost.by_shutdown = true;
                    self.then(Op::CloseHeld(Then::Run));
                } else {
                    self.then(Op::UngateInput { whole });
                }
            }
            Op::UngateInput { whole } => {
                let found = self.clear("ungate_input", NOREAD);
                if closing(found) || found & PENDING != 0 {
                    self.drain(found, false, false);
                } else {
                    self.release(if whole { Rest::Busy } else { Rest::Unfinished });
                }
            }
            Op::CloseHeld(then) => {
                let found = self.set("close_held", USER);
                self.first_close(found, false);
                match then {
                    Then::Nothing => {}
                    Then::Leave => self.then(Op::Leave { at: kept(found | USER), choked: false }),
                    Then::Run => self.drain(found | USER, false, false),
                }
                self.wake_for_close(found, Wake::Closed);
            }
            _ => return false,
        }
        true
    }

    /// Where a drain goes on.
    pub fn drain(&mut self, at: u32, called: bool, unpaced: bool) {
        let at = kept(at);
        if at & (PENDING | FRESH) != 0 {
            self.then(Op::BeginDrain { called });
        } else if at & USER != 0 {
            self.leave_section(at, false);
        } else if at & FULL != 0 {
            self.then(Op::LookFull { at, called, unpaced });
        } else {
            self.then(Op::Call { at, called, unpaced });
        }
    }

    /// OnRequest is due: more is there than it has seen, or it was not told that nothing more will come.
    fn due(&self, last: bool) -> bool {
        let data = &self.s.data;
        let new = !self.guard("progress.same-bytes", data.produced <= data.seen);
        let untold = self.guard("progress.told-of-close", last && !data.told);
        data.produced > data.consumed && (new || untold)
    }

    /// Everything that was read was consumed.
    fn whole(&self) -> bool {
        self.s.data.produced == self.s.data.consumed
    }

    fn call(&mut self, at: u32, called: bool, unpaced: bool) {
        let (stopped, last) = (at & FULL != 0, closing(at));
        let end = last && self.c.keeps_open && !self.s.data.told;
        if !self.s.data.handler || !(self.due(last) || end) {
            let nobody = !self.s.data.handler;
            return self.rest_reading(at, stopped, nobody, false);
        }
        if !unpaced && self.s.output_high(self.c) && !closed(at) {
            return self.then(Op::Choke { at, called });
        }
        if called && self.c.passes_on {
            self.s.data.passed_on += 1;
            return;
        }
        self.must("S4", at & USER == 0);
        let inside = self.s.ghost.inside;
        self.must("S1", inside[0] == 0 && inside[1] == 0 && inside[3] == 0);
        self.must("S2", self.s.word & CONNECTING == 0);
        self.s.ghost.inside[1] += 1;
        let produced = self.s.data.produced;
        self.s.ghost.offered = produced;
        let acts = self.c.acts.request;
        self.callback(Op::Consume { at, produced }, acts);
    }

    fn consume_input(&mut self, at: u32, produced: u8) {
        if self.choice == 1 {
            self.s.ghost.inside[1] -= 1;
            return self.then(Op::CloseHeld(Then::Leave));
        }
        let data = &mut self.s.data;
        let consumed = data.consumed;
        let whole = (data.produced - consumed) / self.c.packet * self.c.packet;
        data.consumed += whole.min(self.c.per_call);
        self.s.ghost.offered = data.produced;
        self.then(Op::Requested { at, produced, consumed });
    }

    fn requested(&mut self, at: u32, produced: u8, consumed: u8) {
        self.s.ghost.inside[1] -= 1;
        let (stopped, last) = (at & FULL != 0, closing(at));
        let data = &mut self.s.data;
        data.told = last;
        data.seen = 0;
        let mut more = false;
        if data.produced > data.consumed {
            if data.consumed == consumed {
                data.seen = produced;
            }
            more = self.due(last);
        }
        if more || last {
            self.then(Op::BeginDrain { called: true });
        } else {
            self.rest_reading(at, stopped, false, false);
        }
    }

    /// The owner leaves bytes unread, or none: reading goes on, or stops at the limit.
    fn rest_reading(&mut self, at: u32, stopped: bool, nobody: bool, choked: bool) {
        let full = self.s.input_full(self.c) && nobody;
        if stopped && !full {
            self.then(Op::Leave { at: at & !FULL, choked });
            self.then(Op::Unfill);
        } else if full && !stopped {
            self.then(Op::Leave { at: at | FULL, choked });
            self.then(Op::Fill);
        } else {
            self.leave_section(at, choked);
        }
    }

    fn leave_section(&mut self, at: u32, choked: bool) {
        if choked {
            self.release(Rest::Choked);
        } else if closing(at) {
            self.settle(at);
        } else if at & SHUTDOWN == 0 {
            self.release(Rest::Idle);
        } else if self.c.keeps_open || self.guard("idle.half-packet-before", !self.whole()) {
            self.release(Rest::Unfinished);
        } else if self.guard("idle.busy-before", busy(at)) {
            self.release(Rest::Busy);
        } else {
            self.then(Op::GateInput);
        }
    }

    fn settle(&mut self, at: u32) {
        if unattended(at) {
            self.release(Rest::Held);
        } else if !closed(at) && at & NOWRITE == 0 && self.c.keeps_open {
            self.release(Rest::Kept);
        } else if !closed(at) {
            self.then(Op::GateOutputToEnd);
        } else {
            self.then(Op::ClaimToEnd);
        }
    }
}
