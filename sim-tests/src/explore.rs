//! Many schedules of one scenario.
//!
//! The schedulers are shuttle's. Around them is one thing more: the clock's thread runs when nobody else can, and only
//! then (`pollproof::sync::simulated`). What runs and what may be scheduled is otherwise theirs.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;

use pollproof::sim;
use pollproof::sync::simulated::Clock;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Schedule, Scheduler, Task, TaskId, UrwRandomScheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use crate::scenarios::Scenario;
use crate::stage::Stage;

/// PCT's depth: how many ordering constraints a bug may need.
pub const DEPTH: usize = 3;
/// More steps than that are a livelock.
const STEPS: usize = 60_000;
/// Moves of the clock when nobody can go on.
const IDLE: u32 = 150;
/// The clock's thread is the first that is started.
const CLOCK: usize = 1;

/// One of shuttle's schedulers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Probabilistic concurrency testing, of depth [`DEPTH`].
    Pct,
    /// Each runnable thread is as likely as the others.
    Random,
    /// Uniform random walk: each schedule is about as likely as the others.
    Urw,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pct, Self::Random, Self::Urw];

    /// In tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pct => "PCT",
            Self::Random => "random",
            Self::Urw => "URW",
        }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Explored {
    /// Schedules that ran, the one that failed included.
    pub schedules: u64,
    /// What happened, over all of them.
    pub counts: BTreeMap<&'static str, u64>,
    /// How it failed.
    pub failure: Option<String>,
}

/// What bounds an execution.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// More steps than that are a livelock.
    pub steps: usize,
    /// A thread that gives way in the middle of a panic fails the execution: nothing that may panic does anything then.
    pub stops_at_unwinding: bool,
}

/// Runs so many schedules of `scenario`.
pub fn explore(scenario: &'static Scenario, by: By, seed: u64, count: usize) -> Explored {
    let limits = Limits { steps: STEPS, stops_at_unwinding: true };
    schedules(by, seed, count, limits, move || execute(scenario), || ()).0
}

/// Runs so many schedules of `execution` on a thread of the machine, and calls `after` there.
pub fn schedules<T: Default + Send + 'static>(
    by: By,
    seed: u64,
    count: usize,
    limits: Limits,
    execution: impl Fn() + Send + Sync + 'static,
    after: impl FnOnce() -> T + Send + 'static,
) -> (Explored, T) {
    let (sender, receiver) = channel();
    let thread = std::thread::Builder::new().stack_size(16 << 20).spawn(move || {
        let ran = std::sync::Arc::new(AtomicU64::new(0));
        let runs = ran.clone();
        let execution = move || {
            // Ordering: Relaxed: one thread of the machine.
            runs.fetch_add(1, Ordering::Relaxed);
            PANIC.take();
            execution();
        };
        // Ordering: Relaxed, as above.
        let explored =
            move |failure| Explored { schedules: ran.load(Ordering::Relaxed), counts: sim::take_counts(), failure };
        let _ = sim::take_counts();
        ENDS.set(Some(Box::new(move |failure| drop(sender.send((explored(failure), after()))))));
        let result = catch_unwind(AssertUnwindSafe(|| match by {
            By::Pct => run(PctScheduler::new_from_seed(seed, DEPTH, count), limits, execution),
            By::Random => run(RandomScheduler::new_from_seed(seed, count), limits, execution),
            By::Urw => run(UrwRandomScheduler::new_from_seed(seed, count), limits, execution),
        }));
        let failure = result.err().map(|payload| {
            // What shuttle says of a thread that panicked is not what that said.
            PANIC.take().unwrap_or_else(|| message(&*payload))
        });
        ENDS.take().expect("it was not ended before")(failure);
    });
    drop(thread.expect("a thread"));
    receiver.recv().unwrap_or_else(|_| {
        let failure = Some("the checker itself panicked".to_owned());
        (Explored { schedules: 0, counts: BTreeMap::new(), failure }, T::default())
    })
}

/// Panics after which the process would be aborted.
const ABORTS: [&str; 2] = ["panic in a destructor during cleanup", "panic in a function that cannot unwind"];

type Ends = Box<dyn FnOnce(Option<String>)>;

thread_local! {
    /// What the first panic of the execution that is under way said.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Tells what came of the schedules of this thread of the machine.
    static ENDS: RefCell<Option<Ends>> = const { RefCell::new(None) };
}

/// Keeps what a panic says, instead of printing it. To be called once.
pub fn listen_to_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let text = format!("{} ({place})", message(info.payload()));
        let first = PANIC.with_borrow_mut(|first| first.get_or_insert_with(|| text.clone()).clone());
        if ABORTS.iter().any(|aborts| text.contains(aborts))
            && let Some(ends) = ENDS.take()
        {
            // The process is about to be aborted: this thread of the machine stays where it is, and the others go on.
            ends(Some(format!("the process is aborted: {first}")));
            loop {
                std::thread::park();
            }
        }
    }));
}

fn message(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

fn run(scheduler: impl Scheduler + 'static, limits: Limits, execution: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 0x8_0000;
    config.silence_warnings = true;
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(limits.steps);
    config.ungraceful_shutdown_config.immediately_return_on_panic = limits.stops_at_unwinding;
    Runner::new(Timed { inner: scheduler, seen: false }, config).run(execution);
}

fn execute(scenario: &'static Scenario) {
    Clock::begin(scenario.races, IDLE);
    sim::begin((scenario.faults)());
    let clock = shuttle::thread::spawn(Clock::run);
    let stage = Stage::new();
    (scenario.run)(&stage);
    stage.check();
    drop(stage);
    Clock::end();
    clock.join().expect("the clock does not fail");
    let report = sim::end();
    assert!(report.broken.is_empty(), "the kernel was misused: {:?}", report.broken);
    assert_eq!(report.open, 0, "fds are left open");
}

/// A scheduler that lets the clock run when nobody else can.
struct Timed<S> {
    inner: S,
    /// The scheduler has seen the clock's thread: some of them count threads in the order in which they come.
    seen: bool,
}

impl<S: Scheduler> Scheduler for Timed<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.seen = false;
        self.inner.new_execution()
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        let is_clock = |task: &Task| usize::from(task.id()) == CLOCK;
        if !runnable.iter().any(|task| is_clock(task)) {
            return self.inner.next_task(runnable, current, is_yielding);
        }
        if !std::mem::replace(&mut self.seen, true) {
            return self.inner.next_task(runnable, current, is_yielding);
        }
        if let [clock] = runnable {
            Clock::is_alone();
            return Some(clock.id());
        }
        let others: Vec<&Task> = runnable.iter().copied().filter(|task| !is_clock(task)).collect();
        self.inner.next_task(&others, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.inner.next_u64()
    }
}
