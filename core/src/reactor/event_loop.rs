//! What a thread does that leads a loop: wait, look the batch up, and tell the protocol what happened to each
//! connection.
//!
//! Level-triggered, one read per event; again while reads fill the whole block, for a turn; up to the end of the stream
//! when epoll says that it ends. What a report means for a connection is decided in `protocol`; this module only turns
//! epoll's flags into the protocol's steps.
//!
//! A handler that does not return costs its thread the lead ([`Lead`]): another goes on where this one was, with
//! the same [`Poller`](crate::reactor::poller::Poller), so nothing that a loop needs is kept here. What a thread keeps is its
//! own [`Desk`]. Not here: who leads, and what a thread does when it does not (`threads`).

#![forbid(unsafe_code)]

use std::time::Duration;

use crate::connection::Connection;
use crate::connection::door;
use crate::connection::shared::Shared;
use crate::connection::step::{Fx, Local, State};
use crate::connection::whereabouts;
use crate::error::Error;
use crate::protocol::effects::Effects;
use crate::protocol::lifecycle::{self, Reading};
use crate::protocol::takeover::Lead;
use crate::protocol::{interest, output};
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

/// How many times in a row one event's connection is read from again, each time because the read before filled the
/// thread's whole block: 1 MiB in all. (F1)
const TURN: usize = 15;

/// Memory of a polling thread, whichever loop it leads.
pub(crate) struct Desk {
    local: Local,
    events: Events,
    handles: Handles,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { local: Local::new(), events: Events::new(BATCH), handles: Handles::new() }
    }

    /// Does what the thread has deferred, when it leads nothing.
    pub(crate) fn sweep(&self) {
        whereabouts::sweep(Some(&self.local));
    }
}

/// Polls the loop of `lead`, until the lead or the loop is over. (K2, K3)
pub(crate) fn run(server: &Arc<Shared>, lead: &Lead, desk: &mut Desk) {
    polls(server, lead, desk);
    desk.handles.clear();
    // A section that this thread queued when it was deposed already: its successor may not have seen it.
    let poller = &server.pollers[lead.home()];
    if poller.queued()
        && let Err(errno) = poller.wake()
    {
        server.report(Error::Server { call: "eventfd write", source: errno.into() });
    }
}

fn polls(server: &Arc<Shared>, lead: &Lead, desk: &mut Desk) {
    let poller = &server.pollers[lead.home()];
    let Some(fds) = poller.fds() else { return };
    let mut pauses = poller.accepting_pauses();
    let mut came = 0;
    loop {
        let timeout = prepare(poller, &mut desk.handles, pauses);
        let mut round = timed_round(server, poller, &fds, lead, desk, timeout);
        // The usual way: nothing but events, for as long as nobody asks for more. What others ask for after this
        // look, they wake this thread for.
        if pauses.is_none() {
            while round == Some(0) && !poller.asks() {
                came = 0;
                round = self::round(server, poller, &fds, lead, desk, None);
            }
        }
        let Some(asked) = round else { return };
        if !serve(server, lead, &desk.local, asked, came & INCOMING != 0, &mut pauses) || lead.is_over() {
            return;
        }
        came = asked;
    }
}

/// A [`round`] that may have a timeout.
#[cold]
#[inline(never)]
fn timed_round(
    server: &Arc<Shared>,
    poller: &Poller,
    fds: &Fds,
    lead: &Lead,
    desk: &mut Desk,
    timeout: Option<Duration>,
) -> Option<Asked> {
    round(server, poller, fds, lead, desk, timeout)
}

/// Waits, and tells the protocol what happened. Which of the poller's own events came along; `None`: the lead or the
/// loop is over.
#[inline(always)]
fn round(
    server: &Arc<Shared>,
    poller: &Poller,
    fds: &Fds,
    lead: &Lead,
    desk: &mut Desk,
    timeout: Option<Duration>,
) -> Option<Asked> {
    lead.rest();
    if lead.is_over() {
        return None;
    }
    let Desk { local, events, handles } = desk;
    if let Err(errno) = poller.wait(fds, events, timeout) {
        // It is told apart from a bad epoll by nothing: there is no way to go on.
        server.report(Error::Server { call: "epoll_wait", source: errno.into() });
        end(server, lead, local);
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
        dispatch(conn, ready, local);
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
fn serve(
    server: &Arc<Shared>,
    lead: &Lead,
    local: &Local,
    asked: Asked,
    came: bool,
    pauses: &mut Option<Option<Instant>>,
) -> bool {
    let poller = &server.pollers[lead.home()];
    if pauses.is_some() || asked & INCOMING != 0 {
        // Who else is there is reported again at once, and then comes along with the others.
        let singly = pauses.is_none() && !came;
        if !accept::turn(server, lead, local, asked & INCOMING != 0, singly) {
            return false;
        }
        *pauses = poller.accepting_pauses();
    }
    if poller.queued() && !serve_queue(poller, lead, local) {
        return false;
    }
    if poller.sweeps() {
        lead.work();
        whereabouts::sweep(Some(local));
    }
    if asked & WOKEN != 0 {
        lead.work();
        if let Err(errno) = poller.awake() {
            server.report(Error::Server { call: "eventfd read", source: errno.into() });
        }
        if poller.accepting_stops()
            && let Some(acceptor) = poller.end_accepting()
        {
            server.accepting_ended();
            door::discard_of(server, "drop of a handler", acceptor);
        }
        if poller.stopping() {
            end(server, lead, local);
            return false;
        }
    }
    true
}

/// There is more than events to look at: until when at most to wait for them.
#[cold]
#[inline(never)]
fn prepare(poller: &Poller, handles: &mut Handles, pauses: Option<Option<Instant>>) -> Option<Duration> {
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
fn serve_queue(poller: &Poller, lead: &Lead, local: &Local) -> bool {
    for _ in 0..QUEUE_BATCH {
        let Some(duty) = poller.next_queued() else { break };
        lead.work();
        duty.fulfil(Some(local));
        if lead.is_over() {
            return false;
        }
    }
    true
}

/// The loop is over: nobody will poll its connections any more.
fn end(server: &Arc<Shared>, lead: &Lead, local: &Local) {
    let poller = &server.pollers[lead.home()];
    // For whoever waits here as well: a successor, should the callbacks of these connections cost this thread
    // its lead, or a deposed thread that had not looked yet.
    if let Err(errno) = poller.stop() {
        server.report(Error::Server { call: "eventfd write", source: errno.into() });
    }
    close_all(server, lead.home(), || lead.work(), Some(local));
    server.loop_ended(lead.home());
}

/// Ends a loop that no thread has ever led, on the calling thread.
pub(crate) fn end_unled(server: &Arc<Shared>, home: usize) {
    close_all(server, home, || (), None);
}

/// Closes the listener and every connection of a loop, and does what was left to it.
fn close_all(server: &Arc<Shared>, home: usize, beat: impl Fn(), local: Option<&Local>) {
    let poller = &server.pollers[home];
    if let Some(acceptor) = poller.end_accepting() {
        door::discard_of(server, "drop of a handler", acceptor);
    }
    // Closed before they run, so that they only end.
    let left = poller.end_queue();
    for conn in poller.registry.all() {
        beat();
        close(&conn, local);
        whereabouts::sweep(local);
    }
    for duty in left {
        beat();
        duty.fulfil(local);
        whereabouts::sweep(local);
    }
}

/// Closes a connection, outside all user code.
fn close(conn: &Connection, local: Option<&Local>) {
    match local {
        Some(local) => {
            let _ = lifecycle::close(&Fx::polling(conn, local, &State::new()));
        }
        None => conn.close(),
    }
}

/// One connection's events.
#[inline(always)]
fn dispatch(conn: &Connection, ready: Ready, local: &Local) {
    let state = State::new();
    let fx = Fx::polling(conn, local, &state);
    if !ready.is_data() {
        return fx.apart(|fx| dispatch_other(fx, ready));
    }
    let reading = lifecycle::readable(&fx, false);
    if reading != Reading::Data || state.filled() {
        fx.apart(|fx| read_on(fx, ready, reading));
    }
}

/// Events other than that there is something to read.
#[cold]
#[inline(never)]
fn dispatch_other(fx: &Fx<'_>, ready: Ready) {
    // Writable, and nobody is parked: the connection was closed meanwhile, which the reader's step finds.
    let stray = ready.writable() && !output::writable(fx);
    if ready.readable() || stray {
        read_on(fx, ready, read_again(fx, ready));
    }
}

/// What follows a read that found `reading`.
#[cold]
#[inline(never)]
fn read_on(fx: &Fx<'_>, ready: Ready, mut reading: Reading) {
    let mut more = TURN;
    loop {
        match reading {
            // What the peer sent before it stopped is bounded by the socket's buffer.
            Reading::Data if ready.ends() => {}
            // There is more, most likely: while its memory is in the processor's cache it costs less.
            Reading::Data if more > 0 && fx.state.filled() => more -= 1,
            Reading::Data | Reading::Nothing | Reading::Closed => return,
            Reading::Eof => return interest::mask_after_eof(fx),
        }
        reading = read_again(fx, ready);
    }
}

#[inline(never)]
fn read_again(fx: &Fx<'_>, ready: Ready) -> Reading {
    lifecycle::readable(fx, ready.hung_up())
}

/// What a deposed thread does about an event that it has in hand: epoll reports it again, to the successor. Not
/// so that a masked fd, which is edge-triggered, is writable: that is done here. That one hung up is reported
/// when it is unmasked. (K3, K6)
#[cold]
fn drop_event(poller: &Poller, handles: &mut Handles, token: u64, ready: Ready, local: &Local) {
    if ready.writable()
        && token < LISTENER
        && let Some(conn) = poller.registry.find(handles, Token(token))
    {
        output::writable(&Fx::polling(conn, local, &State::new()));
    }
}
