//! User instructions per request, counted by callgrind: no clock, and no noise but the size of epoll's batches.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::child::Program;
use crate::count::{Requests, instructions, require};
use crate::load::Cell;
use crate::report::{Loaded, Row};
use crate::rivals::{peer, select, slowed};

/// User instructions per request, by callgrind.
#[derive(Args, Debug)]
pub struct Options {
    /// Servers whose name contains one of these; all if none is given.
    names: Vec<String>,
    /// Echo servers at these paths too.
    #[arg(long)]
    path: Vec<PathBuf>,
    #[command(flatten)]
    requests: Requests,
}

/// What a request costs a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Counted {
    /// Which.
    pub server: String,
    /// The load.
    #[serde(flatten)]
    pub cell: Cell,
    /// Instructions of all threads.
    pub all: f64,
}

impl Row for Counted {
    const NAME: &'static str = "instructions";
    const TITLE: &'static str = "User instructions per request, by callgrind";
    const HEADER: &'static [&'static str] = &["server", "connections x bytes x depth", "all threads"];

    fn cells(&self) -> Vec<String> {
        let Self { server, cell, all } = self;
        vec![server.clone(), cell.to_string(), format!("{all:.1}")]
    }
}

impl Loaded for Counted {
    fn of(&self) -> (&str, Cell) {
        (&self.server, self.cell)
    }
}

/// The loads, in all that is counted.
pub(super) const CELLS: [Cell; 2] =
    [Cell { connections: 1, size: 1024, depth: 1 }, Cell { connections: 64, size: 1024, depth: 1 }];

impl Options {
    /// Measures.
    ///
    /// # Errors
    ///
    /// When valgrind is not installed, or a server fails.
    pub fn run(&self) -> anyhow::Result<Vec<Counted>> {
        require("valgrind")?;
        let peer = peer()?;
        let peers = select(&self.names).into_iter().filter(|rival| CELLS.iter().any(|cell| rival.takes_part(*cell)));
        let mut programs: Vec<Program> = peers.map(|rival| slowed(rival.program(&peer))).collect();
        programs.extend(self.path.iter().map(|path| Program::at(path.clone())));
        let mut rows = Vec::new();
        for program in &programs {
            for cell in CELLS {
                let counts = self.requests.each(program, cell, instructions)?;
                eprintln!("{}, {cell}: {:.1}", program.name, counts.all);
                rows.push(Counted { server: program.name.clone(), cell, all: counts.all });
            }
        }
        Ok(rows)
    }
}
