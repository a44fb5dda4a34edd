//! Tests of the harness itself: that it counts, and that it bites.
//!
//! For: each way in which a model can fail, seen failing; each difference from the committed file, seen
//! reported. Not for: the protocol.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "not explored by a checker")]

use std::collections::BTreeSet;
use std::time::Duration;

use loom_tests::driver::{Driver, End, Run};
use loom_tests::plan::{Bound, Build, Plan};
use loom_tests::record::Scenarios;
#[cfg(any(loom, shuttle))]
use loom_tests::record::{ModelRecord, ShuttleRecord};
use loom_tests::scenario::{Model, Order, models};
use loom_tests::selftest;
use loom_tests::verdict::check;

const LIMIT: Duration = Duration::from_secs(60);

fn driver() -> Driver {
    Driver::new(env!("CARGO_BIN_EXE_model"))
}

/// A plan of this build that sees every interleaving of the toy scenarios, or many.
fn plan() -> Plan {
    match Build::CURRENT {
        Build::Loom | Build::Mutation => Plan::Loom(Bound::Unbounded),
        Build::Shuttle => Plan::Dfs(100_000),
        Build::Std => Plan::Threads(200),
    }
}

fn run(name: &str) -> Run {
    driver().run(name, Order::Forward, plan(), LIMIT).unwrap()
}

fn model(name: &str) -> Model {
    models(selftest::all()).into_iter().find(|model| model.id() == name).unwrap()
}

#[test]
fn a_passing_model_is_counted() {
    let run = run("selftest-two-increments");
    let report = run.passed().unwrap();
    assert!(report.executions > 1);
    assert_eq!(report.outcomes, BTreeSet::from(["counter=2".to_owned()]));
    assert_eq!(report.complete, Build::CURRENT != Build::Std);
}

#[test]
#[cfg(any(loom, shuttle))]
fn both_outcomes_of_a_race_are_reached() {
    let outcomes = run("selftest-lost-update").passed().unwrap().outcomes.clone();
    assert_eq!(outcomes, BTreeSet::from(["counter=1".to_owned(), "counter=2".to_owned()]));
}

#[test]
#[cfg(any(loom, shuttle))]
fn an_assertion_that_fails_is_reported_with_its_execution() {
    let run = run("selftest-assertion");
    let End::Failed(report) = &run.end else { panic!("{}", run.failure()) };
    assert!(report.executions >= 1);
    assert!(report.failure.as_ref().unwrap().contains("an update was lost"), "{report:?}");
}

/// The update that is lost, step by step: both roles load 0, and both store 1.
#[test]
#[cfg(any(loom, shuttle))]
fn a_failure_is_shown_step_by_step_when_it_is_recorded() {
    let run = |recorded| driver().run_recorded("selftest-assertion", Order::Forward, plan(), LIMIT, recorded).unwrap();
    assert!(run(loom_tests::checker::Recorded::Nothing).timeline().is_none());
    let run = run(loom_tests::checker::Recorded::Timeline);
    let timeline = run.timeline().unwrap();
    let texts: Vec<&str> = timeline.rows.iter().map(|row| row.text.as_str()).collect();
    let twice = |text: &str| texts.iter().filter(|found| **found == text).count() == 2;
    assert!(twice("load counter: 0") && twice("store counter = 1"), "{texts:?}");
    let mut threads: Vec<&str> = timeline.rows.iter().map(|row| timeline.threads[row.thread].as_str()).collect();
    threads.sort_unstable();
    threads.dedup();
    assert_eq!(threads, ["1", "main"]);
    assert!(texts.last().unwrap().contains("an update was lost"), "{texts:?}");
}

#[test]
#[cfg(any(loom, shuttle))]
fn the_verdict_on_a_failing_model_has_its_timeline() {
    let mut record = record("selftest-lost-update");
    record.id = "selftest-assertion".to_owned();
    let found = problems("selftest-assertion", record);
    assert!(found.iter().any(|problem| problem.contains("store counter = 1")), "{found:?}");
}

#[test]
#[cfg(any(loom, shuttle))]
fn an_assertion_that_somebody_catches_is_reported_all_the_same() {
    assert!(matches!(run("selftest-hidden-assertion").end, End::Failed(_)));
}

#[test]
#[cfg(loom)]
fn a_data_race_is_reported() {
    assert!(run("selftest-data-race").failure().contains("failed in execution"));
}

#[test]
#[cfg(any(loom, shuttle))]
fn a_deadlock_is_reported() {
    assert!(run("selftest-deadlock").failure().contains("deadlock"), "{}", run("selftest-deadlock").failure());
}

/// A duty that is left to a home loop which nobody wakes is never done, whether or not a thread waits for it.
#[test]
#[cfg(any(loom, shuttle))]
fn a_lost_wake_up_of_the_home_loop_is_reported() {
    let failure = run("selftest-nobody-wakes").failure();
    assert!(failure.contains("deadlock"), "{failure}");
    let failure = run("selftest-left-in-the-queue").failure();
    assert!(failure.contains("left in the queue, and nobody was woken"), "{failure}");
}

#[test]
fn a_model_that_hangs_is_killed() {
    let run = driver().run("selftest-endless", Order::Forward, plan(), Duration::from_millis(300)).unwrap();
    assert!(matches!(run.end, End::Hung(_)));
    assert!(run.passed().is_err());
}

#[test]
fn a_model_that_sleeps_for_ever_is_killed() {
    let driver = driver().asleep(Duration::from_millis(300));
    let run = driver.run("selftest-asleep", Order::Forward, plan(), LIMIT).unwrap();
    assert!(matches!(run.end, End::Hung(used) if used < LIMIT));
}

#[test]
fn a_plan_of_another_build_is_refused() {
    let other = if Build::CURRENT == Build::Std { Plan::Dfs(1) } else { Plan::Threads(1) };
    assert!(driver().run("selftest-two-increments", Order::Forward, other, LIMIT).is_err());
}

#[test]
fn an_unknown_model_is_refused() {
    assert!(driver().run("no-such-model", Order::Forward, plan(), LIMIT).is_err());
}

#[test]
fn a_model_without_a_record_fails_with_the_remedy() {
    let verdict = check(&driver(), Build::CURRENT, &Scenarios::default(), model("selftest-two-increments")).unwrap();
    assert!(verdict.problems.iter().any(|problem| problem.contains("--choose selftest-two-increments")));
}

/// The true record of a toy scenario in this build.
#[cfg(any(loom, shuttle))]
fn record(name: &str) -> ModelRecord {
    let [forward, reverse] =
        Order::BOTH.map(|order| driver().run(name, order, plan(), LIMIT).unwrap().passed().unwrap().clone());
    ModelRecord {
        id: name.to_owned(),
        bound: Bound::Unbounded,
        executions: [forward.executions, reverse.executions],
        shuttle: ShuttleRecord::Dfs { schedules: forward.executions, outcomes: forward.outcomes.len() },
        outcomes: forward.outcomes,
        outcomes_reverse: None,
        beyond_loom: BTreeSet::new(),
    }
}

#[cfg(any(loom, shuttle))]
fn problems(model_name: &str, record: ModelRecord) -> Vec<String> {
    let committed = Scenarios { models: vec![record] };
    check(&driver(), Build::CURRENT, &committed, model(model_name)).unwrap().problems
}

#[test]
#[cfg(any(loom, shuttle))]
fn the_true_record_has_no_problem() {
    assert_eq!(problems("selftest-lost-update", record("selftest-lost-update")), Vec::<String>::new());
}

#[test]
#[cfg(any(loom, shuttle))]
fn a_count_that_differs_fails_in_either_direction() {
    for more in [true, false] {
        let mut record = record("selftest-lost-update");
        let count = |n: u64| if more { n + 1 } else { n - 1 };
        record.executions[1] = count(record.executions[1]);
        if let ShuttleRecord::Dfs { schedules, .. } = &mut record.shuttle {
            *schedules = count(*schedules);
        }
        assert_eq!(problems("selftest-lost-update", record).len(), 1);
    }
}

#[test]
#[cfg(any(loom, shuttle))]
fn an_outcome_that_loom_does_not_have_fails() {
    let mut record = record("selftest-lost-update");
    record.outcomes.remove("counter=1");
    assert!(!problems("selftest-lost-update", record).is_empty());
}

#[test]
#[cfg(loom)]
fn an_outcome_that_is_not_reached_fails() {
    let mut record = record("selftest-lost-update");
    record.outcomes.insert("counter=3".to_owned());
    assert!(!problems("selftest-lost-update", record).is_empty());
}

#[test]
#[cfg(loom)]
fn a_race_with_one_outcome_fails() {
    use loom_tests::scenario::Scenario;
    let toy = model("selftest-two-increments").scenario;
    let race: &'static Scenario = Box::leak(Box::new(Scenario { race: true, ..copy(toy) }));
    let committed = Scenarios { models: vec![record("selftest-two-increments")] };
    let verdict = check(&driver(), Build::CURRENT, &committed, models([race])[0]).unwrap();
    assert!(verdict.problems.iter().any(|problem| problem.contains("never meet")), "{verdict:?}");
}

#[cfg(loom)]
fn copy(scenario: &loom_tests::scenario::Scenario) -> loom_tests::scenario::Scenario {
    let &loom_tests::scenario::Scenario { name, chapter, clauses, sentence, runners, race, body } = scenario;
    loom_tests::scenario::Scenario { name, chapter, clauses, sentence, runners, race, body }
}
