//! The least that an echo server does: one epoll and one buffer a thread; wait, read, write.
//!
//! It makes the same calls as pollproof does, through `nix`. With several threads, the first accepts and deals the
//! connections out in turn.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{MsgFlags, recv, send};

use super::Options;
use crate::block::Block;

/// The token of the listener.
const LISTENER: u64 = u64::MAX;

pub(super) fn serve(address: SocketAddr, options: Options) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)?;
    let epolls =
        (0..options.threads).map(|_| Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)).collect::<Result<Vec<_>, _>>()?;
    let epolls = Arc::new(epolls);
    epolls[0].add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    super::announce(listener.local_addr()?)?;
    for at in 1..options.threads {
        let epolls = epolls.clone();
        std::thread::spawn(move || {
            let mut none = |_: &Epoll| Ok(());
            if let Err(error) = poll(&epolls[at], &mut none) {
                eprintln!("{error}");
            }
        });
    }
    let mut next = 0;
    let mut accepted: HashMap<RawFd, TcpStream> = HashMap::new();
    poll(&epolls[0], &mut |_| {
        let (stream, _) = listener.accept()?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP, stream.as_raw_fd() as u64);
        epolls[next].add(&stream, event)?;
        next = (next + 1) % epolls.len();
        // A number that comes again: whoever read the end has closed it already.
        if let Some(old) = accepted.insert(stream.as_raw_fd(), stream) {
            std::mem::forget(old);
        }
        Ok(())
    })
}

fn poll(epoll: &Epoll, accept: &mut dyn FnMut(&Epoll) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut block = Block::new();
    let mut events = vec![EpollEvent::empty(); 256];
    loop {
        let count = match epoll.wait(&mut events, EpollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        for event in &events[..count] {
            if event.data() == LISTENER {
                accept(epoll)?;
            } else if !echo(event.data() as RawFd, &mut block.0) {
                nix::unistd::close(event.data() as RawFd)?;
            }
        }
    }
}

/// One read and one write; whether the connection goes on.
fn echo(fd: RawFd, block: &mut [u8]) -> bool {
    match recv(fd, block, MsgFlags::empty()) {
        Ok(0) => false,
        Ok(count) => match send(fd, &block[..count], MsgFlags::MSG_NOSIGNAL) {
            Ok(sent) if sent == count => true,
            sent => write_rest(fd, &block[sent.unwrap_or(0)..count], sent.err()),
        },
        Err(errno) => matches!(errno, Errno::EAGAIN | Errno::EINTR),
    }
}

/// A full socket is waited for, busily: that is rare, and a loop with a queue would not be bare.
#[cold]
fn write_rest(fd: RawFd, mut bytes: &[u8], mut error: Option<Errno>) -> bool {
    while !bytes.is_empty() {
        if error.is_some_and(|errno| errno != Errno::EAGAIN) {
            return false;
        }
        std::thread::yield_now();
        let sent = send(fd, bytes, MsgFlags::MSG_NOSIGNAL);
        bytes = &bytes[sent.unwrap_or(0)..];
        error = sent.err();
    }
    true
}
