//! A cell whose exclusive use is a bit of the connection's word.
//!
//! What a connection owns is touched by several threads, one at a time; which one, the word says. A
//! [`Held`] cell is named together with the bit that guards it, and each access says where it has it
//! from. The facade's cell is underneath, so that a checker sees two accesses that the word did not order.

use crate::protocol::trigger::Trigger;
use crate::sync::UnsafeCell;

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

/// A value that is accessed under a bit of the connection's word.
#[derive(Debug)]
pub(crate) struct Held<T>(UnsafeCell<T>);

// Safety: every access is through the two unsafe methods, whose callers hold the bit that guards the
// cell; giving the bit back releases and taking it acquires, so that one holder's accesses are ordered before the
// next one's (A1).
unsafe impl<T: Send + Sync> Sync for Held<T> {}

impl<T> Held<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Reads or uses the value.
    ///
    /// # Safety
    ///
    /// The caller holds a bit that keeps every writer out until `f` returns.
    #[inline(always)]
    pub(crate) unsafe fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        // Safety: no writer, by the caller's promise.
        self.0.with(|value| f(unsafe { &*value }))
    }

    /// Changes the value.
    ///
    /// # Safety
    ///
    /// The caller holds the bit that keeps everybody else out until `f` returns, and is not inside
    /// another access to this cell.
    #[inline(always)]
    pub(crate) unsafe fn with_mut<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // Safety: nobody else, by the caller's promise.
        self.0.with_mut(|value| f(unsafe { &mut *value }))
    }

    /// The value itself, for longer than one call.
    ///
    /// # Safety
    ///
    /// As for [`with_mut`](Self::with_mut), until the result is used for the last time.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "exclusive by the caller's promise")]
    pub(crate) unsafe fn get(&self) -> &mut T {
        // Safety: nobody else, by the caller's promise.
        self.0.with_mut(|value| unsafe { &mut *value })
    }
}

/// A value that is only ever accessed exclusively, so that threads may pass it on though it is not `Sync`.
#[derive(Debug, Default)]
pub(crate) struct Exclusive<T>(T);

// Safety: a shared reference gives no access at all.
unsafe impl<T: Send> Sync for Exclusive<T> {}

impl<T> Exclusive<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// A trigger that is made when somebody waits for the first time: few connections ever see a thread wait.
///
/// Who waits calls [`get`](Self::get) before it sets `WAITR` or `WAITW`, and waits alone, under `TASK` or `SYNC`;
/// everybody else calls it only after it has found that bit. So whoever finds the trigger missing is the first
/// waiter, and nobody else is here.
#[derive(Default)]
pub(crate) struct LazyTrigger(UnsafeCell<Option<Box<Trigger>>>);

// Safety: it is written once, by the first waiter, before that sets its bit; who reads it is a waiter that came
// after, ordered by TASK or SYNC, or has found the bit. The transition that sets the bit releases, and each of the
// others acquires (A1).
unsafe impl Sync for LazyTrigger {}

impl LazyTrigger {
    /// The trigger.
    ///
    /// # Safety
    ///
    /// The caller is about to wait under `TASK` (`SYNC`), or has found `WAITR` (`WAITW`) in the word.
    pub(crate) unsafe fn get(&self) -> &Trigger {
        // Safety: nobody writes it while somebody else reads, by the caller's promise.
        let made = self.0.with(|trigger| unsafe { (*trigger).as_deref() });
        // Safety: as above; it is missing, so nobody has ever waited.
        made.unwrap_or_else(|| self.0.with_mut(|trigger| unsafe { (*trigger).insert(Box::default()) }))
    }
}
