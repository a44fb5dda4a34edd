//! The suite: every model, by the checker that this build has.
//!
//! For: `cargo test`, `RUSTFLAGS="--cfg loom" cargo test`, `RUSTFLAGS="--cfg shuttle" cargo test`, and
//! nextest. Each model is one test and prints one line; beside them stand the tests that the suite is
//! not green because it is empty.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "not explored by a checker")]

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::LazyLock;

use libtest_mimic::{Arguments, Failed, Trial};
use loom_tests::driver::Driver;
use loom_tests::plan::Build;
use loom_tests::record::{Committed, Scenarios};
use loom_tests::scenario::{Model, models};
use loom_tests::{all, verdict};

/// Fewer models than this, and something is cut off that should not be.
const AT_LEAST: usize = 90;

static COMMITTED: LazyLock<anyhow::Result<Scenarios>> = LazyLock::new(Scenarios::load);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Two children at a time by default: the counts do not depend on it, but the time does.
    arguments.test_threads.get_or_insert(loom_tests::driver::PARALLEL);
    let mut trials: Vec<Trial> =
        models(all()).into_iter().map(|model| Trial::test(model.id(), move || check(model))).collect();
    trials.push(Trial::test("suite-is-not-empty", not_empty));
    trials.push(Trial::test("suite-names-are-unique", unique));
    trials.push(Trial::test("suite-records-no-model-that-is-gone", no_stale_record));
    trials.push(Trial::test("suite-is-the-build-that-was-asked-for", right_build));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn check(model: Model) -> Result<(), Failed> {
    let driver = Driver::new(env!("CARGO_BIN_EXE_model"));
    let verdict = verdict::check(&driver, Build::CURRENT, committed()?, model)?;
    println!("{verdict}");
    if verdict.problems.is_empty() { Ok(()) } else { Err(verdict.problems.join("\n").into()) }
}

fn committed() -> Result<&'static Scenarios, Failed> {
    COMMITTED.as_ref().map_err(|error| format!("{error:#}").into())
}

fn not_empty() -> Result<(), Failed> {
    let count = models(all()).len();
    if count < AT_LEAST { Err(format!("{count} models, at least {AT_LEAST} are expected").into()) } else { Ok(()) }
}

fn unique() -> Result<(), Failed> {
    let mut seen = BTreeSet::new();
    match all().iter().find(|scenario| !seen.insert(scenario.name)) {
        Some(scenario) => Err(format!("two scenarios are named `{}`", scenario.name).into()),
        None => Ok(()),
    }
}

fn no_stale_record() -> Result<(), Failed> {
    let ids: BTreeSet<String> = models(all()).iter().map(Model::id).collect();
    match committed()?.models.iter().find(|record| !ids.contains(&record.id)) {
        Some(record) => Err(format!("scenarios.toml has `{}`, which is no model", record.id).into()),
        None => Ok(()),
    }
}

/// An empty RUSTFLAGS in the environment wins over every other place that sets it, so a caller who wants
/// a checker says so twice: by RUSTFLAGS, and by POLLPROOF_BUILD.
fn right_build() -> Result<(), Failed> {
    match std::env::var("POLLPROOF_BUILD") {
        Ok(wanted) if wanted != Build::CURRENT.name() => {
            Err(format!("the {wanted} build was asked for, this is the {} build", Build::CURRENT.name()).into())
        }
        _ => Ok(()),
    }
}
