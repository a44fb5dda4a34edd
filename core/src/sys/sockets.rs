//! Opening sockets: listening ones for servers, connected ones for dialers, with their options.
//!
//! By way of `socket2`. Everything here is done once per server or once per dialed connection; what is done
//! to a socket afterwards goes through `Sys`.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]
#![cfg_attr(sim, allow(dead_code, reason = "the simulated kernel opens its own"))]

use std::io::{self, ErrorKind};
use std::net::ToSocketAddrs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::addr::Addr;
use crate::error::impossible;
use crate::error::{Error, Result};
use crate::sys::options::{ListenOptions, SocketOptions};
use crate::sys::real::NixListener;

/// Where to listen or connect, as the kernel wants it and as it is shown.
struct Target {
    kernel: SockAddr,
    shown: Addr,
}

/// What `address` means: one target for a Unix socket, one or more for TCP. Resolves names, so it may block.
fn resolve(call: &'static str, address: &str) -> Result<Vec<Target>> {
    let none = |source| Error::Address { call, address: address.to_owned(), source };
    if let Some(path) = address.strip_prefix("unix:") {
        let path = Path::new(path);
        // The kernel takes an empty path for "any name", and a zero byte for "not in the file system".
        if path.as_os_str().is_empty() || path.as_os_str().as_bytes().contains(&0) {
            return Err(none(io::Error::new(ErrorKind::InvalidInput, "a path is needed")));
        }
        let kernel = SockAddr::unix(path).map_err(none)?;
        return Ok(vec![Target { kernel, shown: Addr::Unix(path.to_owned()) }]);
    }
    let found = address.to_socket_addrs().map_err(none)?;
    let targets: Vec<_> = found.map(|addr| Target { kernel: addr.into(), shown: Addr::Tcp(addr) }).collect();
    if targets.is_empty() {
        return Err(none(io::Error::new(ErrorKind::NotFound, "the name has no address")));
    }
    Ok(targets)
}

/// A socket that listens on `address`, and where that is; on the first of its resolved addresses that can be
/// bound.
pub(crate) fn listen(address: &str, options: &ListenOptions) -> Result<(NixListener, Addr)> {
    let targets = resolve("bind", address)?;
    let mut refused = None;
    for target in targets {
        let opened = match &target.shown {
            Addr::Tcp(_) => listen_tcp(&target, options),
            Addr::Unix(path) if options.reuse_port => {
                return Err(impossible("reuse_port", path, "a Unix socket has no port"));
            }
            Addr::Unix(path) => listen_unix(&target, path, options),
            Addr::Unnamed => continue,
        };
        match opened {
            Ok(opened) => return Ok(opened),
            Err(error) => refused = Some(error),
        }
    }
    let (call, source) = refused.unwrap_or_else(|| ("bind", ErrorKind::AddrNotAvailable.into()));
    Err(Error::Server { call, source })
}

/// A call that the kernel refused, and why.
type Refused = (&'static str, io::Error);

fn refused(call: &'static str) -> impl Fn(io::Error) -> Refused {
    move |source| (call, source)
}

fn listen_tcp(target: &Target, options: &ListenOptions) -> std::result::Result<(NixListener, Addr), Refused> {
    let socket = open(target).map_err(refused("socket"))?;
    let set = refused("setsockopt");
    // A server that starts again does not wait for the last connections of the one before.
    socket.set_reuse_address(true).map_err(&set)?;
    socket.set_reuse_port(options.reuse_port).map_err(&set)?;
    options.sockets.apply_tcp(&socket).map_err(&set)?;
    socket.bind(&target.kernel).map_err(refused("bind"))?;
    socket.listen(options.backlog).map_err(refused("listen"))?;
    let local = socket.local_addr().map_err(refused("getsockname"))?;
    let local = local.as_socket().map_or(target.shown.clone(), Addr::Tcp);
    Ok((NixListener::Tcp(socket.into()), local))
}

fn listen_unix(
    target: &Target,
    path: &Path,
    options: &ListenOptions,
) -> std::result::Result<(NixListener, Addr), Refused> {
    let socket = open(target).map_err(refused("socket"))?;
    let bound = socket.bind(&target.kernel).or_else(|error| {
        let left_behind = error.kind() == ErrorKind::AddrInUse
            && UnixStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
        if !left_behind {
            return Err(error);
        }
        std::fs::remove_file(path)?;
        socket.bind(&target.kernel)
    });
    bound.map_err(refused("bind"))?;
    let listener = NixListener::Unix(socket.into(), path.to_owned());
    SockRef::from(&listener).listen(options.backlog).map_err(refused("listen"))?;
    Ok((listener, target.shown.clone()))
}

/// A non-blocking stream socket of the kind that `target` needs, closed on exec.
fn open(target: &Target) -> io::Result<Socket> {
    let socket = Socket::new(target.kernel.domain(), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A connected socket, non-blocking, and who is at its other end: the first of the resolved addresses of
/// `address` that answers. Blocks up to `timeout`, except for looking a name up: that takes what it takes, and
/// leaves less for the rest.
pub(crate) fn connect(address: &str, timeout: Duration, options: &SocketOptions) -> Result<(OwnedFd, Addr)> {
    let begun = Instant::now();
    let targets = resolve("dial", address)?;
    connect_any(&targets, timeout.saturating_sub(begun.elapsed()), options).map_err(|source| {
        let address = address.to_owned();
        // One with a number of the kernel's says that the kernel gave up by itself.
        if source.kind() == ErrorKind::TimedOut && source.raw_os_error().is_none() {
            Error::DialTimeout { address, timeout }
        } else {
            Error::Dial { address, source }
        }
    })
}

/// Connects to the first of `targets` that answers; the error is that of the last one tried.
fn connect_any(targets: &[Target], timeout: Duration, options: &SocketOptions) -> io::Result<(OwnedFd, Addr)> {
    let begun = Instant::now();
    let mut result = Err(ErrorKind::TimedOut.into());
    for (index, target) in targets.iter().enumerate() {
        let left = timeout.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        // Shared out evenly, so that an address which does not answer leaves time for the next.
        let share = left / (targets.len() - index) as u32;
        result = connect_one(target, share, options).map(|fd| (fd, target.shown.clone()));
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Connects to one address, in at most `timeout`; an error of the kind `TimedOut` without a number of the
/// kernel's says that it was too short.
fn connect_one(target: &Target, timeout: Duration, options: &SocketOptions) -> io::Result<OwnedFd> {
    let socket = Socket::new(target.kernel.domain(), Type::STREAM, None)?;
    if target.kernel.domain() == Domain::UNIX {
        options.apply_buffers(&socket)?;
        connect_unix(&socket, target, timeout)?;
    } else {
        options.apply_tcp(&socket)?;
        // connect(2) non-blocking, then poll(2) for its end and `SO_ERROR`.
        socket.connect_timeout(&target.kernel, timeout)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A Unix socket connects at once, or waits for room in the listener's queue. poll(2) cannot wait for that
/// (a non-blocking connect(2) just fails), but connect(2) itself can, for as long as a send may take.
fn connect_unix(socket: &Socket, target: &Target, timeout: Duration) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        let left = timeout.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        // Rounded up to what the kernel takes: none would be for ever.
        socket.set_write_timeout(Some(left.max(Duration::from_micros(1))))?;
        match socket.connect(&target.kernel) {
            Ok(()) => return socket.set_write_timeout(None),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn an_address_that_does_not_answer_leaves_time_for_the_next() {
        let listening = || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("its address");
            (listener, address)
        };
        let (full, silent) = listening();
        // Room for one in the queue, and one in it.
        SockRef::from(&full).listen(0).expect("a shorter queue");
        let _first = TcpStream::connect(silent).expect("a connection");
        let (gone, refusing) = listening();
        drop(gone);
        let (_listener, answering) = listening();
        let targets = |all: &[std::net::SocketAddr]| -> Vec<_> {
            all.iter().map(|addr| Target { kernel: (*addr).into(), shown: Addr::Tcp(*addr) }).collect()
        };
        let connect = |all: &[std::net::SocketAddr], timeout| {
            let begun = Instant::now();
            (connect_any(&targets(all), timeout, &SocketOptions::default()), begun.elapsed())
        };
        let timeout = Duration::from_millis(1_000);
        let (found, took) = connect(&[refusing, silent, answering], timeout);
        assert_eq!(found.expect("one answers").1, Addr::Tcp(answering));
        assert!(took.as_millis() >= 499, "half of the time was the silent one's: {took:?}");
        let (found, _) = connect(&[silent, refusing], timeout);
        assert_eq!(found.expect_err("none answers").kind(), ErrorKind::ConnectionRefused);
        let (found, took) = connect(&[refusing, silent], timeout);
        assert_eq!(found.expect_err("none answers").kind(), ErrorKind::TimedOut);
        assert!(took.as_millis() >= 999, "all of the time that was left: {took:?}");
    }
}
