//! Bytes that were left: a contiguous queue, consumed from its front.

#![forbid(unsafe_code)]

/// A contiguous queue of bytes. Empty, it owns no memory.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
    start: usize,
}

impl Tail {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(crate) fn push(&mut self, more: &[u8]) {
        // What was consumed is overwritten once it is the larger half: each byte is moved at most once
        // for each byte that was consumed before it.
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(more);
    }

    /// Drops the first `count` bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.bytes.len(), "consumed more than there was");
        if self.start >= self.bytes.len() {
            *self = Self::default();
        }
    }

    /// Everything that is left, leaving nothing.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.bytes);
        all.drain(..std::mem::take(&mut self.start));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::Tail;

    #[test]
    fn what_is_pushed_comes_out_in_order_and_empty_owns_nothing() {
        let mut tail = Tail::default();
        let (mut expected, mut got, mut next) = (Vec::new(), Vec::new(), 0_u8);
        for step in 0_usize..200 {
            let more: Vec<u8> = (0..step % 7).map(|offset| next.wrapping_add(offset as u8)).collect();
            next = next.wrapping_add(more.len() as u8);
            tail.push(&more);
            expected.extend(more);
            let count = (step % 5).min(tail.len());
            got.extend_from_slice(&tail.bytes()[..count]);
            tail.consume(count);
        }
        got.extend(tail.take());
        assert_eq!(got, expected);
        assert_eq!((tail.len(), tail.bytes.capacity(), tail.is_empty()), (0, 0, true));
        tail.push(b"x");
        tail.consume(1);
        assert_eq!(tail.bytes.capacity(), 0);
    }
}
