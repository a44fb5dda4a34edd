//! User instructions per request, counted by callgrind: no clock, and no noise but the size of epoll's batches.
//!
//! Each server is run twice under valgrind with a different number of requests; the difference of the counts by
//! the difference of the requests is one request's cost, whatever starting and connecting costs.
//!
//! `instructions [PATH...]`: the example `echo` beside a bare epoll loop, and echo servers at these paths too.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use pollproof_benches::child::{Server, build, round};
use pollproof_benches::rivals::{RIVALS, peer};
use pollproof_benches::table;

const CONNECTIONS: [usize; 2] = [1, 64];
const FEW: usize = 2_000;
const MANY: usize = 12_000;
const SIZE: usize = 1024;

pub(crate) fn main() -> anyhow::Result<()> {
    let works = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    ensure!(works.is_ok_and(|status| status.success()), "valgrind is not installed");
    let bare = &RIVALS[0];
    let mut servers = vec![(peer()?, bare.arguments), (build("--example", "echo")?, &[][..])];
    servers.extend(std::env::args_os().skip(1).map(|path| (PathBuf::from(path), &[][..])));
    let mut table = table(&["server", "connections", "all threads", "busiest thread"]);
    for (server, arguments) in &servers {
        for connections in CONNECTIONS {
            let count = |requests| run(server, arguments, connections, requests);
            let (few, many) = (count(FEW)?, count(MANY)?);
            let requests = (MANY - FEW) as f64;
            let each = |few: u64, many: u64| format!("{:.1}", (many as f64 - few as f64) / requests);
            let name = format!("{} {}", server.display(), arguments.join(" "));
            table.add_row([name, connections.to_string(), each(few.0, many.0), each(few.1, many.1)]);
        }
    }
    println!("User instructions per request of {SIZE} bytes, by callgrind\n\n{table}");
    Ok(())
}

/// Instructions of all threads, and of the one that executes most: the polling one, unless it was replaced.
fn run(server: &Path, arguments: &[&str], connections: usize, requests: usize) -> anyhow::Result<(u64, u64)> {
    let directory = std::env::temp_dir().join(format!("pollproof-callgrind-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind", "--separate-threads=yes"]);
    valgrind.arg(format!("--callgrind-out-file={}", directory.join("out").display()));
    let server = Server::start({
        valgrind.arg(server).args(arguments);
        valgrind
    })?;
    let mut streams = (0..connections).map(|_| server.connect()).collect::<anyhow::Result<Vec<_>>>()?;
    let (message, mut back) = ([7; SIZE], [0; SIZE]);
    for _ in 0..requests / connections {
        round(&mut streams, &message, &mut back)?;
    }
    // What is left over by the division.
    let rest = requests % connections;
    round(&mut streams[..rest], &message, &mut back)?;
    drop(streams);
    server.end(Signal::SIGINT)?;
    let mut threads = Vec::new();
    for entry in std::fs::read_dir(&directory)? {
        let text = std::fs::read_to_string(entry?.path())?;
        // One line a dump: "totals: N".
        let totals = text.lines().filter_map(|line| line.strip_prefix("totals: "));
        for total in totals {
            threads.push(total.trim().parse::<u64>()?);
        }
    }
    std::fs::remove_dir_all(&directory)?;
    let most = *threads.iter().max().context("callgrind wrote nothing")?;
    Ok((threads.iter().sum(), most))
}
