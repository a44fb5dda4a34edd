//! Listeners: taking connections off one, and leaving it alone while there are no fds.
//!
//! The listener is in the first poller's epoll, level-triggered. A connection is spread to the next poller
//! in turn; the accepting thread adds it to that poller's epoll itself and runs its OnConnect (S2).

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::effects::{Fx, Local};
use super::epoll::Poller;
use super::sys::{Kernel, Sys};
use crate::connection::Connection;
use crate::error::Error;
use crate::protocol::lifecycle;
use crate::shared::Shared;
use crate::sync::Arc;

/// How many connections are taken before other events get their turn.
const BATCH: usize = 64;
/// How long the listener is left alone when the process has no fds.
const PAUSE: Duration = Duration::from_millis(20);

/// A listener and whether it is being listened to.
pub(crate) struct Acceptor {
    listener: <Kernel as Sys>::Listener,
    resume: Option<Instant>,
}

impl Acceptor {
    pub(crate) fn new(listener: <Kernel as Sys>::Listener, poller: &Poller) -> super::sys::Result<Self> {
        poller.listen(&listener)?;
        Ok(Self { listener, resume: None })
    }

    /// How long epoll may wait.
    #[inline]
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.resume.map(|resume| resume.saturating_duration_since(Instant::now()))
    }

    /// Listens again when the pause is over.
    #[inline]
    pub(crate) fn tick(&mut self, server: &Shared, poller: &Poller) {
        if self.resume.is_some_and(|resume| resume <= Instant::now()) {
            self.resume = match poller.listen(&self.listener) {
                Ok(()) => None,
                Err(errno) => {
                    server.report(&Error::Server { call: "epoll_ctl", source: errno.into() });
                    Some(Instant::now() + PAUSE)
                }
            };
        }
    }

    /// Takes the connections that are there, up to a batch.
    pub(crate) fn accept(&mut self, server: &Arc<Shared>, poller: &Poller, local: &Local) {
        for _ in 0..BATCH {
            if poller.accepting_stops() {
                return;
            }
            match poller.sys().accept(&self.listener) {
                Ok((fd, peer)) => {
                    let (home, id) = server.one_more();
                    let conn = server.pollers[home]
                        .registry
                        .insert(|token| Connection::new(server.clone(), home, token, fd, peer, id));
                    let fx = Fx::polling(&conn, local);
                    let _ = lifecycle::register(&fx);
                    lifecycle::connect(&fx);
                }
                Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::EAGAIN) => return,
                    Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => {
                        server.report(&Error::Server { call: "accept4", source: error });
                        self.pause(server, poller);
                        return;
                    }
                    // The connection was gone before it was taken, or the network said something about it.
                    _ => {}
                },
            }
        }
    }

    /// Out of fds, the listener stays readable: it would be reported in every batch for nothing.
    fn pause(&mut self, server: &Shared, poller: &Poller) {
        if let Err(errno) = poller.unlisten(&self.listener) {
            server.report(&Error::Server { call: "epoll_ctl", source: errno.into() });
        }
        self.resume = Some(Instant::now() + PAUSE);
    }
}
