//! Input: from the holder of `READING`, who produces, to the owner of `TASK`, who consumes.
//!
//! A read under both stays in the reader's block, which is then the handler's view; nothing is queued
//! and no lock is taken. A read while somebody else owns the section goes to the inbox. What a handler
//! left unread, and what the owner took out of the inbox, is the tail.
//!
//! Not here: when to read and when to call (`protocol`).

use crate::buffer::tail::Tail;
use crate::protocol::process::{Progress, Unread};
use crate::reactor::held::Held;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, lock};

/// What the owner of `TASK` keeps.
#[derive(Debug, Default)]
struct Own {
    tail: Tail,
    consumed: u64,
    progress: Progress,
}

/// One connection's input.
#[derive(Debug)]
pub(crate) struct Input {
    /// Bytes read since birth; written under `READING`.
    produced: AtomicU64,
    /// Bytes read while somebody else owned the section.
    inbox: Mutex<Vec<u8>>,
    /// Under `TASK`.
    own: Held<Own>,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self { produced: AtomicU64::new(0), inbox: Mutex::new(Vec::new()), own: Held::new(Own::default()) }
    }

    #[inline]
    pub(crate) fn produced(&self) -> u64 {
        // Ordering: Acquire, partner `count`: who sees the total finds the bytes in the inbox.
        self.produced.load(Ordering::Acquire)
    }

    /// `count` bytes were read. Under `READING`.
    #[inline]
    pub(crate) fn count(&self, count: usize) {
        // Ordering: the holder of READING is the only writer, so its own load needs none. Release, partner
        // `produced`.
        let total = self.produced.load(Ordering::Relaxed) + count as u64;
        self.produced.store(total, Ordering::Release);
    }

    /// Bytes were read while somebody else owns the section. Under `READING`. (N1)
    pub(crate) fn deliver(&self, bytes: &[u8]) {
        lock(&self.inbox).extend_from_slice(bytes);
        self.count(bytes.len());
    }

    /// How much was read and how much of it consumed.
    ///
    /// # Safety
    ///
    /// The caller owns `TASK` (S1).
    #[inline]
    pub(crate) unsafe fn unread(&self) -> Unread {
        // Safety: TASK, by the caller's promise.
        let consumed = unsafe { self.own.with(|own| own.consumed) };
        Unread { produced: self.produced(), consumed }
    }

    /// Whether everything that was read was consumed.
    ///
    /// # Safety
    ///
    /// The caller owns `TASK` (S1).
    #[inline]
    pub(crate) unsafe fn is_drained(&self) -> bool {
        // Safety: TASK, by the caller's promise.
        let unread = unsafe { self.unread() };
        unread.produced == unread.consumed
    }

    /// The owner's memory of its last call.
    ///
    /// # Safety
    ///
    /// The caller owns `TASK` (S1), and `f` does not come back here.
    #[inline]
    pub(crate) unsafe fn progress<R>(&self, f: impl FnOnce(&mut Progress) -> R) -> R {
        // Safety: TASK, by the caller's promise.
        unsafe { self.own.with_mut(|own| f(&mut own.progress)) }
    }

    /// Bytes of the owner's view that the handler consumed, and those that it left.
    ///
    /// # Safety
    ///
    /// The caller owns `TASK` (S1).
    #[inline]
    pub(crate) unsafe fn keep(&self, consumed: usize, left: &[u8]) {
        // Safety: TASK, by the caller's promise.
        unsafe {
            self.own.with_mut(|own| {
                own.consumed += consumed as u64;
                if !left.is_empty() {
                    own.tail.push(left);
                }
            });
        }
    }

    /// Calls `f` with everything that is queued, and consumes as much of it as `f` says.
    ///
    /// # Safety
    ///
    /// The caller owns `TASK` (S1), and keeps it while `f` runs.
    pub(crate) unsafe fn take<R>(&self, f: impl FnOnce(&[u8]) -> (R, usize)) -> R {
        // Safety: TASK, by the caller's promise; `f` has a shared view, and whoever else may come here
        // meanwhile on this thread (a handler's own calls) does not own TASK.
        unsafe {
            self.collect();
            let (result, consumed) = self.own.with(|own| f(own.tail.bytes()));
            self.own.with_mut(|own| {
                own.tail.consume(consumed);
                own.consumed += consumed as u64;
            });
            result
        }
    }

    /// Moves what is in the inbox behind what the owner has.
    ///
    /// # Safety
    ///
    /// The caller owns `TASK` (S1).
    unsafe fn collect(&self) {
        // Safety: TASK, by the caller's promise.
        unsafe {
            self.own.with_mut(|own| {
                if self.produced() - own.consumed > own.tail.len() as u64 {
                    let inbox = std::mem::take(&mut *lock(&self.inbox));
                    own.tail.push(&inbox);
                }
            });
        }
    }

    /// Everything that was read and not consumed, leaving nothing and no memory.
    ///
    /// # Safety
    ///
    /// The caller owns `TASK`, for ever (C4).
    pub(crate) unsafe fn free(&self) -> Vec<u8> {
        // Safety: TASK, by the caller's promise.
        unsafe {
            self.collect();
            self.own.with_mut(|own| own.tail.take())
        }
    }
}
