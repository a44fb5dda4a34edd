//! The rooms of a crate lie in layers: its `lib.rs` lists them, and each uses those above it in the list alone.
//!
//! The list is the table in the documentation of the crate, so that it is read; here is that it is true: no room is
//! missing, none is made up, and no path of the code, but for the exceptions below, runs back up. Tests are left out.
#![cfg(not(any(loom, shuttle)))]

mod common;
#[path = "../src/only_tests.rs"]
mod only_tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::{files, root};
use only_tests::is_test;
use regex::Regex;
use syn::visit::{self, Visit};

/// A crate whose rooms lie in layers.
struct Layered {
    /// Its root, which lists them.
    root: &'static str,
    /// A room, one below it that it uses nevertheless, and why.
    exceptions: &'static [(&'static str, &'static str, &'static str)],
}

const CRATES: &[Layered] = &[
    Layered {
        root: "core/src/lib.rs",
        exceptions: &[
            ("sync", "mutation", "only in a checked build: an ordering that no mutant names is found where it is used"),
            ("mutation", "protocol", "only in a mutation build: the table of mutants is one of the protocol's bits"),
        ],
    },
    Layered { root: "benches/src/lib.rs", exceptions: &[] },
    Layered { root: "loom-tests/src/lib.rs", exceptions: &[] },
    Layered { root: "models/src/lib.rs", exceptions: &[] },
    Layered { root: "proptest/src/lib.rs", exceptions: &[] },
    Layered { root: "sim-tests/src/lib.rs", exceptions: &[] },
    Layered { root: "xtask/src/main.rs", exceptions: &[] },
];

/// The rooms that the table in the documentation of `text` lists, in their order.
fn listed(text: &str) -> Vec<String> {
    let row = Regex::new(r"(?m)^//! \| \[?`([a-z_]+)`\]? \|").expect("a pattern");
    row.captures_iter(text).map(|row| row[1].to_owned()).collect()
}

/// The rooms that a file's code names.
struct Names {
    /// How many modules deep the code is: the file's own, and those in it.
    depth: usize,
    rooms: BTreeSet<String>,
}

impl Names {
    /// A path, by its segments: whether it begins at the crate's root, and with which room.
    fn path(&mut self, segments: &[String]) {
        let above = segments.iter().take_while(|segment| *segment == "super").count();
        let room = match segments.first().map(String::as_str) {
            Some("crate") => segments.get(1),
            Some("super") if above == self.depth => segments.get(above),
            _ => None,
        };
        self.rooms.extend(room.cloned());
    }

    fn tree(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident)),
            syn::UseTree::Name(name) => self.path(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.path(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.path(before),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(item, before)),
        }
    }
}

impl<'a> Visit<'a> for Names {
    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        if !is_test(&item.attrs) {
            self.tree(&item.tree, &[]);
        }
    }

    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        if !is_test(&item.attrs) {
            self.depth += 1;
            visit::visit_item_mod(self, item);
            self.depth -= 1;
        }
    }

    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    // The tokens of a macro are not parsed: a room is what comes between two double colons.
    fn visit_macro(&mut self, item: &'a syn::Macro) {
        let room = Regex::new(r"\bcrate::([a-z_]+)::").expect("a pattern");
        let tokens = item.tokens.to_string().replace(' ', "");
        self.rooms.extend(room.captures_iter(&tokens).map(|found| found[1].to_owned()));
        visit::visit_macro(self, item);
    }

    // `pub(in crate::...)` uses nothing.
    fn visit_vis_restricted(&mut self, _: &'a syn::VisRestricted) {}

    fn visit_path(&mut self, path: &'a syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.path(&segments);
        visit::visit_path(self, path);
    }
}

/// The room of a file, by its path below the sources, and how deep its module is. `None`: the root, or a test.
fn place(path: &Path) -> Option<(String, usize)> {
    let mut parts: Vec<_> = path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    parts.pop_if(|last| last == "mod");
    let test = parts.iter().any(|part| part == "tests" || part == "whole");
    (!test && parts != ["lib"] && parts[0] != "main" && parts[0] != "bin").then(|| (parts[0].clone(), parts.len()))
}

/// Which rooms `text` uses.
fn uses(text: &str, depth: usize) -> BTreeSet<String> {
    let file = syn::parse_file(text).expect("Rust");
    let mut names = Names { depth, rooms: BTreeSet::new() };
    names.visit_file(&file);
    names.rooms
}

/// The arrows between rooms, each with the files that it is drawn by.
fn arrows(sources: &str) -> BTreeMap<(String, String), Vec<String>> {
    let folder = root().join(sources);
    let mut arrows: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (path, text) in files(sources) {
        let below = path.strip_prefix(&folder).expect("below it");
        let Some((room, depth)) = place(below) else { continue };
        for used in uses(&text, depth).into_iter().filter(|used| *used != room) {
            arrows.entry((room.clone(), used)).or_default().push(below.display().to_string());
        }
    }
    arrows
}

#[test]
fn every_room_is_listed_and_uses_those_above_it_alone() {
    let declares = Regex::new(r"(?m)^(?:pub )?mod ([a-z_]+);").expect("a pattern");
    for Layered { root: file, exceptions } in CRATES {
        let text = std::fs::read_to_string(root().join(file)).expect("a crate");
        let (sources, _) = file.rsplit_once('/').expect("a folder");
        let order = listed(&text);
        let declared: BTreeSet<_> = declares.captures_iter(&text).map(|found| found[1].to_owned()).collect();
        assert_eq!(order.iter().cloned().collect::<BTreeSet<_>>(), declared, "the table in {file}");
        let at = |room: &str| order.iter().position(|listed| listed == room);
        let mut unused: BTreeSet<_> = exceptions.iter().map(|(from, to, _)| (*from, *to)).collect();
        let mut wrong = Vec::new();
        let arrows = arrows(sources);
        for ((from, to), by) in &arrows {
            if at(to).is_some_and(|to| Some(to) < at(from)) || unused.remove(&(&**from, &**to)) {
                continue;
            }
            wrong.push(format!("{from} uses {to}: {}", by.join(", ")));
        }
        assert!(wrong.is_empty(), "{sources}: {wrong:#?}");
        assert!(unused.is_empty(), "{sources}: exceptions that nothing needs: {unused:?}");
    }
}

#[test]
fn the_check_bites() {
    let of = |text: &str, depth| uses(text, depth).into_iter().collect::<Vec<_>>();
    assert_eq!(of("use crate::{a, b::{C, d::E}};", 1), ["a", "b"]);
    assert_eq!(of("fn f() -> crate::a::B { todo!() }", 1), ["a"]);
    assert_eq!(of("use super::a::B;", 1), ["a"]);
    assert_eq!(of("use super::super::a::B;", 2), ["a"]);
    assert_eq!(of("mod inner { use super::super::a::B; }", 1), ["a"]);
    assert!(of("use super::a::B;", 2).is_empty());
    assert_eq!(of("macro_rules! m { () => { crate::a::f(crate::B) } }", 1), ["a"]);
    assert!(of("pub(in crate::a) struct B;", 1).is_empty());
    assert!(of("#[cfg(all(test, not(sim)))] mod tests { use crate::a::B; }", 1).is_empty());
    assert_eq!(of("#[cfg(not(test))] mod real { use crate::a::B; }", 1), ["a"]);
    assert_eq!(listed("//! | [`a`] | x |\n//! | `b_c` | y |\n//! | module | z |"), ["a", "b_c"]);
    assert_eq!(place(Path::new("a/b/mod.rs")), Some(("a".to_owned(), 2)));
    assert_eq!(place(Path::new("a/b/tests.rs")), None);
}
