//! The steps of `cargo xtask test`: what CI runs.
//!
//! Each step says what it is, runs to its end whatever the others did, and has one row in the summary; see `runner`. A
//! step that needs a tool which this machine lacks names it and counts as skipped.

use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use loom_tests::driver::{cargo, plain_cargo};
use loom_tests::plan::Build;
use loom_tests::record::root;

use crate::sanitize::{ADDRESS, THREAD};
use crate::toolchain::{Ended, has_toolchain, rustup_cargo, stdout};
use crate::{inventory, miri, mutate, sanitize, sim, tables};

/// A step.
pub struct Step {
    /// Its name, as `--only` takes it.
    pub name: &'static str,
    /// What is so if it passes.
    pub what: &'static str,
    /// Carries it out; what it prints goes to its log.
    pub run: fn() -> anyhow::Result<Ended>,
}

/// All steps, in their order.
pub const STEPS: &[Step] = &[
    Step { name: "fmt", what: "the source is formatted", run: fmt },
    Step { name: "clippy", what: "clippy finds nothing, std build", run: || clippy(Build::Std) },
    Step { name: "clippy-loom", what: "clippy finds nothing, loom build", run: || clippy(Build::Loom) },
    Step { name: "clippy-shuttle", what: "clippy finds nothing, shuttle build", run: || clippy(Build::Shuttle) },
    Step { name: "features", what: "pollproof with every feature: clippy, and what can be observed", run: features },
    Step { name: "docs", what: "the documentation builds without a warning", run: docs },
    Step { name: "protocol-alone", what: "pollproof builds without its default features", run: protocol_alone },
    Step { name: "msrv", what: "pollproof builds with the Rust version that it states", run: msrv },
    Step { name: "test", what: "unit, doc, reactor tests; the models on plain threads", run: || test(Build::Std) },
    Step { name: "test-loom", what: "every model under loom", run: || test(Build::Loom) },
    Step { name: "test-shuttle", what: "every model under shuttle", run: || test(Build::Shuttle) },
    Step { name: "sim", what: "the reactor on its simulated kernel; known races put back", run: simulated },
    Step { name: "races", what: "every race of the atlas, broken and repaired", run: races },
    Step { name: "tsan", what: "every model on plain threads under ThreadSanitizer", run: tsan },
    Step { name: "tsan-sockets", what: "the behaviours, over sockets, under ThreadSanitizer", run: tsan_sockets },
    Step { name: "asan", what: "both under AddressSanitizer, over sockets with LeakSanitizer", run: asan },
    Step {
        name: "hostile-sockets",
        what: "programs of hostile users, over sockets, a minute each under both sanitizers",
        run: hostile,
    },
    Step { name: "miri", what: "cells, blocks, buffers and whole connections under Miri", run: miri::run },
    Step { name: "mutate", what: "a mutant of each site is killed by the model that mutants.toml names", run: mutants },
    Step {
        name: "verification",
        what: "what is generated in VERIFICATION.md and verification/ is up to date",
        run: verification,
    },
];

/// Runs a command to its end, its output going where ours goes.
fn succeed(command: &mut Command) -> anyhow::Result<Ended> {
    let name = command.get_program().to_string_lossy().into_owned();
    let name = name.rsplit('/').next().unwrap_or(&name).to_owned();
    let first = command.get_args().next().map(|a| a.to_string_lossy().into_owned()).unwrap_or_default();
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("{name} cannot be started"))?;
    ensure!(status.success(), "{name} {first}: {status}");
    Ok(Ended::Passed)
}

fn fmt() -> anyhow::Result<Ended> {
    succeed(plain_cargo().args(["fmt", "--all", "--check"]))
}

fn clippy(build: Build) -> anyhow::Result<Ended> {
    succeed(cargo(build).args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

/// What is off by default, and so by the other steps not seen.
fn features() -> anyhow::Result<Ended> {
    let package = ["--package", "pollproof", "--all-features"];
    succeed(cargo(Build::Std).arg("clippy").args(package).args(["--all-targets", "--", "-D", "warnings"]))?;
    succeed(cargo(Build::Std).arg("test").args(package).args(["--lib", "--test", "observe"]))
}

fn tsan() -> anyhow::Result<Ended> {
    sanitize::models(&THREAD)
}

fn tsan_sockets() -> anyhow::Result<Ended> {
    sanitize::sockets(&THREAD)
}

fn asan() -> anyhow::Result<Ended> {
    match sanitize::models(&ADDRESS)? {
        Ended::Passed => sanitize::sockets(&ADDRESS),
        skipped => Ok(skipped),
    }
}

fn hostile() -> anyhow::Result<Ended> {
    match sanitize::hostile(&ADDRESS)? {
        Ended::Passed => sanitize::hostile(&THREAD),
        skipped => Ok(skipped),
    }
}

fn docs() -> anyhow::Result<Ended> {
    succeed(cargo(Build::Std).env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--workspace", "--no-deps"]))
}

fn protocol_alone() -> anyhow::Result<Ended> {
    succeed(cargo(Build::Std).args(["check", "--package", "pollproof", "--no-default-features"]))
}

/// Checks `pollproof` with the toolchain that its `rust-version` names.
fn msrv() -> anyhow::Result<Ended> {
    let manifest: toml::Table = toml::from_str(&std::fs::read_to_string(root().join("Cargo.toml"))?)?;
    let stated = manifest["workspace"]["package"]["rust-version"].as_str().context("no rust-version is stated")?;
    let used = stdout(Command::new("rustc").arg("--version").current_dir(root()))?;
    if used.split_whitespace().nth(1).is_some_and(|version| version.starts_with(&format!("{stated}."))) {
        println!("{stated} is the version in use");
        return succeed(cargo(Build::Std).args(["check", "--package", "pollproof", "--all-features"]));
    }
    let toolchain = if stated.matches('.').count() == 1 { format!("{stated}.0") } else { stated.to_owned() };
    if !has_toolchain(&toolchain) {
        return Ok(Ended::Skipped(format!("Rust {toolchain} is not installed (rustup toolchain install {toolchain})")));
    }
    succeed(rustup_cargo(&toolchain, "target/msrv").args(["check", "--package", "pollproof", "--all-features"]))
}

fn test(build: Build) -> anyhow::Result<Ended> {
    let mut cargo = cargo(build);
    cargo.env("POLLPROOF_BUILD", build.name()).args(["test", "--release"]);
    // Only these are explored. The others' tests would be built anew for every checker, to be empty or the same.
    cargo.args(if build == Build::Std {
        &["--workspace"][..]
    } else {
        &["--package=loom-tests", "--package=pollproof-models"]
    });
    succeed(&mut cargo)
}

fn races() -> anyhow::Result<Ended> {
    let race = ["run", "--quiet", "--package", "pollproof-models", "--bin", "race", "--"];
    succeed(plain_cargo().args(race).args(["run", "--only", "races"]))
}

fn simulated() -> anyhow::Result<Ended> {
    if sim::short()? { Ok(Ended::Passed) } else { bail!("a scenario failed, or a race went unnoticed") }
}

fn mutants() -> anyhow::Result<Ended> {
    if mutate::quick()? { Ok(Ended::Passed) } else { bail!("a mutant has no killer") }
}

fn verification() -> anyhow::Result<Ended> {
    let [tables, inventory] = [tables::run(true)?, inventory::run(true)?];
    if !inventory {
        bail!("run `cargo xtask unsafe`");
    }
    if tables { Ok(Ended::Passed) } else { bail!("run `cargo xtask verify`") }
}
