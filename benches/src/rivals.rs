//! Who is compared, and the processes that they are.
//!
//! For: one list of servers for every measurement. Not for: what they do (`peers`).

use std::path::Path;
use std::process::Command;

use crate::child::{Server, build};

/// A server, as it is started.
#[derive(Clone, Copy, Debug)]
pub struct Rival {
    /// What tables call it.
    pub name: &'static str,
    /// The arguments of `peer`.
    pub arguments: &'static [&'static str],
    /// Threads that serve: what it is compared with has as many.
    pub threads: usize,
}

/// Everybody. The first of each number of threads is what the others are compared with.
pub static RIVALS: &[Rival] = &[
    Rival { name: "bare", arguments: &["bare"], threads: 1 },
    Rival { name: "bare again", arguments: &["bare"], threads: 1 },
    Rival { name: "pollproof", arguments: &["pollproof"], threads: 1 },
    Rival { name: "mio", arguments: &["mio"], threads: 1 },
    Rival { name: "tokio, current-thread", arguments: &["tokio"], threads: 1 },
    Rival { name: "tokio, current-thread, 16 KiB", arguments: &["tokio", "--buffer", "16384"], threads: 1 },
    Rival { name: "smol", arguments: &["smol"], threads: 1 },
    Rival { name: "bare, 2 threads", arguments: &["bare", "--threads", "2"], threads: 2 },
    Rival { name: "pollproof, 2 threads", arguments: &["pollproof", "--threads", "2"], threads: 2 },
    Rival { name: "tokio, multi-thread", arguments: &["tokio", "--threads", "2"], threads: 2 },
    Rival { name: "pollproof, pool", arguments: &["pollproof-pool"], threads: 2 },
    Rival { name: "naive port", arguments: &["naive"], threads: 2 },
];

/// Those whose name contains one of `names`; all if none is given.
#[must_use]
pub fn select(names: &[String]) -> Vec<&'static Rival> {
    RIVALS.iter().filter(|rival| names.is_empty() || names.iter().any(|name| rival.name.contains(name))).collect()
}

impl Rival {
    /// Whether others are compared with it.
    #[must_use]
    pub fn is_measure(&self) -> bool {
        std::ptr::eq(self, self.bare())
    }

    /// What it is compared with.
    #[must_use]
    pub fn bare(&self) -> &'static Rival {
        RIVALS.iter().find(|rival| rival.threads == self.threads).unwrap_or(&RIVALS[0])
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start(&self, peer: &Path) -> anyhow::Result<Server> {
        let mut command = Command::new(peer);
        command.args(self.arguments);
        Server::start(command)
    }
}

/// The binary that all of them are.
///
/// # Errors
///
/// When it does not build.
pub fn peer() -> anyhow::Result<std::path::PathBuf> {
    build("--bin", "peer")
}

/// The middle one, with the least and the largest.
#[must_use]
pub fn median(values: &mut [f64]) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let (first, last) = (values.first().copied(), values.last().copied());
    (values.get(values.len() / 2).copied().unwrap_or(f64::NAN), first.unwrap_or(f64::NAN), last.unwrap_or(f64::NAN))
}
