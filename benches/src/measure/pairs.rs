//! Processor time per request, in simultaneous pairs: each server beside a bare epoll loop, under the same load, at the
//! same moment, on the same processor.
//!
//! The generator drives both from one thread on the other processor, and reads the clocks of both processes. The
//! machine's drift hits both alike, so that a few percent can be told apart; *bare again* against bare shows how few.
//! For each slice, the ratio of the two servers' time per request; of all slices, the median and the range.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::Loads;
use crate::load::{Cell, Load, Stalled};
use crate::pair::{Pair, Ratio};
use crate::report::{Loaded, Row};
use crate::rivals::{peer, select};

/// Processor time per request, beside a bare epoll loop.
#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    loads: Loads,
}

/// One load on one server and on the bare loop.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Paired {
    /// Which.
    pub server: String,
    /// The load.
    #[serde(flatten)]
    pub cell: Cell,
    /// What was found.
    #[serde(flatten)]
    pub time: Ratio,
}

impl Row for Paired {
    const NAME: &'static str = "pairs";
    const TITLE: &'static str = "Processor time per request, beside a bare epoll loop at the same moment";
    const HEADER: &'static [&'static str] =
        &["server", "connections x bytes x depth", "CPU per request, x bare", "range", "bare, us"];

    fn cells(&self) -> Vec<String> {
        [self.server.clone(), self.cell.to_string()].into_iter().chain(self.time.cells()).collect()
    }
}

impl Loaded for Paired {
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
    pub fn run(&self) -> anyhow::Result<Vec<Paired>> {
        let Loads { names, slices, grid } = &self.loads;
        let peer = peer()?;
        let mut rows = Vec::new();
        for cell in grid.cells() {
            let wanted = select(names).into_iter().filter(|rival| !rival.is_measure() && rival.takes_part(cell));
            for rival in wanted {
                let pair = Pair::start(&rival.bare().program(&peer), &rival.program(&peer))?;
                let time = match Load::pair(pair, cell, *slices) {
                    Err(error) if error.is::<Stalled>() => {
                        eprintln!("{cell}: {}: left out: {error}", rival.name);
                        continue;
                    }
                    other => other?,
                };
                eprintln!("{cell}: {}: {:.3}", rival.name, time.ratio);
                rows.push(Paired { server: rival.name.to_owned(), cell, time });
            }
        }
        Ok(rows)
    }
}
