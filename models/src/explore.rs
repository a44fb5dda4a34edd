//! The checkers' side of the atlas: carries out one exploration of one variant, in this process.
//!
//! For: the `explore` binary, which `cargo race` builds once for each checker and runs as a child. A build explores
//! what its checker can: the shuttle build orders, the loom build weak memory as well.

use anyhow::{Context as _, bail};
use loom_tests::plan::Bound;
use loom_tests::scenario::Order;

use crate::race::{Race, Variant};
use crate::report::{Failure, Turn};
use crate::{races, selftest};

/// What a child is asked to do.
#[derive(Clone, Debug)]
pub enum Task {
    /// Find the smallest bound at which it breaks, and a short timeline, in no more executions than this. With a bound
    /// and a failure: whether it breaks like that, within the bound.
    Find(u64, Option<(u8, Failure)>),
    /// Explore every order, or every order within the bound.
    Prove(Bound, u64),
    /// Run along these turns.
    Follow(Vec<Turn>),
    /// Be scheduled by hand.
    Step,
    /// Make the state graph; where it has more states than this, those next to the execution along these turns.
    Graph(usize, Vec<Turn>),
    /// Explore under loom.
    Loom(Bound, Order),
}

/// The race and the variant of that name.
///
/// # Errors
///
/// When there is none.
pub fn select(race: &str, variant: &str) -> anyhow::Result<(&'static Race, &'static Variant)> {
    let known = races::find(race).or_else(|| selftest::RACES.iter().copied().find(|wrong| wrong.name == race));
    let race = known.with_context(|| format!("there is no race `{race}`"))?;
    let found = race.variant(variant).with_context(|| format!("`{}` has no variant `{variant}`", race.name))?;
    Ok((race, found))
}

/// Carries out `task` and prints what it showed as the last line.
///
/// # Errors
///
/// When this build cannot.
pub fn run(race: &'static Race, variant: &'static Variant, task: Task) -> anyhow::Result<()> {
    match task {
        #[cfg(shuttle)]
        Task::Find(most, like) => print(&crate::search::find(variant, most, like.as_ref())),
        #[cfg(shuttle)]
        Task::Prove(bound, most) => print(&crate::search::prove(variant, bound, most)),
        #[cfg(shuttle)]
        Task::Follow(turns) => print(&crate::search::follow(variant, turns)),
        #[cfg(shuttle)]
        Task::Step => crate::step::play(race, variant),
        #[cfg(shuttle)]
        Task::Graph(most, turns) => print(&crate::search::graph(variant, most, turns)),
        #[cfg(loom)]
        Task::Loom(bound, order) => print(&weak::explore(variant, bound, order)?),
        #[allow(unreachable_patterns, reason = "each build can do some of it")]
        task => {
            let _ = variant;
            bail!("{}: this build cannot do {task:?}", race.name)
        }
    }
}

#[cfg(any(loom, shuttle))]
fn print(what: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(what)?);
    Ok(())
}

/// loom: a run that fails prints its report from the panic hook and ends the process there, because unwinding out of
/// loom may abort.
#[cfg(loom)]
mod weak {
    use std::panic::{self, PanicHookInfo};
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use loom_tests::checker;
    use loom_tests::checker::FAILED;
    use loom_tests::plan::{Bound, Plan};
    use loom_tests::recording;
    use loom_tests::scenario::Order;
    use loom_tests::timeline::of_record;

    use crate::cast;
    use crate::race::{Stage, Variant};
    use crate::report::{Broken, Failure, Finding};

    static EXECUTIONS: AtomicU64 = AtomicU64::new(0);

    pub(super) fn explore(variant: &'static Variant, bound: Bound, order: Order) -> anyhow::Result<Finding> {
        panic::set_hook(Box::new(move |info| fail(bound, info)));
        let body = variant.body;
        checker::explore(Plan::Loom(bound), move || {
            EXECUTIONS.fetch_add(1, Relaxed);
            recording::start();
            body(&Stage::new(order));
            recording::stop();
        })?;
        let _ = panic::take_hook();
        Ok(Finding::Holds { executions: EXECUTIONS.load(Relaxed), parts: cast::met() })
    }

    fn fail(bound: Bound, info: &PanicHookInfo<'_>) {
        let failure = Failure::of(info.payload_as_str().unwrap_or("a panic without a message"));
        let mut timeline = of_record();
        timeline.break_at_the_end(failure.message.clone());
        let bound = if let Bound::Preemptions(bound) = bound { bound } else { u8::MAX };
        let executions = EXECUTIONS.load(Relaxed);
        let broken = Broken { failure, bound, executions, timeline, schedule: Vec::new(), parts: cast::met() };
        match serde_json::to_string(&Finding::Breaks(Box::new(broken))) {
            Ok(line) => println!("{line}"),
            Err(error) => eprintln!("the report cannot be written: {error}"),
        }
        std::process::exit(FAILED);
    }
}
