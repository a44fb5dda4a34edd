//! A pool: a runner of threads at one queue.
//!
//! The queue is a lock and a condition variable of the facade, so that the checkers see the hand-over. It wakes a thread
//! only when one sleeps that nobody has woken: a wake-up is a system call. Not here: what a task is (`connection::task`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fmt;
use std::sync::PoisonError;

use crate::connection::task::{Runner, Task};
use crate::error::{Error, Result};
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, lock, thread};

/// How often a thread that finds no task lets others run and looks again before it sleeps: a poller's batch brings many,
/// and each wake-up saved is a system call of the poller.
const LOOKS: usize = 2;

/// How many times a thread goes to sleep at once after it has looked again for nothing: with few connections there is
/// nothing to wait for, and each look is a system call of its own.
const RESTS: usize = 63;

/// A pool of threads that run handlers, for handlers that are slow as a rule: one queue, oldest first, so that a
/// connection that is always due keeps nobody out (F2). The threads end when the pool is dropped and the queue is
/// empty.
///
/// ```
/// use pollproof::{Pool, Server};
///
/// let server = Server::builder()
///     .runner(Pool::new(8)?)
///     .on_request(|io: &mut pollproof::Io<'_>| io.write(b"from a pool\n"))
///     .bind("127.0.0.1:0")?;
/// # Ok::<(), pollproof::Error>(())
/// ```
pub struct Pool(Arc<Queue>);

/// The tasks that wait, and the threads that wait for them.
struct Queue {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    tasks: VecDeque<Task>,
    /// Threads that sleep and that nobody has woken.
    asleep: usize,
    /// Threads that were woken and have not seen it yet.
    woken: usize,
    /// The pool was dropped.
    closed: bool,
}

impl Waiting {
    fn is_idle(&self) -> bool {
        self.tasks.is_empty() && !self.closed
    }
}

impl Queue {
    /// Wakes at most one thread, and none that is awake: a task whose wake-up is saved is found by a thread on its way.
    fn push(&self, task: Task) {
        let mut waiting = lock(&self.state);
        waiting.tasks.push_back(task);
        if waiting.asleep > 0 {
            waiting.asleep -= 1;
            waiting.woken += 1;
            drop(waiting);
            self.changed.notify_one();
        }
    }

    fn close(&self) {
        let mut waiting = lock(&self.state);
        waiting.closed = true;
        waiting.woken += std::mem::take(&mut waiting.asleep);
        drop(waiting);
        self.changed.notify_all();
    }

    fn look_again<'a>(&'a self, mut waiting: MutexGuard<'a, Waiting>) -> MutexGuard<'a, Waiting> {
        for _ in 0..LOOKS {
            drop(waiting);
            thread::yield_now();
            waiting = lock(&self.state);
            if !waiting.is_idle() {
                break;
            }
        }
        waiting
    }

    /// The task that has waited longest; `None` when the pool was dropped and none is left. `rests`: the thread's own, how
    /// many times it sleeps at once.
    fn pop(&self, rests: &mut usize) -> Option<Task> {
        let mut waiting = lock(&self.state);
        if waiting.is_idle() && looks(rests) {
            waiting = self.look_again(waiting);
            if waiting.is_idle() {
                *rests = RESTS;
            }
        }
        loop {
            if let Some(task) = waiting.tasks.pop_front() {
                return Some(task);
            }
            if waiting.closed {
                return None;
            }
            waiting.asleep += 1;
            while waiting.woken == 0 {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            waiting.woken -= 1;
        }
    }
}

/// Whether a thread looks again before it sleeps, which leaves it one of its `rests` less if not.
fn looks(rests: &mut usize) -> bool {
    let rested = *rests == 0;
    *rests = rests.saturating_sub(1);
    rested
}

impl Pool {
    /// A pool of `threads` threads; 0 for as many as there are processors. A handler that blocks keeps its
    /// thread, so there should be more of them than handlers that block at a time.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] when the threads cannot be started.
    ///
    /// ```
    /// let pool = pollproof::Pool::new(4)?;
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn new(threads: usize) -> Result<Self> {
        let failed = |source| Error::Server { call: "pool", source };
        let threads = if threads > 0 { threads } else { thread::available_parallelism().map_err(failed)?.get() };
        // Dropped if a thread cannot be started: those that were end.
        let pool = Self(Arc::new(Queue { state: Mutex::new(Waiting::default()), changed: Condvar::new() }));
        for index in 0..threads {
            let queue = pool.0.clone();
            let builder = thread::Builder::new().name(format!("handler {index}"));
            let run = move || {
                let mut rests = 0;
                while let Some(task) = queue.pop(&mut rests) {
                    task.run_on_pool();
                }
            };
            builder.spawn(run).map_err(failed)?;
        }
        Ok(pool)
    }
}

impl Runner for Pool {
    fn run(&self, task: Task) {
        self.0.push(task);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("waiting", &lock(&self.0.state).tasks.len()).finish()
    }
}

#[cfg(all(test, not(sim)))]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn the_threads_of_a_pool_that_is_dropped_end() {
        let pool = Pool::new(3).expect("threads");
        let queue = Arc::downgrade(&pool.0);
        until(|| lock(&pool.0.state).asleep == 3);
        drop(pool);
        until(|| queue.strong_count() == 0);
    }

    fn until(holds: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !holds() {
            assert!(Instant::now() < end, "in time");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
