//! User code is entered by one door: nothing else in `core/src` calls it, catches its panics, or drops what it gave.
//!
//! A text search, as in `facade`: it knows the names by which the crate holds what is a user's. What it cannot know, the
//! behaviours try (`core/tests/behaviours/user_*.rs`).
//!
//! SPEC: U1, one module enters user code; SPEC: U5, one says where a thread is.
#![cfg(not(any(loom, shuttle)))]

mod common;

use common::files;
use regex::Regex;

/// What a rule forbids, and the files that it is about nevertheless.
struct Rule {
    forbids: &'static str,
    /// Where it stands: ends of paths.
    but: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule { forbids: r"catch_unwind|resume_unwind|AssertUnwindSafe", but: &["src/connection/door.rs"] },
    // The service of a connection; `handler` is the service itself, and the protocol says when it is called.
    Rule { forbids: r"service\.\w*on_(prepare|connect|request|disconnect)\(", but: &["src/connection/door.rs"] },
    Rule {
        forbids: r"\bhandler\(\)\s*\}?\s*\.on_|self\.handler\(\)\.on_|\.forget\(&mut \|",
        but: &["src/handler/serving.rs", "src/connection/door.rs"],
    },
    Rule {
        forbids: r"\bdoor::(on_prepare|on_connect|on_request|on_disconnect)\(",
        but: &["connection/step/effects.rs"],
    },
    // Values that are callbacks, by the names that they go by.
    Rule {
        forbids: r"[^.\w](callback|detached|disconnect|request|hook|close)\((conn|self|detached|io|error)\)",
        but: &["src/connection/door.rs"],
    },
    Rule { forbids: r"runner\.run\(|\.run\(task\)", but: &["src/connection/door.rs"] },
    // What a user gave is dropped by a call of the door.
    Rule {
        forbids: r"drop\((replaced|old_handler|runner|hook|context|state_of_user|callback|disconnect|request|lost|spent|payload|listening|acceptor|error|values)\)",
        but: &["src/connection/door.rs"],
    },
    Rule {
        forbids: r"\b(std|shuttle|sync)::thread_local\b|thread_local!",
        but: &["src/connection/whereabouts.rs", "src/connection/writer.rs", "src/sync/mod.rs"],
    },
    Rule { forbids: r"\bHERE\b", but: &["src/connection/whereabouts.rs"] },
    Rule { forbids: r"\bREPLY\b", but: &["src/connection/writer.rs"] },
];

/// The code of a file, without comments and without its unit tests.
fn code(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code = code.split("\n#[cfg(all(test, not(sim)))]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| line.split(" // ").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// What the file at `path` does that only the door may.
fn found(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let mut found = Vec::new();
    for rule in RULES.iter().filter(|rule| !rule.but.iter().any(|end| path.ends_with(end))) {
        let pattern = Regex::new(rule.forbids).expect("a pattern");
        found.extend(pattern.find_iter(&code).map(|one| format!("{path}: {}", one.as_str().trim())));
    }
    found
}

/// A file that holds nothing but tests, or stands in for the real thing in them.
fn is_test(path: &str) -> bool {
    ["/tests.rs", "/mutation/", "sync/simulated.rs", "src/sys/sim/"].iter().any(|part| path.contains(part))
}

#[test]
fn user_code_is_entered_by_one_door() {
    let mut all = Vec::new();
    for (path, text) in files("core/src") {
        let path = path.display().to_string();
        if !is_test(&path) {
            all.extend(found(&path, &text));
        }
    }
    assert!(all.is_empty(), "not by the door: {all:#?}");
}

/// The names that the rules go by are those of the sources: a rename would leave a rule that finds nothing.
#[test]
fn every_rule_finds_what_the_door_does() {
    let all = files("core/src");
    for rule in RULES {
        let pattern = Regex::new(rule.forbids).expect("a pattern");
        for end in rule.but.iter().filter(|end| !end.ends_with("sync/mod.rs")) {
            let of_end = all.iter().find(|(path, _)| path.ends_with(end)).map(|(_, text)| code(text));
            let text = of_end.unwrap_or_else(|| panic!("there is no {end}"));
            assert!(pattern.is_match(&text), "{} finds nothing in {end}", rule.forbids);
        }
    }
}

/// Everything that the door offers to drop something of a user's is used, and takes what it drops by value.
#[test]
fn who_takes_something_of_a_users_out_gives_it_to_the_door() {
    let takes = Regex::new(r"\.(seal|take_detached|end_accepting|into_runs|clear)\(\)").expect("a pattern");
    let given = Regex::new(
        r"door::(discard|discard_each|discard_of|discard_hook|hand_back|forget)\b|host\.discard\(|self\.spent\(|Duty::Drop|\bspent\b",
    )
    .expect("a pattern");
    for name in
        ["connection/mod.rs", "writer.rs", "step/effects.rs", "event_loop.rs", "blocking_reader.rs", "dialer.rs"]
    {
        let all = files("core/src");
        let (_, text) = all.iter().find(|(path, _)| path.ends_with(name)).expect("it is there");
        let code = code(text);
        let lines: Vec<&str> = code.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| takes.is_match(line)) {
            if line.contains("handles.clear()") {
                continue;
            }
            let around = &lines[at.saturating_sub(2)..(at + 8).min(lines.len())];
            assert!(around.iter().any(|line| given.is_match(line)), "{name}: {line}");
        }
    }
}

#[test]
fn the_check_bites() {
    let bites = |text: &str| found("core/src/connection/blocking_reader.rs", text).len();
    assert_eq!(bites("let ran = std::panic::catch_unwind(|| ());"), 1);
    assert_eq!(bites("unsafe { conn.conn().service.on_request(io) }"), 1);
    assert_eq!(bites("server.runner.run(task)"), 1);
    assert_eq!(bites("let callback = take(); callback(conn);"), 1);
    assert_eq!(bites("for hook in hooks { hook(error) }"), 1);
    assert_eq!(bites("drop(replaced);"), 1);
    assert_eq!(bites("thread_local! { static X: () = (); }"), 1);
    assert_eq!(bites("HERE.with(|here| ())"), 1);
    assert_eq!(bites("self.handler().on_request(context, state, io)"), 1);
    assert_eq!(bites("// catch_unwind in prose"), 0);
    assert_eq!(bites("door::discard(self, \"drop of a handler\", replaced);"), 0);
    assert_eq!(bites("fn f() {}\n#[cfg(test)]\nmod tests {\n fn g() { drop(replaced) }\n}"), 0);
    assert_eq!(found("core/src/connection/door.rs", "catch_unwind(user)").len(), 0);
}
