//! `cargo xtask unsafe`: writes `verification/unsafe.md`, each `unsafe` of `core/src` with its reason and the check that
//! would see it broken.
//!
//! The reasons are the source's (`scan`); the checks are in `verification/unsafe.toml` (`checks`), by file or by item. A
//! site without a check is an error, as is an entry without a site. Not here: what the reasons are worth.

mod checks;
mod scan;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use loom_tests::record::root;

use self::checks::Checks;
use self::scan::{Kind, Site};
use crate::cell::cell;

const SOURCES: &str = "core/src";
const PATH: &str = "verification/unsafe.md";

/// Writes the inventory, or with `check` says whether it is what would be written.
pub fn run(check: bool) -> anyhow::Result<bool> {
    let new = inventory(&root())?;
    let path = root().join(PATH);
    if std::fs::read_to_string(&path).is_ok_and(|old| old == new) {
        println!("{PATH} is up to date");
        return Ok(true);
    }
    if check {
        println!("{PATH} is out of date: run `cargo xtask unsafe`");
        return Ok(false);
    }
    std::fs::write(&path, new).with_context(|| format!("{PATH} cannot be written"))?;
    println!("{PATH} is written");
    Ok(true)
}

/// Every Rust file below `folder`, in order.
pub(crate) fn files(folder: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path)?;
                found.push((path, text));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The sites of each file that is no test.
fn sites(sources: &Path) -> anyhow::Result<Vec<(String, Vec<Site>)>> {
    let all = files(sources)?;
    let mut tests = BTreeSet::new();
    for (path, text) in &all {
        tests.extend(scan::test_files(path, text)?);
    }
    let mut found = Vec::new();
    for (path, text) in all.iter().filter(|(path, _)| !tests.contains(path)) {
        let shown = path.strip_prefix(sources)?.to_str().context("a name that is no text")?.to_owned();
        let sites = scan::file(text).with_context(|| shown.clone())?;
        if !sites.is_empty() {
            found.push((shown, sites));
        }
    }
    Ok(found)
}

fn inventory(root: &Path) -> anyhow::Result<String> {
    let sites = sites(&root.join(SOURCES))?;
    let checks = Checks::load(root)?;
    checks.fit(sites.iter().flat_map(|(file, sites)| sites.iter().map(move |site| (file.as_str(), &*site.item))))?;
    document(&sites, &checks)
}

const HEADER: &str = "\
# Unsafe code

Every `unsafe` of `core/src`, tests left out, with its reason and the check that would see it broken. Written by
`cargo xtask unsafe` from the comments of the source and from `verification/unsafe.toml`; `cargo xtask test --only
verification` fails where this is not what it would write. The protocol (`core/src/protocol/`) forbids unsafe code.

What the checks are:

- *loom*, a scenario: the cells of its rig stand for those of the reactor, each touched where the reactor would touch it,
  and loom reports two accesses that the word does not order. Those of a bit, such as TASK, did so when its ordering was
  weakened or a guard of it left out (`loom-tests/mutants.toml`).
- *Miri*, a test of `cargo xtask test --only miri`: it runs the code itself, and sees a data race, memory that is gone or
  not there, two references that may not be at once, and a leak. What each was seen to fail with is in VERIFICATION.md.
- *TSan* and *ASan*: the behaviours over sockets under ThreadSanitizer and AddressSanitizer, also of the code itself. They
  run each of these lines; that they would see it broken was not tried line by line.
- *none*: no check would see it, and why that is so.

";

fn document(sites: &[(String, Vec<Site>)], checks: &Checks) -> anyhow::Result<String> {
    let mut out = String::from(HEADER);
    let kinds = [Kind::Block, Kind::Fn, Kind::Impl, Kind::Trait];
    let of = |sites: &[Site]| kinds.map(|kind| sites.iter().filter(|site| site.kind == kind).count());
    out.push_str("| file | blocks | fns | impls | traits | all |\n| --- | ---: | ---: | ---: | ---: | ---: |\n");
    let mut total = [0; 4];
    for (file, sites) in sites {
        let counts = of(sites);
        (0..4).for_each(|kind| total[kind] += counts[kind]);
        let [blocks, fns, impls, traits] = counts;
        writeln!(out, "| [{file}](#{}) | {blocks} | {fns} | {impls} | {traits} | {} |", anchor(file), sites.len())?;
    }
    let [blocks, fns, impls, traits] = total;
    let all: usize = total.iter().sum();
    ensure!(all > 0, "nothing is unsafe: the scan finds nothing");
    writeln!(out, "| all {} | {blocks} | {fns} | {impls} | {traits} | {all} |", sites.len())?;
    for (file, sites) in sites {
        writeln!(
            out,
            "\n## {file}\n\n| in | what | why it is right | what would see it broken |\n| --- | --- | --- | --- |"
        )?;
        for site in sites {
            let (reason, by) = (cell(&site.reason), cell(&checks.of(file, &site.item)?));
            writeln!(out, "| `{}` | {} | {reason} | {by} |", site.item, site.kind.name())?;
        }
    }
    Ok(out)
}

/// The anchor that Markdown gives to a heading.
fn anchor(heading: &str) -> String {
    heading.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_inventory_is_that_of_the_source() {
        let committed = std::fs::read_to_string(root().join(PATH)).expect("the inventory");
        assert!(committed == inventory(&root()).expect("an inventory"), "run `cargo xtask unsafe`");
    }

    #[test]
    fn a_site_is_one_row_and_counted() {
        let site = |kind| Site { item: "A::f".to_owned(), kind, reason: "a | b".to_owned() };
        let sites = [("a/b.rs".to_owned(), vec![site(Kind::Fn), site(Kind::Block)])];
        let text = document(&sites, &Checks::of_one("a/b.rs", "tsan")).expect("a document");
        assert!(text.contains("| [a/b.rs](#abrs) | 1 | 1 | 0 | 0 | 2 |\n| all 1 | 1 | 1 | 0 | 0 | 2 |\n"), "{text}");
        assert!(text.contains("| `A::f` | fn | a \\| b | TSan |\n| `A::f` | block | a \\| b | TSan |\n"), "{text}");
    }
}
