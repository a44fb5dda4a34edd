//! SPEC.md against the code: every clause is carried and checked somewhere, and no reference is dead.
//!
//! A clause is a list item that begins with its bold id. It is *carried* where `core/src` cites it, and
//! *checked* where a scenario lists it or a test says `SPEC:` and its id. Not here: whether the check is
//! any good; that is what `cargo xtask mutate` asks.
#![cfg(not(any(loom, shuttle)))]

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::{files, root};
use regex::Regex;

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text of every Rust file below `folder`.
fn sources(folder: &str) -> String {
    files(folder).into_iter().map(|(_, text)| text).collect()
}

fn matches(pattern: &str, text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).expect("a pattern");
    pattern.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// What is wrong with a specification, given what carries it, what checks it, and which scenarios exist.
fn problems(spec: &str, core: &str, checks: &BTreeSet<String>, scenarios: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    let clauses: Vec<String> = Regex::new(r"(?m)^- \*\*([A-Z]\d+)\*\* \S")
        .expect("a pattern")
        .captures_iter(spec)
        .map(|clause| clause[1].to_owned())
        .collect();
    let known: BTreeSet<String> = clauses.iter().cloned().collect();
    if known.is_empty() {
        found.push("there is no clause".to_owned());
    }
    if known.len() < clauses.len() {
        found.push("a clause id stands twice".to_owned());
    }
    // Only what looks like a citation: in brackets, in a list, or behind `SPEC:`.
    let cited: BTreeSet<String> = matches(r"[(, ]([A-Z]\d)(?:[,)]|$)", core);
    for id in &known {
        if !cited.contains(id) {
            found.push(format!("{id} is carried by nothing in core/src"));
        }
        if !checks.contains(id) {
            found.push(format!("{id} is checked by nothing"));
        }
    }
    for id in cited.union(checks) {
        if !known.contains(id) {
            found.push(format!("{id} is cited and is no clause"));
        }
    }
    for name in matches(r"`scenario:([a-z0-9-]+)`", spec) {
        if !scenarios.contains(&name) {
            found.push(format!("scenario {name} is named and does not exist"));
        }
    }
    for row in spec.lines().filter(|line| line.starts_with('|')) {
        if row.trim_matches('|').split('|').any(|cell| cell.trim().is_empty()) {
            found.push(format!("a cell is empty: {row}"));
        }
    }
    found
}

fn scenarios() -> BTreeSet<String> {
    loom_tests::all().iter().map(|scenario| scenario.name.to_owned()).collect()
}

fn checks() -> BTreeSet<String> {
    let listed = loom_tests::all().into_iter().flat_map(|scenario| scenario.clauses.iter().map(|id| id.to_string()));
    let tests = ["core/src", "core/tests", "loom-tests/tests", "proptest/tests", "xtask/tests"].map(sources).concat();
    // The scenarios on the simulated kernel are in no build but theirs.
    let simulated = matches(r#""([A-Z]\d)""#, &sources("sim-tests/src/scenarios"));
    listed.chain(matches(r"SPEC: ([A-Z]\d)", &tests)).chain(simulated).collect()
}

#[test]
fn every_clause_is_carried_and_checked_and_no_reference_is_dead() {
    let found = problems(&read("SPEC.md"), &sources("core/src"), &checks(), &scenarios());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_published_names_all_have_a_row() {
    let spec = read("SPEC.md");
    let chapter = spec.split("## 5. From the published names").nth(1).expect("the chapter").split("\n## 6").next();
    let rows = matches(r"(?m)^\| (.+?) \|", chapter.expect("its text")).into_iter().collect::<Vec<_>>().join("\n");
    let names = "lock( unlock( stop( status( force( closeBy( getState setState changeState( isActive triggerRead \
                 triggerWrite waitReadSize closeCallback(";
    for name in names.split_whitespace() {
        assert!(rows.contains(name), "{name} has no row");
    }
    (1..=10).for_each(|step| assert!(rows.contains(&format!("step {step}:")), "step {step} has no row"));
    (1..=3).for_each(|case| assert!(rows.contains(&format!("case {case}:")), "case {case} has no row"));
}

#[test]
fn every_path_in_the_documents_exists() {
    for document in ["README.md", "SPEC.md", "VERIFICATION.md", "CHANGELOG.md"] {
        for path in matches(
            r"`((?:core|models|loom-tests|proptest|sim-tests|benches|verification|xtask)/[A-Za-z0-9_./-]+)`",
            &read(document),
        ) {
            assert!(root().join(&path).exists(), "{document} names {path}, which does not exist");
        }
    }
}

/// Each transition with its ordering, as SPEC.md's table has them and as the source has them.
fn orderings(spec: &str, source: &str) -> [BTreeSet<(String, String)>; 2] {
    let row = Regex::new(r"(?m)^\| `(AcqRel|Acquire|Release|Relaxed)` \| (.*) \|$").expect("a pattern");
    let name = Regex::new(r"`(\w+)`").expect("a pattern");
    let call =
        Regex::new(r#"self\.(?:set|clear)\("(\w+)", .*, (AcqRel|Acquire|Release|Relaxed)\)"#).expect("a pattern");
    let stated = row.captures_iter(spec).flat_map(|row| {
        let order = row[1].to_owned();
        let names: Vec<String> = name.captures_iter(&row[2]).map(|name| name[1].to_owned()).collect();
        names.into_iter().map(move |name| (name, order.clone()))
    });
    let used = call.captures_iter(source).map(|call| (call[1].to_owned(), call[2].to_owned()));
    [stated.collect(), used.collect()]
}

#[test]
fn the_orderings_are_those_of_the_source() {
    let source = read("core/src/protocol/transitions.rs");
    let [stated, used] = orderings(&read("SPEC.md"), &source);
    assert_eq!(stated, used);
    assert!(used.len() > 40, "the pattern finds them");
    let [stated, used] = orderings(&read("SPEC.md"), &source.replacen(", Acquire)", ", Relaxed)", 1));
    assert_ne!(stated, used, "the check bites");
}

#[test]
fn every_scenario_of_the_simulated_kernel_is_in_the_table() {
    let names = matches(r#"Scenario::new\(\s*"([a-z-]+)""#, &sources("sim-tests/src/scenarios"));
    assert!(names.len() >= 20, "{names:?}");
    let table = read("VERIFICATION.md");
    let missing: Vec<&String> = names.iter().filter(|name| !table.contains(&format!("| `{name}` |"))).collect();
    assert!(missing.is_empty(), "{missing:?} are in no row: cargo xtask sim --markdown");
}

#[test]
fn the_check_bites() {
    let set = |ids: &[&str]| ids.iter().map(|id| id.to_string()).collect::<BTreeSet<_>>();
    let spec = "- **S1** One.\n| a | b |\n`scenario:one`";
    let bites = |spec: &str, core: &str, checks: &[&str], scenarios: &[&str]| {
        problems(spec, core, &set(checks), &set(scenarios)).len()
    };
    assert_eq!(bites(spec, "// (S1)", &["S1"], &["one"]), 0);
    assert_eq!(bites(spec, "//", &["S1"], &["one"]), 1, "not carried");
    assert_eq!(bites(spec, "// (S1)", &[], &["one"]), 1, "not checked");
    assert_eq!(bites(spec, "// (S1, S2)", &["S1"], &["one"]), 1, "a dead citation");
    assert_eq!(bites(spec, "// (S1)", &["S1", "S3"], &["one"]), 1, "a dead check");
    assert_eq!(bites(spec, "// (S1)", &["S1"], &[]), 1, "a dead scenario");
    assert_eq!(bites("- **S1** One.\n| a | |", "// (S1)", &["S1"], &[]), 1, "an empty cell");
    assert_eq!(bites("- **S1** One.\n- **S1** Two.", "// (S1)", &["S1"], &[]), 1, "a double id");
}
