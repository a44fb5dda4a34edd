//! shuttle's scheduler for the atlas: which thread goes next, in the execution that is explored now.
//!
//! The search is depth-first over choices. A choice is made where a thread has said what it is about to do; the way
//! to a thread's first operation and from its last one to its end touch nothing that others see, so they are no
//! choice. Two ways to prune, never both: a preemption bound (a switch away from a thread that could go on), or sleep
//! sets (of two orders of steps on different cells, or of two loads of one cell, one is enough).

use std::sync::{Arc, Mutex, PoisonError};

use pollproof::sync::record::{self, Intent, Op};
use shuttle::scheduler::{Schedule, Task, TaskId};

use super::watch;
use crate::race::curtain;
use crate::report::Turn;

/// A longer execution does not end by itself.
const MOST_STEPS: usize = 500;

/// How the search goes.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Every order with at most so many preemptions.
    Bounded(u8),
    /// Every order, each class of equivalent ones once.
    Everything,
    /// One execution along these turns.
    Follow(Vec<Turn>),
    /// One execution along these choices; it stops after them.
    Choices(Vec<usize>),
    /// Every order that begins with these choices and has at most so many preemptions after them.
    From(Vec<usize>, u8),
}

/// A thread that could go on, and with what.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name.
    pub thread: String,
    /// What it would do, in words; nothing where that is not shown.
    pub step: Option<String>,
    task: TaskId,
    intent: Option<Intent>,
    /// It costs a preemption to let it go now.
    costs: bool,
}

impl Candidate {
    /// Whether the order of the two matters to nobody.
    fn independent(&self, other: &Candidate) -> bool {
        let (Some(mine), Some(its)) = (self.intent, other.intent) else { return false };
        // By its number, because the two may come from two executions, whose addresses differ.
        let known = |intent: Intent| intent.number != 0 && intent.op != Op::Lock;
        known(mine) && known(its) && (mine.number != its.number || (mine.op.only_reads() && its.op.only_reads()))
    }
}

struct Level {
    candidates: Vec<Candidate>,
    done: Vec<bool>,
    /// Threads that would only repeat, in another order, what was explored.
    sleep: Vec<Candidate>,
    chosen: usize,
    /// Preemptions before this choice.
    preemptions: u8,
}

impl Level {
    /// The first candidate that is still to be explored.
    fn next(&self, mode: &Mode, depth: usize) -> Option<usize> {
        let bound = match mode {
            Mode::Bounded(bound) => Some(*bound),
            Mode::From(prefix, bound) if depth >= prefix.len() => Some(*bound),
            _ => None,
        };
        let allowed = |at: &usize| {
            let candidate = &self.candidates[*at];
            let asleep = self.sleep.iter().any(|other| other.task == candidate.task);
            let in_bound = bound.is_none_or(|bound| !candidate.costs || self.preemptions < bound);
            !self.done[*at] && !asleep && in_bound
        };
        (0..self.candidates.len()).find(allowed)
    }
}

/// The state of a search between its executions.
pub(super) struct Search {
    mode: Mode,
    levels: Vec<Level>,
    depth: usize,
    begun: bool,
    over: bool,
    /// Executions that went to their end, or failed.
    pub(super) executions: u64,
    /// No more than these.
    pub(super) most: u64,
    /// Who could go on where a single execution stopped.
    pub(super) candidates: Vec<Candidate>,
    /// The turn that is followed now.
    turn: usize,
    cut: bool,
}

impl Search {
    pub(super) fn new(mode: Mode) -> Self {
        Self {
            mode,
            levels: Vec::new(),
            depth: 0,
            begun: false,
            over: false,
            executions: 0,
            most: u64::MAX,
            candidates: Vec::new(),
            turn: 0,
            cut: false,
        }
    }

    pub(super) fn exhausted(&self) -> bool {
        self.over
    }

    /// The choice that the last execution made at `depth`.
    pub(super) fn choice_at(&self, depth: usize) -> Option<usize> {
        self.levels.get(depth).map(|level| level.chosen)
    }

    /// The threads that the last execution chose, choice by choice.
    pub(super) fn threads_chosen(&self) -> Vec<String> {
        let chosen = |level: &Level| level.candidates[level.chosen].thread.clone();
        self.levels[..self.depth.min(self.levels.len())].iter().map(chosen).collect()
    }

    fn begin(&mut self) -> bool {
        if self.begun {
            self.executions -= u64::from(self.cut);
            self.cut = false;
            if !self.backtrack() {
                self.over = true;
                return false;
            }
        }
        if self.executions >= self.most {
            // What comes next has been chosen already.
            self.begun = false;
            return false;
        }
        (self.begun, self.cut, self.depth) = (true, false, 0);
        self.turn = 0;
        self.executions += 1;
        true
    }

    /// Moves to the next way; `false` when there is none.
    fn backtrack(&mut self) -> bool {
        if let Mode::Follow(_) | Mode::Choices(_) = self.mode {
            return false;
        }
        let least = if let Mode::From(prefix, _) = &self.mode { prefix.len() } else { 0 };
        self.levels.truncate(self.depth);
        while self.levels.len() > least {
            let depth = self.levels.len() - 1;
            if let Some(level) = self.levels.last_mut() {
                level.done[level.chosen] = true;
                if let Some(next) = level.next(&self.mode, depth) {
                    level.chosen = next;
                    return true;
                }
            }
            self.levels.pop();
        }
        false
    }

    /// One of `candidates`, of which there are at least one; `None` ends this execution.
    fn choose(&mut self, candidates: Vec<Candidate>) -> Option<TaskId> {
        if self.depth == self.levels.len() {
            let (preemptions, sleep) = self.levels.last().map_or((0, Vec::new()), |last| {
                let chosen = &last.candidates[last.chosen];
                (last.preemptions + u8::from(chosen.costs), self.sleepers(last, chosen))
            });
            let done = vec![false; candidates.len()];
            let mut level = Level { candidates, done, sleep, chosen: 0, preemptions };
            level.chosen = match &self.mode {
                Mode::Choices(choices) | Mode::From(choices, _) if self.depth < choices.len() => choices[self.depth],
                Mode::Choices(_) => {
                    self.candidates = level.candidates;
                    return None;
                }
                Mode::Follow(turns) => follow(turns, &mut self.turn, &level.candidates),
                _ => match level.next(&self.mode, self.depth) {
                    Some(next) => next,
                    None => {
                        // Everything from here on was explored in another order.
                        self.cut = true;
                        return None;
                    }
                },
            };
            if let Mode::From(choices, _) = &self.mode
                && self.depth < choices.len()
            {
                // What came before does not count.
                level.candidates.iter_mut().for_each(|candidate| candidate.costs = false);
            }
            self.levels.push(level);
        }
        let level = &self.levels[self.depth];
        self.depth += 1;
        if self.depth > MOST_STEPS {
            watch::fail("L1: this never ends");
            return None;
        }
        level.candidates.get(level.chosen).map(|candidate| candidate.task)
    }

    fn sleepers(&self, level: &Level, chosen: &Candidate) -> Vec<Candidate> {
        if !matches!(self.mode, Mode::Everything) {
            return Vec::new();
        }
        let done = level.candidates.iter().zip(&level.done).filter(|(_, done)| **done).map(|(candidate, _)| candidate);
        done.chain(&level.sleep).filter(|other| other.independent(chosen)).cloned().collect()
    }
}

/// Whose turn it is: the thread of the current turn until that is over, then that of the next. Where the named
/// thread cannot go on, the turn is over; after the last, whoever went on before.
fn follow(turns: &[Turn], at: &mut usize, candidates: &[Candidate]) -> usize {
    let by_name = |name: &str| candidates.iter().position(|candidate| candidate.thread == name);
    while let Some(turn) = turns.get(*at) {
        let over = !turn.to_the_end && is_over(turn);
        match by_name(&turn.thread) {
            Some(found) if !over => return found,
            _ => *at += 1,
        }
    }
    0
}

/// Whether the latest steps are all that `turn` asks for.
fn is_over(turn: &Turn) -> bool {
    let timeline = loom_tests::timeline::of_record();
    let mine = |row: &&loom_tests::timeline::Row| timeline.threads[row.thread] == turn.thread;
    let rows: Vec<_> = timeline.rows.iter().rev().take_while(|row| mine(row)).collect();
    let note = |row: &&&loom_tests::timeline::Row| row.kind == loom_tests::timeline::Kind::Note;
    let since = match &turn.after {
        None => rows.len(),
        Some(text) => match rows.iter().position(|row| note(&row) && row.text == *text) {
            Some(at) => at,
            None => return false,
        },
    };
    rows[..since].iter().filter(|row| !note(row)).count() >= turn.steps
}

/// What shuttle is given: the search itself outlives it.
pub(super) struct Scheduler(pub(super) Arc<Mutex<Search>>);

impl shuttle::scheduler::Scheduler for Scheduler {
    fn new_execution(&mut self) -> Option<Schedule> {
        let mut search = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!watch::failed() && search.begin()).then(|| Schedule::new(0))
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, yields: bool) -> Option<TaskId> {
        if watch::failed() {
            return None;
        }
        let main = |task: &&&Task| usize::from(task.id()) == 0;
        let found = runnable.iter().find(main).map(|task| task.id());
        if found.is_some() && (!curtain::racing() || runnable.len() == 1) {
            return found;
        }
        let others: Vec<TaskId> = runnable.iter().filter(|task| !main(task)).map(|task| task.id()).collect();
        if let Some(silent) = others.iter().copied().find(|task| silent(*task)) {
            return Some(silent);
        }
        let mut candidates = candidates(&others, current, yields);
        let mut search = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(search.mode, Mode::Choices(_) | Mode::From(..)) {
            // The current thread first: the first execution then has no preemption at all. By hand, in one order.
            candidates.sort_by_key(|candidate| Some(candidate.task) != current);
        }
        search.choose(candidates)
    }

    fn next_u64(&mut self) -> u64 {
        0
    }
}

/// Whether what the thread does up to its next operation touches nothing that others see: it has not begun, or it is
/// through.
fn silent(task: TaskId) -> bool {
    record::with(|log| log.task(usize::from(task)).is_none_or(|thread| thread.ended))
}

fn candidates(tasks: &[TaskId], current: Option<TaskId>, yields: bool) -> Vec<Candidate> {
    record::with(|log| {
        let running = current.filter(|task| tasks.contains(task) && !yields);
        let has_begun = |task: TaskId| log.task(usize::from(task)).is_some_and(|thread| thread.steps > 0);
        let preempts = running.is_some_and(has_begun);
        let waits = yields && tasks.len() > 1;
        let of = |task: &TaskId| {
            let thread = log.task(usize::from(*task));
            let intent = thread.and_then(|thread| thread.next);
            Candidate {
                thread: thread.map(|thread| thread.name).filter(|name| !name.is_empty()).unwrap_or("task").to_owned(),
                step: intent.and_then(|intent| loom_tests::timeline::intent(log, &intent)),
                task: *task,
                intent,
                costs: preempts && Some(*task) != running,
            }
        };
        tasks.iter().filter(|task| !(waits && Some(**task) == current)).map(of).collect()
    })
}
