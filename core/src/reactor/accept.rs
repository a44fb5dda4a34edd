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

use super::host::{Host, Notice};
use crate::error::Error;
use crate::protocol::takeover::Lead;
use crate::reactor::poller::Poller;
use crate::sync::time::Instant;
use crate::sync::{Arc, lock};
use crate::sys::{Errno, Kernel, Sys};

/// How many connections are taken before other events get their turn.
const BATCH: usize = 64;
/// How long the listener is left alone when the process has no fds, unless a connection ends.
const PAUSE: Duration = Duration::from_millis(20);

/// A listener, what its connections are given, and how many there may be.
pub(crate) struct Listening<F> {
    pub(crate) listener: <Kernel as Sys>::Listener,
    pub(crate) factory: F,
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
pub(crate) struct Acceptor<H: Host> {
    listening: Listening<H::Factory>,
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
    fn tell(&mut self, host: &impl Host, limit: u32) {
        if std::mem::take(&mut self.full) {
            host.notice(Notice::Full(limit));
        }
        for error in self.errors.drain(..) {
            if let Error::Server { call: "accept4", source } = &error {
                host.notice(Notice::OutOfFds(source));
            }
            host.report(error);
        }
    }
}

/// What came of one accept.
enum Taken<S> {
    One(S),
    /// Nothing, and the next one may be there.
    Next,
    /// Nobody is there.
    Nobody,
    /// There is no room: accepting pauses.
    NoRoom,
}

impl<H: Host> Acceptor<H> {
    pub(crate) fn new(listening: Listening<H::Factory>, poller: &Poller<H>) -> crate::sys::Result<Self> {
        poller.listen(&listening.listener)?;
        Ok(Self { listening, full: false, pause: None })
    }

    /// Closes the listener; what made sources is the caller's, to be dropped as a value of a user's.
    pub(crate) fn end(self) -> H::Factory {
        self.listening.factory
    }

    /// Whether accepting pauses, and until when at most.
    pub(crate) fn pauses(&self) -> Option<Option<Instant>> {
        self.pause.map(|pause| match pause {
            Pause::OutOfFds(retry) => Some(retry),
            Pause::Full => None,
        })
    }

    /// Whether there may be somebody to take, and room for them.
    fn begins(&self, host: &H, incoming: bool) -> bool {
        let Some(pause) = self.pause else { return incoming };
        let found = host.gate().wait();
        match pause {
            Pause::Full => found.room(self.listening.limit),
            Pause::OutOfFds(retry) => !found.waiting || retry <= Instant::now(),
        }
    }

    /// Takes one connection. It is registered before the lock of the acceptor is given back: whoever closes the
    /// listener after that finds it.
    fn take(&mut self, host: &Arc<H>, poller: &Poller<H>, turn: &mut Turn) -> Taken<H::Source> {
        let limit = self.listening.limit;
        if self.full {
            if !host.gate().wait().room(limit) {
                turn.full |= turn.fresh;
                return self.pause(Pause::Full, host, poller, turn);
            }
            self.full = false;
            host.gate().wake();
        }
        match poller.sys().accept(&self.listening.listener) {
            Ok((fd, peer)) => {
                (turn.fresh, turn.waits) = (true, false);
                if host.sockets().has_buffers()
                    && peer.tcp().is_none()
                    && let Err(source) = poller.sys().set_buffers(&fd, host.sockets())
                {
                    turn.errors.push(Error::Server { call: "setsockopt", source });
                }
                self.full = !host.gate().enter().room(limit);
                Taken::One(host.admit(&self.listening.factory, fd, peer))
            }
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EAGAIN) => Taken::Nobody,
                Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => {
                    if !std::mem::replace(&mut turn.waits, true) {
                        let _ = host.gate().wait();
                        return Taken::Next;
                    }
                    if turn.fresh {
                        turn.errors.push(Error::Server { call: "accept4", source: error });
                    }
                    self.pause(Pause::OutOfFds(Instant::now() + PAUSE), host, poller, turn)
                }
                // The connection was gone before it was taken, or the network said something about it.
                _ => Taken::Next,
            },
        }
    }

    /// There is no room: the listener leaves epoll, unless it has.
    fn pause(&mut self, why: Pause, host: &H, poller: &Poller<H>, turn: &mut Turn) -> Taken<H::Source> {
        if turn.fresh {
            host.notice(Notice::Pauses);
        }
        if self.pause.replace(why).is_none()
            && let Err(errno) = poller.unlisten(&self.listening.listener)
        {
            turn.errors.push(Error::Server { call: "epoll_ctl", source: errno.into() });
        }
        Taken::NoRoom
    }

    /// Nobody is there to be taken, or others must have their turn: the listener is back in epoll.
    fn resume(&mut self, host: &H, poller: &Poller<H>, turn: &mut Turn) {
        if self.pause.is_none() {
            return;
        }
        host.gate().wake();
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
pub(super) fn turn<H: Host>(host: &Arc<H>, lead: &Lead, local: &H::Local, incoming: bool, singly: bool) -> bool {
    let poller = &host.pollers()[lead.home()];
    let mut turn = Turn { fresh: true, waits: false, full: false, errors: Vec::new() };
    let mut limit = 0;
    let begins = lock(&poller.acceptor).as_ref().is_some_and(|acceptor| {
        turn.fresh = acceptor.pause.is_none();
        limit = acceptor.listening.limit;
        acceptor.begins(host, incoming)
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
            Some(acceptor) => (acceptor.take(host, poller, &mut turn), acceptor.full),
            None => (Taken::Nobody, false),
        };
        turn.tell(&**host, limit);
        match taken {
            Taken::One(source) => host.welcome(&source, local),
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
            acceptor.resume(host, poller, &mut turn);
        }
        turn.tell(&**host, limit);
    }
    leads
}
