//! Processor time per request, in simultaneous pairs: each server beside a bare epoll loop, under the same load, at the
//! same moment, on the same processor.
//!
//! The generator drives both from one thread on the other processor, and reads the clocks of both processes. The
//! machine's drift hits both alike, so that a few percent can be told apart; *bare again* against bare shows how few.
//! For each slice, the ratio of the two servers' time per request; of all slices, the median and the range.

use std::time::Duration;

use clap::Parser;
use pollproof_benches::load::{Grid, Load};
use pollproof_benches::pair::Pair;
use pollproof_benches::rivals::{peer, select};
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
    #[command(flatten)]
    grid: Grid,
}

pub(crate) fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let peer = peer()?;
    let slice = Duration::from_millis(arguments.millis);
    let mut table = table(&["connections x bytes x depth", "server", "CPU per request, x bare", "range", "bare, us"]);
    for cell in arguments.grid.cells() {
        for rival in select(&arguments.names).into_iter().filter(|rival| !rival.is_measure()) {
            let mut pair = Pair::start(rival, &peer)?;
            let mut load = Load::new(&[pair.servers[0].address, pair.servers[1].address], cell)?;
            load.drive(slice)?;
            for _ in 0..arguments.slices {
                pair.measure(|_| {
                    let done = load.drive(slice)?;
                    Ok([done[0].messages, done[1].messages])
                })?;
            }
            let [ratio, range, bare] = pair.cells();
            eprintln!("{cell}: {}: {ratio}", rival.name);
            table.add_row([cell.to_string(), rival.name.to_owned(), ratio, range, bare]);
        }
    }
    println!("Processor time per request, beside a bare epoll loop at the same moment\n\n{table}");
    Ok(())
}
