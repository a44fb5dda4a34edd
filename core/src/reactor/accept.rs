//! Listeners: taking connections off one, and leaving it alone while there are no fds.
//!
//! The listener is in the first poller's epoll, level-triggered. A connection is spread to the next poller
//! in turn; the accepting thread adds it to that poller's epoll itself and runs its OnConnect (S2). If that does
//! not return, the loop's next leader goes on accepting: no lock is held while callbacks run.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::effects::{Fx, Local};
use super::epoll::Poller;
use super::sys::{Kernel, Sys};
use crate::connection::Connection;
use crate::error::Error;
use crate::protocol::lifecycle;
use crate::protocol::takeover::Lead;
use crate::shared::Shared;
use crate::sync::{Arc, lock};

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

    /// When to listen again.
    pub(crate) fn resume(&self) -> Option<Instant> {
        self.resume
    }

    /// Listens again when the pause is over.
    fn tick(&mut self, poller: &Poller) -> Option<Error> {
        if self.resume.is_none_or(|resume| resume > Instant::now()) {
            return None;
        }
        let listens = poller.listen(&self.listener);
        self.resume = listens.is_err().then(|| Instant::now() + PAUSE);
        listens.err().map(refused)
    }

    /// Takes one connection. It is registered before the lock of the acceptor is given back: whoever closes the
    /// listener after that finds it.
    fn take(&mut self, server: &Arc<Shared>, poller: &Poller) -> Taken {
        match poller.sys().accept(&self.listener) {
            Ok((fd, peer)) => {
                let (home, id) = server.one_more();
                let make = |token| Connection::new(server.clone(), home, token, fd, peer, id);
                Taken::One(server.pollers[home].registry.insert(make))
            }
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EAGAIN) => Taken::None,
                Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => {
                    let unlistened = self.pause(poller);
                    Taken::NoFds(Error::Server { call: "accept4", source: error }, unlistened.err().map(refused))
                }
                // The connection was gone before it was taken, or the network said something about it.
                _ => Taken::Gone,
            },
        }
    }

    /// Out of fds, the listener stays readable: it would be reported in every batch for nothing.
    fn pause(&mut self, poller: &Poller) -> super::sys::Result<()> {
        self.resume = Some(Instant::now() + PAUSE);
        poller.unlisten(&self.listener)
    }
}

/// What came of one accept. Errors are reported outside the acceptor's lock.
enum Taken {
    One(Connection),
    Gone,
    None,
    NoFds(Error, Option<Error>),
}

fn refused(errno: Errno) -> Error {
    Error::Server { call: "epoll_ctl", source: errno.into() }
}

/// The leading thread's turn at the listener of its loop, if it has one: ends a pause that is over, and takes the
/// connections that are there, up to a batch. Whether it still leads. (K2)
pub(super) fn turn(server: &Arc<Shared>, lead: &Lead, local: &Local, incoming: bool) -> bool {
    let poller = &server.pollers[lead.home()];
    let failed = lock(&poller.acceptor).as_mut().and_then(|acceptor| acceptor.tick(poller));
    failed.iter().for_each(|error| server.report(error));
    let most = if incoming { BATCH } else { 0 };
    for _ in 0..most {
        if poller.accepting_stops() {
            break;
        }
        lead.work();
        let taken = lock(&poller.acceptor).as_mut().map(|acceptor| acceptor.take(server, poller));
        match taken {
            Some(Taken::One(conn)) => {
                let fx = Fx::polling(&conn, local);
                let _ = lifecycle::register(&fx);
                lifecycle::connect(&fx);
            }
            Some(Taken::Gone) => {}
            Some(Taken::NoFds(error, also)) => {
                server.report(&error);
                also.iter().for_each(|error| server.report(error));
                break;
            }
            Some(Taken::None) | None => break,
        }
        if lead.is_over() {
            return false;
        }
    }
    true
}
