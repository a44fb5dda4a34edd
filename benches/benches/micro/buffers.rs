//! The buffers: what a handler leaves unread or a socket does not take, gathered output, and slices of what was read;
//! beside `bytes` and std. The usual request passes through none of them.

use std::collections::VecDeque;
use std::hint::black_box;

use bytes::{Buf as _, BytesMut};
use divan::Bencher;
use divan::counter::BytesCount;
use pollproof::buffer::block::ReadBlock;
use pollproof::buffer::chunks::Chunks;
use pollproof::buffer::gather::Gather;

const SIZES: [usize; 3] = [64, 1024, 65_536];

/// A message appended to a queue of bytes, looked at, and consumed.
mod queued {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn chunks(bencher: Bencher<'_, '_>, size: usize) {
        let message = vec![7; size];
        let mut queue = Chunks::new();
        bencher.counter(BytesCount::new(size)).bench_local(|| {
            queue.push_copy(black_box(&message));
            black_box(queue.peek(size));
            queue.skip(size)
        });
    }

    #[divan::bench(args = SIZES)]
    fn bytes_mut(bencher: Bencher<'_, '_>, size: usize) {
        let message = vec![7; size];
        let mut queue = BytesMut::new();
        bencher.counter(BytesCount::new(size)).bench_local(|| {
            queue.extend_from_slice(black_box(&message));
            black_box(&queue[..size]);
            queue.advance(size);
        });
    }

    #[divan::bench(args = SIZES)]
    fn deque_std(bencher: Bencher<'_, '_>, size: usize) {
        let message = vec![7; size];
        let mut queue: VecDeque<u8> = VecDeque::new();
        bencher.counter(BytesCount::new(size)).bench_local(|| {
            queue.extend(black_box(&message));
            black_box(&queue.make_contiguous()[..size]);
            queue.drain(..size).count()
        });
    }
}

/// A reply in two parts, gathered, looked at as what is to be sent, and forgotten.
mod gathered {
    use super::*;

    fn parts(size: usize) -> [Vec<u8>; 2] {
        [vec![7; 16], vec![8; size - 16]]
    }

    #[divan::bench(args = SIZES)]
    fn gather(bencher: Bencher<'_, '_>, size: usize) {
        let parts = parts(size);
        let mut gather = Gather::with_block();
        bencher.counter(BytesCount::new(size)).bench_local(|| {
            for part in black_box(&parts) {
                gather.write(part);
            }
            black_box(gather.as_single());
            gather.clear();
        });
    }

    #[divan::bench(args = SIZES)]
    fn vector_kept(bencher: Bencher<'_, '_>, size: usize) {
        let parts = parts(size);
        let mut gather = Vec::new();
        bencher.counter(BytesCount::new(size)).bench_local(|| {
            for part in black_box(&parts) {
                gather.extend_from_slice(part);
            }
            black_box(&gather[..]);
            gather.clear();
        });
    }

    #[divan::bench(args = SIZES)]
    fn vector_anew(bencher: Bencher<'_, '_>, size: usize) {
        let parts = parts(size);
        bencher.counter(BytesCount::new(size)).bench_local(|| {
            let mut gather = Vec::new();
            for part in black_box(&parts) {
                gather.extend_from_slice(part);
            }
            drop(black_box(gather));
        });
    }
}

/// A slice of what was read, with a life of its own, and its end.
mod kept {
    use super::*;

    /// Lent, whatever its size.
    #[divan::bench(args = SIZES)]
    fn read_block(bencher: Bencher<'_, '_>, size: usize) {
        let mut block = ReadBlock::new();
        bencher.counter(BytesCount::new(size)).bench_local(|| {
            black_box(block.spare());
            drop(black_box(block.share(0..size)));
        });
    }

    #[divan::bench(args = SIZES)]
    fn copy(bencher: Bencher<'_, '_>, size: usize) {
        let block = vec![7_u8; 65_536];
        bencher
            .counter(BytesCount::new(size))
            .bench_local(|| drop(black_box(bytes::Bytes::copy_from_slice(&black_box(&block)[..size]))));
    }
}
