//! What each thread of one execution did, step by step. Only in the builds that a checker explores.
//!
//! For: timelines of executions (`loom-tests`, `models`). The recorder keeps its log behind `std` types, which no
//! checker sees: it adds no operation and no place to switch, so it changes no count. A step is written right after
//! its operation, and neither checker switches between the two: the order of the log is the true order, and it
//! survives a panic. Off until [`start`].
//!
//! Not here: what a step means, and how it is drawn.
#![allow(clippy::disallowed_types, reason = "the recorder must be invisible to the checker")]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a step did to its cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// A load.
    Load,
    /// A store. Its step does not know what it replaced.
    Store,
    /// A read-modify-write that cannot fail.
    Update,
    /// A compare-exchange, and whether it succeeded once it is done.
    Exchange(bool),
    /// A lock was taken.
    Lock,
    /// A plain cell is read.
    Read,
    /// A plain cell is written.
    Write,
    /// No operation: something that happened at this point.
    Note,
}

impl Op {
    /// Whether it changes nothing, so that two of the kind on one cell can change places.
    pub fn only_reads(self) -> bool {
        matches!(self, Op::Load | Op::Read)
    }
}

/// An operation that a thread is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Intent {
    /// What it will do.
    pub op: Op,
    /// To which cell, by address.
    pub cell: usize,
    /// To which cell, by a number that is the same in every execution: addresses are not. 0 if it has none.
    pub number: u64,
    /// The argument: what it stores, sets, adds; of a compare-exchange the new value.
    pub operand: u64,
    /// The name of the operation, if it was given one.
    pub label: &'static str,
}

/// An operation that a thread did.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which thread, an index of [`Log::threads`].
    pub thread: usize,
    /// What it did.
    pub op: Op,
    /// To which cell, by address.
    pub cell: usize,
    /// The value that it found; nothing for a store.
    pub seen: Option<u64>,
    /// The value that it left.
    pub left: u64,
    /// The name of the operation, or the text of a note.
    pub label: Cow<'static, str>,
    /// Where in the source.
    pub place: &'static Location<'static>,
}

/// How the value of a cell reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A word of bits, by their names.
    Bits(&'static [(u32, &'static str)]),
    /// One of these, counted from 0.
    Values(&'static [&'static str]),
    /// Set or not.
    Flag,
    /// A number.
    Number,
    /// Not at all, except where a step on it has a label: that is then a note.
    Hidden,
}

/// A cell that was given a name.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// Its address.
    pub cell: usize,
    /// Its name.
    pub name: &'static str,
    /// How it reads.
    pub shown: Shown,
}

/// One thread of an execution.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Its name, empty if it was given none.
    pub name: &'static str,
    /// What it is about to do, if that is known.
    pub next: Option<Intent>,
    /// How many steps it has recorded.
    pub steps: usize,
    /// It has said that it does nothing any more.
    pub ended: bool,
    label: &'static str,
    /// How many cells it has made.
    made: u64,
    identity: Identity,
}

#[cfg(loom)]
type Identity = loom::thread::ThreadId;
#[cfg(shuttle)]
type Identity = usize;

#[cfg(loom)]
fn identity() -> Identity {
    loom::thread::current().id()
}

#[cfg(shuttle)]
fn identity() -> Identity {
    usize::from(shuttle::current::me())
}

/// Everything that was recorded since [`start`].
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The steps, in the order in which they happened.
    pub steps: Vec<Step>,
    /// The threads, in the order in which they were first seen.
    pub threads: Vec<Thread>,
    /// The cells with names.
    pub cells: Vec<Named>,
    /// The values, cell by cell, that steps left which were forgotten.
    pub values: BTreeMap<usize, u64>,
}

impl Log {
    fn index(&mut self, identity: Identity) -> usize {
        if let Some(at) = self.threads.iter().position(|thread| thread.identity == identity) {
            return at;
        }
        self.threads.push(Thread { name: "", next: None, steps: 0, ended: false, label: "", made: 0, identity });
        self.threads.len() - 1
    }

    fn me(&mut self) -> usize {
        self.index(identity())
    }

    /// The thread that shuttle calls `task`, if it was seen.
    #[cfg(shuttle)]
    pub fn task(&self, task: usize) -> Option<&Thread> {
        self.threads.iter().find(|thread| thread.identity == task)
    }
}

static ON: AtomicBool = AtomicBool::new(false);
static LOG: Mutex<Log> =
    Mutex::new(Log { steps: Vec::new(), threads: Vec::new(), cells: Vec::new(), values: BTreeMap::new() });

fn log() -> MutexGuard<'static, Log> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

fn on() -> bool {
    // Ordering: Relaxed: an execution runs on one thread of the machine.
    ON.load(Ordering::Relaxed)
}

/// Forgets everything and records from here on.
pub fn start() {
    *log() = Log::default();
    // Ordering: Relaxed, as in `on`.
    ON.store(true, Ordering::Relaxed);
}

/// Forgets the steps, if it records; what they left, the threads and the names of cells stay. For the end of a set-up
/// that is not to be shown.
pub fn restart() {
    if on() {
        let mut log = log();
        let left: Vec<(usize, u64)> =
            log.steps.drain(..).filter(|step| !step.op.only_reads()).map(|step| (step.cell, step.left)).collect();
        log.values.extend(left);
        log.threads.iter_mut().for_each(|thread| thread.steps = 0);
    }
}

/// Records nothing any more; what was recorded stays.
pub fn stop() {
    // Ordering: Relaxed, as in `on`.
    ON.store(false, Ordering::Relaxed);
}

/// Looks at what has been recorded.
pub fn with<R>(f: impl FnOnce(&Log) -> R) -> R {
    f(&log())
}

/// Gives a cell a name: an atomic of the facade, or a type that is nothing but one.
pub fn name<T>(cell: &T, name: &'static str, shown: Shown) {
    let cell = std::ptr::from_ref(cell).addr();
    log().cells.push(Named { cell, name, shown });
}

/// Gives the calling thread a name.
pub fn name_thread(name: &'static str) {
    if on() {
        let mut log = log();
        let me = log.me();
        log.threads[me].name = name;
    }
}

/// The calling thread does nothing any more that another could notice.
pub fn end_thread() {
    if on() {
        let mut log = log();
        let me = log.me();
        log.threads[me].ended = true;
    }
}

/// Names the next operation of the calling thread.
pub fn label(label: &'static str) {
    if on() {
        let mut log = log();
        let me = log.me();
        log.threads[me].label = label;
    }
}

/// Something that happens here and is no operation of its own.
#[track_caller]
pub fn note(text: impl Into<Cow<'static, str>>) {
    if on() {
        let mut log = log();
        let thread = log.me();
        let place = Location::caller();
        log.steps.push(Step { thread, op: Op::Note, cell: 0, seen: None, left: 0, label: text.into(), place });
    }
}

/// A number for a cell that the calling thread makes: the same in every execution in which it makes the same cells.
#[inline]
pub(super) fn number() -> u64 {
    if !on() {
        return 0;
    }
    let mut log = log();
    let me = log.me();
    let thread = &mut log.threads[me];
    thread.made += 1;
    #[cfg(shuttle)]
    let maker = thread.identity as u64;
    #[cfg(loom)]
    let maker = me as u64;
    (maker << 32) | thread.made
}

/// The calling thread is about to do this.
#[inline]
pub(super) fn before(op: Op, cell: usize, number: u64, operand: u64) {
    if on() {
        let mut log = log();
        let me = log.me();
        let thread = &mut log.threads[me];
        thread.next = Some(Intent { op, cell, number, operand, label: std::mem::take(&mut thread.label) });
    }
}

/// The calling thread did what it was about to do.
#[inline]
#[track_caller]
pub(super) fn after(op: Op, seen: Option<u64>, left: u64) {
    if on() {
        let place = Location::caller();
        let mut log = log();
        let me = log.me();
        let thread = &mut log.threads[me];
        if let Some(intent) = thread.next.take() {
            thread.steps += 1;
            let label = Cow::Borrowed(intent.label);
            log.steps.push(Step { thread: me, op, cell: intent.cell, seen, left, label, place });
        }
    }
}
