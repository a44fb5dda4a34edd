//! Any order of events on one thread: whatever happens, the promises that hold for every scenario hold,
//! and what a simple model of SPEC.md says of the order comes out.
//!
//! Not here: interleavings. Each step is over before the next begins.
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::disallowed_types, reason = "the strategies of proptest are built from them; nothing here is explored")]

use loom_tests::rig::{self, User, World, closes, panics, quiet};
use loom_tests::scenario::{Order, Runner, Setup};
use proptest::prelude::*;

/// One event of a connection's life.
#[derive(Clone, Copy, Debug)]
enum Step {
    Connect,
    Data,
    Eof,
    Hup,
    Close,
    Detach,
    Shutdown,
    SetHandler,
    Flush(u64),
    PeerTakes(u64),
    AddCallback,
}

fn step() -> impl Strategy<Value = Step> {
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
}

/// What the user's callbacks do.
#[derive(Clone, Copy, Debug)]
enum Act {
    Nothing,
    Panic,
    Close,
}

impl Act {
    fn any() -> impl Strategy<Value = Act> {
        prop_oneof![8 => Just(Act::Nothing), 1 => Just(Act::Panic), 1 => Just(Act::Close)]
    }

    fn call(self) -> rig::Act {
        match self {
            Act::Nothing => quiet,
            Act::Panic => panics,
            Act::Close => closes,
        }
    }
}

/// The user's side, as a value that a failure can print.
#[derive(Clone, Copy, Debug)]
struct Plan {
    handler: bool,
    packet: u64,
    callbacks: u32,
    room: u64,
    /// OnPrepare, OnConnect, OnRequest, OnDisconnect, the newest close callback.
    acts: [Act; 5],
}

impl Plan {
    fn any() -> impl Strategy<Value = Plan> {
        let acts = std::array::from_fn::<_, 5, _>(|_| Act::any());
        (any::<bool>(), 1..3u64, 0..3u32, 0..3u64, acts).prop_map(|(handler, packet, callbacks, room, acts)| Plan {
            handler,
            packet,
            callbacks,
            room,
            acts,
        })
    }

    fn user(self) -> User {
        let Plan { handler, packet, callbacks, room, acts } = self;
        let [on_prepare, on_connect, on_request, on_disconnect, on_close] = acts.map(Act::call);
        let acts = User { on_prepare, on_connect, on_request, on_disconnect, on_close, ..User::default() };
        User { handler, packet, callbacks, room, ..acts }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn every_history_keeps_every_promise(plan in Plan::any(), steps in prop::collection::vec(step(), 0..12)) {
        let setup = Setup::new(Order::Forward, Runner::Inline);
        let world = World::registered(&setup, plan.user());
        let (mut connected, mut segments, mut ending) = (false, 0, false);
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Connect if !connected => {
                    world.connect();
                    connected = true;
                }
                Step::Connect => {}
                Step::Data if segments < 4 => {
                    world.data();
                    segments += 1;
                }
                Step::Data => {}
                Step::Eof => world.eof(),
                Step::Hup => world.hup(),
                Step::Close => {
                    let _ = world.close();
                    ending = true;
                }
                Step::Detach => {
                    world.detach();
                    ending = true;
                }
                Step::Shutdown => world.shutdown(),
                Step::SetHandler => world.set_handler(2),
                Step::Flush(bytes) => {
                    let _ = world.flush(bytes);
                }
                Step::PeerTakes(bytes) => world.peer_takes(bytes),
                Step::AddCallback => world.add_close_callback(100 + at as u32),
            }
        }
        if !connected {
            world.connect();
        }
        let outcome = world.end();
        // The model: OnConnect comes first; OnDisconnect is never without it, nor after the end; the end is
        // the last event, and a user close always leads to it.
        let events: Vec<_> = outcome.split(" | ").next().unwrap_or("").split_whitespace().collect();
        let place = |name: &str| events.iter().position(|event| event.starts_with(name));
        if let Some(first) = events.first() {
            prop_assert!(first.starts_with("connect") || first.starts_with("close") || first.starts_with("send"),
                "{}", outcome);
        }
        if place("disconnect").is_some() {
            prop_assert!(place("connect").is_some_and(|at| Some(at) < place("disconnect")), "{}", outcome);
        }
        if let Some(at) = place("close") {
            prop_assert_eq!(at, events.len() - 1, "{}", outcome);
        }
        prop_assert!(!ending || place("close").is_some(), "{}", outcome);
    }
}
