//! Memory to read into and to write from.
//!
//! Aligned to a page, in the servers and in the generators: a copy whose destination is a few bytes past its source,
//! modulo a page, takes many times longer, and a large vector begins 16 bytes past a page.

/// Bytes of a block.
pub const SIZE: usize = 64 * 1024;

/// A block.
#[repr(C, align(4096))]
pub struct Block(pub [u8; SIZE]);

impl Block {
    /// A block of zeroes.
    #[must_use]
    pub fn new() -> Box<Self> {
        Box::new(Self([0; SIZE]))
    }

    /// A block of bytes that differ from place to place, and from `seed` to `seed`.
    #[must_use]
    pub fn pattern(seed: u64) -> Box<Self> {
        let mut block = Self::new();
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        for byte in &mut block.0 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state as u8;
        }
        block
    }
}
