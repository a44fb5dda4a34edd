//! Carries out one plan for one model, in this process.
//!
//! For: the `model` binary. Not for: comparing with what is committed, see [`crate::verdict`].
//!
//! A failing run does not return: the panic hook prints the report and ends the process there and then.
//! Unwinding out of a checker's coroutines may abort or hang, and the code under test catches panics
//! of handlers, which would hide an assertion that failed inside one. A scenario whose *handler* is to
//! panic throws with [`std::panic::resume_unwind`], which calls no hook.

#[cfg(loom)]
mod loom;
#[cfg(loom)]
use self::loom as backend;

#[cfg(shuttle)]
mod shuttle;
#[cfg(shuttle)]
use self::shuttle as backend;

#[cfg(not(any(loom, shuttle)))]
mod threads;
#[cfg(not(any(loom, shuttle)))]
use self::threads as backend;

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::ensure;

use crate::plan::{Build, Plan};
use crate::report::Report;
use crate::scenario::{Model, Order, Setup};
use crate::{recording, steps};
use tally::Tally;

/// The exit status of a run that failed and said so.
pub const FAILED: i32 = 101;

/// What a run writes down beside its outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Nothing.
    Nothing,
    /// How a failing execution came to that.
    Timeline,
    /// The steps of the word, of all executions together.
    Steps,
}

/// Explores any `execution` as `plan` says; returns whether a search saw all that it was asked to see.
///
/// # Errors
///
/// When this build cannot carry out `plan`.
pub fn explore(plan: Plan, execution: impl Fn() + Send + Sync + 'static) -> anyhow::Result<bool> {
    backend::explore(plan, execution)
}

/// Runs `model` as `plan` says. `resume_unwind` apart, any panic ends the process with a failed report.
///
/// # Errors
///
/// When this build cannot carry out `plan`.
///
/// What is `recorded` of each execution is in the report.
pub fn run(model: Model, order: Order, plan: Plan, recorded: Recorded) -> anyhow::Result<Report> {
    ensure!(
        Build::CURRENT.carries_out(plan.build()),
        "plan {plan} needs the {} build, this is the {} build",
        plan.build().name(),
        Build::CURRENT.name()
    );
    let report = Report {
        model: model.id(),
        order: order.name().to_owned(),
        plan: plan.to_string(),
        executions: 0,
        complete: false,
        outcomes: BTreeSet::new(),
        seconds: 0.0,
        failure: None,
        place: None,
        touched: Vec::new(),
        timeline: None,
        steps: BTreeSet::new(),
    };
    let tally = Tally::start(report.clone());
    if recorded == Recorded::Steps {
        steps::start();
    }
    let started = Instant::now();
    let setup = Setup::new(order, model.runner);
    let body = model.scenario.body;
    let complete = backend::explore(plan, move || {
        tally.begin();
        if recorded != Recorded::Nothing {
            recording::start();
        }
        tally.end(body(&setup));
        steps::collect();
    })?;
    let (executions, outcomes) = tally.finish();
    let (touched, steps) = (touched(), steps::take());
    Ok(Report { executions, complete, outcomes, seconds: started.elapsed().as_secs_f64(), touched, steps, ..report })
}

/// From here on an execution with any other outcome fails the run at once. For mutants, which need not go on then.
pub fn allow_only(outcomes: BTreeSet<String>) {
    tally::allow_only(outcomes);
}

#[cfg(mutation)]
fn touched() -> Vec<String> {
    pollproof::mutation::touched()
}

#[cfg(not(mutation))]
fn touched() -> Vec<String> {
    Vec::new()
}

/// Counting and collecting beside the checkers: `std` types on purpose, which no checker sees.
mod tally {
    #![allow(
        clippy::disallowed_types,
        reason = "the tally must be invisible to the checker whose executions it counts"
    )]

    use std::collections::BTreeSet;
    use std::panic::{self, PanicHookInfo};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::time::Instant;

    use crate::failure::NOT_COMMITTED;
    use crate::report::Report;
    use crate::timeline::Timeline;

    static EXECUTIONS: AtomicU64 = AtomicU64::new(0);
    static OUTCOMES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    static ALLOWED: OnceLock<BTreeSet<String>> = OnceLock::new();

    pub(super) fn allow_only(outcomes: BTreeSet<String>) {
        ALLOWED.get_or_init(|| outcomes);
    }

    /// The counters of the one run that this process is making.
    #[derive(Clone, Copy)]
    pub(super) struct Tally;

    impl Tally {
        /// Starts from zero and installs the hook that reports a failure.
        pub(super) fn start(blank: Report) -> Self {
            EXECUTIONS.store(0, Ordering::Relaxed);
            outcomes().clear();
            let started = Instant::now();
            panic::set_hook(Box::new(move |info| fail(&blank, started, info)));
            Tally
        }

        pub(super) fn begin(self) {
            EXECUTIONS.fetch_add(1, Ordering::Relaxed);
        }

        pub(super) fn end(self, outcome: String) {
            let mut outcomes = outcomes();
            if !outcomes.contains(&outcome) {
                let allowed = ALLOWED.get().is_none_or(|allowed| allowed.contains(&outcome));
                assert!(allowed, "{NOT_COMMITTED}{outcome}");
                outcomes.insert(outcome);
            }
        }

        pub(super) fn finish(self) -> (u64, BTreeSet<String>) {
            let _ = panic::take_hook();
            (EXECUTIONS.load(Ordering::Relaxed), std::mem::take(&mut outcomes()))
        }
    }

    fn outcomes() -> std::sync::MutexGuard<'static, BTreeSet<String>> {
        OUTCOMES.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What led to the failure, if it was recorded.
    fn timeline(what: &str) -> Option<Timeline> {
        #[cfg(any(loom, shuttle))]
        {
            let mut timeline = crate::timeline::of_record();
            timeline.break_at_the_end(what.lines().next().unwrap_or_default().to_owned());
            (timeline.rows.len() > 1).then_some(timeline)
        }
        #[cfg(not(any(loom, shuttle)))]
        {
            let _ = what;
            None
        }
    }

    /// The hook: prints the report of the failed run and ends the process.
    fn fail(blank: &Report, started: Instant, info: &PanicHookInfo<'_>) {
        let what = info.payload_as_str().unwrap_or("a panic without a message");
        let place = info.location().map(|l| format!("{}:{}", l.file(), l.line()));
        let report = Report {
            executions: EXECUTIONS.load(Ordering::Relaxed),
            outcomes: OUTCOMES.try_lock().map(|set| set.clone()).unwrap_or_default(),
            seconds: started.elapsed().as_secs_f64(),
            failure: Some(what.to_owned()),
            place,
            timeline: timeline(what),
            ..blank.clone()
        };
        eprintln!(
            "{} {} {} failed in execution {}: {}",
            report.model,
            report.order,
            report.plan,
            report.executions,
            report.told()
        );
        let trace = std::backtrace::Backtrace::capture();
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            eprintln!("{trace}");
        }
        match serde_json::to_string(&report) {
            Ok(line) => println!("{line}"),
            Err(error) => eprintln!("the report cannot be written: {error}"),
        }
        std::process::exit(super::FAILED);
    }
}
