//! Two servers side by side: both on one processor, loaded by one generator on the other, at the same moment.
//!
//! For: the ratio of what a unit of work costs the two. The machine's drift hits both alike, so that a few percent can
//! be told apart. Not for: what the work is (`pairs`, `churn`, `cost`).

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use serde::{Deserialize, Serialize};

use crate::child::{Program, Server};
use crate::slices::median;

/// The two servers, the one that the other is compared with first.
pub struct Pair {
    /// Running.
    pub servers: [Server; 2],
    ratios: Vec<f64>,
    first: Vec<f64>,
}

/// What the slices of a pair showed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Processor time of a unit of work, by that of the first server: the median of the slices.
    pub ratio: f64,
    /// The least of them.
    pub least: f64,
    /// The largest.
    pub most: f64,
    /// What a unit costs the first server, in microseconds.
    pub first_us: f64,
}

impl Ratio {
    /// As cells of a table.
    #[must_use]
    pub fn cells(&self) -> [String; 3] {
        let Self { ratio, least, most, first_us } = self;
        [format!("{ratio:.3}"), format!("{least:.3} to {most:.3}"), format!("{first_us:.2}")]
    }
}

impl Pair {
    /// Starts the two on the first processor, and keeps this thread on the second.
    ///
    /// # Errors
    ///
    /// When one does not start, or there is no second processor.
    pub fn start(first: &Program, second: &Program) -> anyhow::Result<Self> {
        let servers = apart(|| Ok([Server::start(first.command())?, Server::start(second.command())?]))?;
        Ok(Self { servers, ratios: Vec::new(), first: Vec::new() })
    }

    /// Takes the processor time of both for one slice: `work` loads them and says how many units each has done.
    ///
    /// # Errors
    ///
    /// As `work`, and when a server is not there any more.
    pub fn measure(&mut self, work: impl FnOnce(&[Server; 2]) -> anyhow::Result<[u64; 2]>) -> anyhow::Result<()> {
        let before = [self.servers[0].time()?, self.servers[1].time()?];
        let done = work(&self.servers)?;
        let cost = |at: usize| -> anyhow::Result<f64> {
            Ok((self.servers[at].time()? - before[at]).as_secs_f64() / done[at].max(1) as f64)
        };
        let (first, second) = (cost(0)?, cost(1)?);
        self.ratios.push(second / first);
        self.first.push(first);
        Ok(())
    }

    /// What the slices showed.
    #[must_use]
    pub fn ratio(mut self) -> Ratio {
        let (ratio, least, most) = median(&mut self.ratios);
        let (first, _, _) = median(&mut self.first);
        Ratio { ratio, least, most, first_us: first * 1e6 }
    }
}

/// What `start` starts is kept on the first processor, and this thread on the second.
///
/// # Errors
///
/// As `start`, and when there is no second processor.
pub fn apart<T>(start: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    pin(0)?;
    let started = start()?;
    pin(1)?;
    Ok(started)
}

/// Keeps this thread, and what it starts from now on, on one processor.
///
/// # Errors
///
/// When there are not so many.
pub fn pin(cpu: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}
