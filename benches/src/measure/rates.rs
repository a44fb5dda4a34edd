//! Requests per second and latency, in interleaved slices: each server is driven for a moment, in turn, again and
//! again; nothing is pinned.
//!
//! Whatever else the machine does in a second, it does to one slice of one server only; the medians of many slices are
//! compared. *bare again* shows what is noise. For processor time, which resolves more, there is `pairs`.
//!
//! Where a server has time to spare and the generator has none, the rate is the generator's: who answers sooner sleeps
//! sooner, and it pays for waking it. So both processes' share of the slice stands beside; `saturated` is for the servers.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::Loads;
use crate::driven::{interleaved, start};
use crate::load::Cell;
use crate::report::{Loaded, Row};
use crate::rivals::{peer, select};

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
    /// Processor time of the server in a slice, in percent of it: the median.
    pub server_busy: f64,
    /// The generator's.
    pub load_busy: f64,
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
    const HEADER: &'static [&'static str] = &[
        "server",
        "connections x bytes x depth",
        "requests/s",
        "range",
        "server busy, %",
        "load busy, %",
        "p50, us",
        "p99, us",
        "p99.9, us",
    ];

    fn cells(&self) -> Vec<String> {
        let Self { server, cell, rate, least, most, .. } = self;
        let mut cells =
            vec![server.clone(), cell.to_string(), format!("{rate:.0}"), format!("{least:.0} to {most:.0}")];
        cells.extend([self.server_busy, self.load_busy].map(|percent| format!("{percent:.0}")));
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
            for mut driven in interleaved(&wanted, cell, *slices, |rival| start(rival, &peer))? {
                let (rate, least, most) = driven.rate();
                let (server_busy, load_busy) = driven.busy();
                let micros = |quantile| driven.latency.value_at_quantile(quantile) as f64 / 1e3;
                let (p50_us, p99_us, p999_us) = (micros(0.5), micros(0.99), micros(0.999));
                let server = driven.rival.name.to_owned();
                eprintln!("{cell}: {server}: {rate:.0}");
                all.push(Rated { server, cell, rate, least, most, server_busy, load_busy, p50_us, p99_us, p999_us });
            }
        }
        Ok(all)
    }
}
