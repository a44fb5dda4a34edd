//! Many clients on few threads: each sends a pattern and reads while it writes, and ends in its way.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{setsockopt, sockopt::Linger};

use super::{LONG, pattern};

/// How a client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Sends everything, shuts its writing side down, and reads to the end of the stream.
    HalfClose,
    /// Sends everything and closes, never having read.
    CloseUnread,
    /// Sends half, reads meanwhile, and resets.
    Reset,
}

struct Client {
    stream: TcpStream,
    message: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
    end: End,
}

/// How far a client is.
enum Turn {
    More,
    Done,
}

impl Client {
    fn new(address: &str, end: End, size: usize, seed: u64) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nonblocking(true).expect("non-blocking");
        Self { stream, message: pattern(size, seed), sent: 0, received: Vec::new(), end }
    }

    fn target(&self) -> usize {
        if self.end == End::Reset { self.message.len() / 2 } else { self.message.len() }
    }

    /// Writes and reads what goes; the error text of a client that did not get what it is due.
    fn turn(&mut self, block: &mut [u8]) -> Result<Turn, String> {
        if self.sent < self.target() {
            match self.stream.write(&self.message[self.sent..self.target()]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(format!("write after {} bytes: {error}", self.sent)),
            }
            if self.sent == self.target() {
                match self.end {
                    End::HalfClose => self.stream.shutdown(Shutdown::Write).expect("a shutdown"),
                    End::CloseUnread => return Ok(Turn::Done),
                    End::Reset => {
                        let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
                        setsockopt(&self.stream, Linger, &linger).expect("linger");
                        return Ok(Turn::Done);
                    }
                }
            }
        }
        if self.end != End::CloseUnread {
            match self.stream.read(block) {
                Ok(0) => return self.whole(),
                Ok(count) => self.received.extend_from_slice(&block[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(format!("read after {} bytes: {error}", self.received.len())),
            }
        }
        Ok(Turn::More)
    }

    fn whole(&self) -> Result<Turn, String> {
        if self.sent == self.message.len() && self.received == self.message {
            return Ok(Turn::Done);
        }
        Err(format!("the end of the stream after {} bytes of {}", self.received.len(), self.message.len()))
    }

    fn interest(&self) -> EpollFlags {
        let mut flags = EpollFlags::empty();
        flags.set(EpollFlags::EPOLLOUT, self.sent < self.target());
        flags.set(EpollFlags::EPOLLIN, self.end != End::CloseUnread);
        flags
    }
}

/// `count` clients at once, with `size` bytes each. Returns what went wrong, one line a client.
pub fn run(address: &str, end: End, count: usize, size: usize) -> Vec<String> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("more fds");
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|half| scope.spawn(move || half_of(address, end, count / 2, size, (half * count) as u64)))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a client thread")).collect()
    })
}

fn half_of(address: &str, end: End, count: usize, size: usize, seed: u64) -> Vec<String> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll");
    let mut failed = Vec::new();
    let mut clients: Vec<Option<Client>> = (0..count)
        .map(|index| {
            let client = Client::new(address, end, size, seed + index as u64);
            epoll.add(&client.stream, EpollEvent::new(client.interest(), index as u64)).expect("add");
            Some(client)
        })
        .collect();
    let (mut left, mut block) = (count, vec![0; 64 * 1024]);
    let mut events = [EpollEvent::empty(); 64];
    while left > 0 {
        let ready = epoll.wait(&mut events, EpollTimeout::try_from(LONG).expect("a timeout")).expect("wait");
        if ready == 0 {
            failed.push(format!("{left} clients hang"));
            break;
        }
        for event in &events[..ready] {
            let slot = &mut clients[event.data() as usize];
            let Some(client) = slot else { continue };
            let before = client.interest();
            match client.turn(&mut block) {
                Ok(Turn::More) if client.interest() != before => {
                    let mut event = EpollEvent::new(client.interest(), event.data());
                    epoll.modify(client.stream.as_fd(), &mut event).expect("modify");
                }
                Ok(Turn::More) => {}
                over => {
                    failed.extend(over.err());
                    *slot = None;
                    left -= 1;
                }
            }
        }
    }
    failed
}
