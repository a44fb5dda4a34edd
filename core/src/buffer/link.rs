//! A queue of linked nodes with one producer and one consumer, which never wait for each other.
//!
//! The input goes through one from the holder of `READING` to the owner of `TASK`, the output from the
//! holder of `FLUSHING` to the holder of `OUT`. A queue knows nothing of these: each of its two ends says
//! in its contract that it is used by one thread at a time, and the word's transitions hand the ends
//! over. (B1)
//!
//! The node whose value was popped last stays as the place where the next one is linked; before the first
//! push, the queue itself is that place. So an empty queue owns one small node at most, and a new one
//! nothing at all. (B2)
//!
//! Not here: whether there is anything to pop. The producer announces it in the word; a consumer that
//! finds the queue empty leaves.

use std::ptr;

use crate::mutation::order;
use crate::sync::UnsafeCell;
use crate::sync::atomic::{AtomicPtr, Ordering};

struct Node<T> {
    /// The node that was pushed after this one. Written once, by the producer.
    next: AtomicPtr<Node<T>>,
    /// Taken by the consumer; the node that stays behind has none.
    value: UnsafeCell<Option<T>>,
}

/// An unbounded queue for one producer and one consumer.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::buffer::link::Link;
///
/// let link = Link::new();
/// // Safety: there is one thread, so one producer and one consumer.
/// unsafe {
///     link.push("first");
///     link.push("second");
///     assert_eq!(link.pop(), Some("first"));
/// }
/// # }
/// ```
pub struct Link<T> {
    /// The consumer's: the node that was popped last; null before the first pop.
    head: UnsafeCell<*mut Node<T>>,
    /// The producer's: the node that was pushed last; null before the first push.
    tail: UnsafeCell<*mut Node<T>>,
    /// Where the first node is linked. Written once, by the producer.
    first: AtomicPtr<Node<T>>,
}

// Safety: the queue owns its values and hands each to one caller. `head` is the consumer's alone and `tail`
// the producer's, by the contracts of `pop` and `push`; whoever takes over such a role sees what its
// predecessor did. A node is written by the producer before it is linked by a Release, and read by the
// consumer after an Acquire.
unsafe impl<T: Send> Send for Link<T> {}
// Safety: as above: a shared queue moves values from thread to thread, and lends none.
unsafe impl<T: Send> Sync for Link<T> {}

impl<T> Default for Link<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> std::fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl<T> Link<T> {
    /// An empty queue, which owns no memory. (B2)
    pub fn new() -> Self {
        Self {
            head: UnsafeCell::new(ptr::null_mut()),
            tail: UnsafeCell::new(ptr::null_mut()),
            first: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Appends `value`. Never blocks and never fails.
    ///
    /// # Safety
    ///
    /// The caller is the only producer until this returns, and sees what the producer before it did.
    pub unsafe fn push(&self, value: T) {
        let node = Box::into_raw(Box::new(Node {
            next: AtomicPtr::new(ptr::null_mut()),
            value: UnsafeCell::new(Some(value)),
        }));
        // Safety: `tail` is the producer's, which the caller is.
        let last = self.tail.with_mut(|tail| unsafe { ptr::replace(tail, node) });
        // Safety: the consumer frees a node only after it has found the next one, which is linked below: this
        // one has none yet, so it is alive. After the store it may be gone.
        let place = if last.is_null() { &self.first } else { unsafe { &(*last).next } };
        // Ordering: Release, partner the load in `pop`: who finds the node finds its value. (B1)
        place.store(node, order("link.push", Ordering::Release));
    }

    /// Takes the oldest value; `None` if there is none. Never blocks.
    ///
    /// # Safety
    ///
    /// The caller is the only consumer until this returns, and sees what the consumer before it did.
    #[inline]
    pub unsafe fn pop(&self) -> Option<T> {
        // Safety: `head` is the consumer's, which the caller is.
        let emptied = self.head.with(|head| unsafe { *head });
        // Safety: the node that was popped last is freed by the pop after it, which is this one, or by `drop`.
        let place = if emptied.is_null() { &self.first } else { unsafe { &(*emptied).next } };
        // Ordering: Acquire, partner the store in `push`.
        let node = place.load(order("link.pop", Ordering::Acquire));
        if node.is_null() {
            return None;
        }
        // Safety: a linked node is the consumer's; the producer touches its `next` alone.
        let value = unsafe { (*node).value.with_mut(|value| (*value).take()) };
        // Safety: `head` is the consumer's.
        self.head.with_mut(|head| unsafe { *head = node });
        if !emptied.is_null() {
            // Safety: it came from a Box; nothing but `head` led to it any more: the producer's `tail` is
            // `node` or one after it, since it was set before `node` was linked.
            drop(unsafe { Box::from_raw(emptied) });
        }
        value
    }
}

impl<T> Drop for Link<T> {
    /// Drops what was pushed and not popped. (B2)
    fn drop(&mut self) {
        // Ordering: Relaxed: nobody else is there, and who dropped its handle before is seen.
        let first = self.first.load(Ordering::Relaxed);
        // Safety: exclusive access.
        let head = self.head.with(|head| unsafe { *head });
        let mut node = if head.is_null() { first } else { head };
        while !node.is_null() {
            // Safety: it came from a Box, and the node before it, which led to it, is gone.
            let owned = unsafe { Box::from_raw(node) };
            // Ordering: Relaxed, as above.
            node = owned.next.load(Ordering::Relaxed);
        }
    }
}
