//! `cargo xtask cargo-mutants GROUP`: cargo-mutants on the code whose mutants no scenario knows.
//!
//! All tests would take half a minute for each mutant; here is which files go with which tests. Not here: what is left
//! alone, and why (`.cargo/mutants.toml`), and the mutants of the protocol (`mutate`).

use std::process::{Command, Stdio};

use anyhow::ensure;
use loom_tests::driver::plain_cargo;

/// Files, and the tests that tell whether these are as they should be.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Group {
    /// The buffers with one owner, and the link: compared with plain vectors, and counted at the allocator.
    Buffers,
    /// The reactor, and the buffers that it holds: over sockets.
    Reactor,
    /// Addresses, options, opening sockets, waits and the pool: over sockets.
    Around,
}

impl Group {
    /// Its files, below `core/src`.
    fn files(self) -> &'static [&'static str] {
        match self {
            Group::Buffers => &["buffer/block.rs", "buffer/chunks.rs", "buffer/gather.rs", "buffer/link.rs"],
            Group::Reactor => &[
                "buffer/input.rs",
                "buffer/output.rs",
                "buffer/view.rs",
                "connection/events.rs",
                "connection/lazy_trigger.rs",
                "connection/step/effects.rs",
                "connection/step/mod.rs",
                "connection/step/sending.rs",
                "reactor/accept.rs",
                "reactor/event_loop.rs",
                "reactor/poller.rs",
                "reactor/registry.rs",
                "reactor/threads.rs",
                "sync/bit_cell.rs",
                "sys/mod.rs",
                "sys/real.rs",
            ],
            Group::Around => &[
                "addr.rs",
                "connection/blocking.rs",
                "connection/limits.rs",
                "connection/settings.rs",
                "reactor/balance.rs",
                "runner/pool.rs",
                "sys/options.rs",
                "sys/sockets.rs",
            ],
        }
    }

    fn packages(self) -> &'static [&'static str] {
        match self {
            Group::Buffers => &["pollproof", "pollproof-proptest"],
            Group::Reactor | Group::Around => &["pollproof"],
        }
    }

    /// Which tests are built and run, in cargo's words.
    fn tests(self) -> &'static [&'static str] {
        match self {
            Group::Buffers => &["--test=buffer", "--test=buffer_memory", "--test=chunks"],
            Group::Reactor | Group::Around => &[
                "--lib",
                "--test=behaviours",
                "--test=choked",
                "--test=dial",
                "--test=dialer",
                "--test=endings",
                "--test=idle",
                "--test=options",
                "--test=outside",
                "--test=relay",
                "--test=requests",
                "--test=run",
                "--test=shutdown",
                "--test=takeover",
            ],
        }
    }
}

/// Where the files are.
const SOURCES: &str = "core/src";

/// After so many seconds, as cargo-mutants takes them, a mutant has made a test hang. Unmutated, they take a tenth.
const TIMEOUT: &str = "30";

/// Tries each mutant of `group`, with `more` arguments of cargo-mutants. Whether none survived.
pub fn run(group: Group, more: &[String]) -> anyhow::Result<bool> {
    // cargo-mutants builds the unmutated tests of the mutated package alone; so they are run here.
    let mut unmutated = cargo();
    unmutated.args(["test", "--quiet", "--profile=mutants"]).args(group.tests());
    unmutated.args(group.packages().iter().flat_map(|package| ["--package", package]));
    ensure!(unmutated.status()?.success(), "a test fails without any mutant");

    let mut mutants = cargo();
    let packages = group.packages().join(",");
    mutants.args(["mutants", "--package=pollproof", "--test-package", &packages]);
    mutants.args(group.files().iter().map(|file| format!("--file={SOURCES}/{file}")));
    mutants.args(["--baseline=skip", "--timeout", TIMEOUT]);
    // Arguments of cargo, so that nothing else is built for each mutant either.
    mutants.args(group.tests().iter().map(|test| format!("--cargo-arg={test}")));
    // Most of these tests wait, most of the time.
    mutants.args(more).args(["--", "--", "--test-threads=16"]);
    Ok(mutants.status()?.success())
}

fn cargo() -> Command {
    let mut cargo = plain_cargo();
    // A failure is all that is wanted: not the smallest history, nor a file to try it from again.
    cargo.env("PROPTEST_MAX_SHRINK_ITERS", "0").env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1").stdin(Stdio::null());
    cargo
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;
    use loom_tests::record::root;

    use super::*;

    /// cargo-mutants says nothing of a file that is not there: none of its mutants would be tried.
    #[test]
    fn each_file_is_there_and_in_one_group() {
        let mut files: Vec<_> = Group::value_variants().iter().flat_map(|group| group.files()).collect();
        let missing: Vec<_> = files.iter().filter(|file| !root().join(SOURCES).join(file).is_file()).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let all = files.len();
        files.sort_unstable();
        files.dedup();
        assert_eq!(files.len(), all);
    }
}
