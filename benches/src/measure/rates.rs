//! Requests per second and latency, in interleaved slices: each server is driven for a moment, in turn, again and
//! again; nothing is pinned.
//!
//! Whatever else the machine does in a second, it does to one slice of one server only; the medians of many slices are
//! compared. *bare again* shows what is noise. For processor time, which resolves more, there is `pairs`.

use std::time::Instant;

use clap::Args;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::{Loads, Slices};
use crate::child::Server;
use crate::load::{Cell, Load, Slice, Stalled};
use crate::report::{Loaded, Row};
use crate::rivals::{Rival, median, peer, select};

/// Requests per second, and latency.
#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    loads: Loads,
}

/// One load on one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rated {
    /// Which.
    pub server: String,
    /// The load.
    #[serde(flatten)]
    pub cell: Cell,
    /// Requests per second, the median of the slices.
    pub rate: f64,
    /// The least of them.
    pub least: f64,
    /// The largest.
    pub most: f64,
    /// Latency, in microseconds, of half of the requests.
    pub p50_us: f64,
    /// Of 99 in a hundred.
    pub p99_us: f64,
    /// Of 999 in a thousand.
    pub p999_us: f64,
}

impl Row for Rated {
    const NAME: &'static str = "rates";
    const TITLE: &'static str = "Requests per second and latency, in interleaved slices";
    const HEADER: &'static [&'static str] =
        &["server", "connections x bytes x depth", "requests/s", "range", "p50, us", "p99, us", "p99.9, us"];

    fn cells(&self) -> Vec<String> {
        let Self { server, cell, rate, least, most, .. } = self;
        let mut cells =
            vec![server.clone(), cell.to_string(), format!("{rate:.0}"), format!("{least:.0} to {most:.0}")];
        cells.extend([self.p50_us, self.p99_us, self.p999_us].map(|micros| format!("{micros:.1}")));
        cells
    }
}

impl Loaded for Rated {
    fn of(&self) -> (&str, Cell) {
        (&self.server, self.cell)
    }
}

impl Options {
    /// Measures.
    ///
    /// # Errors
    ///
    /// When a server fails.
    pub fn run(&self) -> anyhow::Result<Vec<Rated>> {
        let Loads { names, slices, grid } = &self.loads;
        let peer = peer()?;
        let mut all = Vec::new();
        for cell in grid.cells() {
            let wanted: Vec<_> = select(names).into_iter().filter(|rival| rival.takes_part(cell)).collect();
            for (rival, mut rates, latency) in interleaved(&peer, &wanted, cell, *slices)? {
                let (rate, least, most) = median(&mut rates);
                let micros = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
                let (p50_us, p99_us, p999_us) = (micros(0.5), micros(0.99), micros(0.999));
                eprintln!("{cell}: {}: {rate:.0}", rival.name);
                all.push(Rated { server: rival.name.to_owned(), cell, rate, least, most, p50_us, p99_us, p999_us });
            }
        }
        Ok(all)
    }
}

/// A server, its rate in each slice, and the latency of all.
type Driven<'a> = (&'a Rival, Vec<f64>, Histogram<u64>);

fn interleaved<'a>(
    peer: &std::path::Path,
    rivals: &[&'a Rival],
    cell: Cell,
    slices: Slices,
) -> anyhow::Result<Vec<Driven<'a>>> {
    let mut servers = Vec::new();
    for rival in rivals {
        let server = Server::start(rival.program(peer).command())?;
        let mut load = Load::new(&[server.address], cell)?;
        answered(load.drive(slices.length()), rival.name, cell)?;
        servers.push((server, load));
    }
    let latency = Histogram::new_with_bounds(1_000, 60_000_000_000, 3)?;
    let mut rows: Vec<Driven<'a>> = rivals.iter().map(|rival| (*rival, Vec::new(), latency.clone())).collect();
    for _ in 0..slices.slices {
        for ((_, load), (rival, rates, latency)) in servers.iter_mut().zip(&mut rows) {
            let began = Instant::now();
            for done in answered(load.drive(slices.length()), rival.name, cell)? {
                rates.push(done.messages as f64 / began.elapsed().as_secs_f64());
                latency.add(done.latency)?;
            }
        }
    }
    Ok(rows)
}

/// What a slice was answered with: nothing, where the kernel has run out of memory for it. Such a slice is left out.
fn answered(driven: anyhow::Result<Vec<Slice>>, server: &str, cell: Cell) -> anyhow::Result<Vec<Slice>> {
    match driven {
        Err(error) if error.is::<Stalled>() => {
            eprintln!("{cell}: {server}: a slice is left out: {error}");
            Ok(Vec::new())
        }
        other => other,
    }
}
