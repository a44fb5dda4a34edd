//! The other end of a connection, on the sockets of this machine: what connects to servers, and what is dialed.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{Linger, RcvBuf};

use super::sockets::UNIX;

/// A connected peer.
pub enum Peer {
    /// On TCP.
    Tcp(TcpStream),
    /// On a Unix socket.
    Unix(UnixStream),
}

/// Connects a peer, if somebody listens there.
pub fn connect(address: &str) -> Option<Peer> {
    let peer = match address.strip_prefix(UNIX) {
        Some(path) => Peer::Unix(UnixStream::connect(path).ok()?),
        None => Peer::Tcp(TcpStream::connect(address).ok()?),
    };
    Some(peer)
}

impl Peer {
    /// Takes no more than so many bytes in, as far as the kernel goes along with it.
    pub fn limit(&self, bytes: usize) {
        // It is a wish: the kernel has its smallest size.
        let _ = match self {
            Self::Tcp(stream) => setsockopt(&stream.as_fd(), RcvBuf, &bytes),
            Self::Unix(stream) => setsockopt(&stream.as_fd(), RcvBuf, &bytes),
        };
    }

    /// Sends all of it.
    ///
    /// # Errors
    ///
    /// When the other end is gone.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => (&mut &*stream).write_all(bytes),
            Self::Unix(stream) => (&mut &*stream).write_all(bytes),
        }
    }

    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&mut &*stream).read(into),
            Self::Unix(stream) => (&mut &*stream).read(into),
        }
    }

    /// Waits for something, or the end.
    ///
    /// # Errors
    ///
    /// When the other end is gone.
    pub fn receive(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 4096];
        let count = self.read(&mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Reads to the end.
    pub fn receive_all(&self) {
        while self.receive().is_ok_and(|bytes| !bytes.is_empty()) {}
    }

    /// Sends nothing any more.
    pub fn finish(&self) {
        // The other end may be gone.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// Resets the connection; what goes away on a Unix socket resets it by itself if it has not read everything.
    pub fn reset(self) {
        if let Self::Tcp(stream) = &self {
            let at_once = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            // The other end may be gone.
            let _ = setsockopt(&stream.as_fd(), Linger, &at_once);
        }
    }
}

/// What is dialed.
pub enum Remote {
    /// On TCP.
    Tcp(TcpListener),
    /// On a Unix socket.
    Unix(UnixListener),
}

impl Remote {
    /// The next one that dials.
    ///
    /// # Panics
    ///
    /// If the machine is out of fds.
    pub fn accept(&self) -> Peer {
        match self {
            Self::Tcp(listener) => Peer::Tcp(listener.accept().expect("fds").0),
            Self::Unix(listener) => Peer::Unix(listener.accept().expect("fds").0),
        }
    }
}
