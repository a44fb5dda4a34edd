//! The simulated kernel, and threads and a clock of shuttle's: many schedules of each program.
//!
//! All threads of an execution run on one thread of the machine, so what they share is behind a `RefCell`. Time is
//! virtual: a second in which nothing can happen is over at once.

use std::cell::RefCell;
use std::sync::PoisonError;
use std::time::Duration;

use pollproof::Server;
use pollproof::sim::{self, Faults};
use pollproof::sync::simulated::{Clock, Condvar, Instant};

pub use pollproof::sim::{Peer, Remote};

use super::super::program::Program;
use super::super::world::{World, violate};
use crate::stage::{REMOTE, at};

/// How long a program has until it is shut down.
pub const TIME: Duration = Duration::from_secs(4);
/// How often it is asked whether it is over before.
pub const STEP: Duration = Duration::from_millis(150);
/// How long a shutdown may take past its deadline: a second for callbacks that do not return, and a little more for two
/// servers that shut each other down.
pub const GRACE: Duration = Duration::from_millis(1_100);
/// How long a shutdown goes on for what is left after the first one.
pub const AGAIN: Duration = Duration::ZERO;
/// How long values may take to go, in milliseconds.
pub const LAST: u32 = 100;
/// How long an upstream may take that answers.
pub const PATIENCE: Duration = Duration::from_millis(500);
/// And one that may not answer.
pub const IMPATIENCE: Duration = PATIENCE;
/// By how much more is lent than is sent otherwise.
pub const LENT: usize = 60;

/// What of a program means nothing here.
pub const MISSING: &str = "";

/// Moves of the clock when nobody can go on.
const IDLE: u32 = 4_000;
/// System calls of the core.
const CALLS: u64 = 40_000;

std::thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

/// The world; not across a step.
pub fn with<R>(look: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with_borrow_mut(look)
}

/// What runs beside a program.
pub struct Ground {
    clock: shuttle::thread::JoinHandle<()>,
}

impl Ground {
    /// A new kernel.
    pub fn begin(program: &Program) -> Self {
        Clock::begin(program.races.into(), IDLE);
        let one_in = |n| if program.faults { n } else { 0 };
        sim::begin(Faults {
            calls: CALLS,
            room: program.room.into(),
            interrupt: one_in(20),
            short_read: one_in(4),
            short_write: one_in(4),
            spurious: one_in(10),
            panics: true,
            ..Faults::default()
        });
        Self { clock: shuttle::thread::spawn(Clock::run) }
    }

    /// What is dialed begins to listen; where.
    pub fn remote(&mut self) -> (Remote, String) {
        (Remote::listen(at(REMOTE), 2), REMOTE.to_owned())
    }

    /// Nothing runs any more: whether anything is left.
    ///
    /// # Panics
    ///
    /// If the clock does.
    pub fn end(self) {
        Clock::end();
        self.clock.join().expect("the clock does not fail");
        let report = sim::end();
        if let Some(broken) = report.broken.first() {
            violate("kernel", broken);
        }
        if report.open > 0 {
            violate("fds", format!("{} are left open", report.open));
        }
    }
}

/// Where host `index` listens, if it does.
pub fn place(index: usize) -> String {
    format!("10.0.0.{}:80", index + 1)
}

/// Where one connects to it.
pub fn address(index: usize, _: Option<&Server>) -> String {
    place(index)
}

/// Connects a peer, if somebody listens there.
pub fn connect(address: &str) -> Option<Peer> {
    Peer::connect(at(address)).ok()
}

/// Until nothing happens any more.
pub fn settle() {
    nap(Duration::from_secs(1));
}

/// What is wrong now that nothing happens any more.
pub fn at_last<T>(wrong: impl Fn() -> Vec<T>) -> Vec<T> {
    wrong()
}

/// What is wrong with the threads: a kernel with bounded calls, and one that knows of each panic, needs no other look.
pub fn crew(_: &Program) -> Option<String> {
    None
}

/// Whether something spins: as above.
pub fn spins() -> Option<String> {
    None
}

/// The deadline of a last shutdown.
pub fn deadline(_: bool) -> Duration {
    Duration::from_secs(20)
}

/// Whether an execution is under way: what a failed one left behind may be dropped later.
pub fn is_on() -> bool {
    shuttle::current::try_get_current_task().is_some()
}

/// The calling thread's number.
pub fn me() -> usize {
    shuttle::current::me().into()
}

/// The calling thread's name.
pub fn name() -> String {
    let name = shuttle::current::get_name_for_task(shuttle::current::me());
    name.map_or_else(|| "main".to_owned(), String::from)
}

/// Waits for so long, or lets others go on if that is nothing.
pub fn nap(time: Duration) {
    if time.is_zero() {
        return shuttle::thread::yield_now();
    }
    let (lock, condvar) = (shuttle::sync::Mutex::new(()), Condvar::new());
    let until = Instant::now() + time;
    // Another thread may be in the middle of a panic.
    let mut guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        guard = condvar.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}
