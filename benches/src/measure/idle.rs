//! What an idle connection costs: user memory, above what the kernel takes for its socket.
//!
//! A server in a process of its own gets connections, each of which does one echo; then nothing happens. What the
//! process has more than before is theirs: allocated bytes, as they were asked for, and private pages, with
//! what the allocator adds. Once with nothing unread, and once with a part of a message on each. The median of
//! three runs.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use pollproof::Connection;
use serde::{Deserialize, Serialize};

use crate::alloc::MESSAGE;
use crate::child::{Server, build, round};
use crate::report::Row;

const RUNS: usize = 3;
/// Long enough that only a hang takes it.
const LONG: Duration = Duration::from_secs(30);

/// User memory of an idle connection.
#[derive(Args, Debug)]
pub struct Options {
    /// How many connections.
    #[arg(default_value_t = 10_000)]
    connections: usize,
}

/// Bytes per connection: the median of the runs, the least, and the largest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Held {
    /// Connections.
    pub connections: usize,
    /// Unread bytes on each.
    pub unread: usize,
    /// Allocated, as they were asked for.
    pub allocated: [f64; 3],
    /// Private pages, with what the allocator adds.
    pub private: [f64; 3],
    /// Of what is allocated, the connection itself.
    pub connection: usize,
}

impl Row for Held {
    const NAME: &'static str = "idle";
    const TITLE: &'static str = "Bytes of user memory per idle connection, median of three runs";
    const HEADER: &'static [&'static str] = &[
        "connections",
        "unread bytes",
        "allocated",
        "min",
        "max",
        "private pages",
        "min",
        "max",
        "of it, the connection itself",
    ];

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.connections.to_string(), self.unread.to_string()];
        cells.extend(self.allocated.iter().chain(&self.private).map(|bytes| format!("{bytes:.1}")));
        cells.push(self.connection.to_string());
        cells
    }
}

/// What the server says of itself.
#[derive(Clone, Copy, PartialEq)]
struct Memory {
    open: usize,
    calls: usize,
    allocated: f64,
    private: f64,
}

impl Options {
    /// Measures.
    ///
    /// # Errors
    ///
    /// When the server fails, or there are too few file descriptors.
    pub fn run(&self) -> anyhow::Result<Vec<Held>> {
        let connections = self.connections;
        // Both processes need them; the child inherits it.
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
        ensure!(most > connections as u64 + 100, "{connections} connections need more than {most} file descriptors");
        let server = build("counted")?;
        let mut rows = Vec::new();
        for unread in [0, 100] {
            let runs = (0..RUNS).map(|_| run(&server, connections, unread)).collect::<anyhow::Result<Vec<_>>>()?;
            let spread = |mut figures: Vec<f64>| {
                figures.sort_by(f64::total_cmp);
                [figures[RUNS / 2], figures[0], figures[RUNS - 1]]
            };
            let allocated = spread(runs.iter().map(|run| run.0).collect());
            let private = spread(runs.iter().map(|run| run.1).collect());
            rows.push(Held { connections, unread, allocated, private, connection: Connection::SIZE });
        }
        Ok(rows)
    }
}

/// Allocated bytes and private bytes per connection.
fn run(server: &Path, connections: usize, unread: usize) -> anyhow::Result<(f64, f64)> {
    let mut server = Server::run(server)?;
    let (message, mut back) = ([7; MESSAGE], [0; MESSAGE]);
    // What the first connection of a server allocates is the server's.
    let mut first = [server.connect()?];
    round(&mut first, &message, &mut back)?;
    drop(first);
    let before = settled(&mut server, 0, 1)?;
    let mut streams: Vec<TcpStream> = Vec::with_capacity(connections);
    for index in 0..connections {
        streams.push(server.connect()?);
        round(&mut streams[index..], &message, &mut back)?;
    }
    for stream in &mut streams {
        stream.write_all(&message[..unread])?;
    }
    let calls = 1 + connections * if unread > 0 { 2 } else { 1 };
    let after = settled(&mut server, connections, calls)?;
    let each = |before: f64, after: f64| (after - before) / connections as f64;
    Ok((each(before.allocated, after.allocated), each(before.private, after.private)))
}

/// The server's memory, once it has `open` connections and had `calls` calls, and it changes no more.
fn settled(server: &mut Server, open: usize, calls: usize) -> anyhow::Result<Memory> {
    let deadline = Instant::now() + LONG;
    let mut last = None;
    loop {
        let answer = server.ask("memory")?;
        let mut words = answer.split_whitespace();
        let mut word = || words.next().with_context(|| format!("it said {answer:?}"));
        let (open_now, calls_now) = (word()?.parse()?, word()?.parse()?);
        let memory =
            Memory { open: open_now, calls: calls_now, allocated: word()?.parse()?, private: word()?.parse()? };
        if (memory.open, memory.calls) == (open, calls) && last == Some(memory) {
            return Ok(memory);
        }
        ensure!(
            Instant::now() < deadline,
            "{} connections and {} calls, not {open} and {calls}",
            memory.open,
            memory.calls
        );
        last = Some(memory);
        std::thread::sleep(Duration::from_millis(20));
    }
}
