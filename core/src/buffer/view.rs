//! A polling thread's block, and the view of it that a handler works on.
//!
//! The block is read into between two handlers and looked at during one, never both: the thread runs one section at a
//! time, and takes the view away before it reads on. Debug builds count on that with a flag; what ships does not ask.
//!
//! Not here: the block itself and how parts of it are lent (`block`), and what a handler sees (`reader`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

use std::cell::{Cell, UnsafeCell};
use std::ops::Range;

use bytes::Bytes;

use crate::buffer::block::ReadBlock;

/// From this size on, bytes that are kept keep their block; less is copied, which holds a connection to twice
/// its unread bytes or so.
const KEEPS_BLOCK: usize = 16 * 1024;

/// Where one polling thread reads to.
pub(crate) struct OwnBlock {
    block: UnsafeCell<ReadBlock>,
    /// There is a view.
    #[cfg(debug_assertions)]
    viewed: Cell<bool>,
}

impl OwnBlock {
    pub(crate) fn new() -> Self {
        Self {
            block: UnsafeCell::new(ReadBlock::new()),
            #[cfg(debug_assertions)]
            viewed: Cell::new(false),
        }
    }

    /// The block, to be read into.
    ///
    /// # Safety
    ///
    /// There is no [`View`] of it, and nobody comes here again before the result was used for the last time.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "exclusive by the caller's promise")]
    pub(crate) unsafe fn block(&self) -> &mut ReadBlock {
        #[cfg(debug_assertions)]
        assert!(!self.viewed.get(), "a handler looks at the block");
        // Safety: exclusive, by the caller's promise, on the one thread that has it.
        unsafe { &mut *self.block.get() }
    }

    /// The first `len` bytes of the block, which were read into it.
    ///
    /// # Safety
    ///
    /// There is no other view, and [`block`](Self::block) is not called as long as there is this one. The block has so
    /// many bytes, and was called for since something of it was lent.
    #[inline(always)]
    pub(crate) unsafe fn view(&self, len: usize) -> View<'_> {
        // Safety: nobody writes to it as long as there is the view, and it was not lent, by the caller's promise.
        unsafe { self.view_of((&*self.block.get()).own().unwrap_unchecked().bytes(), len) }
    }

    /// # Safety
    ///
    /// As for [`view`](Self::view); `block` is its bytes.
    #[inline(always)]
    unsafe fn view_of<'a>(&'a self, block: &'a [u8], len: usize) -> View<'a> {
        #[cfg(debug_assertions)]
        assert!(!self.viewed.replace(true), "there is a view already");
        debug_assert!(len <= block.len());
        // Safety: it is as long as that, by the caller's promise.
        let all = unsafe { block.get_unchecked(..len) };
        View { own: Some(self), all, rest: Cell::new(all), piece: Cell::new(&[]) }
    }
}

/// What was read into a block and its handler has not consumed: all references into the block are in here.
pub(crate) struct View<'a> {
    /// `None`: there is no view, and it is empty.
    own: Option<&'a OwnBlock>,
    all: &'a [u8],
    rest: Cell<&'a [u8]>,
    /// The part of it that is the reply so far.
    piece: Cell<&'a [u8]>,
}

impl View<'_> {
    /// No view.
    #[inline(always)]
    pub(crate) fn none() -> Self {
        Self { own: None, all: &[], rest: Cell::new(&[]), piece: Cell::new(&[]) }
    }

    #[inline(always)]
    pub(crate) fn is_some(&self) -> bool {
        self.own.is_some()
    }

    /// What is not consumed.
    #[inline(always)]
    pub(crate) fn rest(&self) -> &[u8] {
        self.rest.get()
    }

    /// Consumes so many bytes of the rest, or all of it; how many.
    #[inline(always)]
    pub(crate) fn consume(&self, count: usize) -> usize {
        let rest = self.rest.get();
        let count = count.min(rest.len());
        self.rest.set(&rest[count..]);
        count
    }

    /// How much is consumed.
    #[inline(always)]
    pub(crate) fn used(&self) -> usize {
        self.all.len() - self.rest.get().len()
    }

    /// Makes `bytes` the piece that is the reply, if they are a part of the view and there is no piece yet. Whether it
    /// did.
    #[inline(always)]
    pub(crate) fn mark(&self, bytes: &[u8]) -> bool {
        let offset = (bytes.as_ptr() as usize).wrapping_sub(self.all.as_ptr() as usize);
        // A part of the view begins no later than at `most`.
        let within = self.all.len().checked_sub(bytes.len()).is_some_and(|most| offset <= most);
        if within && self.piece.get().is_empty() {
            // Safety: `offset` and the length are within it, as was just seen.
            self.piece.set(unsafe { self.all.get_unchecked(offset..offset + bytes.len()) });
            return true;
        }
        false
    }

    /// The piece that is the reply; empty if there is none.
    #[inline(always)]
    pub(crate) fn piece(&self) -> &[u8] {
        self.piece.get()
    }

    /// As [`piece`](Self::piece), and there is none any more.
    pub(crate) fn take_piece(&self) -> &[u8] {
        self.piece.take()
    }

    /// Consumes `count` bytes that are there; they outlive the view without a copy, and keep the block alive. (B4)
    ///
    /// # Panics
    ///
    /// If the rest is shorter.
    pub(crate) fn share(&mut self, count: usize) -> Bytes {
        let Some(own) = self.own else { return Bytes::new() };
        let (len, used) = (self.all.len(), self.used());
        assert!(count <= len - used, "{count} bytes of {}", len - used);
        self.end();
        *self = Self::none();
        // Safety: this was the only view, and nothing refers to it; the block has as many bytes as before.
        let (bytes, view) = unsafe {
            let bytes = own.block().share(used..used + count);
            (bytes, own.view_of((&*own.block.get()).bytes(), len))
        };
        view.consume(used + count);
        *self = view;
        bytes
    }

    /// The rest, which outlives the view: with its block, or copied if it is small. There is no view any more.
    pub(crate) fn keep_rest(&mut self) -> Bytes {
        let Some(own) = self.own else { return Bytes::new() };
        let range = self.used()..self.all.len();
        self.end();
        *self = Self::none();
        // Safety: as in `share`.
        keep(unsafe { own.block() }, range)
    }

    /// Nobody looks at the block any more.
    #[inline(always)]
    pub(crate) fn end(&self) {
        #[cfg(debug_assertions)]
        if let Some(own) = self.own {
            own.viewed.set(false);
        }
    }
}

/// A part of a block that outlives the next read: with the block, or copied if it is small.
pub(crate) fn keep(block: &mut ReadBlock, range: Range<usize>) -> Bytes {
    if range.len() >= KEEPS_BLOCK { block.share(range) } else { Bytes::copy_from_slice(&block.bytes()[range]) }
}

#[cfg(test)]
mod tests {
    use super::{OwnBlock, keep};

    fn filled(bytes: &[u8]) -> OwnBlock {
        let own = OwnBlock::new();
        // Safety: there is no view yet.
        unsafe { own.block().spare()[..bytes.len()].copy_from_slice(bytes) };
        own
    }

    #[test]
    fn the_reply_is_one_part_of_the_view_or_none() {
        let (own, copy) = (filled(b"hello world"), b"hello".to_vec());
        // Safety: the only view; so much was filled.
        let view = unsafe { own.view(11) };
        assert!(!view.mark(&copy), "it is somewhere else");
        // Safety: as above.
        let block = unsafe { &(*own.block.get()).bytes()[..12] };
        assert!(!view.mark(&block[6..12]), "it ends behind the view");
        assert!(!view.mark(block));
        assert_eq!(view.consume(6), 6);
        assert!(view.mark(&block[..5]), "consumed bytes are still there");
        assert!(!view.mark(&block[6..11]), "there is a piece already");
        assert_eq!((view.piece(), view.take_piece(), view.piece()), (&b"hello"[..], &b"hello"[..], &b""[..]));
        assert!(view.mark(view.rest()));
        assert_eq!(view.piece(), b"world");
        assert_eq!((view.consume(9), view.rest(), view.used()), (5, &b""[..], 11));
        view.end();
    }

    /// SPEC: B4.
    #[test]
    fn what_is_shared_or_kept_outlives_the_view() {
        let own = filled(b"one two three");
        // Safety: the only view; so much was filled.
        let mut view = unsafe { own.view(13) };
        let (one, two) = (view.share(4), view.share(4));
        assert_eq!((&one[..], &two[..], view.rest(), view.used()), (&b"one "[..], &b"two "[..], &b"three"[..], 8));
        let three = view.keep_rest();
        assert!(!view.is_some() && view.rest().is_empty());
        // Safety: there is no view any more.
        unsafe { own.block().spare()[..13].fill(0) };
        assert_eq!((&one[..], &two[..], &three[..]), (&b"one "[..], &b"two "[..], &b"three"[..]));
    }

    /// An idle connection with half a packet is not to hold a block.
    #[test]
    fn little_is_copied_and_much_keeps_its_block() {
        let own = filled(b"");
        // Safety: there is no view.
        let block = unsafe { own.block() };
        let lies = block.bytes().as_ptr_range();
        assert!(!lies.contains(&keep(block, 0..8 << 10).as_ptr()));
        assert!(lies.contains(&keep(block, 0..16 << 10).as_ptr()));
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "a handler looks at the block")]
    fn a_debug_build_notices_a_read_during_a_handler() {
        let own = filled(b"hello");
        // Safety: not read into: it panics before.
        let _view = unsafe { own.view(5) };
        // Safety: as above.
        unsafe { own.block() };
    }
}
