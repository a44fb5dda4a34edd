//! Memory that belongs to a polling thread: where it reads to, and where a handler's reply is gathered.
//!
//! Both are aligned to a page. A copy whose destination lies 16 bytes past its source modulo a page runs
//! many times slower, and a large plain `Vec` begins 16 bytes past a page.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use std::ops::Range;

use bytes::Bytes;

use crate::sync::{Arc, Mutex, lock};

/// How much one read can take.
pub const SIZE: usize = 64 * 1024;

/// How many blocks that are back are kept for the next reads, 4 MiB in all: a pool has about as many tasks of a polling
/// thread in hand. A new block costs more than a read, for it is zeroed.
const SHELVED: usize = 64;

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
// `repr(C)`: what every read looks at lies at the beginning, which saves an instruction.
#[repr(C)]
pub struct ReadBlock {
    /// The block to read into; none as long as parts of the one that was filled last are lent.
    own: Option<Box<Block>>,
    /// All of that one.
    lent: Option<Bytes>,
    /// Where others come back to.
    shelf: Arc<Shelf>,
}

/// Blocks that were lent and are back, the last one on top: it is in a processor's cache, most likely.
#[derive(Default)]
struct Shelf(Mutex<Vec<Box<Block>>>);

/// What the slices of a block that is lent keep alive: the last of them puts it on the shelf, on whatever thread.
struct Lent {
    /// Always there, until this is dropped.
    block: Option<Box<Block>>,
    shelf: Arc<Shelf>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.block.as_ref().map_or(&[], |block| block.bytes())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            let mut shelf = lock(&self.shelf.0);
            if shelf.len() < SHELVED {
                shelf.push(block);
            }
        }
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
        Self { own: Some(Block::new()), lent: None, shelf: Arc::default() }
    }

    /// A whole block to read into: this one, or another if a slice of this one is still kept. Which bytes
    /// it holds before is not defined.
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        self.own.get_or_insert_with(|| another(self.lent.take(), &self.shelf)).bytes_mut()
    }

    /// The block, if nothing of it was lent since [`spare`](Self::spare).
    #[inline]
    pub fn own(&self) -> Option<&Block> {
        self.own.as_deref()
    }

    /// All of the block, as it was filled last.
    pub fn bytes(&self) -> &[u8] {
        match &self.own {
            Some(block) => block.bytes(),
            None => self.lent.as_deref().unwrap_or_default(),
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
            self.lent = Some(Bytes::from_owner(Lent { block: Some(block), shelf: self.shelf.clone() }));
        }
        self.lent.as_ref().map_or_else(Bytes::new, |block| block.slice(range))
    }
}

/// A block to read into: the one that came back last, which is `lent` if nobody has a slice of it any more.
#[cold]
#[inline(never)]
fn another(lent: Option<Bytes>, shelf: &Shelf) -> Box<Block> {
    drop(lent);
    let back = lock(&shelf.0).pop();
    back.unwrap_or_else(Block::new)
}

#[cfg(test)]
mod tests {
    use super::{Arc, Block, ReadBlock, SHELVED, SIZE, lock};

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
        assert_eq!(block.spare().as_ptr(), first, "an empty slice keeps no block");
    }

    #[test]
    fn the_block_that_came_back_last_is_used_first() {
        let mut block = ReadBlock::new();
        let lend = |block: &mut ReadBlock| (block.spare().as_ptr(), block.share(0..1));
        let [first, second, third] = [(); 3].map(|()| lend(&mut block));
        drop(first.1);
        drop(third.1);
        drop(second.1);
        // The third one is what is read into, so it is on nobody's shelf.
        let again = [(); 3].map(|()| lend(&mut block));
        assert_eq!(again.each_ref().map(|(at, _)| *at), [third.0, second.0, first.0]);
    }

    #[test]
    fn any_number_of_blocks_can_be_on_loan() {
        let mut block = ReadBlock::new();
        let mut kept = Vec::new();
        for fill in 0..2 * SHELVED as u8 {
            block.spare().fill(fill);
            kept.push(block.share(5..SIZE));
        }
        assert!(kept.iter().enumerate().all(|(fill, bytes)| bytes.iter().all(|byte| *byte == fill as u8)));
        let shelf = block.shelf.clone();
        assert_eq!(lock(&shelf.0).len(), 0);
        drop(kept);
        assert_eq!(lock(&shelf.0).len(), SHELVED, "what is more is freed");
    }

    #[test]
    fn a_slice_outlives_the_thread_that_read_it() {
        let mut block = ReadBlock::new();
        block.spare()[..5].copy_from_slice(b"hello");
        let (kept, shelf) = (block.share(0..5), Arc::downgrade(&block.shelf));
        drop(block);
        assert_eq!(&kept[..], b"hello");
        drop(kept);
        assert_eq!(shelf.strong_count(), 0, "and leaves nothing behind");
    }
}
