//! ThreadSanitizer and AddressSanitizer, with the `std` that is installed: the models on plain threads, and the
//! behaviours and the programs of hostile users over sockets.
//!
//! AddressSanitizer sees a use of freed memory in what the `unsafe` code does; over sockets it brings LeakSanitizer along.
//! (The models leave their state to the end of the process on purpose.)
//!
//! ThreadSanitizer sees races. Such a `std` is not instrumented, so it misses the order that its locks, channels and
//! reference counts make, and would report races that are none. In these builds (`--cfg tsan`) the facade brings its
//! own, and the tests use the facade's. So nothing has to be suppressed, and what is reported is a race.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use loom_tests::driver::{Driver, Ended as End, built_binary, in_parallel, watched};
use loom_tests::plan::Build;
use loom_tests::record::{Committed as _, Scenarios};
use loom_tests::scenario::models as all_models;
use loom_tests::verdict;

use crate::sim;
use crate::toolchain::{Ended, has_toolchain, rustup_cargo, stdout};

/// Processor time for one test over sockets.
const LIMIT: Duration = Duration::from_secs(300);

/// A test that uses no processor for so long hangs; its own patience is two minutes.
const ASLEEP: Duration = Duration::from_secs(180);

/// So many tests there are at least: a suite that is empty has passed before now.
const FEWEST: usize = 100;

/// So many seconds programs of hostile users begin.
const PROGRAMS: &str = "60";

const TOOLCHAIN: &str = "nightly";

/// A sanitizer, as it is built in and as it is run.
pub struct Sanitizer {
    name: &'static str,
    flags: &'static str,
    /// The variable with its options.
    variable: &'static str,
    models: &'static str,
    sockets: &'static str,
    /// Repeats of each model, both spawn orders together.
    repeats: u64,
}

/// Races.
pub const THREAD: Sanitizer = Sanitizer {
    name: "tsan",
    flags: "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg tsan",
    variable: "TSAN_OPTIONS",
    // The facade's threads are not detached, so that nobody has to free what is kept of them; see `sync::detached`.
    models: "halt_on_error=1 exitcode=66 report_thread_leaks=0",
    // With io_sync=0, what one thread writes to a socket and another reads from one orders nothing: otherwise all
    // sockets of the process are one, and hardly a race would be left to see.
    sockets: "halt_on_error=1 exitcode=66 report_thread_leaks=0 io_sync=0",
    repeats: 2_000,
};

/// Memory that is used after it was freed, or never freed.
pub const ADDRESS: Sanitizer = Sanitizer {
    name: "asan",
    flags: "-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer",
    variable: "ASAN_OPTIONS",
    models: "exitcode=66 detect_leaks=0",
    sockets: "exitcode=66 detect_leaks=1 detect_stack_use_after_return=1",
    repeats: 200,
};

/// A cargo whose `command` builds for the sanitizer, if there is a toolchain that can.
fn sanitizing(sanitizer: &Sanitizer, command: &str) -> anyhow::Result<Option<Command>> {
    if !has_toolchain(TOOLCHAIN) {
        return Ok(None);
    }
    let version = stdout(Command::new("rustup").args(["run", TOOLCHAIN, "rustc", "-vV"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let mut cargo = rustup_cargo(TOOLCHAIN, &format!("target/{}", sanitizer.name));
    cargo.env("RUSTFLAGS", sanitizer.flags);
    cargo.args([command, "--release", "--target", host]);
    Ok(Some(cargo))
}

fn no_toolchain() -> Ended {
    Ended::Skipped(format!("no {TOOLCHAIN} Rust is installed (rustup toolchain install {TOOLCHAIN})"))
}

/// The models on plain threads. That needs leaked state, an own start gate, and no test framework in the process; see
/// `loom_tests::Shared`.
pub fn models(sanitizer: &Sanitizer) -> anyhow::Result<Ended> {
    let Some(mut cargo) = sanitizing(sanitizer, "build")? else { return Ok(no_toolchain()) };
    cargo.args(["--package", "loom-tests", "--bin", "model"]);
    let driver = Driver::built_by(cargo)?.env(sanitizer.variable, sanitizer.models);
    let committed = Scenarios::load()?;
    let mut failed = Vec::new();
    let models = all_models(loom_tests::all());
    for verdict in
        in_parallel(&models, |model| verdict::check_repeats(&driver, Build::Std, &committed, *model, sanitizer.repeats))
    {
        let verdict = verdict?;
        println!("{verdict}");
        if !verdict.problems.is_empty() {
            failed.push(verdict.id.clone());
            println!("  {}", verdict.problems.join("\n  "));
        }
    }
    ensure!(failed.is_empty(), "{} of {} models failed: {}", failed.len(), models.len(), failed.join(", "));
    Ok(Ended::Passed)
}

/// The behaviours over sockets, each in a process of its own.
pub fn sockets(sanitizer: &Sanitizer) -> anyhow::Result<Ended> {
    let Some(mut cargo) = sanitizing(sanitizer, "test")? else { return Ok(no_toolchain()) };
    cargo.args(["--package", "pollproof", "--test", "behaviours", "--no-run"]);
    let binary = built_binary(cargo, "behaviours")?;
    let sanitized = || {
        let mut command = Command::new(&binary);
        command.env(sanitizer.variable, sanitizer.sockets).env("RUST_BACKTRACE", "0");
        command
    };
    let listed = stdout(sanitized().arg("--list"))?;
    let names: Vec<_> = listed.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    ensure!(names.len() >= FEWEST, "only {} tests are listed", names.len());
    let failed: Vec<(&str, String)> = in_parallel(&names, |name| {
        let output = watched(sanitized().args(["--exact", name, "--test-threads", "1"]), LIMIT, ASLEEP)?;
        Ok::<_, anyhow::Error>(match output.status {
            End::Itself(status) if status.success() && output.stdout.contains("1 passed") => None,
            how => Some((*name, format!("{how:?}\n{}{}", output.stdout, output.stderr))),
        })
    })
    .into_iter()
    .filter_map(Result::transpose)
    .collect::<anyhow::Result<_>>()?;
    failed.iter().for_each(|(name, failure)| println!("{name}: {failure}"));
    let failed: Vec<_> = failed.into_iter().map(|(name, _)| name).collect();
    ensure!(failed.is_empty(), "{} of {} tests failed: {}", failed.len(), names.len(), failed.join(", "));
    println!("{} tests, nothing found", names.len());
    Ok(Ended::Passed)
}

/// Programs of hostile users over sockets, for a minute.
pub fn hostile(sanitizer: &Sanitizer) -> anyhow::Result<Ended> {
    let Some(mut cargo) = sanitizing(sanitizer, "build")? else { return Ok(no_toolchain()) };
    cargo.args(["--package", "pollproof-sim-tests", "--bin", "sockets"]);
    let binary = built_binary(cargo, "sockets")?;
    let mut plays = sim::sockets();
    plays.args(["--whole", "--seconds", PROGRAMS, "--with"]).arg(&binary);
    // Shown as it is: what a sanitizer says has lines of its own.
    plays.env(sanitizer.variable, sanitizer.sockets).env("RUST_BACKTRACE", "0");
    let status = plays.status().context("cargo cannot be started")?;
    ensure!(status.success(), "a program failed: {status}");
    Ok(Ended::Passed)
}
