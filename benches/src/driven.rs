//! A server that is driven for a slice of time, again and again, in turn with others.
//!
//! For: rates, which cannot be taken of two servers at the same moment. Whatever else the machine does in a second, it
//! does to one slice of one server only. Not for: what is made of the slices (`rates`, `saturated`).

use std::path::Path;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use nix::time::ClockId;

use crate::child::Server;
use crate::load::{Cell, Load, Slice, Stalled};
use crate::rivals::Rival;
use crate::slices::Slices;
use crate::slices::median;

/// A server, and what each slice showed.
pub struct Driven<'a> {
    /// Which.
    pub rival: &'a Rival,
    server: Server,
    load: Load,
    /// Requests per second, slice by slice; nothing where it stalled.
    pub rates: Vec<Option<f64>>,
    /// Processor time of the server, in percent of the slice.
    server_busy: Vec<f64>,
    /// The generator's.
    load_busy: Vec<f64>,
    /// Of all slices, in nanoseconds.
    pub latency: Histogram<u64>,
}

impl<'a> Driven<'a> {
    /// Connects to `server`, and drives it for a first slice that is not counted.
    fn new(rival: &'a Rival, server: Server, cell: Cell, length: Duration) -> anyhow::Result<Self> {
        let mut load = Load::new(&[server.address], cell)?;
        answered(load.drive(length), rival.name, cell)?;
        let latency = Histogram::new_with_bounds(1_000, 60_000_000_000, 3)?;
        let (rates, server_busy, load_busy) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { rival, server, load, rates, server_busy, load_busy, latency })
    }

    /// Requests per second: the median of the slices, the least and the most.
    #[must_use]
    pub fn rate(&self) -> (f64, f64, f64) {
        median(&mut self.rates.iter().copied().flatten().collect::<Vec<_>>())
    }

    /// Processor time of the server and of the generator, in percent of a slice: the medians.
    pub fn busy(&mut self) -> (f64, f64) {
        (median(&mut self.server_busy).0, median(&mut self.load_busy).0)
    }

    fn slice(&mut self, cell: Cell, length: Duration) -> anyhow::Result<()> {
        let own = || -> anyhow::Result<Duration> { Ok(ClockId::CLOCK_THREAD_CPUTIME_ID.now()?.into()) };
        let (began, server, load) = (Instant::now(), self.server.time()?, own()?);
        let done = answered(self.load.drive(length), self.rival.name, cell)?;
        let elapsed = began.elapsed().as_secs_f64();
        self.rates.push(done.as_ref().map(|done| done.messages as f64 / elapsed));
        if let Some(done) = done {
            let percent = |time: Duration| time.as_secs_f64() / elapsed * 100.0;
            self.server_busy.push(percent(self.server.time()? - server));
            self.load_busy.push(percent(own()? - load));
            self.latency.add(done.latency)?;
        }
        Ok(())
    }
}

/// Drives each of `rivals` for a slice, and again, as often as `slices` says; `start` starts a server.
///
/// # Errors
///
/// When a server fails.
pub fn interleaved<'a>(
    rivals: &[&'a Rival],
    cell: Cell,
    slices: Slices,
    start: impl Fn(&Rival) -> anyhow::Result<Server>,
) -> anyhow::Result<Vec<Driven<'a>>> {
    let started = rivals.iter().map(|rival| Driven::new(rival, start(rival)?, cell, slices.length()));
    let mut all = started.collect::<anyhow::Result<Vec<_>>>()?;
    for _ in 0..slices.slices {
        for driven in &mut all {
            driven.slice(cell, slices.length())?;
        }
    }
    Ok(all)
}

/// Starts `rival`, which is the binary `peer`.
///
/// # Errors
///
/// When it does not start.
pub fn start(rival: &Rival, peer: &Path) -> anyhow::Result<Server> {
    Server::start(rival.program(peer).command())
}

/// What a slice was answered with: nothing, where the kernel has run out of memory for it. Such a slice is left out.
fn answered(driven: anyhow::Result<Vec<Slice>>, server: &str, cell: Cell) -> anyhow::Result<Option<Slice>> {
    match driven {
        Err(error) if error.is::<Stalled>() => {
            eprintln!("{cell}: {server}: a slice is left out: {error}");
            Ok(None)
        }
        other => Ok(other?.pop()),
    }
}
