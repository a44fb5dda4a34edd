//! `cargo xtask bench NAME`: one measurement of `benches/`, or all, built for release and run to its end.

use std::process::Stdio;

use loom_tests::driver::cargo;
use loom_tests::plan::Build;

/// Runs the measurement `name` with `arguments`. Returns whether it succeeded.
pub fn run(name: &str, arguments: &[String]) -> anyhow::Result<bool> {
    let mut cargo = cargo(Build::Std);
    cargo
        .args(["run", "--quiet", "--release", "--package", "pollproof-benches", "--bin", "bench", "--", name])
        .args(arguments);
    Ok(cargo.stdin(Stdio::null()).status()?.success())
}
