//! Output and epoll's interest mask, step by step. Beside `core/src/protocol/{output,interest}.rs`.

use pollproof::protocol::word::*;

use super::op::{Flush, Op, Wake};
use super::step::{Machine, Role, closed, ending};

impl Machine<'_> {
    pub fn output(&mut self, op: Op) -> bool {
        match op {
            Op::BeginFlush { bytes, kind } => self.begin_flush(bytes, kind),
            Op::Append { bytes } => {
                self.s.data.queued += bytes;
                self.then(Op::AnnounceOutput);
            }
            Op::AnnounceOutput => {
                if self.set("announce_output", OUT | OUTPEND) & OUT == 0 {
                    self.enter(Role::Consumer);
                    self.then(Op::BeginSend { armed: false, lost: false });
                }
            }
            Op::GateOutputToRefuse { mine } => {
                let _ = self.set("gate_output", NOWRITE);
                self.then(if mine { Op::BeginSend { armed: false, lost: false } } else { Op::AnnounceOutput });
            }
            Op::BeginSend { armed, lost } => {
                let ends = self.clear("begin_send", OUTPEND) & NOWRITE != 0;
                self.then(Op::Send { bytes: 0, armed, lost, ends });
            }
            Op::Send { bytes, armed, lost, ends } => {
                self.use_fd();
                self.s.data.queued += bytes;
                let (data, kernel) = (&mut self.s.data, &mut self.s.kernel);
                let left = data.queued - data.sent - data.dropped;
                if kernel.gone {
                    self.then(Op::GateOutputLost);
                    return true;
                }
                let took = left.min(kernel.room);
                kernel.room -= took;
                kernel.taken += took;
                data.sent += took;
                let behind_the_end = kernel.ended && left > 0;
                self.must("E5", !behind_the_end);
                if took < left {
                    self.then(Op::Park);
                } else {
                    self.then(Op::EndSend { lost, only: false });
                    if armed {
                        self.then(Op::WantInterest);
                    }
                    if ends && self.c.ends {
                        self.then(Op::EndOutput);
                    }
                }
            }
            Op::EndOutput => {
                self.use_fd();
                self.s.kernel.ended = true;
            }
            Op::Park => self.park(),
            Op::GateOutputLost => {
                let _ = self.set("gate_output", NOWRITE);
                self.s.data.dropped = self.s.data.queued - self.s.data.sent;
                self.then(Op::EndSend { lost: true, only: false });
            }
            Op::EndSend { lost, only } => {
                let found = self.clear("end_send", OUT);
                self.exit(Role::Consumer);
                let wakes = !only && found & WAITW != 0;
                if !only && self.guard("output.retake", found & OUTPEND != 0) {
                    self.then(Op::RetakeSend { lost });
                } else {
                    self.sent(found);
                }
                if wakes {
                    self.then(Op::WakeW { reached: !lost, wake: if lost { Wake::Closed } else { Wake::Ready } });
                }
            }
            Op::RetakeSend { lost } => {
                let found = self.set("retake_send", OUT);
                if found & OUT != 0 {
                    return true;
                }
                self.enter(Role::Consumer);
                self.then(if ending(found) {
                    Op::EndSend { lost, only: true }
                } else {
                    Op::BeginSend { armed: false, lost }
                });
            }
            Op::Unchoke => _ = self.clear("unchoke", HIGH),
            Op::Through { choked, awaited } => self.s.parties[self.me].through = (choked, awaited),
            Op::GoOnLater => {
                let (choked, awaited) = std::mem::take(&mut self.s.parties[self.me].through);
                self.then(Op::GoOn { choked, awaited });
            }
            Op::GoOn { choked, awaited } => {
                if awaited {
                    self.then(Op::EndAwait);
                }
                if choked {
                    self.then(Op::TakeAndRun);
                }
            }
            Op::EndFlush => {
                let found = self.clear("end_flush", FLUSHING);
                self.exit(Role::Producer);
                self.then(Op::GoOnLater);
                self.leave(found, FLUSHING);
            }
            Op::EndAwait => {
                let _ = self.clear("end_await", AWAITED);
                self.c.acts.relieved.iter().rev().for_each(|&act| self.then(act));
            }
            Op::Unpark => {
                let found = self.clear("unpark", ARMED);
                if found & ARMED == 0 {
                    return true;
                }
                self.enter(Role::Consumer);
                self.then(Op::GoOnLater);
                self.then(if closed(found) {
                    Op::EndSend { lost: false, only: true }
                } else {
                    Op::BeginSend { armed: true, lost: false }
                });
            }
            Op::AwaitDrain => _ = self.set("await_drain", AWAITED),
            Op::OtherDrains { closed } => {
                self.s.data.other_high = false;
                self.s.data.other_closed |= closed;
                if std::mem::take(&mut self.s.data.other_awaited) {
                    self.then(Op::UnchokeAndRun);
                }
            }
            Op::UnchokeAndRun => {
                if self.clear("unchoke", HIGH) & HIGH != 0 {
                    self.then(Op::TakeAndRun);
                }
            }
            _ => return self.interest(op),
        }
        true
    }

    fn begin_flush(&mut self, bytes: u8, kind: Flush) {
        let found = self.set("begin_flush", FLUSHING | OUT);
        let mine = found & OUT == 0;
        if mine {
            self.enter(Role::Consumer);
        }
        if found & FLUSHING != 0 {
            // Refused; the consumer lock came along, and is served.
            if mine {
                self.then(Op::GoOnLater);
                self.then(if ending(found) {
                    Op::EndSend { lost: false, only: true }
                } else {
                    Op::BeginSend { armed: false, lost: false }
                });
            }
            return;
        }
        self.enter(Role::Producer);
        if closed(found) || found & NOWRITE != 0 {
            self.then(Op::EndFlush);
            if mine {
                self.then(Op::EndSend { lost: false, only: false });
            }
            return;
        }
        if kind == Flush::Wait {
            self.then(Op::BeginSync { target: self.s.data.queued + bytes });
        }
        self.then(Op::EndFlush);
        match (kind, mine) {
            (Flush::End, mine) => self.then(Op::GateOutputToRefuse { mine }),
            (_, true) => self.then(Op::Send { bytes, armed: false, lost: false, ends: false }),
            (_, false) => self.then(Op::Append { bytes }),
        }
    }

    fn park(&mut self) {
        let found = self.set("park", ARMED | MOD | MODPEND);
        self.exit(Role::Consumer);
        let low = self.s.backlog() < self.c.high;
        let (choked, awaited) = (found & HIGH != 0 && low, found & AWAITED != 0 && low);
        self.then(Op::Through { choked, awaited });
        self.serve(found);
        if found & WAITW != 0 {
            self.then(Op::WakeW { reached: true, wake: Wake::Ready });
        }
        if choked {
            self.then(Op::Unchoke);
        }
    }

    /// The consumer lock was given back, and `found` is what that found.
    fn sent(&mut self, found: u32) {
        let choked = self.guard("output.relieve", found & HIGH != 0);
        self.then(Op::Through { choked, awaited: found & AWAITED != 0 });
        self.leave(found, OUT);
        if choked {
            self.then(Op::Unchoke);
        }
    }

    /// Serves the wish for another mask, unless somebody does.
    fn serve(&mut self, found: u32) {
        if found & MOD == 0 {
            self.enter(Role::Mask);
            self.then(Op::BeginInterest);
        }
    }

    fn interest(&mut self, op: Op) -> bool {
        match op {
            Op::WantInterest => {
                let found = self.set("want_interest", MOD | MODPEND);
                self.serve(found);
            }
            Op::BeginInterest => {
                let at = self.clear("begin_interest", MODPEND);
                let masked = at & MASKED != 0;
                self.then(Op::EndInterest);
                if at & (USER | PEER | DET) == 0 {
                    let stopped = at & EOF != 0 || self.guard("interest.full", at & FULL != 0);
                    let readable = !stopped && !masked;
                    self.then(Op::SetInterest { readable, writable: at & ARMED != 0, edge: masked });
                } else if masked {
                    self.then(Op::ClaimMasked);
                }
            }
            Op::SetInterest { readable, writable, edge } => {
                self.use_fd();
                let wanted = (readable, writable, edge);
                // A MOD that was under way when the DEL came finds nothing.
                if self.s.kernel.registered && self.s.kernel.mask != wanted {
                    self.s.kernel.mask = wanted;
                    self.s.kernel.reported = None;
                }
            }
            Op::ClaimMasked => {
                if self.set("claim_detach", DET) & DET == 0 {
                    self.then(Op::Deregister);
                }
            }
            Op::EndInterest => {
                let found = self.clear("end_interest", MOD);
                self.exit(Role::Mask);
                if self.guard("interest.retake", found & MODPEND != 0) {
                    self.then(Op::RetakeInterest);
                } else {
                    self.leave(found, MOD);
                }
            }
            Op::RetakeInterest => {
                if self.set("retake_interest", MOD) & MOD == 0 {
                    self.enter(Role::Mask);
                    self.then(Op::BeginInterest);
                }
            }
            Op::Fill => {
                let _ = self.set("fill", FULL);
                self.then(Op::WantInterest);
            }
            Op::Unfill => {
                let _ = self.clear("unfill", FULL);
                self.then(Op::WantInterest);
            }
            _ => return false,
        }
        true
    }
}
