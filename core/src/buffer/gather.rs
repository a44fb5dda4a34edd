//! The output of one handler run or of one flush, gathered so that one system call sends it.
//!
//! Small writes go into a block: that of the polling thread, which keeps it, or one that grows. Large
//! [`Bytes`] are put between them without a copy. What the kernel did not take moves on into the
//! connection's queue.
//!
//! Not here: sending.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use std::io::IoSlice;
use std::ops::Range;

use bytes::{Buf as _, Bytes, BytesMut};

use super::block::{Block, SIZE};
use super::chunks::{BLOCK, Chunks, LARGE, Slices};

/// The least that [`Gather::spare`] gives.
pub const LEAST_SPARE: usize = 64;

/// More was acknowledged than there was room for.
///
/// ```
/// use pollproof::buffer::gather::{Gather, TooMuch};
///
/// let mut gather = Gather::without_block();
/// assert!(matches!(gather.ack(1), Err(TooMuch { acknowledged: 1, offered: 0 })));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{acknowledged} bytes were acknowledged, {offered} were offered")]
pub struct TooMuch {
    /// What was to become output.
    pub acknowledged: usize,
    /// What was offered and not yet used otherwise.
    pub offered: usize,
}

/// A closed run.
enum Run {
    /// In the block.
    Block(Range<usize>),
    /// In memory that was made here.
    Spill(Bytes),
    /// As it was appended, by a user perhaps.
    Lent(Bytes),
}

/// Memory that was handed out to be filled.
#[derive(Clone, Copy, Default)]
struct Offer {
    /// How much output there was. If there is more now, the offer has lapsed: something was written over it.
    at: usize,
    len: usize,
}

/// Output that is being gathered.
///
/// ```
/// use pollproof::buffer::gather::Gather;
///
/// let mut gather = Gather::without_block();
/// gather.write(b"HTTP/1.1 200 OK\r\n");
/// gather.malloc(100)[..4].copy_from_slice(b"\r\nhi");
/// gather.ack(4).unwrap();
/// assert_eq!(gather.as_single(), Some(&b"HTTP/1.1 200 OK\r\n\r\nhi"[..]));
/// ```
pub struct Gather {
    block: Option<Box<Block>>,
    /// The open run within the block. Both are [`SIZE`] when the block is full, or there is none: then the
    /// open run is in `spill`.
    open: Range<usize>,
    /// The runs before the open one.
    closed: Vec<Run>,
    closed_len: usize,
    /// What was appended and is output no more: dropped with the next [`clear`](Self::clear). (U4)
    spent: Vec<Bytes>,
    /// The first `spill_len` bytes are output; what is behind them was offered.
    spill: BytesMut,
    spill_len: usize,
    offer: Offer,
}

impl Gather {
    fn new(block: Option<Box<Block>>) -> Self {
        let begin = if block.is_some() { 0 } else { SIZE };
        Self {
            block,
            open: begin..begin,
            closed: Vec::new(),
            closed_len: 0,
            spent: Vec::new(),
            spill: BytesMut::new(),
            spill_len: 0,
            offer: Offer::default(),
        }
    }

    /// For a polling thread: it keeps the block.
    pub fn with_block() -> Self {
        Self::new(Some(Block::new()))
    }

    /// For any other thread: memory as it is needed.
    pub fn without_block() -> Self {
        Self::new(None)
    }

    /// How many bytes of output there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.closed_len + self.open.len() + self.spill_len
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a copy.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) {
        let end = self.open.end + bytes.len();
        if let Some(block) = &mut self.block
            && let Some(room) = block.bytes_mut().get_mut(self.open.end..end)
        {
            room.copy_from_slice(bytes);
            self.open.end = end;
        } else {
            self.write_spill(bytes);
        }
    }

    #[cold]
    fn write_spill(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.leave_block();
        // What was offered and not used is not zeroed again, nor is anything zeroed to be written here.
        if let Some(room) = self.spill[self.spill_len..].get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
            self.spill_len += bytes.len();
        } else {
            self.make_room(bytes.len());
            self.spill.truncate(self.spill_len);
            self.spill.extend_from_slice(bytes);
            self.spill_len = self.spill.len();
        }
    }

    /// Appends `bytes`: as they are if they are at least [`LARGE`], else a copy; then they come back, to be dropped.
    pub fn append(&mut self, bytes: Bytes) -> Option<Bytes> {
        if bytes.len() < LARGE {
            self.write(&bytes);
            return Some(bytes);
        }
        self.close_open();
        self.closed_len += bytes.len();
        self.closed.push(Run::Lent(bytes));
        None
    }

    /// `n` contiguous bytes to fill. They become output by [`ack`](Self::ack), in whole or in part, before
    /// anything else is written. What they hold before is not defined; it may be earlier output.
    pub fn malloc(&mut self, n: usize) -> &mut [u8] {
        self.offer = Offer { at: self.len(), len: n };
        self.room(n)
    }

    /// Makes the first `n` bytes of the last [`malloc`](Self::malloc) output, and takes the others back.
    ///
    /// # Errors
    ///
    /// If fewer were offered, or something was written since. Nothing has changed then.
    pub fn ack(&mut self, n: usize) -> Result<(), TooMuch> {
        self.accept(n)?;
        self.offer = Offer::default();
        Ok(())
    }

    /// What is left contiguous, at least [`LEAST_SPARE`] bytes, to fill. What is filled becomes output by
    /// [`advance`](Self::advance), before anything else is written.
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        let left = if SIZE - self.open.end >= LEAST_SPARE {
            SIZE - self.open.end
        } else {
            let left = self.spill.len() - self.spill_len;
            if left >= LEAST_SPARE { left } else { self.spill_len.clamp(LEAST_SPARE, BLOCK) }
        };
        self.malloc(left)
    }

    /// Makes the next `n` bytes of the last [`spare`](Self::spare) output.
    ///
    /// # Panics
    ///
    /// If there are fewer, or something was written since.
    #[inline]
    pub fn advance(&mut self, n: usize) {
        match self.accept(n) {
            Ok(rest) => self.offer = Offer { at: self.len(), len: rest },
            Err(error) => panic!("advance: {error}"),
        }
    }

    /// Everything, if it is one run.
    #[inline]
    pub fn as_single(&self) -> Option<&[u8]> {
        let open = self.open_run();
        match &self.closed[..] {
            [] => Some(open),
            [only] if open.is_empty() => Some(self.bytes_of(only)),
            _ => None,
        }
    }

    /// Adds the runs to `out`, as many as it takes.
    pub fn io_slices<'a>(&'a self, out: &mut Slices<'a>) {
        let runs = self.closed.iter().map(|run| self.bytes_of(run)).chain([self.open_run()]);
        out.extend(runs.filter(|run| !run.is_empty()).take(out.remaining_capacity()).map(IoSlice::new));
    }

    /// After a write that took the first `sent` bytes: moves the others to the end of `into`, and begins anew.
    /// Large runs that are not in the block are not copied.
    pub fn move_rest(&mut self, sent: usize, into: &mut Chunks) {
        let mut sent = sent;
        let mut skip = |len: usize| {
            let skipped = sent.min(len);
            sent -= skipped;
            skipped
        };
        let block = self.block.as_ref().map_or(&[][..], |block| block.bytes());
        let open = (!self.open.is_empty()).then(|| Run::Block(self.open.clone()));
        for run in self.closed.drain(..).chain(open) {
            match run {
                Run::Block(range) => into.push_copy(&block[range.start + skip(range.len())..range.end]),
                Run::Spill(mut bytes) => {
                    bytes.advance(skip(bytes.len()));
                    into.push(bytes);
                }
                Run::Lent(mut bytes) => {
                    bytes.advance(skip(bytes.len()));
                    into.push_to(bytes, &mut self.spent);
                }
            }
        }
        self.spill.truncate(self.spill_len);
        self.spill.advance(skip(self.spill_len));
        into.push(std::mem::take(&mut self.spill).freeze());
        debug_assert_eq!(sent, 0, "more was sent than there was");
        self.begin_anew();
    }

    /// Drops the output and begins anew. Keeps the block, and no other memory. Returns what was appended, which may be a
    /// user's to drop.
    #[inline]
    pub fn clear(&mut self) -> Vec<Bytes> {
        if self.closed.capacity() > 0 || self.spill.capacity() > 0 || self.spent.capacity() > 0 {
            return self.free();
        }
        self.open = if self.block.is_some() { 0..0 } else { SIZE..SIZE };
        self.offer = Offer::default();
        Vec::new()
    }

    #[cold]
    fn free(&mut self) -> Vec<Bytes> {
        let mut spent = std::mem::take(&mut self.spent);
        spent.extend(self.closed.drain(..).filter_map(|run| match run {
            Run::Lent(bytes) => Some(bytes),
            Run::Block(_) | Run::Spill(_) => None,
        }));
        self.begin_anew();
        spent
    }

    fn begin_anew(&mut self) {
        self.open = if self.block.is_some() { 0..0 } else { SIZE..SIZE };
        self.offer = Offer::default();
        self.closed = Vec::new();
        self.closed_len = 0;
        self.spill = BytesMut::new();
        self.spill_len = 0;
    }

    fn bytes_of<'a>(&'a self, run: &'a Run) -> &'a [u8] {
        match (run, &self.block) {
            (Run::Spill(bytes) | Run::Lent(bytes), _) => bytes,
            (Run::Block(range), Some(block)) => &block.bytes()[range.clone()],
            (Run::Block(_), None) => &[],
        }
    }

    #[inline]
    fn open_run(&self) -> &[u8] {
        match &self.block {
            Some(block) if self.spill_len == 0 => &block.bytes()[self.open.clone()],
            _ => &self.spill[..self.spill_len],
        }
    }

    /// `n` contiguous bytes behind the open run, none of them output.
    #[inline]
    fn room(&mut self, n: usize) -> &mut [u8] {
        if n > SIZE - self.open.end || self.block.is_none() {
            return self.room_in_spill(n);
        }
        let block = self.block.as_mut().map_or(&mut [][..], |block| block.bytes_mut());
        &mut block[self.open.end..][..n]
    }

    #[cold]
    fn room_in_spill(&mut self, n: usize) -> &mut [u8] {
        if n > 0 {
            self.leave_block();
        }
        if self.spill.len() - self.spill_len < n {
            self.make_room(n);
            self.spill.resize(self.spill_len + n, 0);
        }
        &mut self.spill[self.spill_len..][..n]
    }

    /// Makes `n` offered bytes output; returns how many of the offer are left.
    #[inline]
    fn accept(&mut self, n: usize) -> Result<usize, TooMuch> {
        let offered = if self.offer.at == self.len() { self.offer.len } else { 0 };
        let Some(rest) = offered.checked_sub(n) else { return Err(TooMuch { acknowledged: n, offered }) };
        // An offer in the block is the only reason for it to be neither full nor absent.
        if self.open.end < SIZE {
            self.open.end += n;
        } else {
            self.spill_len += n;
        }
        Ok(rest)
    }

    /// From now on the open run is in the spill.
    fn leave_block(&mut self) {
        self.close_block();
        self.open = SIZE..SIZE;
    }

    fn close_open(&mut self) {
        self.close_block();
        self.close_spill();
    }

    fn close_block(&mut self) {
        if !self.open.is_empty() {
            self.closed_len += self.open.len();
            self.closed.push(Run::Block(self.open.clone()));
            self.open.start = self.open.end;
        }
    }

    fn close_spill(&mut self) {
        if self.spill_len > 0 {
            self.spill.truncate(self.spill_len);
            self.closed_len += self.spill_len;
            self.closed.push(Run::Spill(self.spill.split().freeze()));
            self.spill_len = 0;
        }
    }

    /// Makes room for `more` bytes behind the spill's output. A small spill grows, each time to twice its size;
    /// a large one is closed, so that much output is not moved around.
    fn make_room(&mut self, more: usize) {
        if self.spill.capacity() - self.spill_len >= more {
            return;
        }
        if self.spill_len < BLOCK {
            self.spill.reserve(self.spill_len + more - self.spill.len());
        } else {
            self.close_spill();
            self.spill = BytesMut::with_capacity(more.max(BLOCK));
        }
    }
}
