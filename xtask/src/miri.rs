//! The step `miri`: what of `core` Miri can run, under Miri.
//!
//! Miri interprets the code and sees what `unsafe` code must not do: a data race, memory that is gone, two references that
//! may not be at once, a leak. It has TCP sockets of its own, so whole connections run too (`core/src/server/whole.rs`);
//! listeners as servers open them, `poll`, and Unix sockets with `recv` it has not, so the rest is chosen by name.
//!
//! Debug assertions are off, as in what ships: with them, some of what Miri is to see would be noticed before.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::toolchain::{Ended, has_toolchain, rustup_cargo};

const TOOLCHAIN: &str = "nightly";

/// What runs, by the beginning of its name.
const MODULES: &[&str] =
    &["buffer::", "connection::lazy_trigger::", "protocol::", "runner::pool::", "sync::bit_cell::", "server::whole::"];

/// What of it does not: it touches 16 MiB byte by byte, which takes Miri many minutes, and is about safe code.
const NOT: &[&str] = &["any_number_of_blocks_can_be_on_loan"];

/// So many orders of the threads are tried.
const SEEDS: u32 = 3;

/// So many tests there are at least.
const FEWEST: usize = 25;

/// Runs the tests under Miri, if this machine has it.
pub fn run() -> anyhow::Result<Ended> {
    if !has_toolchain(TOOLCHAIN) {
        return Ok(Ended::Skipped(format!("no {TOOLCHAIN} Rust is installed (rustup toolchain install {TOOLCHAIN})")));
    }
    if !is_there() {
        let how = format!("rustup component add miri rust-src --toolchain {TOOLCHAIN}");
        return Ok(Ended::Skipped(format!("Miri is not installed ({how})")));
    }
    (0..SEEDS).try_for_each(with_seed)?;
    Ok(Ended::Passed)
}

fn with_seed(seed: u32) -> anyhow::Result<()> {
    let mut cargo = rustup_cargo(TOOLCHAIN, "target/miri");
    // Sockets and the clock are the machine's.
    cargo.env("MIRIFLAGS", format!("-Zmiri-disable-isolation -Zmiri-seed={seed}"));
    cargo.args(["miri", "test", "--release", "--package", "pollproof", "--lib", "--"]).args(MODULES);
    cargo.args(NOT.iter().flat_map(|name| ["--skip", name]));
    let output = cargo.stdin(Stdio::null()).output().context("cargo miri cannot be started")?;
    let told = String::from_utf8_lossy(&output.stdout);
    println!("seed {seed}: {told}");
    ensure!(output.status.success(), "seed {seed}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    let passed = told.lines().filter(|line| line.starts_with("test ") && line.ends_with(" ok")).count();
    ensure!(passed >= FEWEST, "only {passed} tests ran");
    Ok(())
}

fn is_there() -> bool {
    let mut miri = Command::new("rustup");
    miri.args(["run", TOOLCHAIN, "cargo", "miri", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    miri.status().is_ok_and(|status| status.success())
}
