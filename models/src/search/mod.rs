//! The search for the shortest failing order, and the proof that there is none: shuttle, with a scheduler of our own.
//!
//! For: variants that break by the order of steps, and the repaired ones. Weak memory is loom's business. One process
//! runs one of these at a time, because the record and what broke are kept beside the checker.

mod graph;
mod scheduler;
pub mod watch;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use loom_tests::plan::Bound;
use loom_tests::recording;
use loom_tests::scenario::Order;
use loom_tests::timeline::Timeline;
use shuttle::{Config, FailurePersistence, Runner};

use crate::cast;
use crate::race::{Stage, Variant, curtain};
use crate::report::{Broken, Failure, Finding, Turn};
pub use graph::graph;
pub use scheduler::{Candidate, Mode};
use scheduler::{Scheduler, Search};

/// The largest preemption bound that is tried before the whole space is.
const LARGEST_BOUND: u8 = 6;
/// How long the search goes on after the first failure, for a shorter one.
const FURTHER: u64 = 20_000;

/// One exploration: its search, and what came out so far.
struct Exploration {
    variant: &'static Variant,
    search: Arc<Mutex<Search>>,
    executions: u64,
    /// The last rows of the executions that went to their end, where they are asked for.
    endings: Option<Arc<Mutex<BTreeSet<String>>>>,
}

/// What one execution showed.
struct Seen {
    failure: Failure,
    timeline: Timeline,
    schedule: Vec<Turn>,
}

impl Exploration {
    fn new(variant: &'static Variant, mode: Mode) -> Self {
        watch::install();
        Self { variant, search: Arc::new(Mutex::new(Search::new(mode))), executions: 0, endings: None }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Search) -> R) -> R {
        f(&mut self.search.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs on to the next failure; `None` when the search has ended, or `most` executions have run.
    fn next_failure(&mut self, most: u64) -> Option<Seen> {
        loop {
            if self.with(|search| search.exhausted()) || self.executions >= most {
                return None;
            }
            self.with(|search| search.most = most);
            watch::clear();
            let mut config = Config::new();
            config.stack_size = 0x2_0000;
            config.silence_warnings = true;
            config.failure_persistence = FailurePersistence::None;
            let body = self.variant.body;
            let endings = self.endings.clone();
            let runner = Runner::new(Scheduler(self.search.clone()), config);
            // A failing execution unwinds out of the runner; what failed is in `watch` by then, and the search knows
            // where it was.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                runner.run(move || {
                    watch::clear();
                    curtain::fall();
                    recording::start();
                    body(&Stage::new(Order::Forward));
                    recording::stop();
                    if let Some(endings) = &endings {
                        endings.lock().unwrap_or_else(PoisonError::into_inner).insert(watch::ending());
                    }
                });
            }));
            recording::stop();
            self.executions = self.with(|search| search.executions);
            if let Some((failure, timeline)) = watch::taken() {
                let schedule = Turn::all_of(&timeline);
                return Some(Seen { failure, timeline, schedule });
            }
        }
    }

    /// The same, past the failures that are not like `like`.
    fn next_like(&mut self, like: Option<&Failure>, most: u64) -> Option<Seen> {
        loop {
            let seen = self.next_failure(most)?;
            if like.is_none_or(|like| seen.failure.same(like)) {
                return Some(seen);
            }
        }
    }
}

/// Raises the preemption bound from 0 until the variant breaks; then looks on, at that bound, for a shorter timeline.
/// With `like`: until it breaks like that, and no further than that bound.
pub fn find(variant: &'static Variant, most: u64, like: Option<&(u8, Failure)>) -> Finding {
    let mut executions = 0;
    for bound in 0..=like.map_or(LARGEST_BOUND, |(bound, _)| *bound) {
        let mut exploration = Exploration::new(variant, Mode::Bounded(bound));
        if let Some(first) = exploration.next_like(like.map(|(_, failure)| failure), most) {
            executions += exploration.executions;
            let mut best = first;
            let further = exploration.executions + FURTHER;
            while let Some(seen) = exploration.next_failure(further) {
                let length = |seen: &Seen| (seen.timeline.rows.len(), seen.timeline.switches());
                if seen.failure.same(&best.failure) && length(&seen) < length(&best) {
                    best = seen;
                }
            }
            return broke(best, bound, executions);
        }
        executions += exploration.executions;
        if executions >= most {
            return Finding::Unfinished { executions };
        }
    }
    match like {
        Some(_) => Finding::Holds { executions, parts: cast::met() },
        None => prove(variant, Bound::Unbounded, most),
    }
}

fn broke(seen: Seen, bound: u8, executions: u64) -> Finding {
    let Seen { failure, mut timeline, schedule } = seen;
    timeline.break_at_the_end(failure.message.clone());
    Finding::Breaks(Box::new(Broken { failure, bound, executions, timeline, schedule, parts: cast::met() }))
}

/// Explores every order, each class of equivalent ones once; or every order within a preemption bound.
pub fn prove(variant: &'static Variant, bound: Bound, most: u64) -> Finding {
    let mode = match bound {
        Bound::Unbounded => Mode::Everything,
        Bound::Preemptions(bound) => Mode::Bounded(bound),
    };
    let mut exploration = Exploration::new(variant, mode);
    match exploration.next_failure(most) {
        Some(seen) => broke(seen, u8::MAX, exploration.executions),
        None if exploration.with(|search| search.exhausted()) => {
            Finding::Holds { executions: exploration.executions, parts: cast::met() }
        }
        None => Finding::Unfinished { executions: exploration.executions },
    }
}

/// How the executions of `mode` end: what is set after the last step, and what each thread did and saw.
pub fn endings(variant: &'static Variant, mode: Mode) -> BTreeSet<String> {
    let mut exploration = Exploration::new(variant, mode);
    let endings = Arc::new(Mutex::new(BTreeSet::new()));
    exploration.endings = Some(endings.clone());
    while exploration.next_failure(u64::MAX).is_some() {}
    std::mem::take(&mut endings.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Runs one execution along `turns`, as far as they apply, and then without switching.
pub fn follow(variant: &'static Variant, turns: Vec<Turn>) -> (Timeline, Option<Failure>) {
    let mut exploration = Exploration::new(variant, Mode::Follow(turns));
    match exploration.next_failure(1) {
        Some(Seen { failure, mut timeline, .. }) => {
            timeline.break_at_the_end(failure.message.clone());
            (timeline, Some(failure))
        }
        None => (watch::last(), None),
    }
}

/// The thread of each choice of one execution along `turns`.
fn threads_along(variant: &'static Variant, turns: Vec<Turn>) -> Vec<String> {
    let mut exploration = Exploration::new(variant, Mode::Follow(turns));
    let _ = exploration.next_failure(1);
    exploration.with(|search| search.threads_chosen())
}

/// Where an execution stands after some choices.
pub struct Position {
    /// What has happened.
    pub timeline: Timeline,
    /// Who can go on; empty at the end.
    pub candidates: Vec<Candidate>,
    /// What broke, at the end.
    pub failure: Option<Failure>,
}

/// Runs one execution along `choices`, each the index of a candidate, and stops there.
pub fn at(variant: &'static Variant, choices: &[usize]) -> Position {
    let mut exploration = Exploration::new(variant, Mode::Choices(choices.to_vec()));
    let seen = exploration.next_failure(1);
    let candidates = exploration.with(|search| std::mem::take(&mut search.candidates));
    match seen {
        Some(Seen { failure, mut timeline, .. }) => {
            timeline.break_at_the_end(failure.message.clone());
            Position { timeline, candidates: Vec::new(), failure: Some(failure) }
        }
        None => Position { timeline: watch::last(), candidates, failure: None },
    }
}

/// The next choice on the shortest way from `choices` to a failure, if there is one within `most` executions.
pub fn hint(variant: &'static Variant, choices: &[usize], most: u64) -> Option<usize> {
    for bound in 0..=LARGEST_BOUND {
        let mut exploration = Exploration::new(variant, Mode::From(choices.to_vec(), bound));
        if exploration.next_failure(most).is_some() {
            return exploration.with(|search| search.choice_at(choices.len()));
        }
    }
    None
}
