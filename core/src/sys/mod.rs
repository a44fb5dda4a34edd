//! The kernel as a trait, and the real one.
//!
//! The reactor makes system calls through [`Kernel`] and in no other way, so that another kernel can be
//! put in its place by one alias. Every call restarts after `EINTR` where the kernel interrupted it.
//!
//! The three calls of a request (wait, read, write) are made by `rustix`, which makes them directly: the C library's
//! are cancellation points of its threads, and cost as much again. The others are `nix`'s.
//!
//! Not here: who may make a call (the protocol), and what it is for.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]
#![cfg_attr(sim, allow(dead_code, reason = "the real kernel is there and is not used"))]

use std::io::{self, IoSlice};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{self, MsgFlags, Shutdown};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventFlags};
use rustix::net::{RecvFlags, SendFlags};

use crate::addr::Addr;
use crate::server::settings::{ListenOptions, SocketOptions};

#[cfg(sim)]
pub mod sim;
pub(crate) mod sockets;
#[cfg(test)]
mod tests;

/// The kernel that the reactor runs on.
#[cfg(not(sim))]
pub(crate) type Kernel = NixSys;
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
    fn listen(&self, address: &str, options: &ListenOptions) -> crate::Result<(Self::Listener, Addr)>;
    /// A connected socket, non-blocking, and who is at its other end. Blocks up to `timeout`.
    fn connect(&self, address: &str, timeout: Duration, options: &SocketOptions) -> crate::Result<(Self::Fd, Addr)>;
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

/// A listening socket of the real kernel.
#[derive(Debug)]
pub(crate) enum NixListener {
    Tcp(TcpListener),
    /// With the path to remove when it is closed.
    Unix(UnixListener, PathBuf),
}

/// The real kernel, by way of `nix`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NixSys;

/// Miri knows an epoll that reports changes alone. Its tests send little, and are read at the first report.
const ALWAYS: EpollFlags = if cfg!(miri) { EpollFlags::EPOLLET } else { EpollFlags::empty() };

fn event(interest: Interest, token: u64) -> EpollEvent {
    let mut flags = EpollFlags::empty();
    flags.set(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP, interest.readable);
    flags.set(EpollFlags::EPOLLOUT, interest.writable);
    flags.set(EpollFlags::EPOLLET, interest.edge);
    EpollEvent::new(flags | ALWAYS, token)
}

/// The same error, as the rest of the crate knows it.
#[cold]
fn known(errno: rustix::io::Errno) -> Errno {
    Errno::from_raw(errno.raw_os_error())
}

/// After a read that failed: again, if a signal interrupted it.
#[cold]
#[inline(never)]
fn read_again(fd: &OwnedFd, into: &mut [u8], errno: rustix::io::Errno) -> Result<usize> {
    if errno != rustix::io::Errno::INTR {
        return Err(known(errno));
    }
    restart(|| rustix::net::recv(fd, &mut *into, RecvFlags::empty()).map(|(count, _)| count).map_err(known))
}

/// After a write that failed: again, if a signal interrupted it.
#[cold]
#[inline(never)]
fn write_again(fd: &OwnedFd, from: &[u8], errno: rustix::io::Errno) -> Result<usize> {
    if errno != rustix::io::Errno::INTR {
        return Err(known(errno));
    }
    restart(|| rustix::net::send(fd, from, SendFlags::NOSIGNAL).map_err(known))
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

impl Sys for NixSys {
    type Fd = OwnedFd;
    type Epoll = Epoll;
    type Wake = EventFd;
    type Listener = NixListener;

    fn listen(&self, address: &str, options: &ListenOptions) -> crate::Result<(NixListener, Addr)> {
        crate::sys::sockets::listen(address, options)
    }

    fn connect(&self, address: &str, timeout: Duration, options: &SocketOptions) -> crate::Result<(OwnedFd, Addr)> {
        crate::sys::sockets::connect(address, timeout, options)
    }

    fn set_buffers(&self, fd: &OwnedFd, options: &SocketOptions) -> io::Result<()> {
        options.apply_buffers(fd)
    }

    fn epoll(&self) -> Result<Epoll> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
    }

    fn wake(&self) -> Result<EventFd> {
        EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)
    }

    fn add(&self, epoll: &Epoll, fd: &OwnedFd, interest: Interest, token: u64) -> Result<()> {
        epoll.add(fd, event(interest, token))
    }

    fn modify(&self, epoll: &Epoll, fd: &OwnedFd, interest: Interest, token: u64) -> Result<()> {
        epoll.modify(fd, &mut event(interest, token))
    }

    fn delete(&self, epoll: &Epoll, fd: &OwnedFd) -> Result<()> {
        epoll.delete(fd)
    }

    fn add_wake(&self, epoll: &Epoll, wake: &EventFd, token: u64) -> Result<()> {
        epoll.add(wake, EpollEvent::new(EpollFlags::EPOLLIN | ALWAYS, token))
    }

    fn add_listener(&self, epoll: &Epoll, listener: &NixListener, token: u64) -> Result<()> {
        epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN | ALWAYS, token))
    }

    fn delete_listener(&self, epoll: &Epoll, listener: &NixListener) -> Result<()> {
        epoll.delete(listener)
    }

    #[inline]
    fn wait(&self, epoll: &Epoll, events: &mut Events, timeout: Option<Duration>) -> Result<()> {
        let timeout = timeout.map(|time| Timespec {
            // Whole milliseconds, rounded up: a wait that ends a little early would spin until its time has come.
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        });
        events.0.clear();
        match epoll::wait(&epoll.0, spare_capacity(&mut events.0), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(known(errno)),
        }
    }

    fn doze(&self, epolls: &[&Epoll], timeout: Duration) -> Result<bool> {
        let mut fds: Vec<_> = epolls.iter().map(|epoll| PollFd::new(epoll.0.as_fd(), PollFlags::POLLIN)).collect();
        match nix::poll::poll(&mut fds, PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX)) {
            Err(Errno::EINTR) => Ok(false),
            other => other.map(|ready| ready > 0),
        }
    }

    #[inline(always)]
    fn read(&self, fd: &OwnedFd, into: &mut [u8]) -> Result<usize> {
        match rustix::net::recv(fd, &mut *into, RecvFlags::empty()) {
            // Its true length, which without `MSG_TRUNC` is no more than there is room for.
            Ok((_, count)) => Ok(count),
            Err(errno) => read_again(fd, into, errno),
        }
    }

    #[inline(always)]
    fn write(&self, fd: &OwnedFd, from: &[u8]) -> Result<usize> {
        match rustix::net::send(fd, from, SendFlags::NOSIGNAL) {
            Ok(count) => Ok(count),
            Err(errno) => write_again(fd, from, errno),
        }
    }

    fn write_vectored(&self, fd: &OwnedFd, from: &[IoSlice<'_>]) -> Result<usize> {
        restart(|| socket::sendmsg::<()>(fd.as_raw_fd(), from, &[], MsgFlags::MSG_NOSIGNAL, None))
    }

    fn wait_readable(&self, fd: &OwnedFd, at_most: Duration) -> Result<bool> {
        // Rounded up, as in `wait`.
        let timeout = PollTimeout::try_from(at_most + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
        match nix::poll::poll(&mut fds, timeout) {
            Err(Errno::EINTR) => Ok(false),
            other => other.map(|ready| ready > 0),
        }
    }

    fn shutdown(&self, fd: &OwnedFd) -> Result<()> {
        socket::shutdown(fd.as_raw_fd(), Shutdown::Both)
    }

    fn end_output(&self, fd: &OwnedFd) -> Result<()> {
        socket::shutdown(fd.as_raw_fd(), Shutdown::Write)
    }

    fn accept(&self, listener: &NixListener) -> io::Result<(OwnedFd, Addr)> {
        match listener {
            NixListener::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok((stream.into(), Addr::Tcp(peer)))
            }
            NixListener::Unix(listener, _) => {
                let (stream, peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok((stream.into(), Addr::from(&peer)))
            }
        }
    }

    fn signal(&self, wake: &EventFd) -> Result<()> {
        match restart(|| wake.write(1)) {
            // The counter is full: whoever waits is awake.
            Err(Errno::EAGAIN) => Ok(()),
            other => other.map(drop),
        }
    }

    fn clear(&self, wake: &EventFd) -> Result<()> {
        match restart(|| wake.read()) {
            Err(Errno::EAGAIN) => Ok(()),
            other => other.map(drop),
        }
    }
}

impl AsFd for NixListener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            NixListener::Tcp(listener) => listener.as_fd(),
            NixListener::Unix(listener, _) => listener.as_fd(),
        }
    }
}

impl Drop for NixListener {
    fn drop(&mut self) {
        if let NixListener::Unix(_, path) = self {
            // Somebody may have removed it already, which is what is wanted.
            let _ = std::fs::remove_file(path);
        }
    }
}
