//! The roles that wait: a reader outside handlers, a flusher, and the threads that let their time pass.
//!
//! A timeout is a thread of its own that expires the wait, so that the checkers put it anywhere.

use pollproof::protocol::effects::Effects as _;
use pollproof::protocol::lifecycle;
use pollproof::protocol::output;
use pollproof::protocol::trigger::{Ticket, Trigger, Wake};
use pollproof::protocol::waits;
use pollproof::sync::atomic::Ordering;
use pollproof::sync::thread;

use super::World;

impl World {
    /// Reads outside a handler until `target` segments were read since birth; notes how it ended.
    pub fn read_blocking(&self, target: u64) {
        if !lifecycle::acquire(self) {
            self.note(format!("reader{}:busy", self.who));
            return;
        }
        let wake = waits::wait_readable(self, target, |trigger, ticket| self.sleep(trigger, ticket));
        let got = self.consume_all(1, self.produced());
        if wake == Wake::Ready {
            assert!(got.1 >= target, "woken for {target}, but {} are there", got.1);
        }
        self.note(format!("reader{}:{wake:?}", self.who));
        lifecycle::release(self);
    }

    /// Owns the section outside a handler, if nobody does, and gives it back.
    pub fn own_for_a_moment(&self) {
        if lifecycle::acquire(self) {
            lifecycle::release(self);
        }
    }

    /// Reads outside a handler what is there; notes how much, or that somebody else is at it.
    pub fn read_what_is_there(&self) {
        if !lifecycle::acquire(self) {
            self.note(format!("reader{}:busy", self.who));
            return;
        }
        let (took, _) = self.consume_all(1, self.produced());
        self.note(format!("reader{}:{took}", self.who));
        lifecycle::release(self);
    }

    /// Flushes `bytes` and waits until they are sent; notes how it ended.
    pub fn flush_blocking(&self, bytes: u64) -> Option<Wake> {
        let role = World { own: bytes, ..self.clone() };
        match output::flush(&role) {
            Err(refused) => {
                role.note(format!("flush:{refused:?}"));
                None
            }
            Ok(through) => {
                role.still_flushes();
                // Ordering: Acquire, partner: the Release of `append`; this role appended last.
                let target = role.inner.queued.load(Ordering::Acquire);
                role.record().flushed += bytes;
                output::end_flush(&role, through);
                let waited = waits::wait_sent(&role, target, |trigger, ticket| role.sleep(trigger, ticket));
                let Ok(wake) = waited else {
                    role.note("flush:another waits");
                    return None;
                };
                if wake == Wake::Ready {
                    // Ordering: Acquire, partner: the Release of `send`.
                    let sent = role.inner.sent.load(Ordering::Acquire);
                    assert!(sent >= target, "flush reports success with {sent} of {target} sent");
                }
                role.note(format!("flush:{wake:?}"));
                Some(wake)
            }
        }
    }

    /// Waits until `target` bytes are sent since birth, without a flush of its own.
    pub fn wait_until_sent(&self, target: u64) {
        let waited = waits::wait_sent(self, target, |trigger, ticket| self.sleep(trigger, ticket));
        self.note(format!("sent:{waited:?}"));
    }

    fn sleep(&self, trigger: &Trigger, ticket: Ticket) -> Wake {
        self.mark();
        let mut record = self.record();
        record.ticket = Some(ticket);
        let late = record.time_is_up;
        drop(record);
        if late {
            trigger.expire(ticket);
        }
        // The poller's role may be over; epoll would report to the next one who asks.
        if self.own > 0 {
            self.poll();
        }
        if self.inner.user.limit < u64::MAX {
            while self.poll() {
                thread::yield_now();
            }
        }
        trigger.wait(ticket)
    }

    /// The deadline of the blocked reader passes.
    pub fn reader_times_out(&self) {
        self.time_out(&self.inner.read_trigger);
    }

    /// The deadline of the blocked flusher passes.
    pub fn flusher_times_out(&self) {
        self.time_out(&self.inner.write_trigger);
    }

    fn time_out(&self, trigger: &Trigger) {
        self.mark();
        let mut record = self.record();
        record.time_is_up = true;
        let ticket = record.ticket;
        drop(record);
        if let Some(ticket) = ticket {
            trigger.expire(ticket);
        }
    }

    /// Time passes for a wait that is over: the next wait has none.
    pub fn no_deadline(&self) {
        let mut record = self.record();
        record.time_is_up = false;
        record.ticket = None;
    }
}
