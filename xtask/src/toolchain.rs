//! Other toolchains, as steps use them, and how a step ends whose tool is missing.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use loom_tests::record::root;

/// How a step ended, if it did not fail.
pub enum Ended {
    /// It is as it should be.
    Passed,
    /// What this machine lacks.
    Skipped(String),
}

/// A cargo of another toolchain. `CARGO` names that of the current one, so it goes through rustup.
pub fn rustup_cargo(toolchain: &str, target_dir: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, "cargo"]).current_dir(root()).env("CARGO_TARGET_DIR", target_dir);
    for name in ["CARGO", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    command
}

/// Whether rustup has it.
pub fn has_toolchain(toolchain: &str) -> bool {
    Command::new("rustup")
        .args(["run", toolchain, "rustc", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What a command that succeeds writes.
pub fn stdout(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{:?} cannot be started", command.get_program()))?;
    ensure!(output.status.success(), "{:?}: {}", command.get_program(), output.status);
    Ok(String::from_utf8(output.stdout)?)
}
