//! A queue of bytes with one owner: what a handler left unread, and what the kernel did not take.
//!
//! Small pushes are copied into a block that grows; large ones are queued as they are. Whoever needs
//! contiguous bytes has them joined: into a block with room for more, so that asking again copies nothing
//! and asking for a little more copies a little. (B3)
//!
//! Not here: who the owner is; two threads hand bytes to each other through a [`link`](super::link).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

use arrayvec::ArrayVec;
use bytes::{Buf as _, Bytes, BytesMut};

/// From this size on bytes are queued without copying them.
pub const LARGE: usize = 4096;

/// From this size on a part of a run is shared: for less, a copy costs no more than counting who has it.
const SHARED: usize = 16 * 1024;

/// A block that is at least this large is not grown by pushes; a new one is begun.
pub(super) const BLOCK: usize = 64 * 1024;

/// How many runs one system call is given.
pub const RUNS: usize = 64;

/// The runs of one gathering write.
///
/// ```
/// use pollproof::buffer::chunks::{Chunks, Slices};
///
/// let mut queue = Chunks::new();
/// queue.push_copy(b"GET / ");
/// let mut slices = Slices::new();
/// queue.io_slices(&mut slices);
/// assert_eq!(&slices[0][..], b"GET / ");
/// ```
pub type Slices<'a> = ArrayVec<IoSlice<'a>, RUNS>;

/// A queue of bytes. Empty, it owns no memory. (B2)
///
/// ```
/// use pollproof::buffer::chunks::Chunks;
///
/// let mut chunks = Chunks::new();
/// chunks.push_copy(b"half a pa");
/// assert_eq!(chunks.peek(13), None);
/// chunks.push(bytes::Bytes::from_static(b"cket, and more"));
/// assert_eq!(chunks.find(b',', 0), Some(13));
/// assert_eq!(chunks.take(13).unwrap(), "half a packet");
/// assert_eq!(chunks.skip(2), 2);
/// assert_eq!(chunks.all(), b"and more");
/// ```
///
/// One pointer, so that a connection which has nothing queued is small.
#[derive(Default)]
pub struct Chunks(Option<Box<Queue>>);

/// What is queued.
#[derive(Default)]
struct Queue {
    /// None of them empty.
    chunks: VecDeque<Bytes>,
    /// The last run, which grows. If there is nothing else, it is also the first.
    tail: BytesMut,
    /// Of all of them. Zero only while something is being appended.
    len: usize,
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").field("len", &self.len()).field("runs", &self.runs().count()).finish()
    }
}

impl Chunks {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes are queued.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.len)
    }

    /// Whether none are.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Appends a copy.
    pub fn push_copy(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.0.get_or_insert_default().push_copy(bytes);
        }
    }

    /// Appends `bytes`: as they are if they are at least [`LARGE`], or if the memory that they are in is small too and
    /// nobody shares it; else a copy, so that what a small slice of something large keeps alive does not pile up.
    pub fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.0.get_or_insert_default().push(bytes);
        }
    }

    /// Moves everything out of `other` behind what is here.
    pub fn append(&mut self, other: &mut Chunks) {
        match (&mut self.0, other.0.take()) {
            (_, None) => {}
            (Some(queue), Some(other)) => queue.append(*other),
            (empty, other) => *empty = other,
        }
    }

    /// The first bytes, as far as they are contiguous; empty if there are none.
    #[inline]
    pub fn front(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |queue| queue.front())
    }

    /// `bytes` without a copy, if they lie in the first run, and are enough of it to be worth it: 16 KiB.
    ///
    /// ```
    /// use pollproof::buffer::chunks::Chunks;
    ///
    /// let mut chunks = Chunks::new();
    /// chunks.push(vec![0; 64 * 1024].into());
    /// let part = chunks.part(&chunks.front()[100..]).expect("it lies there");
    /// assert_eq!(part.as_ptr(), chunks.front()[100..].as_ptr());
    /// assert_eq!(chunks.part(&part.to_vec()), None);
    /// ```
    pub fn part(&self, bytes: &[u8]) -> Option<Bytes> {
        let run = self.0.as_ref()?.chunks.front().filter(|_| bytes.len() >= SHARED)?;
        let (all, part) = (run.as_ptr_range(), bytes.as_ptr_range());
        (all.start <= part.start && part.end <= all.end).then(|| run.slice_ref(bytes))
    }

    /// The first `n` bytes, contiguous; `None` if there are fewer.
    #[inline]
    pub fn peek(&mut self, n: usize) -> Option<&[u8]> {
        if n > self.len() {
            return None;
        }
        self.0.as_mut().map_or(Some(&[]), |queue| queue.joined(n).get(..n))
    }

    /// Everything, contiguous.
    pub fn all(&mut self) -> &[u8] {
        self.0.as_mut().map_or(&[], |queue| queue.joined(queue.len))
    }

    /// Drops the first `n` bytes, or all if there are fewer; returns how many.
    pub fn skip(&mut self, n: usize) -> usize {
        let skipped = n.min(self.len());
        if let Some(queue) = &mut self.0 {
            queue.move_front(skipped, |_| ());
        }
        self.consumed(skipped);
        skipped
    }

    /// Takes the first `n` bytes out of the queue; `None` if there are fewer. Nothing is copied if they
    /// are contiguous.
    pub fn take(&mut self, n: usize) -> Option<Bytes> {
        if n > self.len() {
            return None;
        }
        let taken = self.0.as_mut().map_or_else(Bytes::new, |queue| queue.take(n));
        self.consumed(n);
        Some(taken)
    }

    /// `n` bytes are out of the runs.
    fn consumed(&mut self, n: usize) {
        if let Some(queue) = &mut self.0 {
            queue.len -= n;
            if queue.len == 0 {
                self.0 = None;
            }
        }
    }

    /// Where the first `needle` at or behind `from` is.
    pub fn find(&self, needle: u8, from: usize) -> Option<usize> {
        let mut before = 0;
        for run in self.runs() {
            let start = from.saturating_sub(before).min(run.len());
            if let Some(at) = memchr::memchr(needle, &run[start..]) {
                return Some(before + start + at);
            }
            before += run.len();
        }
        None
    }

    /// Adds the runs to `out`, as many as it takes.
    pub fn io_slices<'a>(&'a self, out: &mut Slices<'a>) {
        out.extend(self.runs().take(out.remaining_capacity()).map(IoSlice::new));
    }

    /// Drops the first `n` bytes, of which there are as many; runs that are through go to `spent`.
    pub fn skip_to(&mut self, n: usize, spent: &mut Vec<Bytes>) {
        if let Some(queue) = &mut self.0 {
            queue.move_front_to(n, |_| (), spent);
        }
        self.consumed(n);
    }

    /// As [`push`](Self::push). If `bytes` are copied, they go to `spent`.
    pub fn push_to(&mut self, bytes: Bytes, spent: &mut Vec<Bytes>) {
        if bytes.len() >= LARGE {
            return self.push(bytes);
        }
        self.push_copy(&bytes);
        spent.push(bytes);
    }

    /// A copy of everything.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len());
        self.runs().for_each(|run| all.extend_from_slice(run));
        all
    }

    /// The runs themselves, in their order.
    pub fn into_runs(self) -> Vec<Bytes> {
        self.0.map_or_else(Vec::new, |mut queue| {
            queue.close_tail();
            queue.chunks.into()
        })
    }

    /// Everything in one vector; not copied if it is one run that nobody shares.
    pub fn into_vec(self) -> Vec<u8> {
        self.0.map_or_else(Vec::new, |queue| queue.into_vec())
    }

    /// If only a little is left, copies it into memory of its own size, so that what it was a part of can be
    /// freed. An empty queue has given back everything already. (B2)
    pub fn shrink(&mut self) {
        if (1..LARGE).contains(&self.len()) {
            let mut exact = BytesMut::with_capacity(self.len());
            self.runs().for_each(|run| exact.extend_from_slice(run));
            self.replace(exact);
        }
    }

    /// The bytes in their order, in as many runs as they lie in.
    pub fn runs(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().flat_map(|queue| queue.runs())
    }

    /// Takes `joined` for all that was here; it has the same bytes in one run.
    pub fn replace(&mut self, joined: BytesMut) {
        debug_assert_eq!(joined.len(), self.len(), "the same bytes");
        if let Some(queue) = &mut self.0 {
            queue.chunks = VecDeque::new();
            queue.tail = joined;
        }
    }
}

impl Queue {
    fn push_copy(&mut self, bytes: &[u8]) {
        if self.tail.capacity() - self.tail.len() < bytes.len() {
            self.make_room(bytes.len());
        }
        self.tail.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    fn push(&mut self, bytes: Bytes) {
        if bytes.len() < LARGE {
            return self.push_small(bytes);
        }
        self.close_tail();
        self.len += bytes.len();
        self.chunks.push_back(bytes);
    }

    /// Copies `bytes`, unless they may as well begin the tail: what they are in is theirs alone, and no larger.
    fn push_small(&mut self, bytes: Bytes) {
        if self.tail.capacity() > 0 {
            return self.push_copy(&bytes);
        }
        match bytes.try_into_mut() {
            Ok(own) if own.capacity() <= LARGE => {
                self.len += own.len();
                self.tail = own;
            }
            Ok(own) => self.push_copy(&own),
            Err(shared) => self.push_copy(&shared),
        }
    }

    fn append(&mut self, other: Self) {
        for chunk in other.chunks {
            self.push(chunk);
        }
        if other.tail.len() < LARGE {
            self.push_copy(&other.tail);
        } else {
            self.close_tail();
            self.len += other.tail.len();
            self.tail = other.tail;
        }
    }

    #[inline]
    fn front(&self) -> &[u8] {
        match self.chunks.front() {
            Some(chunk) => chunk,
            None => &self.tail,
        }
    }

    /// The front, with at least `n` bytes, of which there are as many.
    #[inline]
    fn joined(&mut self, n: usize) -> &[u8] {
        if self.front().len() < n {
            self.join(n);
        }
        self.front()
    }

    /// Takes the first `n` bytes, of which there are as many, out of the runs.
    fn take(&mut self, n: usize) -> Bytes {
        match self.chunks.front_mut() {
            _ if n == 0 => Bytes::new(),
            Some(chunk) if chunk.len() == n => self.chunks.pop_front().unwrap_or_default(),
            Some(chunk) if chunk.len() > n => chunk.split_to(n),
            None if self.len == n => std::mem::take(&mut self.tail).freeze(),
            None => self.tail.split_to(n).freeze(),
            Some(_) => {
                let mut joined = BytesMut::with_capacity(n);
                self.move_front(n, |run| joined.extend_from_slice(run));
                joined.freeze()
            }
        }
    }

    fn into_vec(mut self) -> Vec<u8> {
        match (self.chunks.len(), self.tail.is_empty()) {
            (0, _) => self.tail.into(),
            (1, true) => self.chunks.pop_front().unwrap_or_default().into(),
            _ => {
                let mut all = Vec::with_capacity(self.len);
                self.runs().for_each(|run| all.extend_from_slice(run));
                all
            }
        }
    }

    fn runs(&self) -> impl Iterator<Item = &[u8]> {
        self.chunks.iter().map(|chunk| &chunk[..]).chain((!self.tail.is_empty()).then_some(&self.tail[..]))
    }

    /// Makes room for `more` bytes in the tail. A small tail grows, each time to twice its size; a large one
    /// is closed, so that a long queue is not moved around.
    #[cold]
    fn make_room(&mut self, more: usize) {
        if self.tail.len() < BLOCK {
            self.tail.reserve(more);
        } else {
            self.close_tail();
            self.tail = BytesMut::with_capacity(more.max(BLOCK));
        }
    }

    /// Begins a new run.
    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(std::mem::take(&mut self.tail).freeze());
        }
    }

    /// Makes at least the first `n` bytes, of which there are as many, one run. (B3)
    ///
    /// The first run is made twice as long, if there is enough, or gets room for half as much again: either
    /// way, what is copied here is less than a constant times what was queued since it was copied before.
    #[cold]
    fn join(&mut self, n: usize) {
        let first = self.chunks.pop_front().unwrap_or_default();
        let wanted = n.max(2 * first.len()).min(self.len);
        let room = if wanted == self.len { wanted + wanted / 2 } else { wanted };
        let copy = |first: &[u8]| {
            let mut joined = BytesMut::with_capacity(room);
            joined.extend_from_slice(first);
            joined
        };
        // It has room if it is what was joined before, and then was closed.
        let mut joined = match first.try_into_mut() {
            Ok(first) if first.capacity() >= n => first,
            Ok(first) => copy(&first),
            Err(first) => copy(&first),
        };
        let wanted = wanted.min(joined.capacity());
        self.move_front(wanted - joined.len(), |run| joined.extend_from_slice(run));
        if wanted == self.len {
            self.chunks = VecDeque::new();
            self.tail = joined;
        } else {
            self.chunks.push_front(joined.freeze());
        }
    }

    /// Hands the first `n` bytes to `each`, run by run, and drops them.
    fn move_front(&mut self, n: usize, each: impl FnMut(&[u8])) {
        self.move_front_to(n, each, &mut Vec::new());
    }

    /// As [`move_front`](Self::move_front); runs that are through go to `spent`.
    fn move_front_to(&mut self, mut n: usize, mut each: impl FnMut(&[u8]), spent: &mut Vec<Bytes>) {
        while n > 0 {
            let Some(chunk) = self.chunks.front_mut() else {
                each(&self.tail[..n]);
                return self.tail.advance(n);
            };
            let count = n.min(chunk.len());
            each(&chunk[..count]);
            chunk.advance(count);
            if chunk.is_empty() {
                spent.extend(self.chunks.pop_front());
            }
            n -= count;
        }
    }
}
