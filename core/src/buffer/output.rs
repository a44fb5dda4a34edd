//! Output: from the holder of `FLUSHING`, who produces, to the holder of `OUT`, who sends.
//!
//! A flush that is its own consumer sends its bytes from where they are; only what the kernel does not
//! take is queued. A flush that finds a consumer at work puts its bytes into the outbox.
//!
//! There is no high-water mark yet: a peer that does not read makes its own queue grow.
//!
//! Not here: who consumes, and when (`protocol::output`).

use crate::buffer::tail::Tail;
use crate::protocol::effects::Sent;
use crate::reactor::held::Held;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, lock};

/// One connection's output.
#[derive(Debug)]
pub(crate) struct Output {
    /// Bytes of flushes that were not their own consumer; appended under `FLUSHING`, taken under `OUT`.
    outbox: Mutex<Vec<u8>>,
    /// There is something in the outbox; changed under its lock.
    waiting: AtomicBool,
    /// What the kernel did not take. Under `OUT`.
    queue: Held<Tail>,
    /// Bytes sent since birth; written under `OUT`.
    sent: AtomicU64,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self {
            outbox: Mutex::new(Vec::new()),
            waiting: AtomicBool::new(false),
            queue: Held::new(Tail::default()),
            sent: AtomicU64::new(0),
        }
    }

    pub(crate) fn sent(&self) -> u64 {
        // Ordering: Acquire, partner `count`; a total, which publishes nothing else.
        self.sent.load(Ordering::Acquire)
    }

    #[inline]
    fn count(&self, count: usize) {
        // Ordering: the holder of OUT is the only writer. Release, partner `sent`.
        let total = self.sent.load(Ordering::Relaxed) + count as u64;
        self.sent.store(total, Ordering::Release);
    }

    /// Puts a flush's bytes where the consumer finds them. Under `FLUSHING`. (O1)
    pub(crate) fn append(&self, bytes: &[u8]) {
        let mut outbox = lock(&self.outbox);
        outbox.extend_from_slice(bytes);
        // Ordering: Relaxed: the announcement in the word that follows carries it to the consumer (O2).
        self.waiting.store(true, Ordering::Relaxed);
    }

    /// Moves the outbox behind the queue.
    #[inline]
    fn collect(&self, queue: &mut Tail) {
        // Ordering: Relaxed, see `append`.
        if self.waiting.load(Ordering::Relaxed) {
            let mut outbox = lock(&self.outbox);
            queue.push(&outbox);
            *outbox = Vec::new();
            self.waiting.store(false, Ordering::Relaxed);
        }
    }

    /// Sends what is queued and then `own`, one attempt; queues what is left. `None` when `write` failed.
    ///
    /// # Safety
    ///
    /// The caller holds `OUT` (O2).
    #[inline]
    pub(crate) unsafe fn send(&self, own: &[u8], write: impl FnOnce(&[u8]) -> Option<usize>) -> Sent {
        // Safety: OUT, by the caller's promise.
        unsafe {
            self.queue.with_mut(|queue| {
                self.collect(queue);
                if !queue.is_empty() {
                    queue.push(own);
                    let Some(count) = write(queue.bytes()) else { return Sent::Failed };
                    self.count(count);
                    queue.consume(count);
                } else if !own.is_empty() {
                    let Some(count) = write(own) else { return Sent::Failed };
                    self.count(count);
                    if count < own.len() {
                        queue.push(&own[count..]);
                    }
                }
                if queue.is_empty() { Sent::All } else { Sent::Partly }
            })
        }
    }

    /// Everything that was queued and not sent, leaving nothing and no memory.
    ///
    /// # Safety
    ///
    /// The caller holds `OUT` (O2), or owns `TASK` for ever (C4).
    pub(crate) unsafe fn free(&self) -> Vec<u8> {
        // Safety: by the caller's promise: a committed close has no hold, and OUT is one unless its
        // consumer is parked, whom the word's closing bits keep from the queue (D2).
        unsafe {
            self.queue.with_mut(|queue| {
                self.collect(queue);
                queue.take()
            })
        }
    }
}
