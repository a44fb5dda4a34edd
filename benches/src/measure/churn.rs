//! What a short connection costs: connect, one echo, close, in simultaneous pairs.
//!
//! One generator, on one processor, opens connections to a bare epoll loop and to another server in turn, both on the
//! other processor; their clocks give what a connection cost each. As `pairs` for requests.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use anyhow::ensure;
use clap::Args;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};

use crate::child::Server;
use crate::pair::{Pair, Ratio};
use crate::report::Row;
use crate::rivals::{peer, select};

/// Bytes of the one message.
const SIZE: usize = 64;

/// Processor time per short connection, beside a bare epoll loop.
#[derive(Args, Debug)]
pub struct Options {
    /// Servers whose name contains one of these; all if none is given.
    names: Vec<String>,
    /// Slices of each pair.
    #[arg(long, default_value_t = 7)]
    slices: usize,
    /// Connections to each server in a slice.
    #[arg(long, default_value_t = 1_000)]
    connections: usize,
}

/// One server and the bare loop.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Churned {
    /// Which.
    pub server: String,
    /// What was found.
    #[serde(flatten)]
    pub time: Ratio,
}

impl Row for Churned {
    const NAME: &'static str = "churn";
    const TITLE: &'static str = "Processor time of one connection: connect, an echo of 64 bytes, close";
    const HEADER: &'static [&'static str] = &["server", "CPU per connection, x bare", "range", "bare, us"];

    fn cells(&self) -> Vec<String> {
        [self.server.clone()].into_iter().chain(self.time.cells()).collect()
    }
}

impl Options {
    /// Measures.
    ///
    /// # Errors
    ///
    /// When a server fails.
    pub fn run(&self) -> anyhow::Result<Vec<Churned>> {
        let peer = peer()?;
        let mut rows = Vec::new();
        let wanted = select(&self.names).into_iter().filter(|rival| !rival.is_measure() && rival.buffer.is_none());
        for (at, rival) in wanted.enumerate() {
            // An address of its own for each pair: a closed connection keeps its port for a minute.
            let source = Ipv4Addr::new(127, 0, 1, at as u8 + 1);
            let mut pair = Pair::start(&rival.bare().program(&peer), &rival.program(&peer))?;
            visits(&pair.servers, source, self.connections)?;
            for _ in 0..self.slices {
                pair.measure(|servers| visits(servers, source, self.connections))?;
            }
            let time = pair.ratio();
            eprintln!("{}: {:.3}", rival.name, time.ratio);
            rows.push(Churned { server: rival.name.to_owned(), time });
        }
        Ok(rows)
    }
}

/// So many connections to each of `servers`, in turn.
fn visits(servers: &[Server; 2], source: Ipv4Addr, connections: usize) -> anyhow::Result<[u64; 2]> {
    for _ in 0..connections {
        for server in servers {
            visit(source, server.address)?;
        }
    }
    Ok([connections as u64; 2])
}

fn visit(source: Ipv4Addr, server: SocketAddr) -> anyhow::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect(&server.into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    let mut back = [0; SIZE];
    stream.write_all(&[7; SIZE])?;
    stream.read_exact(&mut back)?;
    ensure!(back == [7; SIZE], "the answer differs");
    Ok(())
}
