//! Bytes and amounts of them, made at random: what the tests of the buffers have in common.

use pollproof::buffer::chunks::Slices;
use proptest::prelude::*;

/// Sizes around everything that the buffers decide by size: mostly small ones, so that there are many runs.
pub fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 0..64_usize,
        2 => 0..3_000_usize,
        3 => 4_090..4_100_usize,
        1 => 60_000..70_000_usize,
    ]
}

/// How much of something: a size, or a part of what is there, which can be a little too much.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    Bytes(usize),
    Part(u8),
}

impl Amount {
    /// Of so many.
    pub fn of(self, len: usize) -> usize {
        match self {
            Amount::Bytes(n) => n,
            Amount::Part(part) => len * usize::from(part) / 240,
        }
    }
}

pub fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![size().prop_map(Amount::Bytes), any::<u8>().prop_map(Amount::Part)]
}

/// Bytes of which no two stretches look alike.
#[derive(Clone, Debug, Default)]
pub struct Source(u32);

impl Source {
    pub fn next(&mut self, n: usize) -> Vec<u8> {
        let begin = self.0;
        self.0 += n as u32;
        (begin..self.0).map(|at| (at.wrapping_mul(0x9E37_79B1) >> 24) as u8).collect()
    }
}

/// What slices hold, in one piece.
pub fn joined(slices: &Slices<'_>) -> Vec<u8> {
    slices.iter().map(|slice| &slice[..]).collect::<Vec<_>>().concat()
}
