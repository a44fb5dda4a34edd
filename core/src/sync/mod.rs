//! The one door to atomics, locks, cells and threads: std, loom or shuttle.
//!
//! Every checked module takes its synchronisation from here and from nowhere else, so that the source
//! which loom and shuttle explore is the source that ships. The back ends have the same names and
//! the same meaning; nothing here strengthens, weakens or replaces an operation.
//!
//! | build | back end |
//! | --- | --- |
//! | default | `std` |
//! | `--cfg loom` | loom: every interleaving, C11-style weak reads, data races on [`UnsafeCell`] |
//! | `--cfg tsan` | `std`, with locks, counts and thread handles that ThreadSanitizer sees through; nightly Rust |
//! | `--cfg shuttle` | shuttle: sequentially consistent interleavings, DFS, PCT, random |
//! | `--cfg shuttle --cfg sim` | shuttle, with a clock and threads for the reactor: see `simulated` |
//! | `--cfg flags` | `std`, but for the word: plain memory, **unsound**, to measure what its atomics cost |
//!
//! In the checked builds each operation can be written down by `record`, behind the checkers' back, so that an
//! execution can be shown as a timeline.
//!
//! # What the back ends do not see
//!
//! The protocol is written so that none of these matters; `loom-tests/tests/litmus.rs` pins each of them.
//!
//! - loom treats SeqCst *accesses* as AcqRel: checked modules use none.
//! - loom's failing compare-exchange reads the newest store, and its weak form never fails spuriously:
//!   checked modules use `fetch_or` and `fetch_and`, which always succeed.
//! - loom skips interleavings around load-then-CAS: there is no such loop in checked modules.
//! - loom explores no load buffering: no argument rests on the order of a relaxed load and a later store.
//! - loom's and shuttle's condition variables never wake spuriously, and a wait never times out:
//!   waits are `while` loops, and a timeout is a role (a thread that expires the wait).
//! - shuttle is sequentially consistent, and its [`UnsafeCell`] here is the plain one: it checks order
//!   and outcomes, never publication. Publication is loom's to check.

#[cfg(not(any(loom, shuttle, tsan)))]
pub use std::sync::{Arc, Condvar, Mutex, MutexGuard};

#[cfg(all(tsan, not(any(loom, shuttle))))]
mod counted;
#[cfg(all(tsan, not(any(loom, shuttle))))]
mod detached;
#[cfg(all(tsan, not(any(loom, shuttle))))]
mod visible;
#[cfg(all(tsan, not(any(loom, shuttle))))]
pub use self::{
    counted::Arc,
    visible::{Condvar, Mutex, MutexGuard},
};

#[cfg(all(flags, not(any(loom, shuttle))))]
mod flags;

#[cfg(loom)]
pub use loom::sync::{Arc, Condvar, Mutex, MutexGuard};

#[cfg(all(shuttle, not(sim)))]
pub use shuttle::sync::{Arc, Condvar, Mutex, MutexGuard};
#[cfg(sim)]
pub use shuttle::sync::{Arc, Mutex, MutexGuard};

#[cfg(sim)]
pub mod simulated;
#[cfg(sim)]
pub use simulated::Condvar;

/// Atomic integers and their orderings.
pub mod atomic {
    #[cfg(not(any(loom, shuttle)))]
    pub use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

    #[cfg(any(loom, shuttle))]
    pub use super::recorded::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};
    #[cfg(any(loom, shuttle))]
    pub use std::sync::atomic::Ordering;

    /// The word of a connection.
    #[cfg(not(all(flags, not(any(loom, shuttle)))))]
    pub use self::AtomicU32 as AtomicWord;

    #[cfg(all(flags, not(any(loom, shuttle))))]
    pub use super::flags::AtomicWord;
}

/// Threads that the checkers schedule.
pub mod thread {
    #[cfg(all(tsan, not(any(loom, shuttle))))]
    pub use super::detached::{Builder, JoinHandle, spawn};
    #[cfg(not(any(loom, shuttle, tsan)))]
    pub use std::thread::{Builder, JoinHandle, spawn};
    #[cfg(not(any(loom, shuttle)))]
    pub use std::thread::{available_parallelism, yield_now};

    #[cfg(loom)]
    pub use loom::thread::{JoinHandle, spawn, yield_now};

    #[cfg(all(shuttle, not(sim)))]
    pub use shuttle::thread::{JoinHandle, spawn, yield_now};

    #[cfg(sim)]
    pub use super::simulated::{Builder, JoinHandle, available_parallelism};
    #[cfg(sim)]
    pub use shuttle::thread::{spawn, yield_now};
}

/// The clock, for the reactor: the protocol knows none.
#[cfg(any(sim, not(any(loom, shuttle))))]
pub mod time {
    #[cfg(sim)]
    pub use super::simulated::Instant;
    #[cfg(not(sim))]
    pub use std::time::Instant;
}

/// Values of which each thread has its own.
#[cfg(sim)]
#[allow(unused_imports, reason = "the protocol alone has none")]
pub(crate) use shuttle::thread_local;
#[cfg(not(any(loom, shuttle)))]
#[allow(unused_imports, reason = "the protocol alone has none")]
pub(crate) use std::thread_local;

pub(crate) mod bit_cell;
#[cfg(any(loom, shuttle))]
pub mod record;
#[cfg(any(loom, shuttle))]
mod recorded;
#[cfg(any(loom, shuttle))]
pub use recorded::UnsafeCell;

/// A cell whose accesses the checker sees.
///
/// Under loom this is loom's own cell, which reports two accesses that are not ordered by the program.
/// Elsewhere it is [`std::cell::UnsafeCell`] behind the same two methods.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::sync::UnsafeCell;
///
/// let cell = UnsafeCell::new(1);
/// // Safety: nobody else has it.
/// cell.with_mut(|value| unsafe { *value += 1 });
/// cell.with(|value| assert_eq!(unsafe { *value }, 2));
/// # }
/// ```
#[cfg(not(any(loom, shuttle)))]
#[derive(Debug, Default)]
pub struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

#[cfg(not(any(loom, shuttle)))]
impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    pub fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Calls `f` with a pointer for reading. Dereferencing it is the caller's promise that nobody writes.
    #[inline(always)]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Calls `f` with a pointer for writing. Dereferencing it is the caller's promise of exclusive access.
    #[inline(always)]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Locks `mutex`, also when a thread panicked while holding it.
///
/// Poisoning has nothing to say here: every critical section of this crate leaves its data whole at each
/// point where it can unwind.
#[inline]
#[cfg_attr(any(loom, shuttle), track_caller)]
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    #[cfg(any(loom, shuttle))]
    record::before(record::Op::Lock, std::ptr::from_ref(mutex).addr(), 0, 0);
    let guard = mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    #[cfg(any(loom, shuttle))]
    record::after(record::Op::Lock, None, 0);
    guard
}

/// Names the next operation of this thread, for the timelines of the checked builds. Nothing in the build that ships.
#[inline(always)]
pub(crate) fn label(name: &'static str) {
    #[cfg(any(loom, shuttle))]
    record::label(name);
    #[cfg(not(any(loom, shuttle)))]
    let _ = name;
}
