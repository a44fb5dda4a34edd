//! The timeline of a history that went wrong: it is played once more, by the `history` binary, in the build that
//! records each operation.
//!
//! For: the message of a failed property, after proptest has shrunk it.

use anyhow::ensure;
use loom_tests::driver::{built_binary, cargo, clean};
use loom_tests::plan::Build;

use crate::history::History;

/// The exit status of a history that went wrong again.
pub const WRONG: i32 = 3;

/// What happened in `history`, step by step, up to where it went wrong. Builds the binary if it is not there.
///
/// # Errors
///
/// When it cannot be built, or goes well there.
pub fn timeline(history: &History) -> anyhow::Result<String> {
    let mut build = cargo(Build::Shuttle);
    build.args(["build", "--release", "--quiet", "--package", "pollproof-proptest", "--bin", "history"]);
    let output = clean(&built_binary(build, "history")?).arg(serde_json::to_string(history)?).output()?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let status = output.status;
    ensure!(status.code() == Some(WRONG), "{status}\n{told}{}", String::from_utf8_lossy(&output.stderr));
    Ok(told)
}
