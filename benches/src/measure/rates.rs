//! Requests per second and latency, in interleaved slices: each server is driven for a moment, in turn, again and
//! again; nothing is pinned.
//!
//! Whatever else the machine does in a second, it does to one slice of one server only; the medians of many slices are
//! compared. *bare again* shows what is noise. For processor time, which resolves more, there is `pairs`.
//!
//! Where a server has time to spare and the generator has none, the rate is the generator's: who answers sooner sleeps
//! sooner, and it pays for waking it. So both processes' share of the slice stands beside.

use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;
use nix::time::ClockId;
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
            for mut driven in interleaved(&peer, &wanted, cell, *slices)? {
                let (rate, least, most) = median(&mut driven.rates);
                let (server_busy, _, _) = median(&mut driven.server_busy);
                let (load_busy, _, _) = median(&mut driven.load_busy);
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

/// A server, and what each slice showed.
struct Driven<'a> {
    rival: &'a Rival,
    server: Server,
    load: Load,
    rates: Vec<f64>,
    server_busy: Vec<f64>,
    load_busy: Vec<f64>,
    latency: Histogram<u64>,
}

impl<'a> Driven<'a> {
    /// Starts it, and drives it for a first slice that is not counted.
    fn start(peer: &Path, rival: &'a Rival, cell: Cell, length: Duration) -> anyhow::Result<Self> {
        let server = Server::start(rival.program(peer).command())?;
        let mut load = Load::new(&[server.address], cell)?;
        answered(load.drive(length), rival.name, cell)?;
        let latency = Histogram::new_with_bounds(1_000, 60_000_000_000, 3)?;
        let (rates, server_busy, load_busy) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { rival, server, load, rates, server_busy, load_busy, latency })
    }

    fn slice(&mut self, cell: Cell, length: Duration) -> anyhow::Result<()> {
        let own = || -> anyhow::Result<Duration> { Ok(ClockId::CLOCK_PROCESS_CPUTIME_ID.now()?.into()) };
        let (began, server, load) = (Instant::now(), self.server.time()?, own()?);
        for done in answered(self.load.drive(length), self.rival.name, cell)? {
            let elapsed = began.elapsed().as_secs_f64();
            let percent = |time: Duration| time.as_secs_f64() / elapsed * 100.0;
            self.rates.push(done.messages as f64 / elapsed);
            self.server_busy.push(percent(self.server.time()? - server));
            self.load_busy.push(percent(own()? - load));
            self.latency.add(done.latency)?;
        }
        Ok(())
    }
}

fn interleaved<'a>(peer: &Path, rivals: &[&'a Rival], cell: Cell, slices: Slices) -> anyhow::Result<Vec<Driven<'a>>> {
    let started = rivals.iter().map(|rival| Driven::start(peer, rival, cell, slices.length()));
    let mut all = started.collect::<anyhow::Result<Vec<_>>>()?;
    for _ in 0..slices.slices {
        for driven in &mut all {
            driven.slice(cell, slices.length())?;
        }
    }
    Ok(all)
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
