//! Readers and flushers that sleep, step by step. Beside `core/src/protocol/{waits,trigger}.rs`.

use pollproof::protocol::word::*;

use super::op::{Op, Wake};
use super::step::{Machine, closed, closing};

const READER: usize = 0;
const FLUSHER: usize = 1;

impl Machine<'_> {
    pub fn waits(&mut self, op: Op) -> bool {
        match op {
            Op::Acquire { target } => {
                if self.set("take", TASK) & TASK == 0 {
                    self.begin(READER, target);
                    self.then(Op::BeginWaitR { target });
                }
            }
            Op::BeginWaitR { target } => {
                let found = self.set("begin_wait", WAITR);
                self.then(Op::RecheckR { target, found });
                if found & FULL != 0 {
                    self.then(Op::Unfill);
                }
            }
            Op::RecheckR { target, found } => {
                self.then(Op::EndWaitR);
                if self.s.data.produced >= target || closing(found) {
                    self.s.slots[READER] = Default::default();
                } else {
                    self.then(Op::SleepR { target });
                }
            }
            Op::SleepR { target } => {
                if self.sleep(READER) == Wake::Ready {
                    let there = self.s.data.produced >= target;
                    self.must("T4", there);
                }
            }
            Op::EndWaitR => {
                let _ = self.clear("end_wait", WAITR);
                self.then(Op::ConsumeR);
            }
            Op::ConsumeR => {
                self.s.data.consumed = self.s.data.produced;
                self.s.ghost.offered = self.s.data.produced;
                self.then(Op::LookAndRun);
            }
            Op::BeginSync { target } => {
                if self.set("begin_sync", SYNC) & SYNC == 0 {
                    self.begin(FLUSHER, target);
                    self.then(Op::BeginWaitW { target });
                }
            }
            Op::BeginWaitW { target } => {
                let found = self.set("begin_wait", WAITW);
                self.then(Op::RecheckW { target, found });
            }
            Op::RecheckW { target, found } => {
                self.then(Op::EndWaitW);
                if self.s.data.sent >= target || closed(found) || found & (OUT | OUTPEND) == 0 {
                    self.s.slots[FLUSHER] = Default::default();
                } else {
                    self.then(Op::SleepW { target });
                }
            }
            Op::SleepW { target } => {
                if self.sleep(FLUSHER) == Wake::Ready {
                    let sent = self.s.data.sent >= target;
                    self.must("T2", sent);
                }
            }
            Op::EndWaitW => _ = self.clear("end_wait", WAITW | SYNC),
            Op::WakeR { reached, wake } => {
                let total = self.s.data.produced;
                self.wake(READER, reached.then_some(total), wake);
            }
            Op::WakeW { reached, wake } => {
                let total = self.s.data.sent;
                self.wake(FLUSHER, reached.then_some(total), wake);
            }
            _ => return false,
        }
        true
    }

    fn begin(&mut self, slot: usize, target: u8) {
        self.s.slots[slot].target = Some(target);
        self.s.slots[slot].token = None;
    }

    /// Takes the wake-up, or lets the time be up, where there is a choice.
    fn sleep(&mut self, slot: usize) -> Wake {
        let token = self.s.slots[slot].token.filter(|_| self.choice == 0).unwrap_or(Wake::TimedOut);
        self.s.slots[slot] = Default::default();
        token
    }

    fn wake(&mut self, slot: usize, total: Option<u8>, wake: Wake) {
        let slot = &mut self.s.slots[slot];
        let due = slot.target.is_some_and(|target| total.is_none_or(|total| total >= target));
        if due && slot.token.is_none() {
            slot.token = Some(wake);
        }
    }

    /// Wakes whom a closing step must wake.
    pub fn wake_for_close(&mut self, found: u32, reason: Wake) {
        if reason == Wake::Closed && self.guard("trigger.close-wakes", found & WAITW != 0) {
            self.then(Op::WakeW { reached: false, wake: reason });
        }
        if self.guard("trigger.close-wakes", found & WAITR != 0) {
            self.then(Op::WakeR { reached: false, wake: reason });
        }
    }
}
