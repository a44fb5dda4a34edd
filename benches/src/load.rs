//! The generator: one epoll, a closed loop with a number of messages in flight on each connection, every byte compared.
//!
//! For: driving one server, or several at the same moment, from one thread. A machine that drifts drifts for all of
//! them, so that what is measured side by side can be compared where what is measured in turn cannot. What was asked
//! for in a slice of time is waited for, so that its cost is that of these messages and of no others, however many fit
//! into the sockets.
//! Not for: opening and closing (`churn`).

use std::collections::VecDeque;
use std::fmt;
use std::io::{ErrorKind, IoSlice, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use hdrhistogram::Histogram;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use serde::{Deserialize, Serialize};

use crate::block::{Block, SIZE};
use crate::pair::{Pair, Ratio};
use crate::slices::Slices;

/// Blocks of different bytes: a message that comes back in another's place is noticed.
const PATTERNS: usize = 4;

/// How the servers are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    /// Connections to each server.
    pub connections: usize,
    /// Bytes of a message, at most [`SIZE`].
    pub size: usize,
    /// Messages in flight on each connection.
    pub depth: usize,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {} x {}", self.connections, self.size, self.depth)
    }
}

/// The loads that a measurement goes through: every combination.
#[derive(Args, Debug)]
pub struct Grid {
    /// Connections.
    #[arg(long, value_delimiter = ',', default_value = "1,64,1000")]
    connections: Vec<usize>,
    /// Bytes of a message.
    #[arg(long, value_delimiter = ',', default_value = "64,1024,65536")]
    sizes: Vec<usize>,
    /// Messages in flight on each connection.
    #[arg(long, value_delimiter = ',', default_value = "1,16")]
    depths: Vec<usize>,
}

impl Grid {
    /// One after the other, the depth changing fastest.
    #[must_use]
    pub fn cells(&self) -> Vec<Cell> {
        let sized = |connections: usize| self.sizes.iter().map(move |&size| (connections, size));
        let deep = |(connections, size)| self.depths.iter().map(move |&depth| Cell { connections, size, depth });
        self.connections.iter().copied().flat_map(sized).flat_map(deep).collect()
    }
}

/// What one server did in a slice of time.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Messages that came back.
    pub messages: u64,
    /// How long they took, in nanoseconds.
    pub latency: Histogram<u64>,
}

struct Conn {
    stream: TcpStream,
    server: usize,
    /// Messages that were begun to be sent, and bytes of the last one that were.
    begun: u64,
    sent_of_last: usize,
    /// Messages that came back, and bytes of the next one that did.
    back: u64,
    back_of_next: usize,
    /// When those in flight were begun.
    since: VecDeque<Instant>,
    waits_to_write: bool,
}

/// A server did not answer for twenty seconds. With a gigabyte in flight to each of two servers the kernel runs out of
/// memory for TCP, drops segments, and sends them again later and later.
#[derive(Clone, Copy, Debug)]
pub struct Stalled;

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a server does not answer")
    }
}

impl std::error::Error for Stalled {}

/// Connections to servers.
pub struct Load {
    cell: Cell,
    epoll: Epoll,
    conns: Vec<Conn>,
    servers: usize,
    patterns: Vec<Box<Block>>,
    buffer: Box<Block>,
}

/// The pattern of message `number` of connection `at`.
fn pattern(at: usize, number: u64) -> usize {
    (at + number as usize) % PATTERNS
}

impl Load {
    /// Connects to each of `servers`.
    ///
    /// # Errors
    ///
    /// When a server does not accept.
    pub fn new(servers: &[SocketAddr], cell: Cell) -> anyhow::Result<Self> {
        ensure!((1..=SIZE).contains(&cell.size) && cell.connections > 0 && cell.depth > 0, "{cell:?}");
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut conns = Vec::with_capacity(cell.connections * servers.len());
        // In turn, so that no server's connections are all older than another's.
        for _ in 0..cell.connections {
            for (server, address) in servers.iter().enumerate() {
                let stream = TcpStream::connect(address).with_context(|| format!("server {server}"))?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, conns.len() as u64))?;
                let since = VecDeque::with_capacity(cell.depth);
                let (begun, back, waits_to_write) = (0, 0, false);
                conns.push(Conn {
                    stream,
                    server,
                    begun,
                    sent_of_last: cell.size,
                    back,
                    back_of_next: 0,
                    since,
                    waits_to_write,
                });
            }
        }
        let patterns = (0..PATTERNS).map(|seed| Block::pattern(seed as u64 + 1)).collect();
        Ok(Self { cell, epoll, conns, servers: servers.len(), patterns, buffer: Block::new() })
    }

    /// Keeps the servers busy for that long, and waits until nothing is in flight any more. What each of them did,
    /// which is all that it was asked for.
    ///
    /// # Errors
    ///
    /// When a connection ends, an answer differs from what was sent, or none comes for twenty seconds ([`Stalled`]).
    pub fn drive(&mut self, duration: Duration) -> anyhow::Result<Vec<Slice>> {
        let latency = Histogram::new_with_bounds(1_000, 60_000_000_000, 3)?;
        let mut slices = vec![Slice { messages: 0, latency }; self.servers];
        self.keep_busy(Instant::now() + duration, &mut slices)?;
        self.settle(&mut slices)?;
        Ok(slices)
    }

    fn keep_busy(&mut self, end: Instant, slices: &mut [Slice]) -> anyhow::Result<()> {
        for at in 0..self.conns.len() {
            self.send(at, Instant::now())?;
        }
        let mut events = vec![EpollEvent::empty(); 1024];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let timeout = EpollTimeout::try_from(left.max(Duration::from_millis(1)))?;
            let count = match self.epoll.wait(&mut events, timeout) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            for event in &events[..count] {
                let at = event.data() as usize;
                if event.events().intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) {
                    self.receive(at, slices)?;
                }
                self.send(at, Instant::now())?;
            }
        }
    }

    /// Drives a pair of servers: once to warm up, then slice by slice.
    ///
    /// # Errors
    ///
    /// As [`drive`](Self::drive), and when a server is not there any more.
    pub fn pair(mut pair: Pair, cell: Cell, slices: Slices) -> anyhow::Result<Ratio> {
        let mut load = Self::new(&[pair.servers[0].address, pair.servers[1].address], cell)?;
        load.drive(slices.length())?;
        for _ in 0..slices.slices {
            pair.measure(|_| {
                let done = load.drive(slices.length())?;
                Ok([done[0].messages, done[1].messages])
            })?;
        }
        Ok(pair.ratio())
    }

    fn settle(&mut self, slices: &mut [Slice]) -> anyhow::Result<()> {
        let mut events = vec![EpollEvent::empty(); 1024];
        while self.conns.iter().any(|conn| !conn.since.is_empty()) {
            let count = match self.epoll.wait(&mut events, 20_000_u16) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            ensure!(count > 0, Stalled);
            for event in &events[..count] {
                let at = event.data() as usize;
                self.receive(at, slices)?;
                // The rest of a message that was begun.
                self.fill(at, Instant::now(), 0)?;
            }
        }
        Ok(())
    }

    fn receive(&mut self, at: usize, slices: &mut [Slice]) -> anyhow::Result<()> {
        let conn = &mut self.conns[at];
        let count = match (&conn.stream).read(&mut self.buffer.0) {
            Ok(0) => anyhow::bail!("server {} closed a connection", conn.server),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("server {}", conn.server)),
        };
        let now = Instant::now();
        let mut bytes = &self.buffer.0[..count];
        while !bytes.is_empty() {
            let part = bytes.len().min(self.cell.size - conn.back_of_next);
            let expected = &self.patterns[pattern(at, conn.back)].0[conn.back_of_next..conn.back_of_next + part];
            ensure!(bytes[..part] == *expected, "server {}: the answer differs", conn.server);
            bytes = &bytes[part..];
            conn.back_of_next += part;
            if conn.back_of_next == self.cell.size {
                conn.back_of_next = 0;
                conn.back += 1;
                let since = conn.since.pop_front().context("more came back than was sent")?;
                let slice = &mut slices[conn.server];
                slice.messages += 1;
                slice.latency.saturating_record(now.duration_since(since).as_nanos() as u64);
            }
        }
        Ok(())
    }

    fn send(&mut self, at: usize, now: Instant) -> anyhow::Result<()> {
        self.fill(at, now, self.cell.depth as u64)
    }

    /// Fills the flight up to `depth`, in as few calls as the socket allows.
    fn fill(&mut self, at: usize, now: Instant, depth: u64) -> anyhow::Result<()> {
        let size = self.cell.size;
        let conn = &mut self.conns[at];
        while conn.sent_of_last < size || conn.begun < conn.back + depth {
            let mut slices = Vec::with_capacity(self.cell.depth);
            if conn.sent_of_last < size {
                slices.push(IoSlice::new(&self.patterns[pattern(at, conn.begun - 1)].0[conn.sent_of_last..size]));
            }
            for number in conn.begun..conn.back + depth {
                slices.push(IoSlice::new(&self.patterns[pattern(at, number)].0[..size]));
            }
            let mut count = match (&conn.stream).write_vectored(&slices) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.wait_to_write(at, true);
                }
                Err(error) => return Err(error).with_context(|| format!("server {}", conn.server)),
            };
            let rest = count.min(size - conn.sent_of_last);
            conn.sent_of_last += rest;
            count -= rest;
            while count > 0 {
                conn.begun += 1;
                conn.since.push_back(now);
                conn.sent_of_last = count.min(size);
                count -= conn.sent_of_last;
            }
        }
        self.wait_to_write(at, false)
    }

    fn wait_to_write(&mut self, at: usize, waits: bool) -> anyhow::Result<()> {
        let conn = &mut self.conns[at];
        if conn.waits_to_write != waits {
            conn.waits_to_write = waits;
            let flags = if waits { EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT } else { EpollFlags::EPOLLIN };
            self.epoll.modify(&conn.stream, &mut EpollEvent::new(flags, at as u64))?;
        }
        Ok(())
    }
}
