//! The hostile users of `sim-tests` know the whole public API: each public method of a handle is an operation of theirs,
//! or exempt for a reason that is given here.
#![cfg(not(any(loom, shuttle)))]

mod common;

use std::collections::BTreeSet;

use common::files;

/// The types whose methods hostile users call.
const TYPES: [&str; 7] = ["Connection", "Server", "Dialer", "Io", "Reader", "Writer", "ConnectionReader"];

/// Methods that are no operations.
const EXEMPT: &[(&str, &str)] = &[
    ("Server::builder", "each program builds its servers with it"),
    ("Dialer::builder", "each program builds its dialers with it"),
    ("Server::run", "it does not return before the shutdown: the start of a server, `start=run`"),
];

/// The type that the line `impl...` is for, past its generics.
fn implemented(line: &str) -> String {
    let mut depth = 0;
    let past = line.trim_start_matches("impl").trim_start_matches(|letter| {
        depth += i32::from(letter == '<') - i32::from(letter == '>');
        depth > 0 || letter == '>' || letter == ' '
    });
    past.chars().take_while(char::is_ascii_alphanumeric).collect()
}

#[test]
fn an_implementation_is_read() {
    for line in ["impl Io {", "impl<'a> Io<'a> {", "impl<T: ?Sized + Into<Vec<u8>>> Io<'_, T> {", "impl Io<'_>"] {
        assert_eq!(implemented(line), "Io", "{line}");
    }
}

/// The public methods of the handles, as the sources of the core have them.
fn methods() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, text) in files("core/src") {
        let mut of = None;
        let mut documented = false;
        for line in text.lines() {
            if line.starts_with("impl") {
                let name = implemented(line);
                of = (!line.contains(" for ") && TYPES.contains(&name.as_str())).then_some(name);
            } else if line.starts_with('}') {
                of = None;
            }
            let signature = line.strip_prefix("    pub fn ").or_else(|| line.strip_prefix("    pub const fn "));
            if let (Some(of), Some(signature)) = (&of, signature) {
                let name: String =
                    signature.chars().take_while(|letter| *letter == '_' || letter.is_ascii_alphanumeric()).collect();
                if documented {
                    found.insert(format!("{of}::{name}"));
                }
            }
            let trimmed = line.trim_start();
            documented =
                trimmed.starts_with("///") || (documented && (trimmed.starts_with("#[") || trimmed.starts_with("//")));
        }
    }
    found
}

/// The methods that the table of operations names.
fn called() -> BTreeSet<String> {
    let table = files("sim-tests/src/hostile").into_iter().find(|(path, _)| path.ends_with("table.rs"));
    let text = table.expect("the table of operations").1;
    text.split('"').filter(|word| word.contains("::") && !word.contains(' ')).map(str::to_owned).collect()
}

#[test]
fn hostile_users_call_every_public_method() {
    let (methods, called) = (methods(), called());
    for known in ["Connection::send", "Server::shutdown", "Dialer::dial", "Io::write", "Reader::next", "Writer::flush"]
    {
        assert!(methods.contains(known), "the sources are read wrongly: no {known} among {methods:?}");
    }
    let exempt: BTreeSet<&str> = EXEMPT.iter().map(|(method, _)| *method).collect();
    let missing: Vec<_> =
        methods.iter().filter(|name| !called.contains(*name) && !exempt.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "neither an operation of hostile users nor exempt: {missing:?}");
    let stale: Vec<_> = exempt.iter().filter(|name| !methods.contains(**name) || called.contains(**name)).collect();
    assert!(stale.is_empty(), "exempt without need: {stale:?}");
}
