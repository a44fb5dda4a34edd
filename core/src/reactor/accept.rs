//! Listeners: taking connections off one, and leaving it alone while there is no room.
//!
//! The listener is in the first poller's epoll, level-triggered. A connection is spread to one of the
//! pollers; the accepting thread adds it to that poller's epoll itself and runs its OnConnect (S2).
//!
//! There is no room at the limit of connections, or when the process has no file descriptor left. The
//! listener is taken out of epoll then, or it would be reported in every batch for nothing, and the gate
//! wakes this poller at the next end of a connection of the server (Q1). Descriptors may come free in other
//! ways, so these are tried for in between.
//! If an OnConnect does not return, the loop's next leader goes on accepting: no lock is held while callbacks run.

#![forbid(unsafe_code)]

use std::time::Duration;

use nix::errno::Errno;

use crate::connection::Connection;
use crate::connection::door;
use crate::connection::shared::Shared;
use crate::connection::step::{Fx, Local, State};
use crate::connection::task::Task;
use crate::connection::trace;
use crate::error::Error;
use crate::handler::Factory;
use crate::protocol::lifecycle;
use crate::protocol::takeover::Lead;
use crate::reactor::poller::Poller;
use crate::sync::time::Instant;
use crate::sync::{Arc, lock};
use crate::sys::{Kernel, Sys};

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

/// What one turn at the listener has seen so far.
struct Turn {
    /// Something was taken since the pause began.
    fresh: bool,
    /// Out of fds once: one more try, now that an end cannot go unseen.
    waits: bool,
    /// The limit was reached, to be told when no lock is held. (U4)
    full: bool,
    /// What went wrong, to be told likewise.
    errors: Vec<Error>,
}

impl Turn {
    /// Tells what there is to tell. Under no lock.
    fn tell(&mut self, server: &Shared, limit: u32) {
        if std::mem::take(&mut self.full) {
            trace::full(limit);
        }
        for error in self.errors.drain(..) {
            if let Error::Server { call: "accept4", source } = &error {
                trace::out_of_fds(source);
            }
            server.report(error);
        }
    }
}

/// What came of one accept.
enum Taken {
    One(Connection),
    /// Nothing, and the next one may be there.
    Next,
    /// Nobody is there.
    Nobody,
    /// There is no room: accepting pauses.
    NoRoom,
}

impl Acceptor {
    pub(crate) fn new(listening: Listening, poller: &Poller) -> crate::sys::Result<Self> {
        poller.listen(&listening.listener)?;
        Ok(Self { listening, full: false, pause: None })
    }

    /// Whether accepting pauses, and until when at most.
    pub(crate) fn pauses(&self) -> Option<Option<Instant>> {
        self.pause.map(|pause| match pause {
            Pause::OutOfFds(retry) => Some(retry),
            Pause::Full => None,
        })
    }

    /// Whether there may be somebody to take, and room for them.
    fn begins(&self, server: &Shared, incoming: bool) -> bool {
        let Some(pause) = self.pause else { return incoming };
        let found = server.gate.wait();
        match pause {
            Pause::Full => found.room(self.listening.limit),
            Pause::OutOfFds(retry) => !found.waiting || retry <= Instant::now(),
        }
    }

    /// Takes one connection. It is registered before the lock of the acceptor is given back: whoever closes the
    /// listener after that finds it.
    fn take(&mut self, server: &Arc<Shared>, poller: &Poller, turn: &mut Turn) -> Taken {
        let limit = self.listening.limit;
        if self.full {
            if !server.gate.wait().room(limit) {
                turn.full |= turn.fresh;
                return self.pause(Pause::Full, server, poller, turn);
            }
            self.full = false;
            server.gate.wake();
        }
        match poller.sys().accept(&self.listening.listener) {
            Ok((fd, peer)) => {
                (turn.fresh, turn.waits) = (true, false);
                if server.sockets.has_buffers()
                    && peer.tcp().is_none()
                    && let Err(source) = server.sys.set_buffers(&fd, &server.sockets)
                {
                    turn.errors.push(Error::Server { call: "setsockopt", source });
                }
                let place = server.accepted();
                self.full = !server.gate.enter().room(limit);
                let service = self.listening.factory.make();
                let make = |token| Connection::new(server.clone(), place, token, fd, peer, service);
                Taken::One(server.pollers[place.home()].registry.insert(make))
            }
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EAGAIN) => Taken::Nobody,
                Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => {
                    if !std::mem::replace(&mut turn.waits, true) {
                        let _ = server.gate.wait();
                        return Taken::Next;
                    }
                    if turn.fresh {
                        turn.errors.push(Error::Server { call: "accept4", source: error });
                    }
                    self.pause(Pause::OutOfFds(Instant::now() + PAUSE), server, poller, turn)
                }
                // The connection was gone before it was taken, or the network said something about it.
                _ => Taken::Next,
            },
        }
    }

    /// There is no room: the listener leaves epoll, unless it has.
    fn pause(&mut self, why: Pause, server: &Shared, poller: &Poller, turn: &mut Turn) -> Taken {
        if turn.fresh {
            server.counters.accept_pauses.add(1);
        }
        if self.pause.replace(why).is_none()
            && let Err(errno) = poller.unlisten(&self.listening.listener)
        {
            turn.errors.push(Error::Server { call: "epoll_ctl", source: errno.into() });
        }
        Taken::NoRoom
    }

    /// Nobody is there to be taken, or others must have their turn: the listener is back in epoll.
    fn resume(&mut self, server: &Shared, poller: &Poller, turn: &mut Turn) {
        if self.pause.is_none() {
            return;
        }
        server.gate.wake();
        self.pause = match poller.listen(&self.listening.listener) {
            Ok(()) => None,
            Err(errno) => {
                turn.errors.push(Error::Server { call: "epoll_ctl", source: errno.into() });
                Some(Pause::OutOfFds(Instant::now() + PAUSE))
            }
        };
    }
}

/// The leading thread's turn at the listener of its loop, if it has one: ends a pause that is over, and takes the
/// connections that are there, up to a batch; if they come `singly`, one, since a call that finds nobody else costs
/// as much as one that does. Whether it still leads. (K2, Q1)
pub(super) fn turn(server: &Arc<Shared>, lead: &Lead, local: &Local, incoming: bool, singly: bool) -> bool {
    let poller = &server.pollers[lead.home()];
    let mut turn = Turn { fresh: true, waits: false, full: false, errors: Vec::new() };
    let mut limit = 0;
    let begins = lock(&poller.acceptor).as_ref().is_some_and(|acceptor| {
        turn.fresh = acceptor.pause.is_none();
        limit = acceptor.listening.limit;
        acceptor.begins(server, incoming)
    });
    if !begins {
        return true;
    }
    let mut leads = true;
    let mut no_room = false;
    for _ in 0..BATCH {
        if poller.accepting_stops() {
            return leads;
        }
        lead.work();
        let (taken, full) = match lock(&poller.acceptor).as_mut() {
            Some(acceptor) => (acceptor.take(server, poller, &mut turn), acceptor.full),
            None => (Taken::Nobody, false),
        };
        turn.tell(server, limit);
        match taken {
            Taken::One(conn) => welcome(server, &conn, local),
            Taken::Next => {}
            Taken::NoRoom => no_room = true,
            Taken::Nobody => break,
        }
        leads = !lead.is_over();
        // At the limit one more try takes the listener out of epoll.
        if no_room || !leads || singly && !full {
            break;
        }
    }
    if !no_room {
        if let Some(acceptor) = lock(&poller.acceptor).as_mut() {
            acceptor.resume(server, poller, &mut turn);
        }
        turn.tell(server, limit);
    }
    leads
}

/// The first steps of a connection: OnPrepare, the ADD, OnConnect. (S2, H1)
fn welcome(server: &Shared, conn: &Connection, local: &Local) {
    trace::accept(conn.id(), conn.peer(), conn.conn().place.home());
    let state = State::new();
    let fx = Fx::polling(conn, local, &state);
    let _ = lifecycle::register(&fx);
    if server.has_runner {
        door::run_on_runner(Task::connect(conn.clone()));
    } else {
        lifecycle::connect(&fx);
        trace::connect(conn.id());
    }
}
