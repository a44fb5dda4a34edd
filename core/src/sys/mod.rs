//! The kernel as a trait, and the real one.
//!
//! The reactor makes system calls through [`Kernel`] and in no other way, so that another kernel can be
//! put in its place by one alias. Every call restarts after `EINTR` where the kernel interrupted it.
//!
//! | module | what it is |
//! | --- | --- |
//! | `options` | what is set on sockets |
//! | `real` | Linux |
//! | `sockets` | opening sockets |
//! | [`sim`] | a simulated kernel, for the reactor under shuttle |
//!
//! Nothing else in this crate uses a crate that calls the kernel, and three are needed. The three calls of a request (wait,
//! read, write) are made by `rustix`, which makes them directly: the C library's are cancellation points of its threads,
//! and cost as much again. `socket2` opens sockets and sets their options, of which `nix` has only a part. The others are
//! `nix`'s, whose `Errno` is the one that is shown.
//!
//! Not here: who may make a call (the protocol), and what it is for.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]
#![cfg_attr(sim, allow(dead_code, reason = "the real kernel is there and is not used"))]

use std::io::{self, IoSlice};
use std::time::Duration;

pub(crate) use nix::errno::Errno;
use rustix::event::epoll::{Event, EventFlags};

use crate::addr::Addr;
use crate::sys::options::{ListenOptions, SocketOptions};

pub(crate) mod options;
mod real;
#[cfg(sim)]
pub mod sim;
pub(crate) mod sockets;
#[cfg(test)]
mod tests;

/// The kernel that the reactor runs on.
#[cfg(not(sim))]
pub(crate) type Kernel = real::NixSys;
#[cfg(sim)]
pub(crate) type Kernel = sim::SimSys;

/// What a call that may have nothing to do found.
pub(crate) type Result<T> = std::result::Result<T, Errno>;

/// What epoll is asked to report of an fd; `HUP` and `ERR` it reports always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// Each change once, instead of again and again while it lasts.
    pub(crate) edge: bool,
}

impl Interest {
    /// A connection at birth.
    pub(crate) const READABLE: Self = Self { readable: true, writable: false, edge: false };
}

/// What epoll reported of an fd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready(EventFlags);

impl Ready {
    /// Bytes, and nothing else.
    #[inline]
    pub(crate) fn is_data(self) -> bool {
        self.0 == EventFlags::IN
    }

    /// Bytes, the end of the stream, or an error: something that a read would find.
    #[inline]
    pub(crate) fn readable(self) -> bool {
        self.0.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR)
    }

    #[inline]
    pub(crate) fn writable(self) -> bool {
        self.0.intersects(EventFlags::OUT)
    }

    /// The peer sends no more: what is left can be read to its end at once.
    #[inline]
    pub(crate) fn ends(self) -> bool {
        self.0.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR)
    }

    /// Gone in both directions.
    #[inline]
    pub(crate) fn hung_up(self) -> bool {
        self.0.intersects(EventFlags::HUP | EventFlags::ERR)
    }
}

/// A batch of events.
pub(crate) struct Events(Vec<Event>);

impl Events {
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Those that the last wait found.
    #[inline]
    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch(self.0.iter())
    }
}

/// What is left of a batch.
pub(crate) struct Batch<'a>(std::slice::Iter<'a, Event>);

impl Batch<'_> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }
}

impl Iterator for Batch<'_> {
    /// Token, and what is reported.
    type Item = (u64, Ready);

    #[inline]
    fn next(&mut self) -> Option<(u64, Ready)> {
        self.0.next().map(|event| (event.data.u64(), Ready(event.flags)))
    }
}

/// The system calls of the reactor.
pub(crate) trait Sys {
    /// A socket; dropping it closes it.
    type Fd;
    /// An epoll instance.
    type Epoll;
    /// A counter that epoll can wait for.
    type Wake;
    /// A listening socket.
    type Listener;

    /// A socket that listens on `address`, and where that is.
    fn listen(&self, address: &str, options: &ListenOptions) -> crate::error::Result<(Self::Listener, Addr)>;
    /// A connected socket, non-blocking, and who is at its other end. Blocks up to `timeout`.
    fn connect(
        &self,
        address: &str,
        timeout: Duration,
        options: &SocketOptions,
    ) -> crate::error::Result<(Self::Fd, Addr)>;
    /// Sets the sizes of the buffers of a socket.
    fn set_buffers(&self, fd: &Self::Fd, options: &SocketOptions) -> io::Result<()>;

    fn epoll(&self) -> Result<Self::Epoll>;
    fn wake(&self) -> Result<Self::Wake>;

    fn add(&self, epoll: &Self::Epoll, fd: &Self::Fd, interest: Interest, token: u64) -> Result<()>;
    fn modify(&self, epoll: &Self::Epoll, fd: &Self::Fd, interest: Interest, token: u64) -> Result<()>;
    fn delete(&self, epoll: &Self::Epoll, fd: &Self::Fd) -> Result<()>;
    fn add_wake(&self, epoll: &Self::Epoll, wake: &Self::Wake, token: u64) -> Result<()>;
    fn add_listener(&self, epoll: &Self::Epoll, listener: &Self::Listener, token: u64) -> Result<()>;
    fn delete_listener(&self, epoll: &Self::Epoll, listener: &Self::Listener) -> Result<()>;

    /// Waits for events, for ever when `timeout` is `None`; no events when a signal interrupts it.
    fn wait(&self, epoll: &Self::Epoll, events: &mut Events, timeout: Option<Duration>) -> Result<()>;

    fn read(&self, fd: &Self::Fd, into: &mut [u8]) -> Result<usize>;
    /// Writes without raising `SIGPIPE`.
    fn write(&self, fd: &Self::Fd, from: &[u8]) -> Result<usize>;
    /// Writes several runs in one call, without raising `SIGPIPE`.
    fn write_vectored(&self, fd: &Self::Fd, from: &[IoSlice<'_>]) -> Result<usize>;
    /// Waits until the fd is readable or has ended, at most so long; whether it is.
    fn wait_readable(&self, fd: &Self::Fd, at_most: Duration) -> Result<bool>;
    /// Shuts both directions down: whoever polls the fd sees that it hung up.
    fn shutdown(&self, fd: &Self::Fd) -> Result<()>;
    /// Shuts the writing direction down: the peer sees the end of the stream.
    fn end_output(&self, fd: &Self::Fd) -> Result<()>;
    /// A new connection, non-blocking and closed on exec.
    fn accept(&self, listener: &Self::Listener) -> io::Result<(Self::Fd, Addr)>;

    /// Waits until one of `epolls` has an event for whoever waits in it, and leaves it there. Whether there is.
    fn doze(&self, epolls: &[&Self::Epoll], timeout: Duration) -> Result<bool>;

    fn signal(&self, wake: &Self::Wake) -> Result<()>;
    fn clear(&self, wake: &Self::Wake) -> Result<()>;
}

#[inline(always)]
fn restart<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}
