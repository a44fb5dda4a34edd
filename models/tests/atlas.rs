//! The atlas as a collection: nothing forgotten, nothing twice, no dead reference, and the counts that are committed.
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "not explored by a checker")]

use std::collections::BTreeSet;
use std::path::Path;

use loom_tests::record::Committed as _;
use pollproof_models::checked::committed::Counts;
use pollproof_models::checked::run::Case;
use pollproof_models::race::Expect;
use pollproof_models::races::RACES;
use pollproof_models::spec;

#[test]
fn every_file_is_a_race_of_the_list() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/races");
    for entry in std::fs::read_dir(folder).expect("the folder of the races") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if stem == "mod" {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source file");
        assert!(
            RACES.iter().any(|race| race.source == text),
            "models/src/races/mod.rs lacks `mod {stem};` and `&{stem}::RACE,`, \
             or `source` in that file is not include_str!(\"{stem}.rs\")"
        );
    }
}

#[test]
fn ids_and_names_are_unique_and_no_scenario_has_them() {
    let mut seen: BTreeSet<&str> = loom_tests::all().iter().map(|scenario| scenario.name).collect();
    for race in RACES {
        assert!(seen.insert(race.name), "`{}` is the name of another race or scenario", race.name);
        assert!(seen.insert(race.id), "`{}` is the id of another race", race.id);
        let mut names = BTreeSet::new();
        for variant in race.variants {
            assert!(names.insert(variant.name), "{} has two variants `{}`", race.name, variant.name);
        }
    }
}

#[test]
fn every_race_is_told_broken_and_repaired() {
    for race in RACES {
        let name = race.name;
        assert!(race.story.len() > 100, "{name}: a story has a few sentences");
        assert!(!race.title.is_empty() && !race.seen.is_empty(), "{name}: title and seen");
        assert!(race.references.iter().all(|reference| reference.starts_with("https://")), "{name}: references");
        assert!(!race.clauses.is_empty(), "{name}: the clause that answers it");
        for clause in race.clauses.iter().copied().chain(race.variants.iter().filter_map(|variant| variant.clause())) {
            spec::clause(clause).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let breaks = race.variants.iter().any(|variant| matches!(variant.expect, Expect::Breaks { .. }));
        assert!(breaks, "{name}: nothing breaks");
        let repaired = race.variant("repaired").unwrap_or_else(|| panic!("{name}: no repaired variant"));
        assert_eq!(repaired.expect, Expect::Holds, "{name}");
        let own = ["stage.connected(", "stage.registered(", "stage.born(", "pollproof::protocol", "pollproof::buffer"];
        assert!(
            own.iter().any(|call| race.source.contains(call)),
            "{name}: the repaired variant calls pollproof's own protocol, not a copy"
        );
    }
}

#[test]
fn every_variant_has_its_counts_and_no_other() {
    let committed = Counts::load().expect("races.toml");
    let ids: BTreeSet<String> = Case::all_of(RACES).iter().map(Case::id).collect();
    let counted: BTreeSet<String> = committed.variants.iter().map(|count| count.id.clone()).collect();
    assert_eq!(ids, counted, "run `cargo race run --only races --record`");
}

/// The races are as small as they can be. What one keeps that it breaks without is for its story.
#[test]
fn nothing_can_be_dropped_but_what_is_for_the_story() {
    let for_the_story = [("panic-keeps-open/without", "hup")];
    let committed = Counts::load().expect("races.toml");
    let mut dropped = Vec::new();
    for case in Case::all_of(RACES).iter().filter(|case| case.variant.expect != Expect::Holds) {
        let id = case.id();
        let minimal = committed.get(&id).and_then(|count| count.minimal.as_ref());
        let minimal = minimal.unwrap_or_else(|| panic!("{id}: run `cargo race run --record {}`", case.race.name));
        assert!(!minimal.needed.is_empty() || !minimal.promised.is_empty(), "{id}: somebody breaks it: {minimal:?}");
        dropped.extend(minimal.dropped.iter().map(|part| (id.clone(), part.clone())));
    }
    assert_eq!(dropped, for_the_story.map(|(id, part)| (id.to_owned(), part.to_owned())));
}

/// From which somebody new can retell the bug.
#[test]
fn the_lost_disconnect_takes_at_most_sixteen_rows() {
    let committed = Counts::load().expect("races.toml");
    let count = committed.get("lost-disconnect/published").expect("W1");
    assert!(count.rows.is_some_and(|rows| rows <= 16), "{count:?}");
}
