//! What a literal port of the published library does: a thread that polls and reads, and workers that handle.
//!
//! Each event costs a hand-over to another thread, and the handler's thread writes.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::Options;

const LISTENER: u64 = u64::MAX;
const WORKERS: usize = 2;

/// What a worker is given: the connection, and what was read from it.
type Job = (Arc<TcpStream>, Vec<u8>);

pub(super) fn serve(address: SocketAddr, options: Options) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    // A connection has one worker, or its answers could overtake each other.
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (jobs, inbox) = crossbeam_channel::unbounded::<Job>();
            std::thread::spawn(move || inbox.iter().for_each(|(stream, bytes)| answer(&stream, &bytes)));
            jobs
        })
        .collect();
    super::announce(listener.local_addr()?)?;
    let mut buffer = vec![0; options.buffer];
    let mut events = vec![EpollEvent::empty(); 256];
    let mut streams: HashMap<RawFd, Arc<TcpStream>> = HashMap::new();
    loop {
        let count = match epoll.wait(&mut events, EpollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        for event in &events[..count] {
            if event.data() == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let fd = stream.as_raw_fd();
                epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP, fd as u64))?;
                streams.insert(fd, Arc::new(stream));
                continue;
            }
            let fd = event.data() as RawFd;
            let Some(stream) = streams.get(&fd) else { continue };
            match (&**stream).read(&mut buffer) {
                Ok(count @ 1..) => workers[fd as usize % WORKERS].send((stream.clone(), buffer[..count].to_vec()))?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(_) | Err(_) => {
                    epoll.delete(stream)?;
                    streams.remove(&fd);
                }
            }
        }
    }
}

fn answer(mut stream: &TcpStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(_) => return,
        }
    }
}
