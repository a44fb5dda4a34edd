//! Memory that belongs to a polling thread: where it reads to, and where a handler's reply is gathered.
//!
//! Both are aligned to a page. A copy whose destination lies 16 bytes past its source modulo a page runs
//! many times slower, and a large plain `Vec` begins 16 bytes past a page.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use crate::sync::Arc;
use std::ops::Range;

use arrayvec::ArrayVec;
use bytes::Bytes;

/// How much one read can take.
pub const SIZE: usize = 64 * 1024;

/// How many lent blocks a [`ReadBlock`] keeps an eye on.
const KEPT: usize = 8;

/// A page-aligned block.
///
/// ```
/// use pollproof::buffer::block::{Block, SIZE};
///
/// let block = Block::new();
/// assert_eq!((block.bytes().len(), block.bytes().as_ptr() as usize % 4096), (SIZE, 0));
/// ```
#[repr(C, align(4096))]
pub struct Block([u8; SIZE]);

impl Block {
    /// A zeroed block.
    #[allow(clippy::new_ret_no_self, reason = "64 KiB are for the heap")]
    pub fn new() -> Box<Self> {
        Box::new(Self([0; SIZE]))
    }

    /// All of it.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// All of it, to be written.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Where a polling thread reads to. Parts of it can be lent, and it is not read into again before they
/// are back. (B4)
///
/// ```
/// use pollproof::buffer::block::ReadBlock;
///
/// let mut block = ReadBlock::new();
/// block.spare()[..5].copy_from_slice(b"hello");
/// let kept = block.share(0..5);
/// block.spare()[..5].copy_from_slice(b"world");
/// assert_eq!((&kept[..], &block.bytes()[..5]), (&b"hello"[..], &b"world"[..]));
/// ```
pub struct ReadBlock {
    /// The block, as long as nothing was ever lent of it: exclusive, without asking.
    own: Option<Box<Block>>,
    /// The block otherwise.
    lent: Option<Lendable>,
    /// Blocks that were lent when they were exchanged; who has all its slices back is used again.
    kept: ArrayVec<Lendable, KEPT>,
}

/// A block that can be lent.
#[allow(clippy::redundant_allocation, reason = "a block that is lent for the first time is not copied for that")]
type Lendable = Arc<Box<Block>>;

/// What a slice of a block keeps alive.
struct Lent {
    block: Lendable,
    range: Range<usize>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.block.0[self.range.clone()]
    }
}

impl Default for ReadBlock {
    fn default() -> Self {
        Self::new()
    }
}

impl ReadBlock {
    /// A block of its own, nothing of it lent.
    pub fn new() -> Self {
        Self { own: Some(Block::new()), lent: None, kept: ArrayVec::new() }
    }

    /// A whole block to read into: this one, or another if a slice of this one is still kept. Which bytes
    /// it holds before is not defined.
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        match &mut self.own {
            Some(block) => block.bytes_mut(),
            None => Self::exclusive(&mut self.lent, &mut self.kept),
        }
    }

    /// All of the block, as it was filled last.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        match (&self.own, &self.lent) {
            (Some(block), _) => block.bytes(),
            (None, lent) => lent.as_ref().map_or(&[], |block| block.bytes()),
        }
    }

    /// A part of the block that stays as it is for as long as it is kept, by whom and on which thread ever.
    /// Nothing is copied; the whole block stays alive with it. (B4)
    ///
    /// # Panics
    ///
    /// If `range` is not within the block.
    pub fn share(&mut self, range: Range<usize>) -> Bytes {
        assert!(range.start <= range.end && range.end <= SIZE, "{range:?} of a block of {SIZE} bytes");
        if range.is_empty() {
            return Bytes::new();
        }
        if let Some(block) = self.own.take() {
            self.lent = Some(Arc::new(block));
        }
        self.lent.as_ref().map_or_else(Bytes::new, |block| Bytes::from_owner(Lent { block: block.clone(), range }))
    }

    /// The current block, or the one that replaces it if something of it is lent.
    #[cold]
    fn exclusive<'a>(lent: &'a mut Option<Lendable>, kept: &mut ArrayVec<Lendable, KEPT>) -> &'a mut [u8] {
        let current = lent.get_or_insert_with(|| Arc::new(Block::new()));
        if Arc::get_mut(current).is_none() {
            let back = kept.iter_mut().position(|block| Arc::get_mut(block).is_some());
            let next = match back {
                Some(at) => kept.swap_remove(at),
                None => Arc::new(Block::new()),
            };
            // With too many on loan, this one is freed by whoever keeps its last slice.
            let _ = kept.try_push(std::mem::replace(current, next));
        }
        Arc::get_mut(current).map_or(&mut [], |block| block.bytes_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, Block, KEPT, ReadBlock, SIZE};

    #[test]
    fn a_block_is_aligned_to_a_page() {
        assert_eq!(Block::new().bytes().as_ptr().align_offset(4096), 0);
    }

    #[test]
    fn a_block_is_used_again_once_its_slices_are_back() {
        let mut block = ReadBlock::new();
        let first = block.spare().as_ptr();
        assert_eq!((block.spare().as_ptr(), first.align_offset(4096)), (first, 0));
        let kept = block.share(1..3);
        let second = block.spare().as_ptr();
        assert_ne!(second, first);
        drop(kept);
        assert_eq!(block.spare().as_ptr(), second, "nothing of it was lent");
        let kept = block.share(0..SIZE);
        assert_eq!(block.spare().as_ptr(), first, "its slice is back");
        drop(kept);
    }

    #[test]
    fn a_block_whose_slices_came_back_in_time_stays() {
        let mut block = ReadBlock::new();
        let first = block.spare().as_ptr();
        drop(block.share(0..10));
        assert_eq!(block.spare().as_ptr(), first);
        assert!(block.share(7..7).is_empty());
        assert_eq!(Arc::strong_count(block.lent.as_ref().expect("it was lent")), 1, "an empty slice keeps no block");
    }

    #[test]
    fn any_number_of_blocks_can_be_on_loan() {
        let mut block = ReadBlock::new();
        let mut kept = Vec::new();
        for fill in 0..3 * KEPT as u8 {
            block.spare().fill(fill);
            kept.push(block.share(5..SIZE));
        }
        assert!(kept.iter().enumerate().all(|(fill, bytes)| bytes.iter().all(|byte| *byte == fill as u8)));
        assert_eq!(block.kept.len(), KEPT);
    }
}
