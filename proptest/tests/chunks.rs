//! A queue of bytes in chunks against a plain vector: any sequence of calls, byte for byte.
//!
//! Not here: the other buffers (`buffer.rs`), and how much memory they take (`core/tests/buffer_memory.rs`).
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::disallowed_types, reason = "the strategies of proptest are built from them; nothing here is explored")]

mod bytes_made;

use bytes::Bytes;
use bytes_made::{Amount, Source, amount, joined, size};
use pollproof::buffer::chunks::{Chunks, Slices};
use proptest::prelude::*;
use proptest::test_runner::Config;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

#[derive(Clone, Debug)]
enum Step {
    PushCopy(usize),
    Push(usize),
    /// Pushed without a copy from memory that cannot be written.
    PushStatic(usize),
    Peek(Amount),
    All,
    Skip(Amount),
    Take(Amount),
    Find(u8, Amount),
    Slices,
    /// Of a queue that was pushed to so.
    Append(Vec<(bool, usize)>),
    Shrink,
}

static STATIC: [u8; 9_000] = [0xA5; 9_000];

/// The bytes that are queued, and what the latest step answers.
#[derive(Clone, Debug, Default)]
struct Plain {
    bytes: Vec<u8>,
    source: Source,
    answer: Answer,
}

#[derive(Clone, Debug, Default, PartialEq)]
enum Answer {
    #[default]
    None,
    Bytes(Option<Vec<u8>>),
    Count(usize),
    At(Option<usize>),
}

impl Plain {
    fn push(&mut self, n: usize) {
        let bytes = self.source.next(n);
        self.bytes.extend(bytes);
    }
}

impl ReferenceStateMachine for Plain {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Plain::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        prop_oneof![
            4 => size().prop_map(Step::PushCopy),
            3 => size().prop_map(Step::Push),
            1 => (0..STATIC.len()).prop_map(Step::PushStatic),
            3 => amount().prop_map(Step::Peek),
            1 => Just(Step::All),
            2 => amount().prop_map(Step::Skip),
            3 => amount().prop_map(Step::Take),
            2 => (any::<u8>(), amount()).prop_map(|(needle, from)| Step::Find(needle, from)),
            1 => Just(Step::Slices),
            1 => prop::collection::vec((any::<bool>(), size()), 0..4).prop_map(Step::Append),
            1 => Just(Step::Shrink),
        ]
        .boxed()
    }

    fn apply(mut plain: Self, step: &Step) -> Self {
        let bytes = &mut plain.bytes;
        let len = bytes.len();
        plain.answer = match step {
            Step::Peek(amount) => Answer::Bytes(bytes.get(..amount.of(len)).map(<[u8]>::to_vec)),
            Step::All => Answer::Bytes(Some(bytes.clone())),
            Step::Skip(amount) => Answer::Count(bytes.drain(..amount.of(len).min(len)).count()),
            Step::Take(amount) => {
                let n = amount.of(len);
                Answer::Bytes((n <= len).then(|| bytes.drain(..n).collect()))
            }
            Step::Find(needle, amount) => {
                let from = amount.of(len);
                let rest = bytes.get(from..).unwrap_or_default();
                Answer::At(rest.iter().position(|byte| byte == needle).map(|at| from + at))
            }
            _ => Answer::None,
        };
        match step {
            Step::PushCopy(n) | Step::Push(n) => plain.push(*n),
            Step::PushStatic(n) => plain.bytes.extend_from_slice(&STATIC[..*n]),
            Step::Append(pushes) => pushes.iter().for_each(|(_, n)| plain.push(*n)),
            _ => {}
        }
        plain
    }
}

/// A queue. What was taken from it is kept, and must not change.
#[derive(Default)]
struct Queue {
    chunks: Chunks,
    taken: Vec<(Bytes, Vec<u8>)>,
}

fn push(chunks: &mut Chunks, copy: bool, bytes: &[u8]) {
    if copy { chunks.push_copy(bytes) } else { chunks.push(bytes.to_vec().into()) }
}

impl StateMachineTest for Queue {
    type SystemUnderTest = Self;
    type Reference = Plain;

    fn init_test(_: &Plain) -> Self {
        Self::default()
    }

    fn apply(mut queue: Self, plain: &Plain, step: Step) -> Self {
        let chunks = &mut queue.chunks;
        let len = chunks.len();
        // What a step pushes is what is new.
        let pushed = plain.bytes.get(len..).unwrap_or_default();
        let answer = match step {
            Step::PushCopy(_) => {
                push(chunks, true, pushed);
                Answer::None
            }
            Step::Push(_) => {
                push(chunks, false, pushed);
                Answer::None
            }
            Step::PushStatic(n) => {
                chunks.push(Bytes::from_static(&STATIC[..n]));
                Answer::None
            }
            Step::Peek(amount) => {
                let n = amount.of(len);
                let peeked = chunks.peek(n).map(<[u8]>::to_vec);
                assert!(n > len || chunks.front().len() >= n, "peek({n}) joins");
                Answer::Bytes(peeked)
            }
            Step::All => Answer::Bytes(Some(chunks.all().to_vec())),
            Step::Skip(amount) => Answer::Count(chunks.skip(amount.of(len))),
            Step::Take(amount) => {
                let taken = chunks.take(amount.of(len));
                queue.taken.extend(taken.iter().map(|bytes| (bytes.clone(), bytes.to_vec())));
                Answer::Bytes(taken.map(|bytes| bytes.to_vec()))
            }
            Step::Find(needle, amount) => Answer::At(chunks.find(needle, amount.of(len))),
            Step::Slices => {
                let mut slices = Slices::new();
                chunks.io_slices(&mut slices);
                let got = joined(&slices);
                assert!(plain.bytes.starts_with(&got), "io_slices");
                assert!(slices.is_full() || got.len() == len, "io_slices left something out");
                Answer::None
            }
            Step::Append(pushes) => {
                let (mut other, mut rest) = (Chunks::new(), pushed);
                for (copy, n) in pushes {
                    let (first, others) = rest.split_at(n);
                    push(&mut other, copy, first);
                    rest = others;
                }
                chunks.append(&mut other);
                assert!(other.is_empty());
                Answer::None
            }
            Step::Shrink => {
                chunks.shrink();
                Answer::None
            }
        };
        assert!(answer == plain.answer, "another answer");
        queue
    }

    fn check_invariants(queue: &Self, plain: &Plain) {
        let (chunks, bytes) = (&queue.chunks, &plain.bytes);
        assert_eq!((chunks.len(), chunks.is_empty()), (bytes.len(), bytes.is_empty()));
        assert_eq!(chunks.front().is_empty(), bytes.is_empty());
        assert!(bytes.starts_with(chunks.front()), "front");
    }

    fn teardown(queue: Self, plain: Plain) {
        for (bytes, expected) in &queue.taken {
            assert!(bytes == expected, "what was taken has changed");
        }
        assert!(queue.chunks.into_vec() == plain.bytes, "into_vec");
    }
}

prop_state_machine! {
    #![proptest_config(Config { cases: 5_000, failure_persistence: None, max_local_rejects: u32::MAX, ..Config::default() })]

    /// SPEC: B3, contiguous bytes; SPEC: B1, in order and whole.
    #[test]
    fn chunks_are_a_queue_of_bytes(sequential 0..24 => Queue);
}
