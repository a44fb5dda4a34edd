//! `cargo xtask sim` and `cargo xtask hostile`: the reactor on its simulated kernel, under shuttle, and hostile users on
//! real sockets as well.
//!
//! For the simulated kernel there are two builds in a directory of their own: one to explore, and one with mutants, by
//! which known races are put back. What sanitizers add is in `sanitize`.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::Context as _;
use loom_tests::driver::{mutable, plain_cargo};

/// Schedules of each scheduler for each scenario, in `cargo xtask test`.
const SHORT: usize = 1_000;
/// In a full run.
pub const FULL: usize = 20_000;
/// Programs of hostile users, in `cargo xtask test`.
const PROGRAMS: usize = 8_000;
/// Until a race that was put back is noticed.
const RACE: usize = 5_000;

/// Passes `arguments` on to the scenarios' own command, which can put races back if it is built `with_mutants`. Whether
/// nothing failed.
pub fn run<A: AsRef<OsStr>>(with_mutants: bool, arguments: impl IntoIterator<Item = A>) -> anyhow::Result<bool> {
    let status = sim(with_mutants).args(arguments).status().context("cargo cannot be started")?;
    Ok(status.success())
}

fn sim(with_mutants: bool) -> Command {
    let mut cargo = plain_cargo();
    cargo.env("RUSTFLAGS", "--cfg shuttle --cfg sim").env("CARGO_TARGET_DIR", "target/sim");
    if with_mutants {
        mutable(&mut cargo);
    }
    cargo.args(["run", "--quiet", "--profile", "sim", "--package", "pollproof-sim-tests", "--bin", "sim", "--"]);
    cargo
}

/// The command that plays programs of hostile users on real sockets, in a plain build.
pub fn sockets() -> Command {
    let mut cargo = plain_cargo();
    cargo.args(["run", "--quiet", "--release", "--package", "pollproof-sim-tests", "--bin", "sockets", "--"]);
    cargo
}

/// Passes `arguments` on to the programs of hostile users, on real sockets if `--sockets` is among them. Whether none
/// failed.
pub fn hostile(mut arguments: Vec<String>) -> anyhow::Result<bool> {
    if let Some(at) = arguments.iter().position(|argument| argument == "--sockets") {
        arguments.remove(at);
        let status = sockets().args(arguments).status().context("cargo cannot be started")?;
        return Ok(status.success());
    }
    run(false, std::iter::once("--hostile".to_owned()).chain(arguments))
}

/// As many schedules as there is time for in `cargo xtask test`, programs of hostile users, and the races.
pub fn short() -> anyhow::Result<bool> {
    let programs = vec!["--programs".to_owned(), PROGRAMS.to_string()];
    Ok(run(false, ["--schedules", &SHORT.to_string()])?
        & hostile(programs)?
        & run(true, ["--races", "--schedules", &RACE.to_string()])?)
}
