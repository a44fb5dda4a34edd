//! What gathers output, what reads input, and the link between two threads, against plain vectors: any sequence of
//! calls, byte for byte.
//!
//! Not here: the queue of chunks (`chunks.rs`), how much memory they take (`core/tests/buffer_memory.rs`), and two threads (`loom-tests`).
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::disallowed_types, reason = "the strategies of proptest are built from them; nothing here is explored")]

mod bytes_made;

use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

use bytes::Bytes;
use bytes_made::{Amount, Source, amount, joined, size};
use pollproof::buffer::block::{ReadBlock, SIZE};
use pollproof::buffer::chunks::{Chunks, LARGE, RUNS, Slices};
use pollproof::buffer::gather::{Gather, LEAST_SPARE, TooMuch};
use pollproof::buffer::link::Link;
use proptest::prelude::*;

fn config() -> ProptestConfig {
    ProptestConfig { cases: 20_000, ..ProptestConfig::default() }
}

#[derive(Clone, Debug)]
enum GatherStep {
    Write(usize),
    Append(usize),
    /// So many are offered, then so many written, then so many acknowledged.
    Malloc(usize, usize, Amount),
    /// Filled and acknowledged bit by bit.
    Spare(Vec<u8>),
    MoveRest(Amount),
    Clear,
}

fn gather_step() -> impl Strategy<Value = GatherStep> {
    let written = prop_oneof![3 => Just(0), 1 => 0..100_usize];
    prop_oneof![
        6 => size().prop_map(GatherStep::Write),
        3 => size().prop_map(GatherStep::Append),
        3 => (size(), written, amount()).prop_map(|(offered, written, acked)| GatherStep::Malloc(offered, written, acked)),
        3 => prop::collection::vec(any::<u8>(), 0..4).prop_map(GatherStep::Spare),
        1 => amount().prop_map(GatherStep::MoveRest),
        1 => Just(GatherStep::Clear),
    ]
}

fn gather_one(gather: &mut Gather, steps: Vec<GatherStep>) -> Result<(), TestCaseError> {
    let (mut source, mut model) = (Source::default(), Vec::new());
    let (mut queue, mut queued) = (Chunks::new(), Vec::new());
    for step in steps {
        match step {
            GatherStep::Write(n) => {
                let bytes = source.next(n);
                gather.write(&bytes);
                model.extend(bytes);
            }
            GatherStep::Append(n) => {
                let bytes = source.next(n);
                model.extend_from_slice(&bytes);
                gather.append(bytes.into());
            }
            GatherStep::Malloc(n, written, amount) => {
                let (bytes, acked) = (source.next(n), amount.of(n));
                let room = gather.malloc(n);
                prop_assert_eq!(room.len(), n);
                room.copy_from_slice(&bytes);
                prop_assert_eq!(gather.len(), model.len(), "what is offered is no output yet");
                let over = source.next(written);
                gather.write(&over);
                model.extend(over);
                let offered = if written == 0 { n } else { 0 };
                if acked <= offered {
                    prop_assert_eq!(gather.ack(acked), Ok(()));
                    model.extend_from_slice(&bytes[..acked]);
                    let again = TooMuch { acknowledged: 1, offered: 0 };
                    prop_assert_eq!(gather.ack(1), Err(again), "an offer is acknowledged once");
                } else {
                    prop_assert_eq!(gather.ack(acked), Err(TooMuch { acknowledged: acked, offered }));
                }
            }
            GatherStep::Spare(parts) => {
                let room = gather.spare();
                prop_assert!(room.len() >= LEAST_SPARE);
                let offered = room.len();
                let bytes = source.next(offered.min(300));
                room[..bytes.len()].copy_from_slice(&bytes);
                let mut done = 0;
                for part in parts {
                    let n = Amount::Part(part % 240).of(bytes.len() - done);
                    gather.advance(n);
                    done += n;
                }
                let left = offered - done;
                let over = Err(TooMuch { acknowledged: left + 1, offered: left });
                prop_assert_eq!(gather.ack(left + 1), over, "what is offered becomes less");
                model.extend_from_slice(&bytes[..done]);
            }
            GatherStep::MoveRest(amount) => {
                let sent = amount.of(model.len()).min(model.len());
                gather.move_rest(sent, &mut queue);
                queued.extend(model.drain(..).skip(sent));
                prop_assert!(queue.all() == &queued[..], "move_rest({sent})");
            }
            GatherStep::Clear => {
                gather.clear();
                model.clear();
                prop_assert_eq!(gather.ack(1), Err(TooMuch { acknowledged: 1, offered: 0 }), "a stale offer");
            }
        }
        prop_assert_eq!((gather.len(), gather.is_empty()), (model.len(), model.is_empty()));
        let mut slices = Slices::new();
        gather.io_slices(&mut slices);
        let got = joined(&slices);
        prop_assert!(model.starts_with(&got), "io_slices");
        prop_assert!(slices.is_full() || got.len() == model.len(), "io_slices left something out");
        prop_assert!(slices.iter().all(|slice| !slice.is_empty()));
        prop_assert_eq!(gather.as_single().is_some(), slices.len() <= 1);
        prop_assert!(gather.as_single().is_none_or(|all| all == model), "as_single");
    }
    Ok(())
}

#[derive(Clone, Debug)]
enum BlockStep {
    Read(usize),
    Share(Range<usize>),
    /// Gives the slice back that is so far along.
    GiveBack(prop::sample::Index),
}

fn block_step() -> impl Strategy<Value = BlockStep> {
    let within = prop_oneof![0..200_usize, Just(SIZE)];
    prop_oneof![
        3 => (1..200_usize).prop_map(BlockStep::Read),
        3 => (0..200_usize, within).prop_map(|(a, b)| BlockStep::Share(a.min(b)..a.max(b))),
        2 => any::<prop::sample::Index>().prop_map(BlockStep::GiveBack),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn many_runs_go_out_in_order(runs in 0..2 * RUNS) {
        let (mut queue, mut model) = (Chunks::new(), Vec::new());
        let all = Bytes::from(Source::default().next(LARGE + 2 * RUNS));
        (0..runs).for_each(|at| {
            model.extend_from_slice(&all[at..at + LARGE]);
            queue.push(all.slice(at..at + LARGE));
        });
        let mut slices = Slices::new();
        queue.io_slices(&mut slices);
        prop_assert_eq!(slices.len(), runs.min(RUNS));
        prop_assert!(model.starts_with(&joined(&slices)));
    }

    #[test]
    fn gathered_output_is_in_order(block in any::<bool>(), steps in prop::collection::vec(gather_step(), 0..24)) {
        thread_local! {
            // A polling thread's, which stays.
            static KEPT: std::cell::RefCell<Gather> = std::cell::RefCell::new(Gather::with_block());
        }
        if block {
            KEPT.with_borrow_mut(|gather| {
                gather.clear();
                gather_one(gather, steps)
            })?;
        } else {
            gather_one(&mut Gather::without_block(), steps)?;
        }
    }

    /// SPEC: B4, a slice that is kept.
    #[test]
    fn what_a_block_has_lent_stays(steps in prop::collection::vec(block_step(), 0..60)) {
        let (mut block, mut source, mut kept) = (ReadBlock::new(), Source::default(), Vec::new());
        let mut current = Vec::new();
        for step in steps {
            match step {
                BlockStep::Read(n) => {
                    current = source.next(n);
                    let room = block.spare();
                    prop_assert_eq!(room.len(), SIZE);
                    room[..n].copy_from_slice(&current);
                }
                BlockStep::Share(range) => {
                    let bytes = block.share(range.clone());
                    prop_assert!(bytes == block.bytes()[range]);
                    let expected = bytes.to_vec();
                    kept.push((bytes, expected));
                }
                BlockStep::GiveBack(_) if kept.is_empty() => (),
                BlockStep::GiveBack(index) => drop(kept.swap_remove(index.index(kept.len()))),
            }
            prop_assert!(block.bytes().starts_with(&current));
            prop_assert!(kept.iter().all(|(bytes, expected)| bytes == expected), "a kept slice has changed");
        }
    }

    /// SPEC: B2, nothing of a queue that ends is left; SPEC: B1, in order.
    #[test]
    fn a_link_is_a_queue(steps in prop::collection::vec(any::<Option<u8>>(), 0..200)) {
        let (link, alive, mut model) = (Link::new(), Rc::new(()), VecDeque::new());
        for step in steps {
            match step {
                Some(value) => {
                    // Safety: one thread, so one producer.
                    unsafe { link.push((value, alive.clone())) };
                    model.push_back(value);
                }
                None => {
                    // Safety: one thread, so one consumer.
                    let popped = unsafe { link.pop() };
                    prop_assert_eq!(popped.map(|(value, _)| value), model.pop_front());
                }
            }
            prop_assert_eq!(Rc::strong_count(&alive), 1 + model.len());
        }
        drop(link);
        prop_assert_eq!(Rc::strong_count(&alive), 1);
    }
}
