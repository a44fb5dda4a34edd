//! How much memory the buffers take, counted at the allocator.
//!
//! Not here: what they hold, which is compared with plain vectors in `proptest/tests/buffer.rs`.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use pollproof::buffer::block::{ReadBlock, SIZE};
use pollproof::buffer::chunks::{Chunks, LARGE};
use pollproof::buffer::gather::Gather;
use pollproof::buffer::link::Link;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The system's allocator, which counts for each thread what it has asked for.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static TOTAL: Cell<isize> = const { Cell::new(0) };
}

impl Counting {
    fn count(bytes: isize) {
        let live = LIVE.get() + bytes;
        LIVE.set(live);
        PEAK.set(PEAK.get().max(live));
        TOTAL.set(TOTAL.get() + bytes.max(0));
    }
}

// Safety: every call goes on to the system's allocator as it is. Growing counts old and new together, as if
// it always moved.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size() as isize);
        // Safety: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        Self::count(-(layout.size() as isize));
        // Safety: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a piece of code did with memory, in bytes.
#[derive(Debug, PartialEq)]
struct Used {
    /// What it has not given back.
    left: isize,
    /// The most that it had at a time.
    peak: usize,
    /// All that it ever asked for: whatever is copied into new memory counts again.
    total: usize,
}

const NOTHING: Used = Used { left: 0, peak: 0, total: 0 };

fn used<R>(act: impl FnOnce() -> R) -> (R, Used) {
    let (live, total) = (LIVE.get(), TOTAL.get());
    PEAK.set(live);
    let result = act();
    let used =
        Used { left: LIVE.get() - live, peak: (PEAK.get() - live) as usize, total: (TOTAL.get() - total) as usize };
    (result, used)
}

/// What is appended costs its length if it is little, and a run of its own if it is much.
#[test]
fn little_is_copied_and_much_is_taken_over_when_queues_are_joined() {
    let queue = |len| {
        let mut chunks = Chunks::new();
        chunks.push_copy(&vec![1; len]);
        chunks
    };
    for (len, runs) in [(LARGE - 1, 1), (LARGE, 2), (2 * LARGE, 2)] {
        let (mut first, mut second) = (queue(10), queue(len));
        first.append(&mut second);
        assert_eq!((first.len(), first.runs().count()), (10 + len, runs), "{len} bytes");
    }
}

/// What begins a queue is copied only out of what others have too, and out of what is much larger.
#[test]
fn little_is_taken_over_where_it_owns_its_memory() {
    let pushed = |bytes: Bytes| {
        let (chunks, memory) = used(|| {
            let mut chunks = Chunks::new();
            chunks.push(bytes);
            chunks
        });
        assert_eq!(chunks.len(), KIB);
        memory
    };
    let own = pushed(vec![7; KIB].into());
    assert!(own.total < KIB, "{own:?}");
    let shared = Bytes::from(vec![7; KIB]);
    let copied = pushed(shared.clone());
    assert!(copied.total > KIB && shared.len() == KIB, "{copied:?}");
    let mut large = Bytes::from(vec![7; 64 * KIB]);
    large.truncate(KIB);
    let freed = pushed(large);
    assert!(freed.left < -60 * KIB as isize, "{freed:?}");
}

/// Of what lies in the first run, much is shared; little, or what lies elsewhere, is not.
#[test]
fn a_large_part_of_the_first_run_is_shared() {
    let mut chunks = Chunks::new();
    chunks.push(vec![7; 64 * KIB].into());
    chunks.push(vec![8; 64 * KIB].into());
    let front = chunks.front();
    let (part, memory) = used(|| chunks.part(&front[KIB..40 * KIB]));
    assert_eq!(part.map(|part| (part.as_ptr(), part.len())), Some((front[KIB..].as_ptr(), 39 * KIB)));
    assert!(memory.total < KIB, "{memory:?}");
    assert!(chunks.part(front).is_some(), "all of it");
    assert_eq!(chunks.part(&front[..KIB]), None, "little");
    let second = chunks.runs().nth(1).expect("there are two");
    let copy = front.to_vec();
    assert_eq!((chunks.part(second), chunks.part(&copy)), (None, None), "elsewhere");
}

/// What is one run is the vector that it lies in.
#[test]
fn one_run_becomes_a_vector_without_a_copy() {
    let (mut copied, mut taken) = (Chunks::new(), Chunks::new());
    copied.push_copy(&[7; LARGE]);
    taken.push(vec![7; LARGE].into());
    for chunks in [copied, taken] {
        let (vector, memory) = used(|| chunks.into_vec());
        assert_eq!((vector.len(), memory.total), (LARGE, 0));
    }
}

/// Behaviour of a blocked `next(1 MiB)`: it looks again after each KiB. SPEC: B3, memory.
#[test]
fn a_mebibyte_in_kibibytes_stays_below_four() {
    let piece = [7; KIB];
    let (taken, memory) = used(|| {
        let mut chunks = Chunks::new();
        while chunks.peek(MIB).is_none() {
            chunks.push_copy(&piece);
        }
        assert_eq!(chunks.peek(MIB).map(<[u8]>::len), Some(MIB));
        chunks.take(MIB)
    });
    assert_eq!(taken.map(|bytes| bytes.len()), Some(MIB));
    assert!(memory.total < 4 * MIB, "{memory:?}");
}

/// A reader that wants to see everything each time that there is more. SPEC: B3, copies.
#[test]
fn looking_at_everything_again_and_again_is_not_quadratic() {
    for (piece, pieces) in [(100, 40_000), (KIB, 4_000), (LARGE, 1_000), (30 * KIB, 140)] {
        let bytes = vec![7; piece];
        let (len, memory) = used(|| {
            let mut chunks = Chunks::new();
            for _ in 0..pieces {
                chunks.push(bytes.clone().into());
                chunks.all();
            }
            chunks.len()
        });
        // The pieces themselves, the sizes that were outgrown, and the last one.
        assert!(memory.total < 6 * len, "{pieces} times {piece}: {memory:?}");
        assert!(memory.peak < 3 * len, "{pieces} times {piece}: {memory:?}");
    }
}

/// A reader that looks a little further each time, into what is there already. SPEC: B3, copies.
#[test]
fn looking_further_and_further_is_not_quadratic() {
    let len = 4 * MIB;
    let mut chunks = Chunks::new();
    for _ in 0..len / LARGE {
        chunks.push(vec![7; LARGE].into());
    }
    let (_, memory) = used(|| (1..=len / KIB).for_each(|kib| assert!(chunks.peek(kib * KIB).is_some())));
    assert!(memory.total < 4 * len, "{memory:?}");
}

#[test]
fn looking_again_copies_nothing() {
    let mut chunks = Chunks::new();
    for _ in 0..20 {
        chunks.push(vec![7; LARGE].into());
    }
    assert!(chunks.peek(10 * LARGE).is_some());
    let (_, memory) = used(|| (0..10 * LARGE).for_each(|n| assert!(chunks.peek(n).is_some())));
    assert_eq!(memory, NOTHING);
    let all = chunks.all().len();
    let (_, memory) = used(|| assert_eq!(chunks.all().len(), all));
    assert_eq!(memory, NOTHING);
}

#[test]
fn a_header_is_joined_without_the_body_behind_it() {
    let mut chunks = Chunks::new();
    chunks.push_copy(&[1; 10]);
    chunks.push(vec![2; MIB].into());
    chunks.push_copy(&[3; MIB]);
    let (_, memory) = used(|| assert_eq!(chunks.peek(14), Some(&[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2][..])));
    assert!(memory.total < 500, "{memory:?}");
    // And the body goes on without a copy: what `Bytes` needs to share a part, and a list of runs.
    let (body, memory) = used(|| (chunks.skip(20), chunks.take(MIB - 10)));
    assert_eq!((body.0, body.1.map(|body| body.len())), (20, Some(MIB - 10)));
    assert!(memory.total < 500, "{memory:?}");
}

/// SPEC: B3, copies: none of what is contiguous.
#[test]
fn taking_a_part_copies_nothing() {
    let mut chunks = Chunks::new();
    chunks.push(vec![1; MIB].into());
    chunks.push_copy(&[2; MIB]);
    for run in [1, 2] {
        let (parts, memory) = used(|| [1000, 0, KIB, MIB - 3000, 976].map(|n| chunks.take(n).expect("enough")));
        assert!(parts.iter().flatten().all(|byte| *byte == run));
        assert!(memory.total < 100, "{memory:?}");
    }
    assert!(chunks.is_empty());
}

/// What is queued takes about as much memory as it is long, from the first byte on.
#[test]
fn a_queue_takes_what_it_needs() {
    let mut chunks = Chunks::new();
    let (_, memory) = used(|| chunks.push_copy(b"half a packet"));
    // The bytes, and the queue itself.
    const QUEUE: usize = 72;
    assert_eq!(memory, Used { left: 13 + QUEUE as isize, peak: 13 + QUEUE, total: 13 + QUEUE });
    let (_, memory) = used(|| (0..100).for_each(|_| chunks.push_copy(b"and a bit")));
    assert!(memory.left < 2 * 9 * 100, "{memory:?}");
    // A long queue is not moved around as it grows.
    let (_, memory) = used(|| (0..4096).for_each(|_| chunks.push_copy(&[7; KIB])));
    assert!(memory.total < 4 * MIB + 5 * SIZE, "{memory:?}");
}

/// A few bytes of each of many blocks do not keep the blocks.
#[test]
fn small_slices_of_large_blocks_do_not_pile_up() {
    let mut chunks = Chunks::new();
    let (_, memory) = used(|| (0..100).for_each(|_| chunks.push(Bytes::from(vec![7; SIZE]).slice(..10))));
    assert!(memory.left <= 2000, "{memory:?}");
}

/// SPEC: B2, an empty buffer owns no block.
#[test]
fn empty_chunks_own_nothing() {
    let mut chunks = Chunks::new();
    let ways_out: [fn(&mut Chunks); 4] = [
        |chunks| assert!(chunks.skip(usize::MAX) > 0),
        |chunks| drop(chunks.take(chunks.len())),
        |chunks| {
            chunks.all();
            while chunks.skip(1000) > 0 {}
        },
        |chunks| Chunks::new().append(chunks),
    ];
    for way_out in ways_out {
        let (_, memory) = used(|| {
            chunks.push_copy(&[1; 70_000]);
            chunks.push(vec![2; LARGE].into());
            chunks.push_copy(&[3; 10]);
            way_out(&mut chunks);
        });
        assert_eq!(memory.left, 0);
    }
    assert!(size_of::<Chunks>() <= 8 && size_of::<Link<Bytes>>() <= 24, "what an idle connection has");
}

/// Half a packet is left of much. SPEC: B2, what was consumed is given back.
#[test]
fn what_is_left_does_not_keep_the_block_that_it_came_in() {
    let mut chunks = Chunks::new();
    let (_, memory) = used(|| {
        chunks.push_copy(&[1; MIB]);
        chunks.skip(MIB - 100);
        chunks.shrink();
    });
    // The bytes, and what leads to them.
    assert_eq!(chunks.all(), [1; 100]);
    assert!((100..=172).contains(&memory.left), "{memory:?}");
}

#[test]
fn a_polling_threads_output_allocates_nothing() {
    let mut gather = Gather::with_block();
    let (_, memory) = used(|| {
        for _ in 0..3 {
            for _ in 0..60 {
                gather.write(&[7; KIB]);
            }
            gather.malloc(KIB).fill(7);
            gather.ack(KIB).expect("that much was offered");
            gather.append(Bytes::from_static(b"a little"));
            gather.spare()[0] = 7;
            gather.advance(1);
            gather.clear();
        }
    });
    assert_eq!(memory, NOTHING);
}

#[test]
fn much_output_is_not_moved_around() {
    for mut gather in [Gather::with_block(), Gather::without_block()] {
        let (_, memory) = used(|| (0..4096).for_each(|_| gather.write(&[7; KIB])));
        assert!(memory.total < 4 * MIB + 5 * SIZE, "{memory:?}");
    }
}

#[test]
fn large_output_is_not_copied() {
    let body = Bytes::from(vec![7; MIB]);
    let _shared = body.clone();
    for mut gather in [Gather::with_block(), Gather::without_block()] {
        let mut rest = Chunks::new();
        let (_, memory) = used(|| {
            gather.write(b"header");
            gather.append(body.clone());
            gather.move_rest(100, &mut rest);
            assert_eq!(rest.take(MIB - 94).map(|rest| rest.len()), Some(MIB - 94));
        });
        assert!(memory.total < KIB, "{memory:?}");
        assert_eq!(memory.left, 0);
    }
}

/// SPEC: B2, output that was sent leaves nothing.
#[test]
fn a_gather_keeps_its_block_and_nothing_else() {
    for mut gather in [Gather::with_block(), Gather::without_block()] {
        let (_, memory) = used(|| {
            for _ in 0..10 {
                gather.write(&[7; 30 * KIB]);
                gather.append(vec![7; LARGE].into());
            }
            gather.malloc(MIB);
            gather.clear();
        });
        assert_eq!(memory.left, 0);
    }
}

/// SPEC: B2, an empty queue owns one small node.
#[test]
fn an_empty_link_owns_one_node() {
    let (link, memory) = used(Link::new);
    assert_eq!(memory, NOTHING);
    let (_, memory) = used(|| {
        for _ in 0..1000 {
            // Safety: one thread.
            unsafe {
                (0..10).for_each(|_| link.push(Bytes::from_static(b"x")));
                (0..10).for_each(|_| assert!(link.pop().is_some()));
                assert!(link.pop().is_none());
            }
        }
    });
    assert!((1..=64).contains(&memory.left), "{memory:?}");
    // Safety: as above.
    let (_, memory) = used(|| unsafe {
        (0..10).for_each(|_| link.push(Bytes::from(vec![7; KIB])));
        drop(link);
    });
    assert!((-64..=-1).contains(&memory.left), "{memory:?}");
}

/// SPEC: B4, at a bounded cost.
#[test]
fn blocks_on_loan_are_used_again() {
    let mut block = ReadBlock::new();
    let (_, memory) = used(|| (0..1000).for_each(|_| block.spare()[0] = 7));
    assert_eq!(memory, NOTHING, "nothing was lent");
    let lend = |block: &mut ReadBlock| {
        block.spare();
        block.share(0..10)
    };
    let (_, memory) = used(|| {
        let mut last = lend(&mut block);
        for _ in 0..1000 {
            last = lend(&mut block);
        }
        drop(last);
    });
    let one = SIZE + 4096;
    assert!(memory.total < 2 * one + 1001 * 64, "two blocks in turn, and what `Bytes` needs for a slice: {memory:?}");
    let (_, memory) = used(|| drop((0..100).map(|_| lend(&mut block)).collect::<Vec<_>>()));
    assert!(memory.peak > 90 * one, "{memory:?}");
    assert!(memory.left as usize <= 63 * SIZE + 8 * KIB, "64 wait, of which two were there: {memory:?}");
}
