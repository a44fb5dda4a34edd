//! What a short connection costs: connect, one echo, close, in simultaneous pairs.
//!
//! One generator, on one processor, opens connections to a bare epoll loop and to another server in turn, both on the
//! other processor; their clocks give what a connection cost each. As `pairs` for requests.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use anyhow::ensure;
use clap::Parser;
use pollproof_benches::child::Server;
use pollproof_benches::pair::Pair;
use pollproof_benches::rivals::{peer, select};
use pollproof_benches::table;
use socket2::{Domain, Protocol, Socket, Type};

/// Bytes of the one message.
const SIZE: usize = 64;

/// Processor time per short connection, beside a bare epoll loop.
#[derive(Parser)]
struct Arguments {
    /// Servers whose name contains one of these; all if none is given.
    names: Vec<String>,
    /// Slices of each pair.
    #[arg(long, default_value_t = 7)]
    slices: usize,
    /// Connections to each server in a slice.
    #[arg(long, default_value_t = 1_000)]
    connections: usize,
}

pub(crate) fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let peer = peer()?;
    let mut table = table(&["server", "CPU per connection, x bare", "range", "bare, us"]);
    let wanted = select(&arguments.names).into_iter().filter(|rival| !rival.is_measure());
    for (at, rival) in wanted.enumerate() {
        // An address of its own for each pair: a closed connection keeps its port for a minute.
        let source = Ipv4Addr::new(127, 0, 1, at as u8 + 1);
        let mut pair = Pair::start(rival, &peer)?;
        visits(&pair.servers, source, arguments.connections)?;
        for _ in 0..arguments.slices {
            pair.measure(|servers| visits(servers, source, arguments.connections))?;
        }
        let [ratio, range, bare] = pair.cells();
        eprintln!("{}: {ratio}", rival.name);
        table.add_row([rival.name.to_owned(), ratio, range, bare]);
    }
    println!("Processor time of one connection: connect, an echo of {SIZE} bytes, close\n\n{table}");
    Ok(())
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
