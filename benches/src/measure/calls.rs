//! System calls per request, counted by strace: no clock, but who waits how often depends a little on who runs when.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::instructions::CELLS;
use crate::count::{Requests, calls, require};
use crate::load::Cell;
use crate::report::{Loaded, Row};
use crate::rivals::{peer, select, slowed};

/// System calls per request, by strace.
#[derive(Args, Debug)]
pub struct Options {
    /// Servers whose name contains one of these; all if none is given.
    names: Vec<String>,
    #[command(flatten)]
    requests: Requests,
}

/// What a request costs a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Called {
    /// Which.
    pub server: String,
    /// The load.
    #[serde(flatten)]
    pub cell: Cell,
    /// System calls of all threads.
    pub all: f64,
    /// Of those that wait for events, read or write: a thread that looks at the clock now and then does that however
    /// many requests there are.
    pub serving: f64,
}

impl Row for Called {
    const NAME: &'static str = "calls";
    const TITLE: &'static str = "System calls per request, by strace";
    const HEADER: &'static [&'static str] =
        &["server", "connections x bytes x depth", "all threads", "threads that serve"];

    fn cells(&self) -> Vec<String> {
        let Self { server, cell, all, serving } = self;
        vec![server.clone(), cell.to_string(), format!("{all:.3}"), format!("{serving:.3}")]
    }
}

impl Loaded for Called {
    fn of(&self) -> (&str, Cell) {
        (&self.server, self.cell)
    }
}

/// With several messages at once on each connection.
const DEEP: Cell = Cell { connections: 64, size: 1024, depth: 16 };

impl Options {
    /// Measures.
    ///
    /// # Errors
    ///
    /// When strace is not installed, or a server fails.
    pub fn run(&self) -> anyhow::Result<Vec<Called>> {
        require("strace")?;
        let peer = peer()?;
        let mut rows = Vec::new();
        for rival in select(&self.names).into_iter().filter(|rival| rival.takes_part(CELLS[0])) {
            let program = slowed(rival.program(&peer));
            for cell in CELLS.into_iter().chain([DEEP]) {
                let counts = self.requests.each(&program, cell, calls)?;
                eprintln!("{}, {cell}: {:.3}", program.name, counts.own);
                rows.push(Called { server: program.name.clone(), cell, all: counts.all, serving: counts.own });
            }
        }
        Ok(rows)
    }
}
