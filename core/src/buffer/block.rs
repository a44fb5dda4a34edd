//! Memory that belongs to a polling thread: where it reads to, and where a handler's reply is gathered.
//!
//! Both are aligned to a page. A copy whose destination lies 16 bytes past its source modulo a page runs
//! many times slower, and a large plain `Vec` begins 16 bytes past a page.

#![forbid(unsafe_code)]

/// How much one read can take.
pub(crate) const SIZE: usize = 64 * 1024;

/// A page-aligned block.
#[repr(C, align(4096))]
pub(crate) struct Block([u8; SIZE]);

impl Block {
    pub(crate) fn new() -> Box<Self> {
        Box::new(Self([0; SIZE]))
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Where the output of one handler run is gathered, to be written once.
pub(crate) struct Gather {
    block: Option<Box<Block>>,
    len: usize,
    /// All of the output, once it is more than the block takes.
    spill: Vec<u8>,
}

impl Gather {
    /// For a polling thread: it keeps the block.
    pub(crate) fn with_block() -> Self {
        Self { block: Some(Block::new()), len: 0, spill: Vec::new() }
    }

    /// For any other thread: memory as it is needed.
    pub(crate) fn without_block() -> Self {
        Self { block: None, len: 0, spill: Vec::new() }
    }

    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if let Some(block) = &mut self.block
            && self.spill.is_empty()
        {
            if let Some(room) = block.0.get_mut(self.len..self.len + bytes.len()) {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
                return;
            }
            self.spill.extend_from_slice(&block.0[..self.len]);
            self.len = 0;
        }
        self.spill.extend_from_slice(bytes);
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.block {
            Some(block) if self.spill.is_empty() => &block.0[..self.len],
            _ => &self.spill,
        }
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        if !self.spill.is_empty() {
            self.spill = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, Gather, SIZE};

    #[test]
    fn a_block_is_aligned_to_a_page() {
        assert_eq!(Block::new().bytes().as_ptr().align_offset(4096), 0);
    }

    #[test]
    fn gathers_in_order_across_the_end_of_the_block() {
        for mut gather in [Gather::with_block(), Gather::without_block()] {
            for _ in 0..2 {
                let mut expected = Vec::new();
                for (fill, len) in [(1, 10), (2, SIZE - 20), (3, 10), (4, 1), (5, SIZE), (6, 0), (7, 3)] {
                    gather.push(&vec![fill; len]);
                    expected.extend(vec![fill; len]);
                    assert!(gather.bytes() == expected);
                }
                gather.clear();
                assert!(gather.bytes().is_empty());
            }
        }
    }
}
