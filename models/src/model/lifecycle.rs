//! Birth, reading, and every way to close, step by step. Beside `core/src/protocol/lifecycle.rs`.

use pollproof::protocol::word::*;

use super::op::{Op, Then, Wake};
use super::state::kept;
use super::step::{Machine, Role, closed, closing};

impl Machine<'_> {
    pub fn lifecycle(&mut self, op: Op) -> bool {
        match op {
            Op::Register => {
                self.then(Op::BeginRegister);
                if self.choice == 1 {
                    self.then(Op::CloseHeld(Then::Nothing));
                }
                self.c.acts.prepare.iter().rev().for_each(|&act| self.then(act));
            }
            Op::BeginRegister => {
                let found = self.clear("begin_register", DET);
                self.then(if found & USER != 0 { Op::ClaimOnly } else { Op::Add });
            }
            Op::Add if self.choice == 1 => {
                self.then(Op::CloseHeld(Then::Nothing));
                self.then(Op::ClaimOnly);
            }
            Op::Add => {
                self.use_fd();
                self.s.kernel.registered = true;
                self.s.kernel.mask = (true, false, false);
                self.s.ghost.adds += 1;
                // Output that OnPrepare left parked could not say so before.
                if self.s.word & ARMED != 0 {
                    self.then(Op::WantInterest);
                }
            }
            Op::ClaimOnly => _ = self.set("claim_detach", DET),
            Op::Connect => {
                if self.set("look", 0) & USER != 0 {
                    self.then(Op::EndConnect { ran: false });
                } else {
                    let alone = self.s.ghost.inside == [0; 4];
                    self.must("S2", alone);
                    self.s.ghost.inside[0] += 1;
                    self.s.ghost.connected = true;
                    let acts = self.c.acts.connect;
                    self.callback(Op::Connected, acts);
                }
            }
            Op::Connected => {
                self.s.ghost.inside[0] -= 1;
                self.then(Op::EndConnect { ran: true });
                if self.choice == 1 {
                    self.then(Op::CloseHeld(Then::Nothing));
                }
            }
            Op::EndConnect { ran } => {
                let found = self.clear("end_connect", CONNECTING) & !CONNECTING;
                if ran && closing(found) {
                    self.s.ghost.disconnect_due = true;
                    self.disconnect(Then::Run, found);
                } else {
                    self.run(found);
                }
            }
            Op::Disconnected { then, at } => {
                self.s.ghost.inside[2] -= 1;
                if self.choice == 1 {
                    self.then(Op::CloseHeld(then));
                } else if then == Then::Run {
                    self.run(at);
                }
            }
            _ => return self.reading(op) || self.closing(op),
        }
        true
    }

    fn disconnect(&mut self, then: Then, at: u32) {
        let inside = self.s.ghost.inside;
        self.must("H5", inside[0] == 0 && self.s.ghost.connected && self.s.word & CONNECTING == 0);
        self.must("H4", inside[3] == 0 && self.s.ghost.closes == 0);
        self.s.ghost.inside[2] += 1;
        self.s.ghost.disconnects += 1;
        let once = self.s.ghost.disconnects == 1;
        self.must("H1", once);
        let acts = self.c.acts.disconnect;
        self.callback(Op::Disconnected { then, at: kept(at) }, acts);
    }

    /// A transition that closes found this: the first close, and whose OnDisconnect that makes due.
    pub fn first_close(&mut self, found: u32, by_peer: bool) {
        if !closing(found) {
            self.s.ghost.first_closes += 1;
            let once = self.s.ghost.first_closes == 1;
            self.must("C1", once);
            if by_peer && found & CONNECTING == 0 {
                self.s.ghost.disconnect_due = true;
            }
        }
    }

    fn reading(&mut self, op: Op) -> bool {
        match op {
            Op::BeginRead { hup } => {
                let found = self.set("begin_read", READING | TASK);
                let owner = found & TASK == 0;
                if found & READING != 0 && self.c.shares {
                    self.then(Op::MaskRead { hup, owner });
                } else {
                    self.begun(found, hup, owner);
                }
            }
            Op::MaskRead { hup, owner } => {
                let found = self.set("mask_read", READING | TASK | MASKED);
                self.begun(found, hup, owner || found & TASK == 0);
                if found & READING != 0 {
                    self.then(Op::WantInterest);
                }
            }
            Op::ClaimToLeave { owner } => {
                self.then(Op::EndRead { owner });
                if self.set("claim_detach", DET) & DET == 0 {
                    self.then(Op::Deregister);
                }
            }
            Op::Deregister => {
                self.use_fd();
                let registered = std::mem::replace(&mut self.s.kernel.registered, false);
                self.must("D1", registered);
                self.s.ghost.dels += 1;
            }
            Op::Read { hup, owner } => {
                self.use_fd();
                let kernel = &mut self.s.kernel;
                if kernel.inbox > 0 {
                    kernel.inbox -= 1;
                    self.s.data.produced += 1;
                    let full = self.s.input_full(self.c);
                    self.then(if owner { Op::EndRead { owner } } else { Op::Announce { full } });
                } else if kernel.gone || kernel.eof && hup {
                    self.then(Op::Hup { owner });
                } else if kernel.eof {
                    self.then(Op::Eof { owner });
                } else {
                    self.then(Op::EndRead { owner });
                }
            }
            Op::Announce { full } => {
                let found = self.set("announce", PENDING | TASK | if full { FULL } else { 0 });
                self.then(Op::EndRead { owner: found & TASK == 0 });
                if found & WAITR != 0 {
                    self.then(Op::WakeR { reached: true, wake: Wake::Ready });
                }
                if full {
                    self.then(if found & WAITR != 0 { Op::Unfill } else { Op::WantInterest });
                }
            }
            Op::EndRead { owner } => {
                let found = self.clear("end_read", READING | MASKED);
                self.exit(Role::Reader);
                self.then(Op::AfterRead { owner, found });
                if found & MASKED != 0 {
                    self.then(Op::WantInterest);
                }
            }
            Op::AfterRead { owner, found } => {
                let found = found & !(READING | MASKED);
                if owner { self.run(found) } else { self.leave(found, READING) }
            }
            Op::Eof { owner } => {
                let found = self.set("eof", EOF);
                self.first_close(found, true);
                // The mask follows when the section has run.
                self.then(Op::WantInterest);
                self.then(Op::EndRead { owner });
                self.disconnect_if_first(found);
                self.wake_for_close(found, Wake::Eof);
            }
            Op::Hup { owner } => {
                let found = self.set("hup", PEER | DET);
                self.first_close(found, true);
                self.then(Op::EndRead { owner });
                self.disconnect_if_first(found);
                self.wake_for_close(found, Wake::Closed);
                if found & DET == 0 {
                    self.then(Op::Deregister);
                }
            }
            _ => return false,
        }
        true
    }

    /// What the try to become the reader found, and whether the section came with it.
    fn begun(&mut self, found: u32, hup: bool, owner: bool) {
        if found & READING != 0 {
            if owner {
                self.run(found);
            }
            return;
        }
        self.enter(Role::Reader);
        let full = found & FULL != 0 && found & WAITR == 0 && !hup;
        if closed(found) {
            self.then(Op::ClaimToLeave { owner });
        } else if closing(found) && hup {
            self.then(Op::Hup { owner });
        } else if closing(found) {
            self.then(Op::WantInterest);
            self.then(Op::EndRead { owner });
        } else if found & NOREAD != 0 || full {
            self.then(Op::EndRead { owner });
        } else {
            self.then(Op::Read { hup, owner });
        }
    }

    /// May be under way when the disconnect is not: `found` decides.
    fn disconnect_if_first(&mut self, found: u32) {
        if !closing(found) && found & CONNECTING == 0 {
            self.disconnect(Then::Nothing, 0);
        }
    }

    fn closing(&mut self, op: Op) -> bool {
        match op {
            Op::Close => {
                let found = self.set("close", USER | TASK);
                self.first_close(found, false);
                self.ended_by_user(found);
            }
            Op::AfterClose { at } => self.run(at),
            Op::Detach => {
                let found = self.set("detach", USER | BACK | TASK);
                self.first_close(found, false);
                self.s.ghost.winners += u8::from(found & (FINAL | BACK) == 0);
                let one = self.s.ghost.winners <= 1;
                self.must("D3", one);
                self.ended_by_user(found);
            }
            Op::Shutdown => {
                let found = self.set("shutdown", SHUTDOWN | TASK);
                if found & TASK == 0 {
                    self.run(found | SHUTDOWN);
                }
            }
            Op::PutHandler => {
                self.s.data.put = true;
                self.then(Op::AnnounceHandler);
            }
            Op::AnnounceHandler => {
                let found = self.set("announce_handler", HANDLER | FRESH | PENDING | TASK);
                if found & TASK == 0 {
                    self.run(found | HANDLER | FRESH | PENDING);
                }
            }
            Op::AddCallback => {
                let at = if self.s.ghost.sealed { 2 } else { 0 };
                self.s.ghost.callbacks[at] += 1;
            }
            _ => return false,
        }
        true
    }

    fn ended_by_user(&mut self, found: u32) {
        if found & TASK == 0 {
            // Whoever sleeps is woken first.
            self.then(Op::AfterClose { at: kept(found | USER) });
        }
        self.wake_for_close(found, Wake::Closed);
    }
}
