//! What a request costs where no clock is needed: user instructions by callgrind, system calls by strace.
//!
//! A server is run twice with a different number of requests; the difference of the counts by the difference of the
//! requests is one request's cost, whatever starting and connecting costs. Each round sends on all connections, then
//! waits for all answers.

use std::collections::HashSet;
use std::process::{Command, Stdio};

use anyhow::ensure;
use clap::Args;
use nix::sys::signal::Signal;

use crate::child::{Program, Server, round};
use crate::load::Cell;

/// How many requests the two runs have.
#[derive(Args, Clone, Copy, Debug)]
pub struct Requests {
    /// Requests of the short run.
    #[arg(long, default_value_t = 2_000)]
    few: usize,
    /// Requests of the long run.
    #[arg(long, default_value_t = 12_000)]
    many: usize,
}

/// Of one request, or of one run.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Those of every thread.
    pub all: f64,
    /// Those of the threads that matter; which they are is said where it is counted.
    pub own: f64,
}

impl Requests {
    /// What one request costs `program`, counted by `count`.
    ///
    /// # Errors
    ///
    /// As `count`.
    pub fn each(
        &self,
        program: &Program,
        cell: Cell,
        count: impl Fn(&Program, Cell, usize) -> anyhow::Result<Counts>,
    ) -> anyhow::Result<Counts> {
        // Whole rounds alone are sent.
        let whole = |requests: usize| requests.next_multiple_of(cell.connections * cell.depth);
        ensure!(whole(self.few) < whole(self.many), "the long run has no more rounds than the short one");
        let (few, many) = (count(program, cell, self.few)?, count(program, cell, self.many)?);
        let each = |few: f64, many: f64| (many - few) / (whole(self.many) - whole(self.few)) as f64;
        Ok(Counts { all: each(few.all, many.all), own: each(few.own, many.own) })
    }
}

/// Whether `tool` is there.
///
/// # Errors
///
/// When it is not.
pub fn require(tool: &str) -> anyhow::Result<()> {
    let works = Command::new(tool).arg("--version").stdout(Stdio::null()).status();
    ensure!(works.is_ok_and(|status| status.success()), "{tool} is not installed");
    Ok(())
}

/// User instructions; `own`: the same, for every thread counts.
///
/// # Errors
///
/// When valgrind or the server fails.
pub fn instructions(program: &Program, cell: Cell, requests: usize) -> anyhow::Result<Counts> {
    let directory = tempfile::tempdir()?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind", "--separate-threads=yes"]);
    valgrind.arg(format!("--callgrind-out-file={}", directory.path().join("out").display()));
    serve(program.under(valgrind), cell, requests)?;
    let mut threads = Vec::new();
    for entry in std::fs::read_dir(&directory)? {
        let text = std::fs::read_to_string(entry?.path())?;
        // One line a dump: "totals: N".
        for total in text.lines().filter_map(|line| line.strip_prefix("totals: ")) {
            threads.push(total.trim().parse::<f64>()?);
        }
    }
    ensure!(!threads.is_empty(), "callgrind wrote nothing");
    let all = threads.iter().sum();
    Ok(Counts { all, own: all })
}

/// What a thread calls that serves connections, and one that looks at the clock does not.
const SERVES: &[&str] =
    &["epoll_wait", "epoll_pwait", "epoll_pwait2", "read", "readv", "recvfrom", "write", "writev", "sendto", "sendmsg"];

/// System calls; `own`: those of threads that wait for events, read or write.
///
/// # Errors
///
/// When strace or the server fails.
pub fn calls(program: &Program, cell: Cell, requests: usize) -> anyhow::Result<Counts> {
    let directory = tempfile::tempdir()?;
    let log = directory.path().join("log");
    let mut strace = Command::new("strace");
    // -D: the server is our child, and strace its child.
    strace.args(["-D", "-f", "-qq", "-e", "signal=none", "-s", "0", "-o"]).arg(&log);
    serve(program.under(strace), cell, requests)?;
    Ok(logged(&std::fs::read_to_string(&log)?))
}

/// The calls in strace's log: "PID call(...", but for the second half of a call that was interrupted.
fn logged(log: &str) -> Counts {
    let calls = log.lines().filter_map(|line| {
        let (thread, rest) = line.split_once(' ')?;
        let (name, _) = rest.trim_start().split_once('(')?;
        name.starts_with(|first: char| first.is_ascii_lowercase()).then_some((thread, name))
    });
    let serving: HashSet<&str> =
        calls.clone().filter(|(_, name)| SERVES.contains(name)).map(|(thread, _)| thread).collect();
    let own = calls.clone().filter(|(thread, _)| serving.contains(thread)).count();
    Counts { all: calls.count() as f64, own: own as f64 }
}

/// Runs a server until it has answered so many requests.
fn serve(command: Command, cell: Cell, requests: usize) -> anyhow::Result<()> {
    let server = Server::start(command)?;
    let mut streams = (0..cell.connections).map(|_| server.connect()).collect::<anyhow::Result<Vec<_>>>()?;
    let flight = vec![7; cell.size * cell.depth];
    let mut back = flight.clone();
    for _ in 0..requests.div_ceil(cell.connections * cell.depth) {
        round(&mut streams, &flight, &mut back)?;
    }
    drop(streams);
    // Not SIGINT: that is ignored below a shell which runs this in the background.
    server.end(Signal::SIGTERM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_only_looks_at_the_clock_is_none_that_serves() {
        let log = "7 epoll_pwait(3, [], 256, -1, NULL, 8) = 1\n\
                   8 futex(0x1, FUTEX_WAIT <unfinished ...>\n\
                   7 recvfrom(9, \"\"..., 65536, 0, NULL, NULL) = 1024\n\
                   8 <... futex resumed>) = -1 ETIMEDOUT\n\
                   7 +++ killed by SIGINT +++\n";
        let Counts { all, own } = logged(log);
        assert_eq!((all, own), (3.0, 2.0));
    }

    #[test]
    fn what_is_done_once_cancels_out() {
        let program = Program::at(std::path::PathBuf::new());
        let cell = Cell { connections: 64, size: 1, depth: 1 };
        // Rounds of 64: 128 and 320 requests, at 3 each, and 1000 for the start.
        let count = |_: &Program, cell: Cell, requests: usize| {
            let done = requests.div_ceil(cell.connections) * cell.connections;
            Ok(Counts { all: 1000.0 + 3.0 * done as f64, own: 2.0 * done as f64 })
        };
        let Counts { all, own } = Requests { few: 100, many: 300 }.each(&program, cell, count).unwrap();
        assert_eq!((all, own), (3.0, 2.0));
        assert!(Requests { few: 100, many: 120 }.each(&program, cell, count).is_err(), "the same rounds");
    }
}
