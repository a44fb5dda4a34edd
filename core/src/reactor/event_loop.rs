//! The polling thread: wait, look the batch up, and tell the protocol what happened to each connection.
//!
//! Level-triggered, one read per event, up to the end of the stream when epoll says that it ends. What a
//! report means for a connection is decided in `protocol`; this module only turns epoll's flags into the
//! protocol's steps.

#![forbid(unsafe_code)]

use super::accept::Acceptor;
use super::effects::{Fx, Local};
use super::epoll::{LISTENER, WAKE};
use super::sys::{Events, Ready};
use crate::connection::Connection;
use crate::error::Error;
use crate::protocol::lifecycle::{self, Reading};
use crate::protocol::{interest, output};
use crate::shared::Shared;
use crate::sync::Arc;
use crate::sync::atomic::Ordering;

/// How many events one wait takes.
const BATCH: usize = 256;

/// Polls until the poller is stopped.
pub(crate) fn run(server: &Arc<Shared>, index: usize, mut acceptor: Option<Acceptor>) {
    let poller = &server.pollers[index];
    let local = Local::new();
    let mut events = Events::new(BATCH);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let timeout = acceptor.as_ref().and_then(Acceptor::timeout);
        if let Err(errno) = poller.wait(&mut events, timeout) {
            // It is told apart from a bad epoll by nothing: there is no way to go on.
            server.report(&Error::Server { call: "epoll_wait", source: errno.into() });
            break;
        }
        let (mut woken, mut incoming) = (false, false);
        let stale = poller.registry.ready(&events, &mut batch, |token| match token {
            LISTENER => incoming = true,
            token => woken |= token == WAKE,
        });
        if stale > 0 {
            // Ordering: Relaxed: a count for reports.
            poller.stale.fetch_add(stale, Ordering::Relaxed);
        }
        for (conn, ready) in batch.drain(..) {
            dispatch(&conn, ready, &local);
        }
        if let Some(acceptor) = &mut acceptor {
            acceptor.tick(server, poller, &local);
            if incoming {
                acceptor.accept(server, poller, &local);
            }
        }
        if woken {
            if let Err(errno) = poller.awake() {
                server.report(&Error::Server { call: "eventfd read", source: errno.into() });
            }
            if poller.accepting_stops() && acceptor.take().is_some() {
                server.accepting_ended();
            }
            if poller.stopping() {
                break;
            }
        }
    }
    drop(acceptor);
    // Nobody will poll these any more.
    poller.registry.all().iter().for_each(Connection::close);
}

/// One connection's events.
#[inline]
fn dispatch(conn: &Connection, ready: Ready, local: &Local) {
    let fx = Fx::polling(conn, local);
    // Writable, and nobody is parked: the connection was closed meanwhile, which the reader's step finds.
    let stray = ready.writable() && !output::writable(&fx);
    if !ready.readable() && !stray {
        return;
    }
    loop {
        match lifecycle::readable(&fx, ready.hung_up()) {
            // What the peer sent before it stopped is bounded by the socket's buffer.
            Reading::Data if ready.ends() => {}
            Reading::Data | Reading::Nothing | Reading::Closed => return,
            Reading::Eof => return interest::mask_after_eof(&fx),
        }
    }
}
