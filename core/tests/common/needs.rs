//! Tests that need a program of others: where that is missing they are ignored, by name, and not passed over in silence.
//!
//! For: test binaries with `harness = false`, in this crate and in `models`. Not for: finding out what a program can do;
//! what is there is there.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};

/// A test, and the programs that it needs: each `"a|b"` is one of several names.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub needs: &'static [&'static str],
    pub test: fn(),
}

/// Runs what the arguments choose. Ignored is what lacks a program: `--ignored` runs that as well, and it fails.
pub fn run(cases: Vec<Case>) -> ExitCode {
    let trials = cases.into_iter().map(|case| {
        // Without the name of the crate, where a macro says the whole path.
        let name = case.name.split_once("::").map_or(case.name, |(_, name)| name);
        let trial = Trial::test(name, move || {
            (case.test)();
            Ok(())
        });
        match case.needs.iter().find(|need| found(need).is_none()) {
            Some(missing) => {
                let name = missing.split('|').next().unwrap_or(missing);
                trial.with_kind(format!("no {name}")).with_ignored_flag(true)
            }
            None => trial,
        }
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// The first of `need`'s names that can be run.
pub fn found(need: &'static str) -> Option<&'static str> {
    need.split('|').find(|name| {
        // strace may be installed, and not be allowed to trace; wrk tells its version and fails.
        let arguments = if *name == "strace" { &["-o", "/dev/null", "true"][..] } else { &["--version"] };
        let probe = Command::new(name).args(arguments).stdin(Stdio::null()).output();
        probe.is_ok_and(|output| output.status.success() || *name == "wrk")
    })
}
