//! A word that is not atomic. For `--cfg flags` alone, to measure what its atomics cost a server.
//!
//! Unsound: two threads that change it at once race, and one of the changes is lost. So it is right only where one
//! thread serves a connection and nobody else touches it, as in the measurement. Not for: anything else.

use std::sync::atomic::Ordering;

/// Bits in plain memory, with the methods of the atomic word.
#[derive(Debug)]
pub struct AtomicWord(std::cell::UnsafeCell<u32>);

// Safety: there is none with two threads. Whoever builds with `--cfg flags` sees to it that one thread alone comes here.
unsafe impl Sync for AtomicWord {}

impl AtomicWord {
    /// A word with these bits.
    pub fn new(bits: u32) -> Self {
        Self(std::cell::UnsafeCell::new(bits))
    }

    #[inline(always)]
    fn change(&self, change: impl FnOnce(u32) -> u32) -> u32 {
        // Safety: as for `Sync`.
        let word = unsafe { &mut *self.0.get() };
        std::mem::replace(word, change(*word))
    }

    /// Sets `bits`; returns what was there.
    #[inline(always)]
    pub fn fetch_or(&self, bits: u32, _: Ordering) -> u32 {
        self.change(|word| word | bits)
    }

    /// Keeps `bits` alone; returns what was there.
    #[inline(always)]
    pub fn fetch_and(&self, bits: u32, _: Ordering) -> u32 {
        self.change(|word| word & bits)
    }
}
