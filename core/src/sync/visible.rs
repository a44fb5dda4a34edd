//! A lock and a condition variable that ThreadSanitizer sees through. For `--cfg tsan` alone.
//!
//! Without an instrumented `std`, the sanitizer sees the quick path of `std::sync::Mutex` and not the one that
//! waits, so a lock that two threads want at once looks like a race. These spin on one atomic, in instrumented
//! code. They mean the same: mutual exclusion, and waits that may end without a reason. Not for production:
//! they burn the CPU while they wait.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::LockResult;
use std::sync::atomic::{AtomicBool, Ordering};

/// Mutual exclusion, by spinning.
#[derive(Default)]
pub struct Mutex<T> {
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

// Safety: the lock hands the value to one thread at a time.
unsafe impl<T: Send> Sync for Mutex<T> {}
// Safety: whoever owns the lock owns the value.
unsafe impl<T: Send> Send for Mutex<T> {}

impl<T> Mutex<T> {
    /// An open lock around `value`.
    pub fn new(value: T) -> Self {
        Self { locked: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock and takes it.
    ///
    /// # Errors
    ///
    /// None: it is never poisoned; the type is that of `std`.
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        // Ordering: Acquire, partner: the Release of the guard's drop.
        while self.locked.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
        Ok(MutexGuard(self))
    }
}

impl<T> std::fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mutex")
    }
}

/// A lock that is held; dropping it gives it back.
pub struct MutexGuard<'a, T>(&'a Mutex<T>);

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // Safety: the guard holds the lock.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // Safety: the guard holds the lock.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        // Ordering: Release, partner: the Acquire of `lock`.
        self.0.locked.store(false, Ordering::Release);
    }
}

/// Waits by giving the lock away for a moment: every wait ends without a reason, and the caller looks again.
#[derive(Debug, Default)]
pub struct Condvar;

impl Condvar {
    /// A condition that nobody waits for.
    pub fn new() -> Self {
        Self
    }

    /// Gives the lock away, yields, and takes it again.
    ///
    /// # Errors
    ///
    /// None; see [`Mutex::lock`].
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let mutex = guard.0;
        drop(guard);
        std::thread::yield_now();
        mutex.lock()
    }

    /// As [`wait`](Self::wait): it ends early, and never says that the time is up.
    ///
    /// # Errors
    ///
    /// None; see [`Mutex::lock`].
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _time: std::time::Duration,
    ) -> LockResult<(MutexGuard<'a, T>, bool)> {
        match self.wait(guard) {
            Ok(guard) => Ok((guard, false)),
            Err(poisoned) => Ok((poisoned.into_inner(), false)),
        }
    }

    /// Nothing to do: every waiter looks again anyway.
    pub fn notify_all(&self) {}

    /// Nothing to do: every waiter looks again anyway.
    pub fn notify_one(&self) {}

    /// The same.
    pub fn notify_all(&self) {}
}
