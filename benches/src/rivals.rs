//! Who is compared, and the processes that they are.
//!
//! For: one list of servers for every measurement. Not for: what they do (`peers`).

use std::path::Path;

use crate::child::{Program, build};
use crate::load::Cell;

/// A server, as it is started.
#[derive(Clone, Copy, Debug)]
pub struct Rival {
    /// What tables call it.
    pub name: &'static str,
    /// The arguments of `peer`.
    pub arguments: &'static [&'static str],
    /// Threads that serve: what it is compared with has as many.
    pub threads: usize,
    /// Bytes of its buffer, where they are fewer than the 64 KiB of everybody.
    pub buffer: Option<usize>,
}

const fn rival(name: &'static str, arguments: &'static [&'static str], threads: usize) -> Rival {
    Rival { name, arguments, threads, buffer: None }
}

const fn small(name: &'static str, arguments: &'static [&'static str], threads: usize) -> Rival {
    Rival { name, arguments, threads, buffer: Some(16 * 1024) }
}

/// Everybody. The first of each number of threads is what the others are compared with.
pub static RIVALS: &[Rival] = &[
    rival("bare", &["bare"], 1),
    rival("bare again", &["bare"], 1),
    rival("pollproof", &["pollproof"], 1),
    rival("pollproof, alone", &["pollproof", "--takeover", "0"], 1),
    rival("mio", &["mio"], 1),
    rival("tokio, current-thread", &["tokio"], 1),
    small("tokio, current-thread, 16 KiB", &["tokio", "--buffer", "16384"], 1),
    rival("smol", &["smol"], 1),
    rival("monoio, epoll", &["monoio"], 1),
    rival("bare, 2 threads", &["bare", "--threads", "2"], 2),
    rival("bare again, 2 threads", &["bare", "--threads", "2"], 2),
    rival("pollproof, 2 threads", &["pollproof", "--threads", "2"], 2),
    rival("tokio, multi-thread", &["tokio", "--threads", "2"], 2),
    small("tokio, multi-thread, 16 KiB", &["tokio", "--threads", "2", "--buffer", "16384"], 2),
    rival("pollproof, pool", &["pollproof-pool"], 2),
    rival("naive port", &["naive"], 2),
    rival("hand-over alone", &["handover"], 2),
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

    /// Whether it says anything under this load: a smaller buffer does where more than that is in flight.
    #[must_use]
    pub fn takes_part(&self, cell: Cell) -> bool {
        self.buffer.is_none_or(|buffer| cell.size * cell.depth > buffer)
    }

    /// It, with its binary.
    #[must_use]
    pub fn program(&self, peer: &Path) -> Program {
        let arguments = self.arguments.iter().map(|&argument| argument.to_owned()).collect();
        Program { name: self.name.to_owned(), path: peer.to_owned(), arguments }
    }
}

/// How `program` is run under a tool that makes it many times slower, but not the clock: pollproof's thread that watches
/// the others would look at the clock many times more often in a request, and take slow threads for stuck ones.
#[must_use]
pub fn slowed(mut program: Program) -> Program {
    let arguments = &program.arguments;
    let ours = arguments.first().is_some_and(|kind| kind.starts_with("pollproof"));
    if ours && !arguments.iter().any(|argument| argument == "--takeover") {
        program.arguments.extend(["--takeover".to_owned(), "60".to_owned()]);
    }
    program
}

/// The binary that all of them are.
///
/// # Errors
///
/// When it does not build.
pub fn peer() -> anyhow::Result<std::path::PathBuf> {
    build("peer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_buffer_is_compared_where_more_is_in_flight() {
        let named = |name| RIVALS.iter().find(|rival| rival.name == name).expect(name);
        let [small, usual] = ["tokio, current-thread, 16 KiB", "tokio, current-thread"].map(named);
        let load = |size, depth| Cell { connections: 1, size, depth };
        assert!(!small.takes_part(load(1024, 16)) && small.takes_part(load(65_536, 1)));
        assert!(usual.takes_part(load(64, 1)));
    }

    #[test]
    fn everybody_is_compared_with_as_many_threads() {
        for rival in RIVALS {
            assert_eq!((rival.bare().threads, rival.bare().arguments[0]), (rival.threads, "bare"));
        }
        assert_eq!(RIVALS.iter().filter(|rival| rival.is_measure()).count(), 2);
    }
}
