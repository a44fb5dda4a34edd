//! Chapter "Output": epoll's interest mask, which readers, writers and the end change at once.

use crate::rig::{User, World};
use crate::scenario::Runner::Inline;
use crate::scenario::{Role, Scenario};

/// Flushes two bytes.
fn flusher(world: &World) -> Role {
    world.role(|w| {
        let taken = w.flush(2);
        w.note(format!("flush:{taken:?}"));
    })
}

/// The scenarios of this part of the chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "mask-from-both-sides",
        chapter: "Output",
        clauses: &["I1", "E1"],
        sentence: "The reader's side and the writer's side change epoll's mask at once: it ends as both want it.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { handler: false, room: 1, output: true, ..User::default() };
            let world = World::connected(setup, user);
            setup.race(vec![flusher(&world), world.role(|w| w.eof())]);
            world.end()
        },
    },
    Scenario {
        name: "mask-eof-against-drain",
        chapter: "Output",
        clauses: &["I1", "O3"],
        sentence: "The end of the stream and a drain change the mask at once: what is sent is not asked for any more.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let world = World::connected(setup, User { handler: false, output: true, ..User::default() });
            assert!(world.flush(1).is_ok());
            setup.race(vec![world.role(|w| w.eof()), world.role(|w| w.peer_takes(1))]);
            let outcome = world.end();
            assert!(world.all_sent(), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "mask-during-connect",
        chapter: "Output",
        clauses: &["I1", "S2"],
        sentence: "The mask changes from both sides while OnConnect runs: its end leaves that to them.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { handler: false, output: true, ..User::default() };
            let world = World::registered(setup, user);
            let acceptor = world.clone();
            let flusher = world.flusher(1);
            setup.race_beside(|| acceptor.connect(), vec![flusher, world.role(|w| w.eof())]);
            world.end()
        },
    },
    Scenario {
        name: "mask-against-a-second-flush",
        chapter: "Output",
        clauses: &["I1", "O4"],
        sentence: "A flusher that has waited leaves the mask alone to whoever has it.",
        runners: &[Inline],
        race: false,
        body: |setup| {
            let user = User { handler: false, room: 1, ..User::default() };
            let world = World::connected(setup, user);
            let flusher = world.role(|w| {
                let _ = w.flush_blocking(1);
                let _ = w.flush(1);
            });
            setup.race(vec![flusher, world.role(|w| w.eof())]);
            world.end()
        },
    },
    Scenario {
        name: "mask-against-one-that-has-waited",
        chapter: "Output",
        clauses: &["I1", "O4"],
        sentence: "A flusher that has waited leaves to whoever has the mask what others want of it.",
        runners: &[Inline],
        race: false,
        body: |setup| {
            let user = User { handler: false, room: 1, ..User::default() };
            let world = World::connected(setup, user);
            assert!(world.flush(1).is_ok());
            let parks = world.flusher(1);
            setup.race(vec![world.role(|w| w.wait_until_sent(1)), parks, world.role(|w| w.eof())]);
            world.end()
        },
    },
    Scenario {
        name: "mask-against-hup",
        chapter: "Output",
        clauses: &["D2", "I1", "H3"],
        sentence: "A change of epoll's mask against the end of the connection: never a MOD of what is closed.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let user = User { handler: false, room: 1, output: true, ..User::default() };
            let world = World::connected(setup, user);
            setup.race(vec![flusher(&world), world.role(|w| w.eof()), world.closer()]);
            let outcome = world.end();
            assert_eq!(world.close_callbacks(), 1, "{outcome}");
            outcome
        },
    },
];
