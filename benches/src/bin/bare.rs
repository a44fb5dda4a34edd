//! The least that an echo server does: one epoll, one buffer, and wait, read, write.
//!
//! For: what everything else is compared with. It makes the same calls, through the same crate, as pollproof
//! does. Not for: use; it drops what the socket does not take, because the generators never let it come to that.
#![deny(missing_docs)]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a benchmark, never inside a checker")]

use std::collections::HashMap;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{MsgFlags, recv, send};

/// Aligned to a page: a copy between buffers that are not takes many times longer, here and there.
#[repr(C, align(4096))]
struct Block([u8; 64 * 1024]);

fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, u64::MAX))?;
    println!("listening={}", listener.local_addr()?);
    std::io::stdout().flush()?;

    let mut block = Box::new(Block([0; 64 * 1024]));
    let mut events = vec![EpollEvent::empty(); 256];
    let mut streams = HashMap::new();
    loop {
        let count = match epoll.wait(&mut events, EpollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        for event in &events[..count] {
            if event.data() == u64::MAX {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let fd = stream.as_raw_fd();
                epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP, fd as u64))?;
                streams.insert(fd, stream);
            } else if !echo(event.data() as i32, &mut block.0) {
                let _: Option<TcpStream> = streams.remove(&(event.data() as i32));
            }
        }
    }
}

/// One read and one write; whether the connection goes on.
fn echo(fd: i32, block: &mut [u8]) -> bool {
    match recv(fd, block, MsgFlags::empty()) {
        Ok(0) => false,
        Ok(count) => send(fd, &block[..count], MsgFlags::MSG_NOSIGNAL).is_ok_and(|sent| sent == count),
        Err(errno) => matches!(errno, Errno::EAGAIN | Errno::EINTR),
    }
}
