//! The trigger against a model of one wait at a time: a token belongs to the wait that it was given in.
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::disallowed_types, reason = "the strategies of proptest are built from them; nothing here is explored")]

use pollproof::protocol::trigger::{Ticket, Trigger, Wake};
use proptest::prelude::*;
use proptest::test_runner::Config;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin(u64),
    Reach(u64),
    Close,
    /// The deadline of the newest wait, or of the one before it.
    Expire {
        newest: bool,
    },
    Wait,
    Cancel,
}

/// The wait that is under way, if there is one, and what the latest wait was woken by.
#[derive(Clone, Debug, Default)]
struct Model {
    target: Option<u64>,
    token: Option<Wake>,
    waits: usize,
    woken: Option<Wake>,
}

impl Model {
    fn wake(&mut self, token: Wake) {
        if self.target.is_some() && self.token.is_none() {
            self.token = Some(token);
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Model::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        prop_oneof![
            3 => (1..6u64).prop_map(Step::Begin),
            3 => (0..8u64).prop_map(Step::Reach),
            1 => Just(Step::Close),
            2 => any::<bool>().prop_map(|newest| Step::Expire { newest }),
            3 => Just(Step::Wait),
            1 => Just(Step::Cancel),
        ]
        .boxed()
    }

    /// Waiting without a token would sleep.
    fn preconditions(state: &Self, step: &Step) -> bool {
        match step {
            Step::Wait => state.token.is_some(),
            Step::Cancel => state.waits > 0,
            Step::Expire { newest } => state.waits >= if *newest { 1 } else { 2 },
            _ => true,
        }
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        state.woken = None;
        match step {
            Step::Begin(target) => {
                (state.target, state.token) = (Some(*target), None);
                state.waits += 1;
            }
            Step::Reach(total) if state.target.is_some_and(|target| *total >= target) => state.wake(Wake::Ready),
            Step::Reach(_) | Step::Expire { newest: false } => {}
            Step::Close => state.wake(Wake::Closed),
            Step::Expire { newest: true } => state.wake(Wake::TimedOut),
            Step::Wait => (state.woken, state.target) = (state.token.take(), None),
            Step::Cancel => (state.token, state.target) = (None, None),
        }
        state
    }
}

struct Waits {
    trigger: Trigger,
    tickets: Vec<Ticket>,
}

impl Waits {
    fn ticket(&self, back: usize) -> Ticket {
        self.tickets[self.tickets.len() - back]
    }
}

impl StateMachineTest for Waits {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(_: &Model) -> Self {
        Self { trigger: Trigger::new(), tickets: Vec::new() }
    }

    fn apply(mut waits: Self, model: &Model, step: Step) -> Self {
        let trigger = &waits.trigger;
        match step {
            Step::Begin(target) => waits.tickets.push(trigger.begin(target)),
            Step::Reach(total) => trigger.reach(total),
            Step::Close => trigger.close(Wake::Closed),
            Step::Expire { newest } => trigger.expire(waits.ticket(if newest { 1 } else { 2 })),
            // Not `wait`, which would sleep for ever where a wake-up is lost.
            Step::Wait => assert_eq!(trigger.try_wait(waits.ticket(1)), model.woken),
            Step::Cancel => trigger.cancel(waits.ticket(1)),
        }
        waits
    }

    /// A look at a wait that has its token takes it, so only one without is looked at.
    fn check_invariants(waits: &Self, model: &Model) {
        if model.target.is_some() && model.token.is_none() {
            assert_eq!(waits.trigger.try_wait(waits.ticket(1)), None, "woken without a reason");
        }
    }
}

prop_state_machine! {
    #![proptest_config(Config { cases: 5_000, failure_persistence: None, max_local_rejects: u32::MAX, ..Config::default() })]

    /// SPEC: T2, T4.
    #[test]
    fn a_token_belongs_to_one_wait(sequential 0..40 => Waits);
}
