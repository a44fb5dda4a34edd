//! The committed evidence says what failed, and never where: a line of the source is another one after the next change.
#![cfg(not(any(loom, shuttle)))]

mod common;

use std::path::PathBuf;

use common::root;
use regex::Regex;

/// The committed files that commands write, each with its text.
fn evidence() -> Vec<(PathBuf, String)> {
    let mut paths = vec![root().join("VERIFICATION.md")];
    for (folder, end) in [("loom-tests", "toml"), ("models", "toml"), ("models", "txt")] {
        let entries = std::fs::read_dir(root().join(folder)).expect("a folder of the workspace");
        let files = entries.map(|entry| entry.expect("an entry").path());
        paths.extend(files.filter(|path| path.extension().is_some_and(|found| found == end)));
    }
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).expect("a committed file"))).collect()
}

/// Positions in Rust sources.
fn positions(text: &str) -> Vec<&str> {
    let position = Regex::new(r"[\w/.-]+\.rs:\d+").expect("a pattern");
    position.find_iter(text).map(|found| found.as_str()).collect()
}

#[test]
fn a_position_is_found() {
    assert_eq!(positions("left behind (loom-tests/src/rig/verify.rs:89)"), ["loom-tests/src/rig/verify.rs:89"]);
    assert!(positions("`core/src/sync/mod.rs` lists them: 3 holes").is_empty());
}

#[test]
fn no_evidence_points_at_a_line() {
    let files = evidence();
    for name in ["VERIFICATION.md", "mutants.toml", "scenarios.toml", "deep.toml", "outside.txt", "unseen.txt"] {
        assert!(files.iter().any(|(path, _)| path.ends_with(name)), "{name} is looked at");
    }
    for (path, text) in &files {
        let found = positions(text);
        assert!(found.is_empty(), "{} points at {} lines, such as {}", path.display(), found.len(), found[0]);
    }
}
