//! Output: from the holder of `FLUSHING`, who produces, to the holder of `OUT`, who sends.
//!
//! A flush that is its own consumer sends its bytes from where they are; only what the kernel does not
//! take is queued. A flush that finds a consumer at work puts its bytes into the outbox.
//!
//! Not here: who consumes, and when (`protocol::output`), and how much is too much (O5).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

use std::io::IoSlice;

use bytes::Bytes;

use crate::buffer::chunks::{Chunks, Slices};
use crate::buffer::gather::Gather;
use crate::buffer::link::Link;
use crate::protocol::effects::Sent;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::bit_cell::Held;

/// Bytes after which a consumer rests although the socket takes more: then it parks, and epoll reports the socket
/// as writable at once. (F3)
const TURN: usize = 1 << 20;

/// The bytes of one flush.
pub(crate) enum Batch<'a> {
    /// One run, sent from where it is.
    Run(&'a [u8]),
    /// What was gathered.
    Gathered(&'a mut Gather),
}

impl Batch<'_> {
    #[inline]
    fn len(&self) -> usize {
        match self {
            Batch::Run(bytes) => bytes.len(),
            Batch::Gathered(gather) => gather.len(),
        }
    }

    /// Everything but the first `sent` bytes goes behind `queue`.
    fn queue(&mut self, sent: usize, queue: &mut Chunks) {
        match self {
            Batch::Run(bytes) => queue.push_copy(&bytes[sent..]),
            Batch::Gathered(gather) => gather.move_rest(sent, queue),
        }
    }
}

/// One connection's output.
#[derive(Debug)]
pub(crate) struct Output {
    /// Bytes of flushes that were not their own consumer: pushed under `FLUSHING`, popped under `OUT`.
    outbox: Link<Chunks>,
    /// What the kernel did not take. Under `OUT`.
    queue: Held<Chunks>,
    /// Bytes flushed since birth; written under `FLUSHING`.
    flushed: AtomicU64,
    /// Bytes sent since birth; written under `OUT`.
    sent: AtomicU64,
    /// Bytes that were dropped; written under `OUT`.
    dropped: AtomicU64,
}

/// One attempt to write: one run, or several. `None` when it failed.
pub(crate) trait Write {
    fn run(&mut self, bytes: &[u8]) -> Option<usize>;
    fn runs(&mut self, runs: &[IoSlice<'_>]) -> Option<usize>;

    /// As [`run`](Self::run); `Err` if it did not take everything.
    fn all(&mut self, bytes: &[u8]) -> Result<(), Option<usize>>;

    /// Whether epoll would report the socket as writable if the consumer rested now.
    fn may_rest(&self) -> bool;

    /// Takes runs that are sent: their drop may be a user's, and is not for a holder of `OUT`. (U4)
    fn spent(&mut self, runs: Vec<Bytes>);

    /// One system call for everything in `slices`.
    fn slices(&mut self, slices: &Slices<'_>) -> Option<usize> {
        match slices.as_slice() {
            [one] => self.run(one),
            all => self.runs(all),
        }
    }
}

#[inline]
fn add(total: &AtomicU64, count: usize) {
    // Ordering: one writer at a time, by the bit that the field names. Release, partner: the Acquire in `sent`,
    // `flushed` and `backlog`.
    total.store(total.load(Ordering::Relaxed) + count as u64, Ordering::Release);
}

impl Output {
    pub(crate) fn new() -> Self {
        Self {
            outbox: Link::new(),
            queue: Held::new(Chunks::new()),
            flushed: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn sent(&self) -> u64 {
        // Ordering: Acquire, partner `add`; a total, which publishes nothing else.
        self.sent.load(Ordering::Acquire)
    }

    /// Bytes flushed since birth.
    pub(crate) fn flushed(&self) -> u64 {
        // Ordering: Acquire, partner `add`.
        self.flushed.load(Ordering::Acquire)
    }

    /// Whether every byte was sent: then nothing is queued. False as well once something was dropped.
    #[inline(always)]
    pub(crate) fn is_settled(&self) -> bool {
        self.sent() == self.flushed()
    }

    /// Bytes that are on their way, give or take what others append and send meanwhile. (O5)
    #[inline]
    pub(crate) fn backlog(&self) -> u64 {
        // Ordering: Acquire, partner `add`: what is gone is looked at first, so that the result is never too
        // small for whoever flushed last.
        let gone = self.sent() + self.dropped.load(Ordering::Acquire);
        self.flushed().saturating_sub(gone)
    }

    /// Puts a flush's bytes where the consumer finds them. (O1)
    ///
    /// # Safety
    ///
    /// The caller holds `FLUSHING`.
    pub(crate) unsafe fn append(&self, batch: &mut Batch<'_>) {
        add(&self.flushed, batch.len());
        let mut chunks = Chunks::new();
        batch.queue(0, &mut chunks);
        if !chunks.is_empty() {
            // Safety: the holder of FLUSHING is the only producer.
            unsafe { self.outbox.push(chunks) };
        }
    }

    /// Sends what is queued and then `batch`, and queues what is left.
    ///
    /// # Safety
    ///
    /// The caller holds `OUT` (O2), and `FLUSHING` if there is a batch (O1).
    #[inline]
    pub(crate) unsafe fn send(&self, batch: Option<Batch<'_>>, write: impl Write) -> Sent {
        match batch {
            // Safety: by the caller's promise.
            Some(Batch::Run(run)) => unsafe { self.send_run(run, write) },
            // Safety: as above.
            batch => unsafe { self.send_all(batch, write) },
        }
    }

    /// [`send`](Self::send) of a batch that is one run.
    ///
    /// # Safety
    ///
    /// As for [`send`](Self::send) with a batch.
    #[inline(always)]
    pub(crate) unsafe fn send_run(&self, run: &[u8], mut write: impl Write) -> Sent {
        if !self.is_settled() || run.is_empty() {
            // Safety: as above.
            return unsafe { self.send_run_after(run, write) };
        }
        add(&self.flushed, run.len());
        match write.all(run) {
            Ok(()) => {
                add(&self.sent, run.len());
                Sent::All
            }
            // Safety: as above.
            Err(count) => unsafe { self.sent_a_part(run, count) },
        }
    }

    /// [`send_run`](Self::send_run), behind what is queued.
    ///
    /// # Safety
    ///
    /// As for [`send`](Self::send).
    #[cold]
    #[inline(never)]
    unsafe fn send_run_after(&self, run: &[u8], write: impl Write) -> Sent {
        // Safety: by the caller's promise.
        unsafe { self.send_all(Some(Batch::Run(run)), write) }
    }

    /// The kernel took `count` bytes of `run`, or refused it; nothing was queued before.
    ///
    /// # Safety
    ///
    /// As for [`send`](Self::send).
    #[cold]
    unsafe fn sent_a_part(&self, run: &[u8], count: Option<usize>) -> Sent {
        let Some(count) = count else {
            add(&self.dropped, run.len());
            return Sent::Failed;
        };
        add(&self.sent, count);
        // Safety: OUT, by the caller's promise.
        unsafe { self.queue.with_mut(|queue| queue.push_copy(&run[count..])) };
        Sent::Partly
    }

    /// [`send`](Self::send) where there is more than one run in one place.
    ///
    /// # Safety
    ///
    /// As for [`send`](Self::send).
    #[cold]
    #[inline(never)]
    unsafe fn send_all(&self, batch: Option<Batch<'_>>, mut write: impl Write) -> Sent {
        // Safety: OUT, by the caller's promise.
        unsafe {
            self.queue.with_mut(|queue| {
                if let Some(mut batch) = batch {
                    add(&self.flushed, batch.len());
                    // It goes behind everything, and while this is its flush nobody adds to that.
                    self.collect(queue, usize::MAX);
                    if !queue.is_empty() {
                        batch.queue(0, queue);
                    } else if batch.len() > 0 {
                        let Some(count) = write_batch(&batch, &mut write) else {
                            add(&self.dropped, batch.len());
                            return Sent::Failed;
                        };
                        add(&self.sent, count);
                        if count == batch.len() {
                            return Sent::All;
                        }
                        batch.queue(count, queue);
                        return Sent::Partly;
                    }
                }
                self.send_queue(queue, write)
            })
        }
    }

    /// Moves what flushes have appended into the queue, until that has `enough`.
    ///
    /// # Safety
    ///
    /// The caller holds `OUT`.
    unsafe fn collect(&self, queue: &mut Chunks, enough: usize) {
        while queue.len() < enough {
            // Safety: by the caller's promise.
            let Some(mut chunks) = (unsafe { self.outbox.pop() }) else { return };
            queue.append(&mut chunks);
        }
    }

    /// Sends what is queued: all, what the socket takes, or a turn's worth, so that flushes that never cease
    /// neither keep the consumer nor have it collect instead of sending. (F3)
    ///
    /// # Safety
    ///
    /// The caller holds `OUT`.
    unsafe fn send_queue(&self, queue: &mut Chunks, mut write: impl Write) -> Sent {
        let mut left = TURN;
        loop {
            // Safety: by the caller's promise.
            unsafe { self.collect(queue, TURN) };
            if queue.is_empty() {
                return Sent::All;
            }
            if left == 0 && write.may_rest() {
                return Sent::Partly;
            }
            let mut slices = Slices::new();
            queue.io_slices(&mut slices);
            let offered: usize = slices.iter().map(|run| run.len()).sum();
            let Some(count) = write.slices(&slices) else { return Sent::Failed };
            drop(slices);
            add(&self.sent, count);
            let mut spent = Vec::new();
            queue.skip_to(count, &mut spent);
            if !spent.is_empty() {
                write.spent(spent);
            }
            if count < offered {
                return Sent::Partly;
            }
            left = left.saturating_sub(count);
        }
    }

    /// Everything that was queued and not sent, leaving nothing and no memory here.
    ///
    /// # Safety
    ///
    /// The caller holds `OUT` (O2), or owns `TASK` for ever (C4).
    pub(crate) unsafe fn free(&self) -> Chunks {
        // Safety: by the caller's promise: a committed close has no hold, and OUT is one unless its
        // consumer is parked, whom the word's closing bits keep from the queue (D2).
        unsafe {
            self.queue.with_mut(|queue| {
                self.collect(queue, usize::MAX);
                add(&self.dropped, queue.len());
                std::mem::take(queue)
            })
        }
    }
}

#[inline]
fn write_batch(batch: &Batch<'_>, write: &mut impl Write) -> Option<usize> {
    match batch {
        Batch::Run(bytes) => write.run(bytes),
        Batch::Gathered(gather) => match gather.as_single() {
            Some(bytes) => write.run(bytes),
            None => {
                let mut slices = Slices::new();
                gather.io_slices(&mut slices);
                write.slices(&slices)
            }
        },
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::io::IoSlice;

    use super::{Batch, Output, Sent, TURN, Write};

    const BLOCK: usize = 64 << 10;

    /// A socket that takes everything, and on whose every call another flush is appended.
    struct NeverCeases<'a>(&'a Output, usize);

    impl NeverCeases<'_> {
        fn take(&mut self, count: usize) -> Option<usize> {
            self.1 += 1;
            assert!(self.1 < 1000, "the consumer does not come to an end");
            // Safety: no other producer is there.
            unsafe { self.0.append(&mut Batch::Run(&vec![1; count])) };
            Some(count)
        }
    }

    impl Write for &mut NeverCeases<'_> {
        fn run(&mut self, bytes: &[u8]) -> Option<usize> {
            self.take(bytes.len())
        }

        fn runs(&mut self, runs: &[IoSlice<'_>]) -> Option<usize> {
            self.take(runs.iter().map(|run| run.len()).sum())
        }

        fn all(&mut self, bytes: &[u8]) -> Result<(), Option<usize>> {
            self.run(bytes).map(drop).ok_or(None)
        }

        fn may_rest(&self) -> bool {
            true
        }

        fn spent(&mut self, _: Vec<bytes::Bytes>) {}
    }

    /// SPEC: F3.
    #[test]
    fn a_consumer_rests_while_flushes_never_cease() {
        let output = Output::new();
        // Safety: neither another producer nor another consumer is there.
        unsafe {
            output.append(&mut Batch::Run(&[1; BLOCK]));
            let mut socket = NeverCeases(&output, 0);
            assert_eq!(output.send(None, &mut socket), Sent::Partly);
            assert_eq!((output.sent(), socket.1), (TURN as u64, TURN / BLOCK));
        }
    }

    /// What a first call is offered.
    struct Full(Option<usize>);

    impl Write for &mut Full {
        fn run(&mut self, bytes: &[u8]) -> Option<usize> {
            self.0 = Some(bytes.len());
            Some(0)
        }

        fn runs(&mut self, runs: &[IoSlice<'_>]) -> Option<usize> {
            self.0 = Some(runs.iter().map(|run| run.len()).sum());
            Some(0)
        }

        fn all(&mut self, bytes: &[u8]) -> Result<(), Option<usize>> {
            Err(self.run(bytes))
        }

        fn may_rest(&self) -> bool {
            true
        }

        fn spent(&mut self, _: Vec<bytes::Bytes>) {}
    }

    /// SPEC: F3.
    #[test]
    fn a_consumer_collects_no_more_than_it_is_about_to_send() {
        let output = Output::new();
        // Safety: as above.
        unsafe {
            for _ in 0..3 * TURN / BLOCK {
                output.append(&mut Batch::Run(&[1; BLOCK]));
            }
            let mut socket = Full(None);
            assert_eq!(output.send(None, &mut socket), Sent::Partly);
            assert!(socket.0.is_some_and(|offered| (1..=TURN).contains(&offered)), "{:?}", socket.0);
            assert_eq!(output.queue.with(super::Chunks::len), TURN);
            assert_eq!(output.backlog(), 3 * TURN as u64);
            assert_eq!(output.free().len(), 3 * TURN);
            assert_eq!(output.backlog(), 0, "what was dropped is not on its way");
        }
    }
}
