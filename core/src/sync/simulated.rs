//! Time and threads of the simulated build (`--cfg shuttle --cfg sim`), for the reactor on its simulated kernel.
//!
//! Time is a number that stands still until somebody moves it. A wait with a timeout notes its deadline here, and the
//! clock goes from one noted deadline to the next, never past one:
//!
//! - *in a race*: at the beginning of a system call and inside callbacks, at random, as often as the scenario allows. So
//!   a timeout races with whatever else there is to do.
//! - *when nobody can go on*: the scheduler lets the [`Clock`] thread run when no other thread can. So what waits for
//!   nothing but time gets it. The number of such moves is bounded as well; after that time stands still, and
//!   shuttle reports what is then a deadlock.
//!
//! A move wakes every waiter of the condition variable, the others spuriously: waits are loops.
//!
//! Not here: the kernel (`reactor::sys::sim`), and the scheduler that lets the clock run (`sim-tests`).
#![allow(missing_docs, reason = "what has the name of something of std's means the same")]

use std::cell::RefCell;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Add;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LockResult, PoisonError};
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::MutexGuard;

/// How often a race is taken: once in so many system calls.
const ONE_IN: u32 = 12;

/// A race is for deadlines that are no further away: some are only there so that a wait ends at all.
const NEAR: Duration = Duration::from_millis(100);

#[derive(Default)]
struct State {
    now: Duration,
    waits: Vec<(u64, Duration, Arc<shuttle::sync::Condvar>)>,
    /// How many waits there were.
    noted: u64,
    /// Moves that are left, in a race and when nobody can go on.
    races: u32,
    idle: u32,
    /// Nobody can go on but the clock.
    alone: bool,
    over: bool,
    /// Moves that were made in a race.
    raced: u64,
}

// One thread of the machine runs all threads of an execution, and the log of an execution is its own.
std::thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// The clock of an execution.
pub struct Clock;

impl Clock {
    /// Time begins anew: at most `races` moves in a race, and `idle` when nobody can go on.
    pub fn begin(races: u32, idle: u32) {
        STATE.set(State { races, idle, ..State::default() });
    }

    /// The body of the clock's thread, until [`end`](Self::end).
    pub fn run() {
        loop {
            let (over, alone) = STATE.with_borrow_mut(|state| (state.over, std::mem::take(&mut state.alone)));
            if over || alone && !Self::go_on() {
                return;
            }
            shuttle::thread::yield_now();
        }
    }

    /// The next thing that runs is the clock, because nobody else can. Called by the scheduler.
    pub fn is_alone() {
        STATE.with_borrow_mut(|state| state.alone = true);
    }

    /// There is nobody left to keep the time for.
    pub fn end() {
        STATE.with_borrow_mut(|state| state.over = true);
    }

    /// Moves that were made in a race.
    pub fn raced() -> u64 {
        STATE.with_borrow(|state| state.raced)
    }

    /// Nobody can go on: whether it helped to move.
    fn go_on() -> bool {
        let may = STATE.with_borrow_mut(|state| {
            let may = state.idle > 0 && !state.waits.is_empty();
            state.idle = state.idle.saturating_sub(1);
            may
        });
        if may {
            Self::go();
        }
        may
    }

    /// To the next deadline, or once more to those that have passed and whose waiter had not gone to sleep.
    fn go() {
        let woken: Vec<_> = STATE.with_borrow_mut(|state| {
            let next = state.waits.iter().map(|wait| wait.1).min().unwrap_or_default();
            state.now = state.now.max(next);
            let now = state.now;
            state.waits.iter().filter(|wait| wait.1 <= now).map(|wait| wait.2.clone()).collect()
        });
        woken.iter().for_each(|condvar| condvar.notify_all());
    }

    /// The chance of a move in a race, at the beginning of a system call.
    pub(crate) fn race() {
        Self::may_go(ONE_IN);
    }

    /// A callback takes its time: the chance of a move in a race.
    pub fn pass() {
        Self::may_go(2);
    }

    fn may_go(one_in: u32) {
        let may = STATE.with_borrow(|state| {
            let near = state.now + NEAR;
            state.races > 0 && state.waits.iter().any(|wait| wait.1 <= near)
        });
        if may && thread_rng().gen_range(0..one_in) == 0 {
            STATE.with_borrow_mut(|state| {
                state.races -= 1;
                state.raced += 1;
            });
            Self::go();
        }
    }

    fn note(deadline: Duration, condvar: &Arc<shuttle::sync::Condvar>) -> Noted {
        STATE.with_borrow_mut(|state| {
            state.noted += 1;
            state.waits.push((state.noted, deadline, condvar.clone()));
            Noted(state.noted)
        })
    }
}

/// A deadline that somebody waits for.
struct Noted(u64);

impl Drop for Noted {
    fn drop(&mut self) {
        STATE.with_borrow_mut(|state| state.waits.retain(|wait| wait.0 != self.0));
    }
}

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    pub fn now() -> Self {
        Self(STATE.with_borrow(|state| state.now))
    }

    pub fn checked_add(self, time: Duration) -> Option<Self> {
        self.0.checked_add(time).map(Self)
    }

    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0 + time)
    }
}

/// shuttle's, with timeouts.
#[derive(Clone, Debug, Default)]
pub struct Condvar(Arc<shuttle::sync::Condvar>);

impl Condvar {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    /// # Errors
    ///
    /// When the lock is poisoned.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.0.wait(guard)
    }

    /// The second of the result is whether the time is over.
    ///
    /// # Errors
    ///
    /// When the lock is poisoned.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, bool)> {
        let now = Instant::now();
        // One that is never over is not worth a note.
        let Some(deadline) = now.checked_add(time) else {
            return self.wait(guard).map(|guard| (guard, false)).map_err(|_| unreachable!("nothing poisons it"));
        };
        if time.is_zero() {
            return Ok((guard, true));
        }
        let noted = Clock::note(deadline.0, &self.0);
        let guard = self.0.wait(guard);
        drop(noted);
        let over = Instant::now() >= deadline;
        guard.map(|guard| (guard, over)).map_err(|poisoned| PoisonError::new((poisoned.into_inner(), over)))
    }

    /// Whether both are the same one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// shuttle's, and whether it has ended.
#[derive(Debug)]
pub struct JoinHandle<T>(shuttle::thread::JoinHandle<T>, Arc<AtomicBool>);

impl<T> JoinHandle<T> {
    /// # Errors
    ///
    /// When the thread panicked.
    pub fn join(self) -> std::thread::Result<T> {
        self.0.join()
    }

    pub fn is_finished(&self) -> bool {
        // Ordering: Relaxed: one thread of the machine.
        self.1.load(Ordering::Relaxed)
    }
}

/// shuttle's.
#[derive(Debug, Default)]
pub struct Builder(shuttle::thread::Builder);

impl Builder {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn name(self, name: String) -> Self {
        Self(self.0.name(name))
    }

    /// # Errors
    ///
    /// Never.
    #[track_caller]
    pub fn spawn<T: Send + 'static>(self, body: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
        let ended = Arc::new(AtomicBool::new(false));
        let ends = ended.clone();
        let thread = self.0.spawn(move || {
            let value = body();
            // Ordering: Relaxed, as in `is_finished`.
            ends.store(true, Ordering::Relaxed);
            value
        })?;
        Ok(JoinHandle(thread, ended))
    }
}

/// One: the simulated machine runs a thread at a time.
///
/// # Errors
///
/// Never.
pub fn available_parallelism() -> io::Result<NonZeroUsize> {
    Ok(NonZeroUsize::MIN)
}
