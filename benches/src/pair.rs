//! A server beside a bare epoll loop: both on one processor, loaded by one generator on the other, at the same moment.
//!
//! For: the ratio of what a unit of work costs the two. The machine's drift hits both alike, so that a few percent can
//! be told apart. Not for: what the work is (`pairs`, `churn`).

use std::path::Path;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::ClockId;
use nix::unistd::Pid;

use crate::child::Server;
use crate::rivals::{Rival, median};

/// The two servers, the bare one first.
pub struct Pair {
    /// Running.
    pub servers: [Server; 2],
    ratios: Vec<f64>,
    bare: Vec<f64>,
}

impl Pair {
    /// Starts `rival` and what it is compared with on the first processor, and keeps this thread on the second.
    ///
    /// # Errors
    ///
    /// When one does not start, or there is no second processor.
    pub fn start(rival: &Rival, peer: &Path) -> anyhow::Result<Self> {
        pin(0)?;
        let servers = [rival.bare().start(peer)?, rival.start(peer)?];
        pin(1)?;
        Ok(Self { servers, ratios: Vec::new(), bare: Vec::new() })
    }

    /// Takes the processor time of both for one slice: `work` loads them and says how many units each has done.
    ///
    /// # Errors
    ///
    /// As `work`, and when a server is not there any more.
    pub fn measure(&mut self, work: impl FnOnce(&[Server; 2]) -> anyhow::Result<[u64; 2]>) -> anyhow::Result<()> {
        let before = [cpu(&self.servers[0])?, cpu(&self.servers[1])?];
        let done = work(&self.servers)?;
        let cost = |at: usize| -> anyhow::Result<f64> {
            Ok((cpu(&self.servers[at])? - before[at]).as_secs_f64() / done[at].max(1) as f64)
        };
        let (bare, other) = (cost(0)?, cost(1)?);
        self.ratios.push(other / bare);
        self.bare.push(bare);
        Ok(())
    }

    /// What the slices showed, as cells of a table: the median ratio, its range, and what a unit costs the bare loop in
    /// microseconds.
    #[must_use]
    pub fn cells(mut self) -> [String; 3] {
        let (middle, least, most) = median(&mut self.ratios);
        let (bare, _, _) = median(&mut self.bare);
        [format!("{middle:.3}"), format!("{least:.3} to {most:.3}"), format!("{:.2}", bare * 1e6)]
    }
}

/// Processor time that a server has used so far.
fn cpu(server: &Server) -> anyhow::Result<Duration> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(server.pid() as i32))?;
    Ok(Duration::from(clock.now()?))
}

/// Keeps this thread, and what it starts from now on, on one processor.
fn pin(cpu: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}
