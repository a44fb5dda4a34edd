//! What the proof costs: the same server with and without atomics in its word.
//!
//! The word of a connection is what the checkers explore; in a server of one polling thread, whose handlers alone
//! write, nobody else touches it. So that server is built a second time with `--cfg flags`, where the word is plain
//! memory, and the two are compared: user instructions, system calls, and processor time in simultaneous pairs.
//! That second build is unsound and for this alone.

use anyhow::Context as _;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::instructions::CELLS;
use crate::child::{Program, build_with};
use crate::count::{Counts, Requests, calls, instructions, require};
use crate::load::{Cell, Load};
use crate::pair::{Pair, Ratio};
use crate::report::Row;
use crate::rivals::{RIVALS, peer, slowed};
use crate::slices::Slices;

/// The same server with and without atomics in its word.
#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    requests: Requests,
    #[command(flatten)]
    slices: Slices,
}

/// One load on the two servers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compared {
    /// The load.
    #[serde(flatten)]
    pub cell: Cell,
    /// User instructions per request: plain flags, and the atomic word.
    pub instructions: [f64; 2],
    /// System calls per request of the threads that serve.
    pub calls: [f64; 2],
    /// Processor time per request, of the atomic word by that of plain flags.
    pub time: Ratio,
}

impl Compared {
    /// User instructions per request that the atomic word costs.
    #[must_use]
    pub fn instructions_more(&self) -> f64 {
        self.instructions[1] - self.instructions[0]
    }
}

impl Row for Compared {
    const NAME: &'static str = "cost";
    const TITLE: &'static str = "What the atomic word costs, beside plain flags (unsound, measured only)";
    const HEADER: &'static [&'static str] = &[
        "connections x bytes x depth",
        "instructions, flags",
        "instructions, word",
        "more",
        "system calls, flags",
        "system calls, word",
        "CPU per request, x flags",
        "range",
        "flags, us",
    ];

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.cell.to_string()];
        cells.extend(self.instructions.map(|count| format!("{count:.1}")));
        cells.push(format!("{:.1}", self.instructions_more()));
        cells.extend(self.calls.map(|count| format!("{count:.3}")));
        cells.extend(self.time.cells());
        cells
    }
}

impl Options {
    /// Measures.
    ///
    /// # Errors
    ///
    /// When a tool is not installed, or a server fails.
    pub fn run(&self) -> anyhow::Result<Vec<Compared>> {
        require("valgrind")?;
        require("strace")?;
        let pollproof = RIVALS.iter().find(|rival| rival.name == "pollproof").context("it is one of them")?;
        let flags = build_with("peer", Some("flags"))?;
        let servers = [pollproof.program(&flags), pollproof.program(&peer()?)];
        let mut rows = Vec::new();
        for cell in CELLS {
            let each = |count: fn(&Program, Cell, usize) -> anyhow::Result<Counts>| -> anyhow::Result<[Counts; 2]> {
                let one = |program: &Program| self.requests.each(&slowed(program.clone()), cell, count);
                Ok([one(&servers[0])?, one(&servers[1])?])
            };
            let (instructions, calls) = (each(instructions)?, each(calls)?);
            rows.push((cell, instructions.map(|counts| counts.all), calls.map(|counts| counts.own)));
        }
        // Last, for it keeps this thread, and what it starts, on one processor.
        let timed = |(cell, instructions, calls)| {
            let time = Load::pair(Pair::start(&servers[0], &servers[1])?, cell, self.slices)?;
            Ok(Compared { cell, instructions, calls, time })
        };
        rows.into_iter().map(timed).collect()
    }
}
