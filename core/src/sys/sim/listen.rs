//! Listeners, accept and connect.
//!
//! A connection is complete once it is in the listener's queue: its peer can send at once. Accept takes a number first,
//! as Linux does, so without one it fails also when nobody waits. A listener that closes resets who is in its queue.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use nix::errno::Errno;

use super::{SimFd, call, wait};
use crate::addr::Addr;
use crate::error::{Error, Result};
use crate::sys::sim::report::count;
use crate::sys::sim::state::{File, Kind, Look, State};
use crate::sys::sim::stream::Stream;

/// A listener's queue.
pub(super) struct Queue {
    pub(super) address: SocketAddr,
    pub(super) waiting: VecDeque<File>,
    pub(super) backlog: usize,
}

impl Queue {
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < self.backlog
    }
}

fn resolve(call: &'static str, address: &str) -> Result<SocketAddr> {
    address.parse().map_err(|_| {
        let source = std::io::Error::new(ErrorKind::InvalidInput, "an address is needed");
        Error::Address { call, address: address.to_owned(), source }
    })
}

pub(super) fn listen(address: &str, backlog: i32) -> Result<(SimFd, Addr)> {
    let local = resolve("bind", address)?;
    let backlog = usize::try_from(backlog).unwrap_or_default().max(1);
    let opened = call("listen", |state| {
        if state.listener(local).is_some() {
            return Err(Errno::EADDRINUSE);
        }
        state.open(Kind::Listener(Queue { address: local, waiting: VecDeque::new(), backlog }))
    });
    let fd = opened.map_err(|errno| Error::Server { call: "bind", source: errno.into() })?;
    Ok((fd, Addr::Tcp(local)))
}

/// A connection of the reactor to whoever listens on `address`.
pub(super) fn connect(address: &str, timeout: Duration) -> Result<(SimFd, Addr)> {
    let peer = resolve("dial", address)?;
    let refused = |errno: Errno| Error::Dial { address: address.to_owned(), source: errno.into() };
    let listener = call("connect", |state| {
        if !state.has_number() {
            return Err(Errno::EMFILE);
        }
        state.listener(peer).ok_or(Errno::ECONNREFUSED)
    });
    let listener = listener.map_err(refused)?;
    let made = wait(Look::Room(listener), Some(timeout), |state| match &state.files[listener.0] {
        Kind::Listener(queue) if !queue.has_room() => None,
        Kind::Listener(_) if !state.has_number() => Some(Err(Errno::EMFILE)),
        Kind::Listener(_) => {
            let end = state.connect(listener);
            Some(Ok(state.number(end)))
        }
        _ => Some(Err(Errno::ECONNREFUSED)),
    });
    match made {
        Some(Ok(fd)) => Ok((fd, Addr::Tcp(peer))),
        Some(Err(errno)) => Err(refused(errno)),
        None => Err(Error::DialTimeout { address: address.to_owned(), timeout }),
    }
}

impl State {
    /// Who listens on `address`.
    pub(super) fn listener(&self, address: SocketAddr) -> Option<File> {
        let listens = |kind: &Kind| matches!(kind, Kind::Listener(queue) if queue.address == address);
        self.files.iter().position(listens).map(File)
    }

    /// A new connection in the queue of `listener`, which has room: the other end.
    pub(super) fn connect(&mut self, listener: File) -> File {
        let (here, there) = (File(self.files.len()), File(self.files.len() + 1));
        let room = self.faults.room;
        self.create(Kind::Stream(Stream::new(there, room)));
        self.create(Kind::Stream(Stream::new(here, room)));
        if let Kind::Listener(queue) = &mut self.files[listener.0] {
            queue.waiting.push_back(there);
        }
        self.changed(listener);
        here
    }

    pub(super) fn accept(&mut self, listener: &SimFd) -> super::Result<(SimFd, Addr)> {
        self.check("accept", listener)?;
        if !self.has_number() {
            count("EMFILE");
            return Err(Errno::EMFILE);
        }
        let Kind::Listener(queue) = &mut self.files[listener.file.0] else { return Err(Errno::EBADF) };
        let file = queue.waiting.pop_front().ok_or(Errno::EAGAIN)?;
        self.changes += 1;
        let port = u16::try_from(file.0).unwrap_or_default();
        Ok((self.number(file), Addr::Tcp(SocketAddr::from(([10, 0, 0, 2], port)))))
    }
}
