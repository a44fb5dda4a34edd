//! The rules of protocol code that a lint does not see: no way around the facade, no operation that the
//! checkers are blind for, a reason beside every ordering and every `unsafe`.
//!
//! SPEC: A1, one kind of access; SPEC: A2, no loop around one; SPEC: K4, the one exemption.
#![cfg(not(any(loom, shuttle)))]

mod common;

use common::files;

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// What checked modules must not contain, re-exports included.
const FORBIDDEN: &[&str] = &[
    "std::sync::atomic",
    "core::sync::atomic",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "std::sync::Condvar",
    "std::sync::Arc",
    "std::sync::mpsc",
    "std::sync::{",
    "use std::sync",
    "std::thread",
    "SeqCst",
    "compare_exchange",
    "fetch_update",
    ".swap(",
    "static mut",
];

fn forbidden(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !is_comment(line));
    code.filter(|line| FORBIDDEN.iter().any(|word| line.contains(word))).map(str::to_owned).collect()
}

/// Lines with one of `words` and no comment with `reason` on them or in the five lines above.
fn without_reason(text: &str, words: &[&str], reason: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let reasoned = |at: usize| lines[at.saturating_sub(5)..=at].iter().any(|line| line.contains(reason));
    (0..lines.len())
        .filter(|&at| !is_comment(lines[at]) && words.iter().any(|word| lines[at].contains(word)) && !reasoned(at))
        .map(|at| lines[at].to_owned())
        .collect()
}

const ATOMIC: &[&str] = &[".fetch_or(", ".fetch_and(", ".fetch_add(", ".fetch_sub(", ".load(", ".store("];

#[test]
fn the_protocol_has_no_way_around_the_facade() {
    for (path, text) in files("core/src/protocol") {
        let found = forbidden(&text);
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
}

#[test]
fn every_atomic_operation_names_its_partner() {
    for (path, text) in files("core/src") {
        let found = without_reason(&text, ATOMIC, "// Ordering:");
        assert!(found.is_empty(), "{}: no `// Ordering:` at {found:#?}", path.display());
    }
}

#[test]
fn every_unsafe_says_why() {
    for folder in ["core/src", "loom-tests/src"] {
        for (path, text) in files(folder) {
            let found = without_reason(&text, &["unsafe {", "unsafe impl"], "Safety:");
            assert!(found.is_empty(), "{}: no `// Safety:` at {found:#?}", path.display());
        }
    }
}

#[test]
fn each_word_is_changed_by_one_operation_of_a_kind_in_one_file() {
    for (path, text) in files("core/src/protocol") {
        let code: Vec<&str> = text.lines().filter(|line| !is_comment(line)).collect();
        let count = |word: &str| code.iter().filter(|line| line.contains(word)).count();
        if path.ends_with("takeover.rs") {
            // It has no word. The two stores are the heartbeat, which K4 exempts; the third load of it is the
            // watchdog's. Two more look whether a lead is over, and one RMW ends it.
            assert_eq!(count(".store("), 2);
            assert_eq!(count("self.beat.store("), 2);
            assert_eq!(count("self.beat.load("), 3);
            assert_eq!((count(".load("), count(".fetch_or("), count(".fetch_and(")), (5, 1, 0));
            continue;
        }
        // The connection's word, and that of the gate, which counts as well.
        let (word, gate) = (path.ends_with("transitions.rs"), path.ends_with("gate.rs"));
        for kind in [".fetch_or(", ".fetch_and("] {
            assert_eq!(count(kind), usize::from(word || gate), "{kind} in {}", path.display());
        }
        for kind in [".fetch_add(", ".fetch_sub("] {
            assert_eq!(count(kind), usize::from(gate), "{kind} in {}", path.display());
        }
        assert_eq!(count(".load(") + count(".store("), 0, "{}", path.display());
    }
}

/// Names of transitions that are not those of their functions.
fn misnamed(text: &str) -> Vec<String> {
    let mut function = "";
    let mut found = Vec::new();
    for line in text.lines().map(str::trim_start) {
        if let Some(rest) = line.split_once("fn ").filter(|_| !is_comment(line)).map(|(_, rest)| rest) {
            function = rest.split('(').next().unwrap_or_default();
        }
        for call in ["self.set(\"", "self.clear(\""] {
            if let Some(name) = line.split(call).nth(1).and_then(|rest| rest.split('"').next())
                && name != function
            {
                found.push(format!("{name} in {function}"));
            }
        }
    }
    found
}

/// Timelines call each transition by its name, as SPEC.md does.
#[test]
fn every_transition_goes_by_the_name_of_its_function() {
    let (_, text) = files("core/src/protocol").into_iter().find(|(path, _)| path.ends_with("transitions.rs")).unwrap();
    assert!(text.matches("self.set(\"").count() > 20);
    assert_eq!(misnamed(&text), Vec::<String>::new());
}

#[test]
fn the_checks_bite() {
    assert_eq!(misnamed("fn take(&self) {\n self.set(\"release\", TASK)"), ["release in take"]);
    assert_eq!(forbidden("pub use std::sync::Mutex as Lock;").len(), 1);
    assert_eq!(forbidden("// std::sync::Mutex in prose").len(), 0);
    assert_eq!(without_reason("word.fetch_or(1, AcqRel)", ATOMIC, "// Ordering:").len(), 1);
    assert_eq!(without_reason("// Ordering: x\nword.fetch_or(1, AcqRel)", ATOMIC, "// Ordering:").len(), 0);
}
