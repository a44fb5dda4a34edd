//! The close list against a `Vec`: accepted callbacks run once, newest first; the rest come back.
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::disallowed_types, reason = "the strategies of proptest are built from them; nothing here is explored")]

use pollproof::protocol::close_list::CloseList;
use pollproof::protocol::effects::Ran;
use proptest::prelude::*;
use proptest::test_runner::Config;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

/// A callback: its number, and whether it panics.
type Callback = (u8, bool);

#[derive(Clone, Copy, Debug)]
enum Step {
    Push(Callback),
    Run,
}

/// The callbacks that wait, until the list is emptied; and what the latest step answers.
#[derive(Clone, Debug)]
struct Stack {
    waiting: Option<Vec<Callback>>,
    answer: Answer,
}

#[derive(Clone, Debug, PartialEq)]
enum Answer {
    None,
    Pushed(Result<(), Callback>),
    Ran(Vec<Callback>),
}

impl ReferenceStateMachine for Stack {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Stack { waiting: Some(Vec::new()), answer: Answer::None }).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        prop_oneof![5 => any::<Callback>().prop_map(Step::Push), 1 => Just(Step::Run)].boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        state.answer = match (step, &mut state.waiting) {
            (Step::Push(callback), Some(waiting)) => {
                waiting.push(*callback);
                Answer::Pushed(Ok(()))
            }
            (Step::Push(callback), None) => Answer::Pushed(Err(*callback)),
            (Step::Run, waiting) => Answer::Ran(waiting.take().unwrap_or_default().into_iter().rev().collect()),
        };
        state
    }
}

struct List;

impl StateMachineTest for List {
    type SystemUnderTest = CloseList<Callback>;
    type Reference = Stack;

    fn init_test(_: &Stack) -> CloseList<Callback> {
        CloseList::new()
    }

    fn apply(list: CloseList<Callback>, stack: &Stack, step: Step) -> CloseList<Callback> {
        let answer = match step {
            Step::Push(callback) => Answer::Pushed(list.push(callback)),
            Step::Run => {
                let mut ran = Vec::new();
                let count = list.run(|(id, panics)| {
                    ran.push((id, panics));
                    assert!(list.push((id, panics)).is_err(), "a callback added inside a close callback was accepted");
                    if panics { Ran::Failed } else { Ran::Done }
                });
                assert_eq!(count, ran.len());
                Answer::Ran(ran)
            }
        };
        assert_eq!(answer, stack.answer);
        list
    }
}

prop_state_machine! {
    #![proptest_config(Config { cases: 2_000, failure_persistence: None, max_local_rejects: u32::MAX, ..Config::default() })]

    /// SPEC: C2, C3, P3.
    #[test]
    fn behaves_like_a_stack_that_is_emptied_once(sequential 0..40 => List);
}
