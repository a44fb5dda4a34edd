//! What a scenario is, and what its body may use.
//!
//! For: the authors of scenarios. Not for: running them, see [`crate::checker`].

use pollproof::sync::thread;

use crate::share::Shared;
use crate::{recording, steps};

/// Which runner the serial section of a scenario uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Runner {
    /// The thread that takes the serial section runs it.
    Inline,
    /// The thread that takes the serial section spawns it as a task.
    Spawned,
}

impl Runner {
    /// The name in reports and files.
    pub fn name(self) -> &'static str {
        match self {
            Runner::Inline => "inline",
            Runner::Spawned => "spawned",
        }
    }
}

/// The order in which the roles of a race are spawned.
///
/// It must not matter. loom's reduction can skip interleavings depending on it, so each model runs
/// in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// As listed.
    Forward,
    /// From the last to the first.
    Reverse,
}

impl Order {
    /// Both orders, in the order in which the committed counts list them.
    pub const BOTH: [Order; 2] = [Order::Forward, Order::Reverse];

    /// The name in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Order::Forward => "forward",
            Order::Reverse => "reverse",
        }
    }
}

impl std::str::FromStr for Order {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "forward" => Ok(Order::Forward),
            "reverse" => Ok(Order::Reverse),
            _ => anyhow::bail!("`{text}` is neither `forward` nor `reverse`"),
        }
    }
}

/// One sentence of SPEC.md as a function that a checker can explore.
pub struct Scenario {
    /// Unique, in kebab case, for example `serial-two-triggers`.
    pub name: &'static str,
    /// The chapter of SPEC.md that it belongs to.
    pub chapter: &'static str,
    /// The clauses that it checks. The first is the principal one.
    pub clauses: &'static [&'static str],
    /// The one sentence that it checks.
    pub sentence: &'static str,
    /// The runners that it makes sense with: more than one only where that differs.
    pub runners: &'static [Runner],
    /// Whether its roles race, so that at least two outcomes must be reached.
    pub race: bool,
    /// Builds its state anew, runs its roles, asserts its invariants and returns the outcome as a
    /// canonical string: equal strings for equal outcomes.
    pub body: fn(&Setup) -> String,
}

/// A scenario with one of its runners.
#[derive(Clone, Copy)]
pub struct Model {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// The runner.
    pub runner: Runner,
}

impl Model {
    /// The name of the scenario; with the runner behind it if the scenario has several.
    pub fn id(&self) -> String {
        if self.scenario.runners.len() == 1 {
            self.scenario.name.to_owned()
        } else {
            format!("{}/{}", self.scenario.name, self.runner.name())
        }
    }
}

/// The models of `scenarios`, in their order.
pub fn models(scenarios: impl IntoIterator<Item = &'static Scenario>) -> Vec<Model> {
    scenarios
        .into_iter()
        .flat_map(|scenario| scenario.runners.iter().map(move |&runner| Model { scenario, runner }))
        .collect()
}

/// A part of a race, run by a thread of its own.
pub type Role = Box<dyn FnOnce() + Send + 'static>;

/// A role that has `object`.
pub fn role<T>(object: &Shared<T>, part: impl FnOnce(&T) + Send + 'static) -> Role
where
    Shared<T>: Send,
{
    let object = object.clone();
    Box::new(move || part(&object))
}

/// What the harness hands to one execution of a scenario's body.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Setup {
    /// The order in which [`Setup::race`] spawns.
    pub order: Order,
    /// The runner of this model.
    pub runner: Runner,
}

impl Setup {
    /// A setup; scenarios get theirs from the harness.
    pub fn new(order: Order, runner: Runner) -> Self {
        Self { order, runner }
    }

    /// Runs `roles` at once, spawned in this setup's order, and joins them all.
    ///
    /// On plain threads a gate holds every role until all of them are there, so that they really meet; the checkers
    /// schedule them anyway. There the last one runs on the calling thread, which is all that it has to do, and a thread
    /// fewer is started each time.
    ///
    /// # Panics
    ///
    /// With the panic of a role, if one panicked.
    pub fn race(&self, roles: Vec<Role>) {
        let mut roles = self.named(roles);
        let own = if cfg!(any(loom, shuttle)) { None } else { roles.pop() };
        meet(own.map_or_else(|| Box::new(|| {}) as Role, |(_, role)| role), roles);
    }

    /// As [`race`](Self::race), and `main` runs beside them on the calling thread.
    ///
    /// # Panics
    ///
    /// With the panic of a role, if one panicked.
    pub fn race_beside(&self, main: impl FnOnce(), roles: Vec<Role>) {
        meet(main, self.named(roles));
    }

    /// The roles in the order in which they are spawned, with their names.
    fn named(&self, roles: Vec<Role>) -> Vec<(&'static str, Role)> {
        let mut named: Vec<_> = ["1", "2", "3", "4", "5"].into_iter().zip(roles).collect();
        if self.order == Order::Reverse {
            named.reverse();
        }
        named
    }
}

/// Spawns `roles`, runs `main`, and joins them.
fn meet(main: impl FnOnce(), roles: Vec<(&'static str, Role)>) {
    let gate = Gate::new(roles.len() + 1);
    steps::collect();
    recording::restart();
    recording::name_thread("main");
    let handles: Vec<_> = roles
        .into_iter()
        .map(|(name, role)| {
            thread::spawn(move || {
                recording::name_thread(name);
                gate.pass();
                role();
            })
        })
        .collect();
    gate.pass();
    main();
    for handle in handles {
        if let Err(payload) = handle.join() {
            std::panic::resume_unwind(payload);
        }
    }
}

#[cfg(any(loom, shuttle))]
use scheduled::Gate;
#[cfg(not(any(loom, shuttle)))]
use threads::Gate;

#[cfg(any(loom, shuttle))]
mod scheduled {
    /// No gate: the checker decides who goes when.
    #[derive(Clone, Copy)]
    pub(super) struct Gate;

    impl Gate {
        pub(super) fn new(_parties: usize) -> Self {
            Gate
        }

        pub(super) fn pass(self) {}
    }
}

#[cfg(not(any(loom, shuttle)))]
mod threads {
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A start barrier. It spins, because ThreadSanitizer without an instrumented `std` raises false
    /// alarms on a contended `std::sync::Barrier`; it is leaked for the same reason.
    #[derive(Clone, Copy)]
    pub(super) struct Gate {
        arrived: &'static AtomicUsize,
        parties: usize,
    }

    impl Gate {
        pub(super) fn new(parties: usize) -> Self {
            Gate { arrived: Box::leak(Box::new(AtomicUsize::new(0))), parties }
        }

        pub(super) fn pass(self) {
            // Ordering: Relaxed, so that the gate orders nothing that the scenario itself does not.
            self.arrived.fetch_add(1, Ordering::Relaxed);
            let mut spins = 0_u32;
            // Ordering: Relaxed, as above.
            while self.arrived.load(Ordering::Relaxed) < self.parties {
                spins += 1;
                if spins.is_multiple_of(64) {
                    std::thread::yield_now();
                } else {
                    std::hint::spin_loop();
                }
            }
        }
    }
}
