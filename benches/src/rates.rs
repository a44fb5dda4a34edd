//! Requests per second and latency, in interleaved slices: each server is driven for a moment, in turn, again and
//! again; nothing is pinned.
//!
//! Whatever else the machine does in a second, it does to one slice of one server only; the medians of many slices are
//! compared. *bare again* shows what is noise. For processor time, which resolves more, there is `pairs`.

use std::time::Duration;

use clap::Parser;
use hdrhistogram::Histogram;
use pollproof_benches::load::{Cell, Grid, Load};
use pollproof_benches::rivals::{Rival, median, peer, select};
use pollproof_benches::table;

/// Requests per second, and latency.
#[derive(Parser)]
struct Arguments {
    /// Servers whose name contains one of these; all if none is given.
    names: Vec<String>,
    /// Slices of each server.
    #[arg(long, default_value_t = 7)]
    slices: usize,
    /// Length of a slice, in milliseconds.
    #[arg(long, default_value_t = 300)]
    millis: u64,
    #[command(flatten)]
    grid: Grid,
}

pub(crate) fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let peer = peer()?;
    let slice = Duration::from_millis(arguments.millis);
    let wanted = select(&arguments.names);
    let mut table =
        table(&["connections x bytes x depth", "server", "requests/s", "range", "p50, us", "p99, us", "p99.9, us"]);
    for cell in arguments.grid.cells() {
        for (rival, mut rates, latency) in interleaved(&peer, &wanted, cell, slice, arguments.slices)? {
            let (middle, least, most) = median(&mut rates);
            let micros = |quantile| format!("{:.1}", latency.value_at_quantile(quantile) as f64 / 1e3);
            eprintln!("{cell}: {}: {middle:.0}", rival.name);
            table.add_row([
                cell.to_string(),
                rival.name.to_owned(),
                format!("{middle:.0}"),
                format!("{least:.0} to {most:.0}"),
                micros(0.5),
                micros(0.99),
                micros(0.999),
            ]);
        }
    }
    println!("Requests per second and latency, in interleaved slices\n\n{table}");
    Ok(())
}

/// A server, its rate in each slice, and the latency of all.
type Row<'a> = (&'a Rival, Vec<f64>, Histogram<u64>);

fn interleaved<'a>(
    peer: &std::path::Path,
    rivals: &[&'a Rival],
    cell: Cell,
    slice: Duration,
    slices: usize,
) -> anyhow::Result<Vec<Row<'a>>> {
    let mut servers = Vec::new();
    for rival in rivals {
        let server = rival.start(peer)?;
        let mut load = Load::new(&[server.address], cell)?;
        load.drive(slice)?;
        servers.push((server, load));
    }
    let latency = Histogram::new_with_bounds(1_000, 60_000_000_000, 3)?;
    let mut rows: Vec<Row<'a>> = rivals.iter().map(|rival| (*rival, Vec::new(), latency.clone())).collect();
    for _ in 0..slices {
        for ((_, load), (_, rates, latency)) in servers.iter_mut().zip(&mut rows) {
            // What was in flight since the last slice waited for its turn: that is no latency of the server's.
            load.settle()?;
            for done in load.drive(slice)? {
                rates.push(done.messages as f64 / slice.as_secs_f64());
                latency.add(done.latency)?;
            }
        }
    }
    Ok(rows)
}
