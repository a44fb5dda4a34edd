//! Blocks that are lent, and bytes that go from thread to thread: for Miri, which sees a read of a block that is written
//! meanwhile, a slice that outlives its memory, and a data race. `cargo xtask test --only miri`.
//!
//! Not here: what a view and a block promise, call by call (`view`, `block`), and every interleaving of a queue's two ends
//! (`loom-tests`).

use std::io::IoSlice;

use super::block::ReadBlock;
use super::input::Input;
use super::output::{Batch, Output, Write};
use super::view::{OwnBlock, keep};
use crate::protocol::effects::Sent;
use crate::sync::{Arc, thread};

/// A read into the thread's block.
fn read(own: &OwnBlock, bytes: &[u8]) {
    // Safety: no handler runs, so there is no view.
    unsafe { own.block().spare()[..bytes.len()].copy_from_slice(bytes) };
}

/// SPEC: B4.
#[test]
fn a_block_is_read_into_between_two_handlers_and_looked_at_during_one() {
    let own = OwnBlock::new();
    let mut kept = Vec::new();
    for round in 0..6_u8 {
        let bytes = [round; 16];
        read(&own, &bytes);
        // Safety: the only view, of what was read just now.
        let mut view = unsafe { own.view(bytes.len()) };
        assert!(view.mark(&view.rest()[2..5]));
        assert_eq!((view.consume(4), view.rest()), (4, &bytes[4..]));
        assert_eq!(view.take_piece(), [round; 3]);
        match round % 3 {
            0 => view.end(),
            1 => {
                kept.push((round, view.share(4)));
                assert!(view.mark(&view.rest()[..2]), "a piece of what is left");
                assert_eq!((view.rest(), view.piece()), (&bytes[8..], &bytes[8..10]));
                view.end();
            }
            _ => kept.push((round, view.keep_rest())),
        }
    }
    assert!(kept.iter().all(|(round, bytes)| bytes.iter().all(|byte| byte == round)));
}

/// SPEC: B4. The last slice gives the block back on the thread that drops it, while this one reads on.
#[test]
fn slices_are_looked_at_on_another_thread_while_the_next_block_is_read_into() {
    let own = OwnBlock::new();
    let threads: Vec<_> = (1..5_u8)
        .map(|round| {
            read(&own, &[round; 64]);
            // Safety: there is no view.
            let slices = [0..32, 32..64].map(|range| unsafe { own.block() }.share(range));
            thread::spawn(move || slices.iter().all(|slice| slice.iter().all(|byte| *byte == round)))
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().expect("no panic")));
}

/// SPEC: B1, N1. Nothing but the queue orders the two threads.
#[test]
fn what_one_thread_reads_another_owns_and_frees() {
    let input = Arc::new(Input::new());
    let reader = {
        let input = input.clone();
        thread::spawn(move || {
            let mut block = ReadBlock::new();
            for (round, len) in (0_u8..).zip([3, 20_000, 5, 1, 16_384, 2]) {
                block.spare()[..len].fill(round);
                // Safety: this thread alone reads.
                unsafe { input.deliver(keep(&mut block, 0..len)) };
            }
        })
    };
    let all = 3 + 20_000 + 5 + 1 + 16_384 + 2;
    loop {
        // Safety: this thread alone owns the section.
        unsafe {
            let own = input.own();
            input.collect(own);
            if own.chunks.len() == all {
                break;
            }
        }
        thread::yield_now();
    }
    reader.join().expect("no panic");
    // Safety: as above.
    let (drained, left) = unsafe { (input.is_drained(), input.free()) };
    assert!(!drained && input.produced() == all as u64);
    assert_eq!((left.len(), &left[..4], &left[all - 3..]), (all, &[0, 0, 0, 1][..], &[4, 5, 5][..]));
}

/// What the peer has received; a call takes three bytes at most.
struct Peer(Vec<u8>);

impl Write for &mut Peer {
    fn run(&mut self, bytes: &[u8]) -> Option<usize> {
        let count = bytes.len().min(3);
        self.0.extend(&bytes[..count]);
        Some(count)
    }

    fn runs(&mut self, runs: &[IoSlice<'_>]) -> Option<usize> {
        runs.first().map_or(Some(0), |run| self.run(run))
    }

    fn all(&mut self, bytes: &[u8]) -> Result<(), Option<usize>> {
        let count = self.run(bytes);
        if count == Some(bytes.len()) { Ok(()) } else { Err(count) }
    }

    fn spent(&mut self, _: Vec<bytes::Bytes>) {}

    fn may_rest(&self) -> bool {
        true
    }
}

/// SPEC: B1, O1.
#[test]
fn what_one_thread_flushes_another_sends() {
    let output = Arc::new(Output::new());
    let flusher = {
        let output = output.clone();
        thread::spawn(move || {
            for round in 0..6_u8 {
                // Safety: this thread alone flushes.
                unsafe { output.append(&mut Batch::Run(&[round; 5])) };
            }
        })
    };
    let mut peer = Peer(Vec::new());
    while peer.0.len() < 30 {
        // Safety: this thread alone sends.
        assert_ne!(unsafe { output.send(None, &mut peer) }, Sent::Failed);
        thread::yield_now();
    }
    flusher.join().expect("no panic");
    assert!(output.is_settled() && peer.0.is_sorted());
    // Safety: one thread is left, for both.
    unsafe {
        assert_eq!(output.send(Some(Batch::Run(&[6; 2])), &mut peer), Sent::All);
        assert_eq!(output.send(Some(Batch::Run(&[7; 5])), &mut peer), Sent::Partly);
        assert_eq!((output.free().to_vec(), peer.0.len()), (vec![7; 2], 35));
    }
}
