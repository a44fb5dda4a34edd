//! Requests per second of a server that is the limit: it has half a processor, the generator a whole one.
//!
//! In `rates` a server with many connections waits for the generator, whose requests cost more than its answers, and the
//! rate is the generator's. Here a thread that only spins shares the server's processor and takes half of it, so that the
//! rate is the server's, as its share shows: about 50 %. Slices in turn, as in `rates`; of each round, the rate by that of
//! the bare loop in the same round; of all rounds, the median and the range. *bare again* shows what is noise. Servers
//! with one thread only, and no loads of one connection: nobody is the limit there. Latencies would be the scheduler's.

use std::sync::mpsc::{Receiver, TryRecvError, channel};

use anyhow::Context as _;
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::driven::{Driven, interleaved, start};
use crate::load::{Cell, Grid};
use crate::pair::{apart, pin};
use crate::report::{Loaded, Row};
use crate::rivals::{RIVALS, Rival, peer, select};
use crate::slices::Slices;
use crate::slices::median;

/// Requests per second of a server that is the limit.
#[derive(Args, Debug)]
pub struct Options {
    /// Servers whose name contains one of these, and the bare loop; all if none is given.
    names: Vec<String>,
    #[command(flatten)]
    slices: Slices,
    #[command(flatten)]
    grid: Grid,
}

/// One load on one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Saturated {
    /// Which.
    pub server: String,
    /// The load.
    #[serde(flatten)]
    pub cell: Cell,
    /// Requests per second, the median of the slices.
    pub rate: f64,
    /// By that of the bare loop in the same round: the median.
    pub ratio: f64,
    /// The least of them.
    pub least: f64,
    /// The largest.
    pub most: f64,
    /// Processor time of the server in a slice, in percent of it: the median.
    pub server_busy: f64,
    /// The generator's.
    pub load_busy: f64,
}

impl Row for Saturated {
    const NAME: &'static str = "saturated";
    const TITLE: &'static str = "Requests per second of a server that is the limit, with half a processor";
    const HEADER: &'static [&'static str] = &[
        "server",
        "connections x bytes x depth",
        "requests/s",
        "requests/s, x bare",
        "range",
        "server busy, %",
        "load busy, %",
    ];

    fn cells(&self) -> Vec<String> {
        let Self { server, cell, rate, ratio, least, most, server_busy, load_busy } = self;
        vec![
            server.clone(),
            cell.to_string(),
            format!("{rate:.0}"),
            format!("{ratio:.3}"),
            format!("{least:.3} to {most:.3}"),
            format!("{server_busy:.0}"),
            format!("{load_busy:.0}"),
        ]
    }
}

impl Loaded for Saturated {
    fn of(&self) -> (&str, Cell) {
        (&self.server, self.cell)
    }
}

impl Options {
    /// Measures.
    ///
    /// # Errors
    ///
    /// When a server fails, or there is no second processor.
    pub fn run(&self) -> anyhow::Result<Vec<Saturated>> {
        let peer = peer()?;
        std::thread::scope(|scope| {
            // Dropped in any case, and then the scope's thread ends.
            let (_running, over) = channel();
            scope.spawn(|| spin(over));
            let mut rows = Vec::new();
            for cell in self.grid.cells().into_iter().filter(|cell| cell.connections > 1) {
                let wanted = select(&self.names).into_iter().filter(|rival| !rival.is_measure());
                let wanted = wanted.filter(|rival| rival.threads == 1 && rival.takes_part(cell));
                let wanted: Vec<&Rival> = std::iter::once(&RIVALS[0]).chain(wanted).collect();
                let all = interleaved(&wanted, cell, self.slices, |rival| apart(|| start(rival, &peer)))?;
                let bare = all.first().context("the bare loop is first")?.rates.clone();
                rows.extend(all.into_iter().map(|driven| compared(driven, &bare, cell)));
            }
            Ok(rows)
        })
    }
}

/// Takes half of the servers' processor until nobody holds the other end of `over`.
fn spin(over: Receiver<()>) {
    pin(0).expect("the servers are there too");
    while over.try_recv() == Err(TryRecvError::Empty) {
        std::hint::spin_loop();
    }
}

/// What `driven` did beside what the bare loop did, round by round.
fn compared(mut driven: Driven<'_>, bare: &[Option<f64>], cell: Cell) -> Saturated {
    let rounds = driven.rates.iter().zip(bare).filter_map(|(rate, bare)| Some((*rate)? / (*bare)?));
    let (ratio, least, most) = median(&mut rounds.collect::<Vec<_>>());
    let (rate, _, _) = driven.rate();
    let (server_busy, load_busy) = driven.busy();
    let server = driven.rival.name.to_owned();
    eprintln!("{cell}: {server}: {ratio:.3}");
    Saturated { server, cell, rate, ratio, least, most, server_busy, load_busy }
}
