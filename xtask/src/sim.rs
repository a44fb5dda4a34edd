//! `cargo xtask sim`: the reactor on its simulated kernel, under shuttle.
//!
//! A build of its own (`target/sim`): with the simulated kernel, and with guards that can be left out, so that known
//! races can be put back.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::Context as _;
use loom_tests::driver::plain_cargo;

/// Schedules of each scheduler for each scenario, in `cargo xtask test`.
const SHORT: usize = 500;
/// In a full run.
pub const FULL: usize = 10_000;
/// Until a race that was put back is noticed.
const RACE: usize = 5_000;

/// Passes `arguments` on to the scenarios' own command. Whether nothing failed.
pub fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> anyhow::Result<bool> {
    let status = sim().args(arguments).status().context("cargo cannot be started")?;
    Ok(status.success())
}

fn sim() -> Command {
    let mut cargo = plain_cargo();
    cargo.env("RUSTFLAGS", "--cfg shuttle --cfg sim --cfg mutation").env("CARGO_TARGET_DIR", "target/sim");
    cargo.args(["run", "--quiet", "--profile", "sim", "--package", "pollproof-sim-tests", "--bin", "sim", "--"]);
    cargo
}

/// As many schedules as there is time for in `cargo xtask test`, and the races.
pub fn short() -> anyhow::Result<bool> {
    Ok(run(["--schedules", &SHORT.to_string()])? & run(["--races", "--schedules", &RACE.to_string()])?)
}
