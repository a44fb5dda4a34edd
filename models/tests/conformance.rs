//! The abstract model: its properties, its figures as published, and its agreement with what runs of the code do.
//!
//! One test explores everything once and then asks: a test runner with a process for each test would explore it for
//! each of them.
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "not explored by a checker")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use loom_tests::record::Committed as _;
use loom_tests::steps::{LOOK, Step};
use pollproof::protocol::word::NAMES;
use pollproof_models::conform::{self, Steps};
use pollproof_models::figures::Figures;
use pollproof_models::model::configurations;
use pollproof_models::model::coverage::{decision, transitions};
use pollproof_models::model::graph::Graph;
use pollproof_models::model::space::{Space, shown};
use pollproof_models::model::tell::{decisions, explore, figures, steps};

fn text(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root");
    std::fs::read_to_string(root.join(path)).expect(path)
}

/// The lines of a file that are no comments, each in two: what it is about, and the reason.
fn reasons(path: &str) -> BTreeMap<String, String> {
    let split = |line: &str| {
        let (what, why) = line.split_once(" | ").unwrap_or_else(|| panic!("{path}: no reason in `{line}`"));
        assert!(why.split_whitespace().count() >= 3, "{path}: `{why}` is no reason");
        (what.to_owned(), why.to_owned())
    };
    text(path).lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(split).collect()
}

#[test]
fn the_model_holds_and_agrees_with_runs() {
    let configs = configurations::all();
    let explored = explore(&configs);
    for (config, explored) in configs.iter().zip(&explored) {
        assert!(explored.problems.is_empty(), "{}: {}", config.name, explored.problems.join("\n"));
    }
    let (model, runs) = (steps(&explored), conform::committed().expect("models/steps.txt"));
    let decided = decisions(model.iter()).expect("known transitions");
    every_step_of_a_run_is_one_of_the_model(&model, &runs);
    every_decision_of_the_model_is_met_by_a_run(&decided, &runs);
    every_transition_of_the_code_is_in_the_model(&model);
    the_table_of_valid_states_is_what_the_model_shows(&model);
    let (seen, committed) = (figures(&configs, &explored).expect("figures"), Figures::load().expect(Figures::PATH));
    assert_eq!(seen, committed, "`cargo race model --record` writes {}", Figures::PATH);
}

/// Runs to model. `models/outside.txt` has those to which no configuration comes, each with the reason.
fn every_step_of_a_run_is_one_of_the_model(model: &BTreeSet<Step>, runs: &Steps) {
    assert!(runs.len() > 5_000, "{} steps are recorded: too few to say anything", runs.len());
    let listed: BTreeSet<Step> =
        reasons("models/outside.txt").keys().map(|step| step.parse().expect("a step")).collect();
    let line = |step: &&Step| format!("{step}  {}  {}", shown(step.before), runs.get(*step).map_or("", String::as_str));
    let foreign: BTreeSet<&Step> = runs.keys().filter(|step| !model.contains(*step)).collect();
    let new: Vec<String> = foreign.iter().filter(|step| !listed.contains(**step)).map(line).collect();
    assert!(new.is_empty(), "{} steps are none of the model:\n{}", new.len(), new.join("\n"));
    let stale: Vec<&Step> = listed.iter().filter(|step| !foreign.contains(*step)).collect();
    assert!(stale.is_empty(), "steps that models/outside.txt has, and that are not outside: {stale:?}");
}

/// Model to runs. `models/unseen.txt` has the decisions that no recorded run comes to, each with the reason.
fn every_decision_of_the_model_is_met_by_a_run(model: &BTreeSet<String>, runs: &Steps) {
    let runs = decisions(runs.keys()).expect("known transitions");
    let foreign: Vec<&String> = runs.difference(model).collect();
    assert!(foreign.is_empty(), "decisions of runs that the model does not come to: {foreign:#?}");
    let listed = reasons("models/unseen.txt");
    let unseen: Vec<&String> = model.difference(&runs).filter(|decision| !listed.contains_key(*decision)).collect();
    assert!(unseen.is_empty(), "no run comes to these {}:\n{unseen:#?}", unseen.len());
    let stale: Vec<&String> = listed.keys().filter(|name| runs.contains(*name) || !model.contains(*name)).collect();
    assert!(stale.is_empty(), "listed as unseen, but seen by a run, or not of the model: {stale:#?}");
}

fn every_transition_of_the_code_is_in_the_model(model: &BTreeSet<Step>) {
    let source = text("core/src/protocol/transitions.rs");
    let calls =
        source.lines().filter_map(|line| line.split("self.set(\"").nth(1).or(line.split("self.clear(\"").nth(1)));
    let names = calls.filter_map(|rest| rest.split('"').next());
    let code: BTreeSet<&str> = names.filter(|name| *name != LOOK).collect();
    let model: BTreeSet<&str> = model.iter().map(|step| step.transition.as_str()).collect();
    assert_eq!(code, model);
    assert_eq!(code, transitions().collect());
}

/// SPEC.md's table of valid states, derived: what is set in every word of the model in which a bit is set.
fn the_table_of_valid_states_is_what_the_model_shows(model: &BTreeSet<Step>) {
    let words: BTreeSet<u32> = model.iter().flat_map(|step| [step.before, step.after]).collect();
    let mut derived = BTreeMap::new();
    for (bit, name) in NAMES {
        let with: Vec<u32> = words.iter().copied().filter(|word| word & bit != 0).collect();
        assert!(!with.is_empty(), "{name} is never set in the model");
        let common = with.iter().fold(u32::MAX, |all, word| all & word);
        let also: BTreeSet<&str> =
            NAMES.iter().filter(|(other, _)| other != bit && common & other != 0).map(|(_, name)| *name).collect();
        if !also.is_empty() {
            derived.insert(*name, also);
        }
    }
    let spec = text("SPEC.md");
    let table = spec.split("### Valid states").nth(1).and_then(|rest| rest.split("## 3.").next()).expect("the table");
    let mut written: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let mut columns = row.split('|').skip(1);
        let bit = columns.next().expect("a bit").trim().trim_matches('`');
        let also = columns.next().expect("what else").split(',').filter(|part| !part.contains(" or "));
        let also: BTreeSet<&str> = also.filter_map(|part| part.split('`').nth(1)).collect();
        if !also.is_empty() {
            written.insert(bit, also);
        }
    }
    assert_eq!(written, derived);
}

/// `stateright` explores the same: as many states, and no property that does not hold. All of them:
/// `cargo race model --stateright`.
#[test]
fn stateright_is_of_the_same_opinion() {
    let committed = Figures::load().expect(Figures::PATH);
    let small = committed.configurations.iter().filter(|figure| figure.states < 100_000);
    let mut compared = 0;
    for figure in small {
        let config = configurations::named(&figure.name);
        let (states, wrong) = Space::explore(config.expect("a configuration of that name"));
        assert_eq!((states, &wrong[..]), (figure.states, &[][..]), "{}", figure.name);
        compared += 1;
    }
    assert!(compared > 8, "{compared} configurations are small enough");
}

/// What each guard is for: without it a fair run leaves something undone for ever, and is shown.
#[test]
fn without_a_guard_a_fair_run_never_comes_to_its_end() {
    // The guard, a configuration, what never happens, and whether the run ends there or goes round for ever.
    let expected = [
        ("process.retake-pending", "half-packets", "N5:", true),
        ("process.retake-closing", "closes", "L1: a hup", true),
        ("process.retake-shutdown", "shutdowns", "G1:", true),
        ("process.retake-rest-over", "everything", "L1: a user's close", true),
        ("process.retake-choked", "high-water", "N5:", true),
        ("leave.last-one-out", "everything", "L1: a user's close", true),
        ("progress.same-bytes", "replaced", "L1: every run comes to rest", false),
        ("output.retake", "flushes-at-shutdown", "O2:", true),
        ("output.relieve", "high-water", "O5:", true),
        ("interest.retake", "flushes-at-shutdown", "I1: epoll's mask becomes", false),
        ("interest.full", "reader-at-the-limit", "L1: every run comes to rest", false),
        ("trigger.close-wakes", "readers", "T4:", true),
        ("trigger.close-wakes", "flusher-that-waits", "T3:", true),
        ("process.install-handler", "handlers", "R1:", true),
        ("leave.last-one-out", "answers", "E3:", true),
        ("leave.shutdown", "flushes-at-shutdown", "G1:", true),
        ("idle.busy-before", "shutdown-of-two-pollers", "L1: every run comes to rest", false),
        ("idle.busy-before", "shutdown-of-two-pollers", "G1:", false),
        ("idle.half-packet-before", "limit-below-a-packet", "L1: every run comes to rest", false),
    ];
    let mut wrong = Vec::new();
    for (guard, name, never, ends) in expected {
        let config = configurations::named(name).expect(name);
        let problems = Graph::build(config.with(|c| c.without = Some(guard))).explored().problems;
        let how = if ends { "nobody can move, and it has not happened" } else { "again and again" };
        if !problems.iter().any(|problem| problem.starts_with(never) && problem.contains(how)) {
            let first = |problem: &String| problem.lines().next().unwrap_or_default().to_owned();
            let said: Vec<String> = problems.iter().map(first).collect();
            wrong.push(format!("without {guard} {name} should say `{never}`, {how}, but says {said:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_decision_is_what_a_transition_asks_for() {
    let word = |names: &[&str]| NAMES.iter().filter(|(_, name)| names.contains(name)).map(|(bit, _)| bit).sum();
    assert_eq!(decision("take", word(&["TASK", "EOF"])), Ok("take: TASK".to_owned()));
    assert_eq!(decision("take", word(&["EOF"])), Ok("take: -".to_owned()));
    assert!(decision("no-transition", 0).is_err());
}
