//! How a thread waits: for bytes to be read, and for output to be sent.
//!
//! A thread that does not poll sleeps on the connection's trigger. A polling thread first reads its own socket;
//! if that is not enough it gives its loop to another thread and then sleeps too (K1); where nobody can take
//! the loop, it goes on reading its own socket, and its other connections wait.
//!
//! Not here: the wake-ups (`protocol::trigger`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

use std::cell::RefCell;
use std::time::Duration;

use crate::buffer::input::Own;
use crate::buffer::output::Batch;
use crate::connection::Connection;
use crate::connection::step::{Local, State, Step};
use crate::connection::whereabouts;
use crate::error::{Error, Result};
use crate::protocol::lifecycle::{self, Reading};
use crate::protocol::output::{self, Refused};
use crate::protocol::trigger::{Ticket, Trigger, Wake};
use crate::protocol::waits;
use crate::sync::thread;
use crate::sync::time::Instant;

/// How long a thread that nobody can stand in for looks at its socket before it looks whether it was woken.
const GLANCE: Duration = Duration::from_millis(10);

/// Until when one call may wait.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TimeLimit {
    /// For each call.
    pub(crate) timeout: Option<Duration>,
    /// For all calls together.
    pub(crate) deadline: Option<Instant>,
}

impl TimeLimit {
    /// When a call that begins now gives up.
    fn end(self) -> Option<Instant> {
        let timeout = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        match (timeout, self.deadline) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }
}

/// Waits until `count` bytes are among the owner's chunks. Called by the owner of the section, with the memory of its
/// polling thread if it is that thread's handler. (S3, T1, T4, K1)
pub(crate) fn readable(
    conn: &Connection,
    local: Option<&Local>,
    own: &mut Own,
    count: usize,
    call: &'static str,
) -> Result<()> {
    let input = &conn.conn().input;
    let _step = whereabouts::take_step();
    let state = State::nested();
    // A polling thread that waits for another connection than its handler's reads that into memory of its own.
    let spare;
    let local = if local.is_none() && whereabouts::polls() {
        spare = Local::to_wait();
        Some(&spare)
    } else {
        local
    };
    let step = local.map_or_else(|| Step::new(conn, &state), |local| Step::polling(conn, local, &state));
    let connection = conn.id();
    let end = conn.conn().cold.read_limit().end();
    loop {
        // Safety: the caller owns the section, and gave what it owns.
        unsafe { input.collect(own) };
        if own.chunks.len() >= count {
            return Ok(());
        }
        // As a poller reads it. Whatever that finds but data, the wait finds in the word; the end of the stream is told
        // to who polls, and masked there.
        if local.is_some() && lifecycle::readable(&step, false) == Reading::Data {
            continue;
        }
        let target = own.consumed.saturating_add(count as u64);
        let wake = waits::wait_readable(&step, target, |trigger, ticket| sleep(&step, local, trigger, ticket, end));
        // Safety: as above.
        unsafe { input.collect(own) };
        if own.chunks.len() >= count {
            return Ok(());
        }
        match wake {
            Wake::Ready => {}
            Wake::Eof => return Err(Error::Eof { call, connection }),
            Wake::Closed => return Err(Error::Closed { call, connection }),
            Wake::TimedOut => return Err(Error::Timeout { call, connection }),
        }
    }
}

fn sleep(step: &Step<'_>, local: Option<&Local>, trigger: &Trigger, ticket: Ticket, end: Option<Instant>) -> Wake {
    if local.is_some() && !step.somebody_else_polls() {
        return watch_own(step, trigger, ticket, end);
    }
    match end {
        Some(end) => trigger.wait_until(ticket, end),
        None => trigger.wait(ticket),
    }
}

/// A polling thread that nobody stands in for: reads its own socket until the wait has its wake-up.
fn watch_own(step: &Step<'_>, trigger: &Trigger, ticket: Ticket, end: Option<Instant>) -> Wake {
    loop {
        if let Some(wake) = trigger.try_wait(ticket) {
            return wake;
        }
        let left = end.map_or(GLANCE, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            trigger.expire(ticket);
            continue;
        }
        if step.wait_readable(left.min(GLANCE)) {
            let _ = lifecycle::readable(step, false);
        } else if step.has_parked() {
            // What the peer answers may be in what it has not been sent.
            let _ = output::writable(step);
        }
    }
}

/// Sends `batch` as far as the kernel takes it, and queues the rest. Does not wait. Returns how many bytes have
/// been flushed by then, since birth; `None` when the connection takes no output, or loses it. (O1, O2)
pub(crate) fn flush(conn: &Connection, batch: Batch<'_>) -> Option<u64> {
    let _step = whereabouts::take_step();
    flush_reply(conn, batch)
}

/// [`flush`] of the reply of a handler, by the thread that ran it.
#[inline(never)]
pub(crate) fn flush_reply(conn: &Connection, batch: Batch<'_>) -> Option<u64> {
    let state = State::new();
    let batch = RefCell::new(Some(batch));
    let step = Step::new(conn, &state).flushing(&batch);
    loop {
        match output::flush(&step) {
            Ok(through) => {
                let flushed = conn.conn().output.flushed();
                output::end_flush(&step, through);
                return (!step.failed()).then_some(flushed);
            }
            Err(Refused::Closed) => return None,
            // A flush of another thread is between two of its steps: none of them waits for anything, and it
            // runs no callback before it is through.
            Err(Refused::ConcurrentAccess) => thread::yield_now(),
        }
    }
}

/// [`flush`] of a reply of one run, by the step that ran the handler. It does not ask what became of it.
#[inline(always)]
pub(crate) fn send_reply(step: &Step<'_, &[u8]>) {
    if output::flush_at_once(step) == Err(Refused::ConcurrentAccess) {
        let _ = flush_reply(step.handle, Batch::Run(step.out));
    }
}

/// Waits until the kernel has taken `target` bytes since birth. Never on a polling thread. (T2, O4)
pub(crate) fn sent(conn: &Connection, target: u64, call: &'static str) -> Result<()> {
    let connection = conn.id();
    if conn.conn().output.sent() >= target {
        return Ok(());
    }
    let state = State::new();
    let _step = whereabouts::take_step();
    let step = Step::new(conn, &state);
    let end = conn.conn().cold.write_limit().end();
    match waits::wait_sent(&step, target, |trigger, ticket| sleep(&step, None, trigger, ticket, end)) {
        Ok(Wake::Ready) => Ok(()),
        Ok(Wake::TimedOut) => Err(Error::Timeout { call, connection }),
        Ok(Wake::Closed | Wake::Eof) => Err(Error::Closed { call, connection }),
        Err(_) => Err(Error::ConcurrentAccess { call, connection }),
    }
}

/// If the calling thread leads a loop, it hands it over to a spare thread at once, and may then block as long as
/// it likes. Does nothing on other threads, on one that was deposed already, where takeovers are not wanted, and
/// where nobody is left to take over: then the watchdog tries again. Whether somebody else polls from here on.
/// Does not block. (K1, K5)
pub(crate) fn hand_over_before_blocking() -> bool {
    let Some((server, lead)) = whereabouts::led() else { return true };
    if !server.threads.are_replaced() {
        return false;
    }
    let _ = server.threads.succeed(&server, &lead);
    lead.is_over()
}
