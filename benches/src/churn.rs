//! What a short connection costs: connect, one echo, close, in simultaneous pairs.
//!
//! One generator, on one processor, opens connections to a bare epoll loop and to another server in turn, both on the
//! other processor; their clocks give what a connection cost each. As `pairs` for requests.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;

use anyhow::ensure;
use clap::Parser;
use pollproof_benches::rivals::{RIVALS, Rival, cpu, median, peer, pin};
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
    let wanted = RIVALS.iter().filter(|rival| !std::ptr::eq(*rival, rival.bare()));
    for (at, rival) in wanted
        .filter(|rival| arguments.names.is_empty() || arguments.names.iter().any(|name| rival.name.contains(name)))
        .enumerate()
    {
        // An address of its own for each pair: a closed connection keeps its port for a minute.
        let source = Ipv4Addr::new(127, 0, 1, at as u8 + 1);
        let (mut ratios, mut costs) = pair(&peer, rival, source, &arguments)?;
        let (middle, least, most) = median(&mut ratios);
        let (bare, _, _) = median(&mut costs);
        eprintln!("{}: {middle:.3}", rival.name);
        table.add_row([
            rival.name.to_owned(),
            format!("{middle:.3}"),
            format!("{least:.3} to {most:.3}"),
            format!("{:.1}", bare * 1e6),
        ]);
    }
    println!("Processor time of one connection: connect, an echo of {SIZE} bytes, close\n\n{table}");
    Ok(())
}

fn pair(peer: &Path, rival: &Rival, source: Ipv4Addr, arguments: &Arguments) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    pin(0)?;
    let servers = [rival.bare().start(peer)?, rival.start(peer)?];
    pin(1)?;
    let (mut ratios, mut costs) = (Vec::new(), Vec::new());
    for slice in 0..=arguments.slices {
        let before = [cpu(&servers[0])?, cpu(&servers[1])?];
        for _ in 0..arguments.connections {
            for server in &servers {
                visit(source, server.address)?;
            }
        }
        let cost = |at: usize| -> anyhow::Result<f64> {
            Ok((cpu(&servers[at])? - before[at]).as_secs_f64() / arguments.connections as f64)
        };
        let (bare, other) = (cost(0)?, cost(1)?);
        // The first one warms up.
        if slice > 0 {
            ratios.push(other / bare);
            costs.push(bare);
        }
    }
    Ok((ratios, costs))
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
