//! The trigger against a model of one wait at a time: a token belongs to the wait that it was given in.
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::disallowed_types, reason = "the strategies of proptest are built from them; nothing here is explored")]

use pollproof::protocol::trigger::{Ticket, Trigger, Wake};
use proptest::prelude::*;

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

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..6u64).prop_map(Step::Begin),
        3 => (0..8u64).prop_map(Step::Reach),
        1 => Just(Step::Close),
        2 => any::<bool>().prop_map(|newest| Step::Expire { newest }),
        3 => Just(Step::Wait),
        1 => Just(Step::Cancel),
    ]
}

/// The wait that is under way, if there is one.
#[derive(Default)]
struct Model {
    target: Option<u64>,
    token: Option<Wake>,
}

impl Model {
    fn wake(&mut self, token: Wake) {
        if self.target.is_some() && self.token.is_none() {
            self.token = Some(token);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn a_token_belongs_to_one_wait(steps in prop::collection::vec(step(), 0..40)) {
        let trigger = Trigger::new();
        let mut model = Model::default();
        let mut tickets: Vec<Ticket> = Vec::new();
        for step in steps {
            match step {
                Step::Begin(target) => {
                    tickets.push(trigger.begin(target));
                    model = Model { target: Some(target), token: None };
                }
                Step::Reach(total) => {
                    trigger.reach(total);
                    if model.target.is_some_and(|target| total >= target) {
                        model.wake(Wake::Ready);
                    }
                }
                Step::Close => {
                    trigger.close(Wake::Closed);
                    model.wake(Wake::Closed);
                }
                Step::Expire { newest } => {
                    let back = if newest { 1 } else { 2 };
                    if let Some(ticket) = tickets.len().checked_sub(back).map(|at| tickets[at]) {
                        trigger.expire(ticket);
                        if newest {
                            model.wake(Wake::TimedOut);
                        }
                    }
                }
                // Waiting without a token would sleep; the model says when there is one.
                Step::Wait => {
                    if let (Some(token), Some(ticket)) = (model.token.take(), tickets.last()) {
                        prop_assert_eq!(trigger.wait(*ticket), token);
                        model.target = None;
                    }
                }
                Step::Cancel => {
                    if let Some(ticket) = tickets.last() {
                        trigger.cancel(*ticket);
                        model = Model::default();
                    }
                }
            }
        }
    }
}
