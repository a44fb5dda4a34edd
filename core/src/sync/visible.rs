//! A lock and a condition variable that ThreadSanitizer sees through. For `--cfg tsan` alone; with a reference
//! count, which is in `counted`.
//!
//! Without an instrumented `std`, the sanitizer sees the quick path of `std::sync::Mutex` and not the one that
//! waits, so a lock that two threads want at once looks like a race. These spin on one atomic, in instrumented
//! code. They mean the same: mutual exclusion, and waits that may end without a reason. Not for production:
//! they burn the CPU while they wait.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::LockResult;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How many times a waiter looks before it sleeps between two looks.
const PATIENCE: u32 = 100;
/// For how long.
const NAP: Duration = Duration::from_micros(200);

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
    pub const fn new(value: T) -> Self {
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

/// Waits for the next notification, looking for it now and then.
#[derive(Debug, Default)]
pub struct Condvar {
    notified: AtomicUsize,
}

impl Condvar {
    /// A condition that nobody waits for.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the lock away until there is a notification, and takes it again.
    ///
    /// # Errors
    ///
    /// None; see [`Mutex::lock`].
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.wait_until(guard, None)
    }

    /// As [`wait`](Self::wait), or until `time` is over. It never says that the time is up.
    ///
    /// # Errors
    ///
    /// None; see [`Mutex::lock`].
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, bool)> {
        match self.wait_until(guard, Instant::now().checked_add(time)) {
            Ok(guard) => Ok((guard, false)),
            Err(poisoned) => Ok((poisoned.into_inner(), false)),
        }
    }

    fn wait_until<'a, T>(&self, guard: MutexGuard<'a, T>, until: Option<Instant>) -> LockResult<MutexGuard<'a, T>> {
        let mutex = guard.0;
        // Ordering: Relaxed, partner: `notify_all`. What the notification is about is behind the lock: who changes it
        // after this look notifies after it.
        let before = self.notified.load(Ordering::Relaxed);
        drop(guard);
        let mut looks = 0;
        // Ordering: Relaxed, as above.
        while self.notified.load(Ordering::Relaxed) == before && until.is_none_or(|until| Instant::now() < until) {
            looks += 1;
            if looks < PATIENCE { std::thread::yield_now() } else { std::thread::sleep(NAP) }
        }
        mutex.lock()
    }

    /// Every waiter looks again.
    pub fn notify_all(&self) {
        // Ordering: Relaxed, partner: `wait_until`.
        self.notified.fetch_add(1, Ordering::Relaxed);
    }

    /// The same: waits may end without a reason.
    pub fn notify_one(&self) {
        self.notify_all();
    }
}
