//! What a thread does that leads a loop: wait, look the batch up, and tell the host what happened to each
//! source.
//!
//! What an event means to its source, the host says (`host`).
//!
//! A handler that does not return costs its thread the lead ([`Lead`]): another goes on where this one was, with
//! the same [`Poller`](crate::reactor::poller::Poller), so nothing that a loop needs is kept here. What a thread keeps is its
//! own [`Desk`]. Not here: who leads, and what a thread does when it does not (`threads`).

#![forbid(unsafe_code)]

use std::time::Duration;

use super::host::Host;
use crate::error::Error;
use crate::protocol::takeover::Lead;
use crate::reactor::accept;
use crate::reactor::poller::{Fds, LISTENER, Poller, WAKE};
use crate::reactor::registry::{Handles, Token};
use crate::sync::Arc;
use crate::sync::time::Instant;
use crate::sys::{Events, Ready};

#[cfg(test)]
mod tests;

/// How many events one wait takes.
const BATCH: usize = 256;

/// How many queued sections run before epoll is asked again.
const QUEUE_BATCH: usize = 64;

/// Memory of a polling thread, whichever loop it leads.
pub(crate) struct Desk<H: Host> {
    local: H::Local,
    events: Events,
    handles: Handles<H::Source>,
}

impl<H: Host> Desk<H> {
    pub(crate) fn new() -> Self {
        Self { local: H::Local::default(), events: Events::new(BATCH), handles: Handles::new() }
    }

    /// Does what the thread has deferred, when it leads nothing.
    pub(crate) fn sweep(&self) {
        H::sweep(Some(&self.local));
    }
}

/// Polls the loop of `lead`, until the lead or the loop is over. (K2, K3)
pub(crate) fn run<H: Host>(host: &Arc<H>, lead: &Lead, desk: &mut Desk<H>) {
    polls(host, lead, desk);
    desk.handles.clear();
    // A section that this thread queued when it was deposed already: its successor may not have seen it.
    let poller = &host.pollers()[lead.home()];
    if poller.queued()
        && let Err(errno) = poller.wake()
    {
        host.report(Error::Server { call: "eventfd write", source: errno.into() });
    }
}

fn polls<H: Host>(host: &Arc<H>, lead: &Lead, desk: &mut Desk<H>) {
    let poller = &host.pollers()[lead.home()];
    let Some(fds) = poller.fds() else { return };
    let mut pauses = poller.accepting_pauses();
    let mut came = 0;
    loop {
        let timeout = prepare(poller, &mut desk.handles, pauses);
        let mut round = timed_round(host, poller, &fds, lead, desk, timeout);
        // The usual way: nothing but events, for as long as nobody asks for more. What others ask for after this
        // look, they wake this thread for.
        if pauses.is_none() {
            while round == Some(0) && !poller.asks() {
                came = 0;
                round = self::round(host, poller, &fds, lead, desk, None);
            }
        }
        let Some(asked) = round else { return };
        if !other_than_events(host, lead, &desk.local, asked, came & INCOMING != 0, &mut pauses) || lead.is_over() {
            return;
        }
        came = asked;
    }
}

/// A [`round`] that may have a timeout.
#[cold]
#[inline(never)]
fn timed_round<H: Host>(
    host: &Arc<H>,
    poller: &Poller<H>,
    fds: &Fds,
    lead: &Lead,
    desk: &mut Desk<H>,
    timeout: Option<Duration>,
) -> Option<Asked> {
    round(host, poller, fds, lead, desk, timeout)
}

/// Waits, and tells the protocol what happened. Which of the poller's own events came along; `None`: the lead or the
/// loop is over.
#[inline(always)]
fn round<H: Host>(
    host: &Arc<H>,
    poller: &Poller<H>,
    fds: &Fds,
    lead: &Lead,
    desk: &mut Desk<H>,
    timeout: Option<Duration>,
) -> Option<Asked> {
    lead.rest();
    if lead.is_over() {
        return None;
    }
    let Desk { local, events, handles } = desk;
    if let Err(errno) = poller.wait(fds, events, timeout) {
        // It is told apart from a bad epoll by nothing: there is no way to go on.
        host.report(Error::Server { call: "epoll_wait", source: errno.into() });
        end(host, lead, local);
        return None;
    }
    let mut asked = 0;
    let mut batch = events.batch();
    while let Some((token, ready)) = batch.next() {
        if token >= LISTENER {
            note(&mut asked, token);
            continue;
        }
        let Some(conn) = poller.registry.find(handles, Token(token)) else {
            poller.count_stale();
            continue;
        };
        lead.work();
        H::event(conn, ready, local);
        if !batch.is_empty() && lead.is_over() {
            batch.for_each(|(token, ready)| drop_event(poller, handles, token, ready, local));
            return None;
        }
    }
    Some(asked)
}

/// Which of the poller's own events a batch has: bits.
type Asked = u32;
const WOKEN: Asked = 1;
const INCOMING: Asked = 2;

/// One of the poller's own events.
#[cold]
#[inline(never)]
fn note(asked: &mut Asked, token: u64) {
    *asked |= if token == WAKE { WOKEN } else { INCOMING };
}

/// Everything but connections' events; `came`: there were incoming connections the time before. Whether the thread
/// still leads, and the loop goes on.
#[cold]
#[inline(never)]
fn other_than_events<H: Host>(
    host: &Arc<H>,
    lead: &Lead,
    local: &H::Local,
    asked: Asked,
    came: bool,
    pauses: &mut Option<Option<Instant>>,
) -> bool {
    let poller = &host.pollers()[lead.home()];
    if pauses.is_some() || asked & INCOMING != 0 {
        // Who else is there is reported again at once, and then comes along with the others.
        let singly = pauses.is_none() && !came;
        if !accept::turn(host, lead, local, asked & INCOMING != 0, singly) {
            return false;
        }
        *pauses = poller.accepting_pauses();
    }
    if poller.queued() && !fulfil_queue(poller, lead, local) {
        return false;
    }
    if poller.sweeps() {
        lead.work();
        H::sweep(Some(local));
    }
    if asked & WOKEN != 0 {
        lead.work();
        if let Err(errno) = poller.awake() {
            host.report(Error::Server { call: "eventfd read", source: errno.into() });
        }
        if poller.accepting_stops()
            && let Some(acceptor) = poller.end_accepting()
        {
            host.accepting_ended();
            host.discard(acceptor.end());
        }
        if poller.stopping() {
            end(host, lead, local);
            return false;
        }
    }
    true
}

/// There is more than events to look at: until when at most to wait for them.
#[cold]
#[inline(never)]
fn prepare<H: Host>(
    poller: &Poller<H>,
    handles: &mut Handles<H::Source>,
    pauses: Option<Option<Instant>>,
) -> Option<Duration> {
    // First: it may drop what users made, which may queue a section.
    poller.give_back(handles);
    match pauses {
        _ if poller.asks() => Some(Duration::ZERO),
        Some(Some(retry)) => Some(retry.saturating_duration_since(Instant::now())),
        Some(None) | None => None,
    }
}

/// Does what was left to this loop, as much as there is room for; what that leaves waits for the next round. Whether the
/// thread still leads. (F2, K2, U2)
fn fulfil_queue<H: Host>(poller: &Poller<H>, lead: &Lead, local: &H::Local) -> bool {
    for _ in 0..QUEUE_BATCH {
        let Some(duty) = poller.next_queued() else { break };
        lead.work();
        H::fulfil(duty, Some(local));
        if lead.is_over() {
            return false;
        }
    }
    true
}

/// The loop is over: nobody will poll its connections any more.
fn end<H: Host>(host: &Arc<H>, lead: &Lead, local: &H::Local) {
    let poller = &host.pollers()[lead.home()];
    // For whoever waits here as well: a successor, should the callbacks of these connections cost this thread
    // its lead, or a deposed thread that had not looked yet.
    if let Err(errno) = poller.stop() {
        host.report(Error::Server { call: "eventfd write", source: errno.into() });
    }
    close_all(host, lead.home(), || lead.work(), Some(local));
    host.loop_ended(lead.home());
}

/// Ends a loop that no thread has ever led, on the calling thread.
pub(crate) fn end_unled<H: Host>(host: &Arc<H>, home: usize) {
    close_all(host, home, || (), None);
}

/// Closes the listener and every connection of a loop, and does what was left to it.
fn close_all<H: Host>(host: &Arc<H>, home: usize, beat: impl Fn(), local: Option<&H::Local>) {
    let poller = &host.pollers()[home];
    if let Some(acceptor) = poller.end_accepting() {
        host.discard(acceptor.end());
    }
    // Closed before they run, so that they only end.
    let left = poller.end_queue();
    for conn in poller.registry.all() {
        beat();
        H::close(&conn, local);
        H::sweep(local);
    }
    for duty in left {
        beat();
        H::fulfil(duty, local);
        H::sweep(local);
    }
}

/// What a deposed thread does about an event that it has in hand: epoll reports it again, to the successor. Not
/// so that a masked fd, which is edge-triggered, is writable: that is done here. That one hung up is reported
/// when it is unmasked. (K3, K6)
#[cold]
fn drop_event<H: Host>(
    poller: &Poller<H>,
    handles: &mut Handles<H::Source>,
    token: u64,
    ready: Ready,
    local: &H::Local,
) {
    if ready.writable()
        && token < LISTENER
        && let Some(source) = poller.registry.find(handles, Token(token))
    {
        H::late_writable(source, local);
    }
}
