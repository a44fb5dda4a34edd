//! A cell whose exclusive use is a bit of the connection's word.
//!
//! What a connection owns is touched by several threads, one at a time; which one, the word says. A
//! [`Held`] cell is named together with the bit that guards it, and each access says where it has it
//! from. The facade's cell is underneath, so that a checker sees two accesses that the word did not order.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

use super::UnsafeCell;

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
