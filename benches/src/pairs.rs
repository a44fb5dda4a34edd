//! Processor time per request, in simultaneous pairs: each server beside a bare epoll loop, under the same load, at the
//! same moment, on the same processor.
//!
//! The generator drives both from one thread on the other processor, and reads the clocks of both processes. The
//! machine's drift hits both alike, so that a few percent can be told apart; *bare again* against bare shows how few.
//! For each slice, the ratio of the two servers' time per request; of all slices, the median and the range.

use std::time::Duration;

use clap::Parser;
use pollproof_benches::load::{Cell, Load};
use pollproof_benches::rivals::{RIVALS, Rival, cpu, median, peer, pin};
use pollproof_benches::table;

/// Processor time per request, beside a bare epoll loop.
#[derive(Parser)]
struct Arguments {
    /// Servers whose name contains one of these; all if none is given.
    names: Vec<String>,
    /// Slices of each pair.
    #[arg(long, default_value_t = 7)]
    slices: usize,
    /// Length of a slice, in milliseconds.
    #[arg(long, default_value_t = 500)]
    millis: u64,
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

pub(crate) fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let peer = peer()?;
    let slice = Duration::from_millis(arguments.millis);
    let wanted = RIVALS.iter().filter(|rival| !std::ptr::eq(*rival, rival.bare()));
    let wanted: Vec<&Rival> = wanted
        .filter(|rival| arguments.names.is_empty() || arguments.names.iter().any(|name| rival.name.contains(name)))
        .collect();
    let mut table = table(&["connections x bytes x depth", "server", "CPU per request, x bare", "range", "bare, us"]);
    for &connections in &arguments.connections {
        for &size in &arguments.sizes {
            for &depth in &arguments.depths {
                let cell = Cell { connections, size, depth };
                for rival in &wanted {
                    let (mut ratios, mut costs) = pair(&peer, rival, cell, slice, arguments.slices)?;
                    let (middle, least, most) = median(&mut ratios);
                    let (bare, _, _) = median(&mut costs);
                    eprintln!("{connections} x {size} x {depth}: {}: {middle:.3}", rival.name);
                    table.add_row([
                        format!("{connections} x {size} x {depth}"),
                        rival.name.to_owned(),
                        format!("{middle:.3}"),
                        format!("{least:.3} to {most:.3}"),
                        format!("{:.2}", bare * 1e6),
                    ]);
                }
            }
        }
    }
    println!("Processor time per request, beside a bare epoll loop at the same moment\n\n{table}");
    Ok(())
}

/// The ratios of all slices, and what a request cost the bare loop, in seconds.
fn pair(
    peer: &std::path::Path,
    rival: &Rival,
    cell: Cell,
    slice: Duration,
    slices: usize,
) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    pin(0)?;
    let servers = [rival.bare().start(peer)?, rival.start(peer)?];
    pin(1)?;
    let mut load = Load::new(&[servers[0].address, servers[1].address], cell)?;
    load.drive(slice)?;
    let (mut ratios, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..slices {
        let before = [cpu(&servers[0])?, cpu(&servers[1])?];
        let done = load.drive(slice)?;
        let cost = |at: usize| -> anyhow::Result<f64> {
            Ok((cpu(&servers[at])? - before[at]).as_secs_f64() / done[at].messages.max(1) as f64)
        };
        let (bare, other) = (cost(0)?, cost(1)?);
        ratios.push(other / bare);
        costs.push(bare);
    }
    Ok((ratios, costs))
}
