//! What a race of the atlas is, and what its file may use.
//!
//! For: the authors of `races/*.rs`; the template is in `models/README.md`. A race is a story and its variants; a
//! variant is one function over the facade, which sets up, lets its roles race and states what must hold. Not for:
//! exploring, see [`crate::explore`].

use loom_tests::recording;
use loom_tests::rig::{User, World};
use loom_tests::scenario::{Order, Runner, Setup};
use pollproof::sync::thread;

use crate::cast;

/// One race: one file below `races/`.
#[derive(Debug)]
pub struct Race {
    /// As the reference lists it: `W1`, `D3`, `M1`.
    pub id: &'static str,
    /// Unique, in kebab case: what is typed.
    pub name: &'static str,
    /// What goes wrong, in a few words.
    pub title: &'static str,
    /// Who, what, consequence: a few sentences.
    pub story: &'static str,
    /// How often it was seen in the field.
    pub seen: &'static str,
    /// Public threads and sources: addresses.
    pub references: &'static [&'static str],
    /// The clauses of SPEC.md that answer it; the first is the principal one.
    pub clauses: &'static [&'static str],
    /// Its story needs no second thread.
    pub sequential: bool,
    /// From the most broken to the repaired one.
    pub variants: &'static [Variant],
    /// The source of the file, for showing: `include_str!("w01_lost_disconnect.rs")`.
    pub source: &'static str,
}

/// One way to do it, with what a checker must say about it.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// What is typed: `published`, `repaired`.
    pub name: &'static str,
    /// What is printed: "as published".
    pub title: &'static str,
    /// One execution.
    pub body: fn(&Stage),
    /// Who explores it.
    pub by: Checkers,
    /// What must come out.
    pub expect: Expect,
}

/// Who explores a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checkers {
    /// The depth-first search over sequentially consistent schedules.
    Dfs,
    /// loom, with weak memory and data races.
    Loom,
    /// Both: for what is to hold.
    Both,
}

/// What a checker must say about a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// A promise breaks.
    Breaks {
        /// The clause that breaks.
        clause: &'static str,
        /// How it shows.
        how: How,
        /// The smallest preemption bound at which it does.
        bound: u8,
    },
    /// Nothing breaks.
    Holds,
}

/// How a broken variant shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A [`promise`] that names the clause.
    Promise,
    /// The checker's report of two accesses to a cell that nothing orders.
    DataRace,
    /// The checker's report that every thread waits.
    Deadlock,
}

/// A [`promise`] of `clause` breaks, at this preemption bound and no smaller one.
pub const fn breaks(clause: &'static str, bound: u8) -> Expect {
    Expect::Breaks { clause, how: How::Promise, bound }
}

/// The checker reports a data race, which breaks `clause`.
pub const fn data_race(clause: &'static str, bound: u8) -> Expect {
    Expect::Breaks { clause, how: How::DataRace, bound }
}

/// The checker reports a deadlock, which breaks `clause`.
pub const fn deadlock(clause: &'static str, bound: u8) -> Expect {
    Expect::Breaks { clause, how: How::Deadlock, bound }
}

/// The published mechanism without its answer to this race.
pub const fn without(title: &'static str, body: fn(&Stage), expect: Expect) -> Variant {
    Variant { name: "without", title, body, by: Checkers::Dfs, expect }
}

/// The published code path, transcribed.
pub const fn published(body: fn(&Stage), expect: Expect) -> Variant {
    Variant { name: "published", title: "as published", body, by: Checkers::Dfs, expect }
}

/// `pollproof`'s own protocol in the same story.
pub const fn repaired(body: fn(&Stage)) -> Variant {
    Variant { name: "repaired", title: "as repaired", body, by: Checkers::Both, expect: Expect::Holds }
}

impl Variant {
    /// The race is one of weak memory: loom explores this variant.
    pub const fn under_loom(self) -> Self {
        Self { by: Checkers::Loom, ..self }
    }

    /// The clause that it breaks.
    pub const fn clause(&self) -> Option<&'static str> {
        match self.expect {
            Expect::Breaks { clause, .. } => Some(clause),
            Expect::Holds => None,
        }
    }

    /// Another name and title, for a variant that is neither of the usual ones.
    pub const fn named(self, name: &'static str, title: &'static str) -> Self {
        Self { name, title, ..self }
    }
}

impl Race {
    /// The variant of that name.
    pub fn variant(&self, name: &str) -> Option<&'static Variant> {
        self.variants.iter().find(|variant| variant.name == name)
    }
}

/// A thread of a race.
pub struct Role {
    name: &'static str,
    act: Box<dyn FnOnce() + Send + 'static>,
}

/// A thread called `name`, as the timeline shows it: `T` task, `P` poller, `H` the poller's hup, `U` user, `A` acceptor.
pub fn role(name: &'static str, act: impl FnOnce() + Send + 'static) -> Role {
    Role { name, act: Box::new(act) }
}

/// An operation of a role that does several, one after the other: what the reduction may drop for itself. `name` is no
/// role's, and the same in each variant. Also around what the set-up does for such an operation. What `act` answers is let go.
pub fn op<R>(name: &'static str, act: impl FnOnce() -> R) {
    if cast::plays(name) {
        let _ = act();
    }
}

/// What must hold. `otherwise` says in one sentence what went wrong.
///
/// # Panics
///
/// When it does not hold: that is how the checkers learn it.
#[track_caller]
pub fn promise(clause: &str, holds: bool, otherwise: &str) {
    assert!(holds, "{clause}: {otherwise}");
}

/// One execution of a variant.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    order: Order,
}

impl Stage {
    /// A stage whose roles are spawned in `order`; variants get theirs from the explorer.
    pub fn new(order: Order) -> Self {
        Self { order }
    }

    fn setup(&self) -> Setup {
        Setup::new(self.order, Runner::Inline)
    }

    /// `pollproof`'s own connection as accept leaves it: born owned, not registered.
    pub fn born(&self, user: User) -> World {
        World::born(&self.setup(), user)
    }

    /// `pollproof`'s own connection, registered; its OnConnect has not begun.
    pub fn registered(&self, user: User) -> World {
        World::registered(&self.setup(), user)
    }

    /// `pollproof`'s own connection, its OnConnect over.
    pub fn connected(&self, user: User) -> World {
        World::connected(&self.setup(), user)
    }

    /// Lets `roles` race, each on a thread of its own, and waits for all of them. A role that is dropped is not
    /// spawned. What came before is the set-up, and what comes after the judgement: neither is part of the timeline.
    ///
    /// # Panics
    ///
    /// With the panic of a role, if one panicked.
    pub fn race(&self, roles: impl IntoIterator<Item = Role>) {
        recording::restart();
        let mut roles: Vec<Role> = roles.into_iter().filter(|role| cast::plays(role.name)).collect();
        if self.order == Order::Reverse {
            roles.reverse();
        }
        curtain::fall();
        let handles: Vec<_> = roles
            .into_iter()
            .map(|Role { name, act }| {
                thread::spawn(move || {
                    recording::name_thread(name);
                    act();
                    recording::end_thread();
                })
            })
            .collect();
        curtain::rise();
        for handle in handles {
            if let Err(payload) = handle.join() {
                std::panic::resume_unwind(payload);
            }
        }
        curtain::fall();
        recording::stop();
    }
}

/// Whether the roles of this execution are racing, for the scheduler: the main thread only spawns and joins them.
pub(crate) mod curtain {
    use std::sync::atomic::{AtomicBool, Ordering};

    static RACING: AtomicBool = AtomicBool::new(false);

    pub(crate) fn rise() {
        RACING.store(true, Ordering::Relaxed);
    }

    pub(crate) fn fall() {
        RACING.store(false, Ordering::Relaxed);
    }

    #[cfg(shuttle)]
    pub(crate) fn racing() -> bool {
        RACING.load(Ordering::Relaxed)
    }
}
