//! The real kernel: Linux, by way of `rustix`, `nix` and, for opening sockets, `socket2`.
//!
//! Not here: what each call is for (`Sys`), and opening sockets (`sockets`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]
#![cfg_attr(sim, allow(dead_code, reason = "the real kernel is there and is not used"))]

use std::io::{self, IoSlice};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{self, MsgFlags, Shutdown};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll;
use rustix::net::{RecvFlags, SendFlags};

use super::options::{ListenOptions, SocketOptions};
use super::{Errno, Events, Interest, Result, Sys, restart};
use crate::addr::Addr;

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
pub(super) fn read_again(fd: &OwnedFd, into: &mut [u8], errno: rustix::io::Errno) -> Result<usize> {
    if errno != rustix::io::Errno::INTR {
        return Err(known(errno));
    }
    restart(|| rustix::net::recv(fd, &mut *into, RecvFlags::empty()).map(|(count, _)| count).map_err(known))
}

/// After a write that failed: again, if a signal interrupted it.
#[cold]
#[inline(never)]
pub(super) fn write_again(fd: &OwnedFd, from: &[u8], errno: rustix::io::Errno) -> Result<usize> {
    if errno != rustix::io::Errno::INTR {
        return Err(known(errno));
    }
    restart(|| rustix::net::send(fd, from, SendFlags::NOSIGNAL).map_err(known))
}

impl Sys for NixSys {
    type Fd = OwnedFd;
    type Epoll = Epoll;
    type Wake = EventFd;
    type Listener = NixListener;

    fn listen(&self, address: &str, options: &ListenOptions) -> crate::error::Result<(NixListener, Addr)> {
        crate::sys::sockets::listen(address, options)
    }

    fn connect(
        &self,
        address: &str,
        timeout: Duration,
        options: &SocketOptions,
    ) -> crate::error::Result<(OwnedFd, Addr)> {
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
