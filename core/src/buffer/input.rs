//! Input: from the holder of `READING`, who produces, to the owner of `TASK`, who consumes.
//!
//! A read under both stays in the reader's block, which is then the handler's view; nothing is queued and
//! nothing is copied. A read while somebody else owns the section goes through the inbox: large ones keep
//! the block that they were read into, small ones are copied, so that an idle connection holds no block.
//! What a handler left unread, and what the owner took out of the inbox, are the owner's chunks.
//!
//! Not here: when to read and when to call (`protocol`), and what a handler sees of it (`reader`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

use bytes::Bytes;

use crate::buffer::chunks::Chunks;
use crate::buffer::link::Link;
use crate::protocol::progress::{Progress, Unread};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::bit_cell::Held;

/// What the owner of `TASK` keeps.
#[derive(Debug, Default)]
pub(crate) struct Own {
    /// What was taken out of the inbox, or left, and not consumed.
    pub(crate) chunks: Chunks,
    /// Bytes consumed since birth.
    pub(crate) consumed: u64,
    progress: Progress,
}

/// One connection's input.
#[derive(Debug)]
pub(crate) struct Input {
    /// Bytes read since birth; written under `READING`.
    produced: AtomicU64,
    /// Bytes consumed since birth, for who must guess how much is unread; written under `TASK`.
    consumed: AtomicU64,
    /// Bytes read while somebody else owned the section: pushed under `READING`, popped under `TASK`.
    inbox: Link<Bytes>,
    /// Under `TASK`.
    own: Held<Own>,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self {
            produced: AtomicU64::new(0),
            consumed: AtomicU64::new(0),
            inbox: Link::new(),
            own: Held::new(Own::default()),
        }
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

    /// How much is unread, give or take what the other side is about to produce or consume. (N6)
    #[inline]
    pub(crate) fn about(&self) -> u64 {
        // Ordering: Relaxed, partner `publish`: a guess, which a later look corrects (N6).
        self.produced().saturating_sub(self.consumed.load(Ordering::Relaxed))
    }

    /// Tells others how much the owner has consumed. Under `TASK`.
    #[inline]
    pub(crate) fn publish(&self, consumed: u64) {
        // Ordering: Relaxed, partner `about`.
        self.consumed.store(consumed, Ordering::Relaxed);
    }

    /// Bytes were read while somebody else owns the section. (N1)
    ///
    /// # Safety
    ///
    /// The caller holds `READING` (N3).
    pub(crate) unsafe fn deliver(&self, bytes: Bytes) {
        let count = bytes.len();
        // Safety: the holder of READING is the only producer, by the caller's promise.
        unsafe { self.inbox.push(bytes) };
        self.count(count);
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

    /// What the owner keeps.
    ///
    /// # Safety
    ///
    /// The caller owns `TASK` (S1) as long as it uses the result, and nobody else on its thread comes here
    /// meanwhile: a handler's own calls do not own the section.
    #[inline]
    #[allow(clippy::mut_from_ref, reason = "exclusive by the caller's promise")]
    pub(crate) unsafe fn own(&self) -> &mut Own {
        // Safety: by the caller's promise.
        unsafe { self.own.get() }
    }

    /// Moves what is in the inbox behind what the owner has.
    ///
    /// # Safety
    ///
    /// The caller owns `TASK` (S1), and `own` is from [`own`](Self::own).
    pub(crate) unsafe fn collect(&self, own: &mut Own) {
        // Safety: the owner of TASK is the only consumer, by the caller's promise.
        while let Some(bytes) = unsafe { self.inbox.pop() } {
            own.chunks.push(bytes);
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
            let own = self.own();
            self.collect(own);
            std::mem::take(&mut own.chunks).into_vec()
        }
    }
}
