//! The micro-benchmarks (`benches/benches/micro/`): the protocol's steps, the close list, triggers and buffers, beside
//! what people use instead. They are divan's to run; what it prints is kept as it is.

use std::process::Stdio;

use anyhow::ensure;
use clap::Args;

use crate::child::cargo;

/// The micro-benchmarks, by divan.
#[derive(Args, Debug)]
pub struct Options {
    /// divan's own arguments: names, `--sample-count`, `--min-time`, and so on.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Options {
    /// Measures; what divan printed.
    ///
    /// # Errors
    ///
    /// When they do not build, or fail.
    pub fn run(&self) -> anyhow::Result<String> {
        let mut cargo = cargo();
        cargo.args(["bench", "--quiet", "--bench", "micro", "--"]).args(&self.arguments);
        let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "micro: {}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }
}
