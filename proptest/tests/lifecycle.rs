//! Any order of events on one thread: whatever happens, SPEC.md's oracle says the same.
//!
//! A failure is shrunk, and shown as a timeline of every step of the word. Not here: interleavings.
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::disallowed_types, reason = "the strategies of proptest are built from them; nothing here is explored")]

use pollproof_proptest::history::{Act, History, Plan, Step};
use pollproof_proptest::oracle::Oracle;
use pollproof_proptest::play::Played;
use pollproof_proptest::told;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

/// What the specification says, as the state that steps are chosen by.
#[derive(Clone, Debug)]
struct Specified {
    plan: Plan,
    oracle: Oracle,
    steps: usize,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![8 => Just(Act::Nothing), 1 => Just(Act::Panic), 1 => Just(Act::Close)]
}

fn plan() -> impl Strategy<Value = Plan> {
    let acts = std::array::from_fn::<_, 5, _>(|_| act());
    (any::<bool>(), 1..3u64, 0..3u32, 0..3u64, acts).prop_map(|(handler, packet, callbacks, room, acts)| {
        let [on_prepare, on_connect, on_request, on_disconnect, on_close] = acts;
        Plan { handler, packet, callbacks, room, on_prepare, on_connect, on_request, on_disconnect, on_close }
    })
}

impl ReferenceStateMachine for Specified {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        plan().prop_map(|plan| Specified { plan, oracle: Oracle::new(plan), steps: 0 }).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        prop_oneof![
            2 => Just(Step::Connect),
            4 => Just(Step::Data),
            1 => Just(Step::Eof),
            1 => Just(Step::Hup),
            1 => Just(Step::Close),
            1 => Just(Step::Detach),
            1 => Just(Step::Shutdown),
            1 => Just(Step::SetHandler),
            2 => (1..4u64).prop_map(Step::Flush),
            2 => (1..4u64).prop_map(Step::PeerTakes),
            1 => Just(Step::AddCallback),
        ]
        .boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        let _ = state.oracle.step(state.steps, *step);
        state.steps += 1;
        state
    }

    fn preconditions(state: &Self, step: &Step) -> bool {
        state.oracle.allows(*step)
    }
}

/// The protocol, beside the oracle.
struct Protocol;

impl StateMachineTest for Protocol {
    type SystemUnderTest = Played;
    type Reference = Specified;

    fn init_test(specified: &Specified) -> Played {
        Played::new(specified.plan)
    }

    fn apply(mut played: Played, _: &Specified, step: Step) -> Played {
        played.step(step);
        played
    }

    fn teardown(played: Played, _: Specified) {
        played.end();
    }
}

/// SPEC: A1, S1, S2, S4, N2, N3, N4, N5, H1, H2, H3, H5, C1, C2, C3, C4, C6, E1, E2, E3, D1, D3, P1, P2, P3, R1, R2, O2,
/// O3, G2, one after the other.
#[test]
fn every_history_is_as_specified() {
    let config = Config {
        cases: 100_000,
        failure_persistence: None,
        max_shrink_iters: 100_000,
        // Of all cases together: a step that cannot come where it stands is chosen anew.
        max_local_rejects: u32::MAX,
        ..Config::default()
    };
    let histories = Specified::sequential_strategy(0..14);
    let checked = TestRunner::new(config.clone()).run(&histories, |(specified, steps, seen)| {
        Protocol::test_sequential(config.clone(), specified, steps, seen);
        Ok(())
    });
    match checked {
        Ok(()) => {}
        Err(TestError::Fail(why, (specified, steps, _))) => {
            let history = History { plan: specified.plan, steps };
            let told = told::timeline(&history).unwrap_or_else(|error| format!("there is no timeline: {error:#}"));
            panic!("{why}\n{history:#?}\n{told}");
        }
        Err(TestError::Abort(why)) => panic!("no history could be made: {why}"),
    }
}

/// A timeline shows the history up to the step at which it went wrong: here one that the peer cannot do.
#[test]
fn a_history_that_goes_wrong_is_told_step_by_step() {
    let plan = Plan {
        handler: true,
        // The rig cannot divide by it.
        packet: 0,
        callbacks: 1,
        room: 0,
        on_prepare: Act::Nothing,
        on_connect: Act::Nothing,
        on_request: Act::Nothing,
        on_disconnect: Act::Nothing,
        on_close: Act::Nothing,
    };
    let history = History { plan, steps: vec![Step::Connect, Step::Data] };
    let told = told::timeline(&history).expect("it goes wrong there too");
    for row in ["Connect", "OnConnect", "end_connect", "Data"] {
        assert!(told.contains(row), "no {row} in\n{told}");
    }
    assert!(told.trim_end().ends_with("attempt to divide by zero"), "{told}");
}
