//! Listeners: taking connections off one, and leaving it alone while there is no room.
//!
//! The listener is in the first poller's epoll, level-triggered. A connection is spread to one of the
//! pollers; the accepting thread adds it to that poller's epoll itself and runs its OnConnect (S2).
//!
//! There is no room at the limit of connections, or when the process has no file descriptor left. The
//! listener is taken out of epoll then, or it would be reported in every batch for nothing, and the gate
//! wakes this poller at the next end of a connection of the server (Q1). Descriptors may come free in other
//! ways, so these are tried for in between.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::effects::{Fx, Local};
use super::epoll::Poller;
use super::sys::{Kernel, Sys};
use crate::connection::Connection;
use crate::error::Error;
use crate::handler::Factory;
use crate::protocol::lifecycle;
use crate::runner::Task;
use crate::shared::Shared;
use crate::sync::Arc;
use crate::trace;

/// How many connections are taken before other events get their turn.
const BATCH: usize = 64;
/// How long the listener is left alone when the process has no fds, unless a connection ends.
const PAUSE: Duration = Duration::from_millis(20);

/// A listener, what its connections are given, and how many there may be.
pub(crate) struct Listening {
    pub(crate) listener: <Kernel as Sys>::Listener,
    pub(crate) factory: Box<dyn Factory>,
    pub(crate) limit: u32,
}

/// Why accepting pauses.
#[derive(Clone, Copy)]
enum Pause {
    /// There are as many connections as there may be.
    Full,
    /// There is no fd. Tried again at this time.
    OutOfFds(Instant),
}

/// A listener and whether it is being listened to.
pub(crate) struct Acceptor {
    listening: Listening,
    /// There were as many connections as there may be when the last one was accepted.
    full: bool,
    /// Set while the listener is not in epoll.
    pause: Option<Pause>,
}

impl Acceptor {
    pub(crate) fn new(listening: Listening, poller: &Poller) -> super::sys::Result<Self> {
        poller.listen(&listening.listener)?;
        Ok(Self { listening, full: false, pause: None })
    }

    /// How long epoll may wait.
    #[inline]
    pub(crate) fn timeout(&self) -> Option<Duration> {
        match self.pause {
            Some(Pause::OutOfFds(retry)) => Some(retry.saturating_duration_since(Instant::now())),
            Some(Pause::Full) | None => None,
        }
    }

    /// Goes on when there may be room again. After every wait of the poller.
    #[inline]
    pub(crate) fn tick(&mut self, server: &Arc<Shared>, poller: &Poller, local: &Local) {
        let Some(pause) = self.pause else { return };
        let found = server.gate.wait();
        let over = match pause {
            Pause::Full => found.room(self.listening.limit),
            Pause::OutOfFds(retry) => !found.waiting || retry <= Instant::now(),
        };
        if over {
            self.accept(server, poller, local);
        }
    }

    /// Takes the connections that are there, up to a batch.
    pub(crate) fn accept(&mut self, server: &Arc<Shared>, poller: &Poller, local: &Local) {
        // Whether something was taken since the pause began.
        let mut fresh = self.pause.is_none();
        // Out of fds once: one more try, now that an end cannot go unseen.
        let mut waits = false;
        for _ in 0..BATCH {
            if poller.accepting_stops() {
                return;
            }
            let limit = self.listening.limit;
            if self.full {
                if !server.gate.wait().room(limit) {
                    if fresh {
                        trace::full(limit);
                    }
                    return self.pause(Pause::Full, fresh, server, poller);
                }
                self.full = false;
                server.gate.wake();
            }
            match poller.sys().accept(&self.listening.listener) {
                Ok((fd, peer)) => {
                    (fresh, waits) = (true, false);
                    if server.sockets.has_buffers()
                        && peer.tcp().is_none()
                        && let Err(source) = server.sockets.apply_buffers(&fd)
                    {
                        server.report(&Error::Server { call: "setsockopt", source });
                    }
                    let place = server.accepted();
                    self.full = !server.gate.enter().room(limit);
                    trace::accept(place.id, &peer, place.home);
                    let service = self.listening.factory.make();
                    let conn = server.pollers[place.home]
                        .registry
                        .insert(|token| Connection::new(server.clone(), place, token, fd, peer, service));
                    let fx = Fx::polling(&conn, local);
                    let _ = lifecycle::register(&fx);
                    match &server.runner {
                        None => lifecycle::connect(&fx),
                        Some(runner) => runner.run(Task::connect(conn)),
                    }
                    trace::connect(place.id);
                }
                Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::EAGAIN) => break,
                    Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => {
                        if !waits {
                            waits = true;
                            let _ = server.gate.wait();
                            continue;
                        }
                        if fresh {
                            trace::out_of_fds(&error);
                            server.report(&Error::Server { call: "accept4", source: error });
                        }
                        let why = Pause::OutOfFds(Instant::now() + PAUSE);
                        return self.pause(why, fresh, server, poller);
                    }
                    // The connection was gone before it was taken, or the network said something about it.
                    _ => {}
                },
            }
        }
        if self.pause.is_some() {
            self.resume(server, poller);
        }
    }

    /// There is no room: the listener leaves epoll, unless it has.
    fn pause(&mut self, why: Pause, fresh: bool, server: &Shared, poller: &Poller) {
        if fresh {
            server.counters.accept_pauses.add(1);
        }
        if self.pause.replace(why).is_none()
            && let Err(errno) = poller.unlisten(&self.listening.listener)
        {
            server.report(&Error::Server { call: "epoll_ctl", source: errno.into() });
        }
    }

    /// Nobody is there to be taken, or others must have their turn: the listener is back in epoll.
    fn resume(&mut self, server: &Shared, poller: &Poller) {
        server.gate.wake();
        self.pause = match poller.listen(&self.listening.listener) {
            Ok(()) => None,
            Err(errno) => {
                server.report(&Error::Server { call: "epoll_ctl", source: errno.into() });
                Some(Pause::OutOfFds(Instant::now() + PAUSE))
            }
        };
    }
}
