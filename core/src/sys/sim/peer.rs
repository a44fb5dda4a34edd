//! The other ends of the reactor's connections, and listeners that it can dial: a process of their own.
//!
//! Every method is one step of the calling thread, or waits. Files of a peer have no number here, take no part in the
//! count of system calls, and have no faults of their own.

use std::collections::VecDeque;
use std::net::SocketAddr;

use nix::errno::Errno;

use super::{keeps_order, step, wait};
use crate::sys::sim::listen::Queue;
use crate::sys::sim::state::{File, Kind, Look};

/// The other end of one connection. Dropping it closes it: FIN, or RST if something was unread.
#[derive(Debug)]
pub struct Peer(File);

impl Peer {
    /// Connects to who listens on `address`; waits for room in its queue.
    ///
    /// # Errors
    ///
    /// `ECONNREFUSED` when nobody listens.
    pub fn connect(address: SocketAddr) -> Result<Self, Errno> {
        let listener = step(|state| state.listener(address)).ok_or(Errno::ECONNREFUSED)?;
        let made = wait(Look::Room(listener), None, |state| match &state.files[listener.0] {
            Kind::Listener(queue) if !queue.has_room() => None,
            Kind::Listener(_) => Some(Ok(state.connect(listener))),
            _ => Some(Err(Errno::ECONNREFUSED)),
        });
        made.unwrap_or(Err(Errno::ETIMEDOUT)).map(Self)
    }

    /// Sends all of `bytes`, waiting for room.
    ///
    /// # Errors
    ///
    /// What the connection has come to.
    pub fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        let mut sent = 0;
        while sent < bytes.len() {
            let more = wait(Look::Writable(self.0), None, |state| match state.put(self.0, &bytes[sent..]) {
                Err(Errno::EAGAIN) => None,
                other => Some(other),
            });
            sent += more.unwrap_or(Err(Errno::ETIMEDOUT))?;
        }
        Ok(())
    }

    /// Waits for bytes; none at the end of the stream.
    ///
    /// # Errors
    ///
    /// What the connection has come to.
    pub fn receive(&self) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; 4096];
        let found = wait(Look::Readable(self.0), None, |state| match state.take(self.0, &mut bytes) {
            Err(Errno::EAGAIN) => None,
            other => Some(other),
        });
        bytes.truncate(found.unwrap_or(Err(Errno::ETIMEDOUT))?);
        Ok(bytes)
    }

    /// Waits for so many bytes, or the end; what came, and whether that was a clean end of the stream.
    pub fn receive_exactly(&self, count: usize) -> (Vec<u8>, bool) {
        let mut all = Vec::new();
        while all.len() < count {
            match self.receive() {
                Ok(bytes) if bytes.is_empty() => return (all, true),
                Ok(bytes) => all.extend(bytes),
                Err(_) => return (all, false),
            }
        }
        (all, true)
    }

    /// Waits for the end; what came before, and whether it was a clean one.
    pub fn receive_all(&self) -> (Vec<u8>, bool) {
        self.receive_exactly(usize::MAX)
    }

    /// Sends FIN: it sends no more, and reads on.
    pub fn finish(&self) {
        // It may be reset already.
        let _ = step(|state| state.shut(self.0, false));
    }

    /// Sends RST.
    pub fn reset(self) {
        step(|state| state.end(self.0, true));
        std::mem::forget(self);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if keeps_order() {
            step(|state| state.end(self.0, false));
        }
    }
}

/// A listener that the reactor can dial. Dropping it closes it.
#[derive(Debug)]
pub struct Remote(File);

impl Remote {
    /// Listens on `address`, with room for so many in its queue.
    pub fn listen(address: SocketAddr, backlog: usize) -> Self {
        let queue = Queue { address, waiting: VecDeque::new(), backlog };
        Self(step(|state| state.create(Kind::Listener(queue))))
    }

    /// Waits for somebody.
    ///
    /// # Panics
    ///
    /// Never: it is there as long as `self`.
    pub fn accept(&self) -> Peer {
        let taken = wait(Look::Queued(self.0), None, |state| match &mut state.files[self.0.0] {
            Kind::Listener(queue) => queue.waiting.pop_front(),
            _ => None,
        });
        Peer(taken.expect("it waits for as long as it takes"))
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if keeps_order() {
            step(|state| state.end(self.0, false));
        }
    }
}
