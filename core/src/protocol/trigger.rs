//! Waking blocked readers and flushers: one slot, and each token belongs to one wait.
//!
//! A waiter stores the total that it waits for, sets its bit in the word, looks again, and only then
//! sleeps. The other side changes the total first and does its own transition after; if that transition
//! finds the bit, it wakes. Both are RMWs of one word, so one of the two sees the other (T1). The lock
//! here is touched only when somebody sleeps or is about to: the hot path pays one bit test.
//!
//! A wake-up is stored in the wait that it is for. A wait that has ended (by time, say) takes nothing
//! more, and leaves nothing to the next one (T2): the published one-slot channel did, and its next flush
//! reported success for bytes that nobody had sent.
//!
//! Not here: clocks. A deadline is somebody who calls [`Trigger::expire`]; on std threads
//! [`Trigger::wait_until`] does it by itself.

use crate::mutation::guard;
use crate::sync::{Condvar, Mutex, MutexGuard, lock};

/// Why a wait ended.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::trigger::{Trigger, Wake};
///
/// let trigger = Trigger::new();
/// let ticket = trigger.begin(100);
/// trigger.close(Wake::Closed);
/// assert_eq!(trigger.wait(ticket), Wake::Closed);
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The total was reached.
    Ready,
    /// The peer sends no more, and the total was not reached.
    Eof,
    /// The connection is closed, and the total was not reached.
    Closed,
    /// The time was up.
    TimedOut,
}

/// Names one wait; see [`Trigger::expire`].
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::trigger::{Trigger, Wake};
///
/// let trigger = Trigger::new();
/// let first = trigger.begin(100);
/// trigger.cancel(first);
/// let second = trigger.begin(100);
/// trigger.expire(first);
/// assert_eq!(trigger.try_wait(second), None, "the time of another wait");
/// trigger.expire(second);
/// assert_eq!(trigger.try_wait(second), Some(Wake::TimedOut));
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

#[derive(Debug, Default)]
struct Slot {
    /// The number of the newest wait.
    ticket: u64,
    /// The total that it waits for; `None` when nobody waits.
    target: Option<u64>,
    /// Its wake-up, once there is one.
    token: Option<Wake>,
}

/// The waiting side and the waking side of one direction. At most one waiter at a time: a reader waits
/// under `TASK`, a flusher under `FLUSHING`.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::trigger::{Trigger, Wake};
///
/// let trigger = Trigger::new();
/// let ticket = trigger.begin(100);
/// trigger.reach(99);
/// assert_eq!(trigger.try_wait(ticket), None, "one byte too few");
/// trigger.reach(100);
/// assert_eq!(trigger.wait(ticket), Wake::Ready);
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Trigger {
    slot: Mutex<Slot>,
    woken: Condvar,
}

impl Trigger {
    /// A trigger that nobody waits on.
    pub fn new() -> Self {
        Self::default()
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        lock(&self.slot)
    }

    /// Begins a wait for `target`. Whatever was left of an earlier wait is gone. (T2)
    pub fn begin(&self, target: u64) -> Ticket {
        let mut slot = self.slot();
        slot.ticket += 1;
        slot.target = Some(target);
        if guard("trigger.own-token", true) {
            slot.token = None;
        }
        Ticket(slot.ticket)
    }

    fn wake(&self, slot: &mut Slot, token: Wake) {
        // The first wake-up of a wait stays: a timeout after it changes nothing, nor does it after one.
        if slot.token.is_none() {
            slot.token = Some(token);
            self.woken.notify_one();
        }
    }

    /// The total is now `reached`: wakes the waiter iff that is what it waits for. (T4)
    pub fn reach(&self, reached: u64) {
        let mut slot = self.slot();
        let enough = slot.target.is_some_and(|target| reached >= target || !guard("trigger.size", true));
        if enough || !guard("trigger.own-token", true) {
            self.wake(&mut slot, Wake::Ready);
        }
    }

    /// The connection is closing: wakes the waiter with `reason`. (T3)
    pub fn close(&self, reason: Wake) {
        let mut slot = self.slot();
        if slot.target.is_some() {
            self.wake(&mut slot, reason);
        }
    }

    /// The time of wait `ticket` is up: wakes it, unless it has ended or has its wake-up already. (T2)
    pub fn expire(&self, ticket: Ticket) {
        let mut slot = self.slot();
        if slot.target.is_some() && slot.ticket == ticket.0 {
            self.wake(&mut slot, Wake::TimedOut);
        }
    }

    /// Sleeps until wait `ticket` has its wake-up, and ends the wait. Blocks the calling thread.
    pub fn wait(&self, ticket: Ticket) -> Wake {
        let mut slot = self.slot();
        debug_assert_eq!(slot.ticket, ticket.0, "one waiter at a time");
        loop {
            if let Some(token) = slot.token.take() {
                slot.target = None;
                return token;
            }
            slot = self.woken.wait(slot).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    /// The wake-up of wait `ticket`, if it has one by now; the wait is then over. Does not block.
    pub fn try_wait(&self, ticket: Ticket) -> Option<Wake> {
        let mut slot = self.slot();
        debug_assert_eq!(slot.ticket, ticket.0, "one waiter at a time");
        let token = slot.token.take()?;
        slot.target = None;
        Some(token)
    }

    /// [`wait`](Self::wait), or [`Wake::TimedOut`] once `deadline` is past. Only on std threads: the
    /// checkers have no clock, and explore a timeout as a thread that calls [`expire`](Self::expire).
    #[cfg(any(sim, not(any(loom, shuttle))))]
    pub fn wait_until(&self, ticket: Ticket, deadline: crate::sync::time::Instant) -> Wake {
        let mut slot = self.slot();
        debug_assert_eq!(slot.ticket, ticket.0, "one waiter at a time");
        loop {
            if let Some(token) = slot.token.take() {
                slot.target = None;
                return token;
            }
            let left = deadline.saturating_duration_since(crate::sync::time::Instant::now());
            if left.is_zero() {
                slot.target = None;
                return Wake::TimedOut;
            }
            let woken = self.woken.wait_timeout(slot, left);
            slot = woken.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// Ends wait `ticket` without sleeping: what it waits for is there already.
    pub fn cancel(&self, ticket: Ticket) {
        let mut slot = self.slot();
        if slot.ticket == ticket.0 {
            slot.target = None;
            if guard("trigger.own-token", true) {
                slot.token = None;
            }
        }
    }
}
