//! W2, two-adders: two threads add a close callback at the same time, and one of the two is overwritten.

use loom_tests::recording::Shown;
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W2",
    name: "two-adders",
    title: "a close callback is overwritten",
    story: "Close callbacks form a linked list. To add one is to load the head, link the new node to it, and store the node \
        as the head. Two threads do that at once: both load the same head, and the second store overwrites the first. \
        Both were told that their callback is in. When the connection closes, one of them never runs: a session is not \
        ended, an entry stays in a registry. Here the list is pushed to under a lock.",
    seen: "510,448 of 2.9 million aimed pairs, library untouched",
    references: &["https://github.com/cloudwego/netpoll/blob/fcc5e9d/connection_onevent.go"],
    clauses: &["C3"],
    sequential: false,
    variants: &[published(as_published, breaks("C3", 1)), repaired(as_repaired)],
    source: include_str!("w02_two_adders.rs"),
};

/// A list of nodes that never change is known by its head, which is a number here: its newest callback plus three times
/// the rest.
const LIST: Shown = Shown::Values(&["empty", "A", "B", "?", "A A", "B A", "?", "A B", "B B"]);
const A: u32 = 1;
const B: u32 = 2;

struct Connection {
    head: Go,
}

impl Connection {
    fn add_close_callback(&self, callback: u32) {
        let pre = self.head.load();
        self.head.store(3 * pre + callback);
    }

    /// How often the list calls `callback`.
    fn calls(&self, callback: u32) -> u32 {
        let mut node = self.head.load();
        let mut calls = 0;
        while node != 0 {
            calls += u32::from(node % 3 == callback);
            node /= 3;
        }
        calls
    }
}

fn as_published(stage: &Stage) {
    let c = share(Connection { head: Go::new(0) });
    c.head.name("head", LIST);
    let (one, two) = (c.clone(), c.clone());
    stage.race([role("U1", move || one.add_close_callback(A)), role("U2", move || two.add_close_callback(B))]);
    let in_the_list = (c.calls(A), c.calls(B));
    promise("C3", in_the_list == (1, 1), "two close callbacks were accepted, and one of them is not in the list");
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User { callbacks: 0, ..User::default() });
    stage.race([
        role("U1", world.role(|w| w.add_close_callback(A))),
        role("U2", world.role(|w| w.add_close_callback(B))),
    ]);
    let _ = world.close();
    let _ = world.end();
    promise("C3", world.close_callbacks() == 2, "two close callbacks were accepted, and one of them did not run");
}
