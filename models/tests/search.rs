//! The explorers, seen finding and seen failing: the depth-first search in the shuttle build, loom in its own.
#![cfg(any(loom, shuttle))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "not explored by a checker")]

#[cfg(loom)]
use loom_tests::timeline::Timeline;
#[cfg(shuttle)]
use pollproof_models::checked::run::{Case, Verdict, check};
use pollproof_models::children::Children;
use pollproof_models::race::Race;
use pollproof_models::races::find;
use pollproof_models::report::Finding;
#[cfg(shuttle)]
use pollproof_models::{search, selftest};

fn children() -> Children {
    let binary = Some(env!("CARGO_BIN_EXE_explore").into());
    if cfg!(loom) { Children::built(None, binary) } else { Children::built(binary, None) }
}

fn race(name: &str) -> &'static Race {
    find(name).expect("a race of the atlas")
}

#[cfg(shuttle)]
fn wrong(variant: &str) -> Verdict {
    let race = selftest::RACES[0];
    check(&children(), Case { race, variant: race.variant(variant).expect("a variant") }, None)
}

#[test]
#[cfg(shuttle)]
fn the_lost_disconnect_is_found_at_its_smallest_bound_and_told_to_its_end() {
    let race = race("lost-disconnect");
    let found = children().find(race, race.variant("published").expect("it")).expect("a finding");
    let Finding::Breaks(broken) = found else { panic!("{found:?}") };
    assert_eq!((broken.bound, broken.failure.clause.as_deref()), (1, Some("H1")));
    let texts: Vec<&str> = broken.timeline.rows.iter().map(|row| row.text.as_str()).collect();
    let at = |text: &str| texts.iter().position(|row| *row == text).unwrap_or_else(|| panic!("no `{text}`: {texts:?}"));
    assert!(at("isActive(closing): none") < at("closeBy(closing): ok"));
    assert!(at("closeBy(closing): ok") < at("lock(connecting): fails"));
    assert!(at("lock(connecting): fails") < at("unlock(connecting)"));
    assert!(!texts.contains(&"OnDisconnect"), "it is lost: {texts:?}");
}

#[test]
#[cfg(shuttle)]
fn the_repaired_version_runs_under_the_same_schedule() {
    let race = race("lost-disconnect");
    let children = children();
    let Finding::Breaks(broken) = children.find(race, race.variant("published").expect("it")).expect("a finding")
    else {
        panic!("it must break")
    };
    let repaired = race.variant("repaired").expect("it");
    let (timeline, failure) = children.follow(race, repaired, &broken.schedule).expect("a timeline");
    assert_eq!(failure, None);
    let texts: Vec<&str> = timeline.rows.iter().map(|row| row.text.as_str()).collect();
    assert!(texts.contains(&"end_connect") && texts.contains(&"OnDisconnect"), "{texts:?}");
}

/// What a reader sees who adds a race wrongly.
#[test]
#[cfg(shuttle)]
fn a_race_with_a_wrong_expectation_fails_and_says_how() {
    assert_eq!(wrong("right").problems, Vec::<String>::new());
    for (variant, says) in [
        ("published", "it must hold, but: N1: an update was lost"),
        ("clause", "N2 must break, but: N1: an update was lost"),
        ("bound", "it must break at preemption bound 0, but does at 1"),
        ("sound", "N1 must break, but it holds in all 2 executions"),
        ("endless", "it must hold, but: L1: this never ends"),
    ] {
        assert_eq!(wrong(variant).problems, [says], "{variant}");
    }
}

#[cfg(shuttle)]
fn reduced(race: &str) -> Verdict {
    let race = selftest::RACES.iter().copied().find(|it| it.name == race).expect("a race");
    check(&children(), Case { race, variant: race.variant("published").expect("it") }, None)
}

#[cfg(shuttle)]
fn parts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// `C` only once the look has gone: the reduction begins anew after each part that it drops.
#[test]
#[cfg(shuttle)]
fn what_a_race_breaks_without_is_dropped() {
    let verdict = reduced("selftest-crowd");
    assert_eq!(verdict.problems, Vec::<String>::new());
    let minimal = verdict.count.minimal.expect("a reduction");
    assert_eq!(minimal.dropped, ["look", "C"]);
    assert_eq!((minimal.needed, minimal.promised), (parts(&["A", "B", "bump"]), Vec::new()));
    let timeline = verdict.broken.expect("it broke").timeline;
    assert_eq!(timeline.threads, ["main", "A", "B"]);
    assert!(timeline.rows.iter().all(|row| row.text != "look"), "{timeline:?}");
    assert_eq!(verdict.count.rows, Some(timeline.rows.len()));
}

/// `A` and `B` alone lose an update too, but only with a preemption.
#[test]
#[cfg(shuttle)]
fn nothing_is_dropped_for_a_larger_bound() {
    let verdict = reduced("selftest-bound");
    assert_eq!(verdict.problems, Vec::<String>::new());
    let minimal = verdict.count.minimal.expect("a reduction");
    assert_eq!((minimal.dropped, minimal.needed), (parts(&["A"]), parts(&["L", "S", "B"])));
    assert_eq!(verdict.broken.map(|broken| broken.bound), Some(0));
}

/// One update of one that is there is missing too, however it is made.
#[test]
#[cfg(shuttle)]
fn what_a_promise_is_about_is_not_dropped() {
    let verdict = reduced("selftest-promise");
    assert_eq!(verdict.problems, Vec::<String>::new());
    let minimal = verdict.count.minimal.expect("a reduction");
    assert_eq!((minimal.dropped, minimal.needed, minimal.promised), (Vec::new(), Vec::new(), parts(&["A", "B"])));
}

#[test]
#[cfg(shuttle)]
fn a_promise_that_breaks_with_nobody_there_is_a_mistake() {
    let problems = reduced("selftest-nobody").problems;
    assert!(problems.len() == 1 && problems[0].contains("it breaks with nobody left to break it"), "{problems:?}");
}

#[test]
#[cfg(shuttle)]
fn what_has_no_counterpart_in_the_control_is_a_mistake() {
    let problems = reduced("selftest-names").problems;
    assert!(
        problems.len() == 1 && problems[0].starts_with("without C: it still breaks, but nothing tells"),
        "{problems:?}"
    );
}

#[test]
#[cfg(shuttle)]
fn counts_that_are_not_the_committed_ones_fail() {
    use pollproof_models::checked::committed::{Count, Counts};
    let race = selftest::RACES[0];
    let case = Case { race, variant: race.variant("right").expect("it") };
    let with = |variants| check(&children(), case, Some(&Counts { variants })).problems;
    let right = check(&children(), case, None).count;
    assert_eq!(with(vec![right.clone()]), Vec::<String>::new());
    let off = Count { to_first_failure: right.to_first_failure.map(|first| first + 1), ..right };
    assert!(with(vec![off])[0].contains("are not the committed ones"));
    assert!(with(Vec::new())[0].contains("cargo race run --record selftest-wrong"));
}

/// Leaving out equivalent orders leaves out no ending.
#[test]
#[cfg(shuttle)]
fn pruning_loses_no_ending() {
    let all =
        [(selftest::RACES[0], "three"), (race("close-at-unlock"), "published"), (race("two-triggers"), "published")];
    for (race, name) in all {
        let variant = race.variant(name).expect("a variant");
        let every = search::endings(variant, search::Mode::Bounded(u8::MAX));
        let pruned = search::endings(variant, search::Mode::Everything);
        assert!(every.len() > 2, "{}: {every:?}", race.name);
        assert_eq!(every, pruned, "{}", race.name);
    }
}

#[test]
#[cfg(loom)]
fn the_stale_read_is_shown_as_such() {
    let race = race("double-check-weak");
    let found = children().loom_find(race, race.variant("published").expect("it"), 1).expect("a finding");
    let Finding::Breaks(broken) = found else { panic!("{found:?}") };
    assert_eq!(broken.bound, 0);
    let Timeline { rows, .. } = &broken.timeline;
    let (at, stale) =
        rows.iter().enumerate().find_map(|(at, row)| row.stale.as_ref().map(|s| (at, s))).expect("a stale read");
    assert!(stale.passed_over.iter().all(|row| *row <= at), "{stale:?}");
    let newer = &rows[stale.passed_over[0] - 1].text;
    assert!(newer.starts_with("closeBy") || newer.starts_with("unlock"), "{newer}");
}
