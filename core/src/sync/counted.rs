//! A reference count that ThreadSanitizer sees through. For `--cfg tsan` alone.
//!
//! `std::sync::Arc` orders the accesses of all owners before the drop of the value by a fence, and the sanitizer
//! does not know fences: each drop by another thread looks like a race. This one means the same, and orders by an
//! acquiring decrement. It has of `Arc` what this crate and its tests use.

use std::fmt;
use std::marker::{PhantomData, Unsize};
use std::ops::{CoerceUnsized, Deref, DispatchFromDyn};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Inner<T: ?Sized> {
    owners: AtomicUsize,
    value: T,
}

/// Shared ownership.
pub struct Arc<T: ?Sized> {
    inner: NonNull<Inner<T>>,
    owns: PhantomData<Inner<T>>,
}

// Safety: owners share the value, and the last one, on whichever thread, drops it.
unsafe impl<T: ?Sized + Send + Sync> Send for Arc<T> {}
// Safety: as above.
unsafe impl<T: ?Sized + Send + Sync> Sync for Arc<T> {}

impl<T: ?Sized + Unsize<U>, U: ?Sized> CoerceUnsized<Arc<U>> for Arc<T> {}
impl<T: ?Sized + Unsize<U>, U: ?Sized> DispatchFromDyn<Arc<U>> for Arc<T> {}

impl<T> Arc<T> {
    /// The first owner of `value`.
    pub fn new(value: T) -> Self {
        let inner = Box::new(Inner { owners: AtomicUsize::new(1), value });
        Self { inner: NonNull::from(Box::leak(inner)), owns: PhantomData }
    }
}

impl<T: ?Sized> Arc<T> {
    fn inner(&self) -> &Inner<T> {
        // Safety: it lives as long as an owner, which this is.
        unsafe { self.inner.as_ref() }
    }

    /// Whether both own the same value.
    pub fn ptr_eq(one: &Self, other: &Self) -> bool {
        std::ptr::addr_eq(one.inner.as_ptr(), other.inner.as_ptr())
    }

    /// The value, if there is no other owner.
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        // Ordering: Acquire, partner: the decrement of the other owners.
        let alone = this.inner().owners.load(Ordering::Acquire) == 1;
        // Safety: the only owner is borrowed.
        alone.then(|| unsafe { &mut this.inner.as_mut().value })
    }
}

impl<T: ?Sized> Clone for Arc<T> {
    fn clone(&self) -> Self {
        // Ordering: Relaxed: the caller owns it already.
        self.inner().owners.fetch_add(1, Ordering::Relaxed);
        Self { inner: self.inner, owns: PhantomData }
    }
}

impl<T: ?Sized> Drop for Arc<T> {
    fn drop(&mut self) {
        // Ordering: AcqRel, partner: the same of the other owners: the last one sees what they did.
        if self.inner().owners.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Safety: nobody owns it any more, and it came from a box.
            drop(unsafe { Box::from_raw(self.inner.as_ptr()) });
        }
    }
}

impl<T: ?Sized> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner().value
    }
}

impl<T: Default> Default for Arc<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Arc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
