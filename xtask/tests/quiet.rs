//! `cargo xtask test` prints a line for each step, and the numbers last; the rest is in the step's log.
#![cfg(not(any(loom, shuttle)))]

mod common;

use std::process::Command;

use common::root;
use regex::Regex;

/// A step that needs no compiler.
const STEP: &str = "verification";

fn test(arguments: &[&str]) -> String {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = xtask.args(["test", "--only", STEP]).args(arguments).output().expect("it runs");
    String::from_utf8(output.stdout).expect("text")
}

/// One test: both runs write the same log.
#[test]
fn a_step_is_a_line_and_a_log() {
    let quiet = test(&[]);
    let numbers = Regex::new(r"^\d passed, \d failed, \d skipped$").expect("a pattern");
    assert!(quiet.lines().next_back().is_some_and(|last| numbers.is_match(last)), "{quiet}");
    let log = format!("target/xtask/{STEP}.log");
    assert!(quiet.lines().next().is_some_and(|line| line.starts_with(STEP) && line.contains(&log)), "{quiet}");
    let said = std::fs::read_to_string(root().join(log)).expect("the log");
    assert!(said.contains("VERIFICATION.md is "), "{said}");
    let verbose = test(&["--verbose"]);
    assert!(verbose.contains(&said), "{verbose}");
    assert!(verbose.lines().next_back().is_some_and(|last| numbers.is_match(last)), "{verbose}");
}
