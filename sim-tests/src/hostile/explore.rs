//! What came of a program, and a smaller one that fails in the same way.
//!
//! Not here: how a program is explored, which is by many schedules (`schedules`) or by processes with real sockets
//! (`processes`).

use std::path::PathBuf;

use super::program::{Op, PeerAct, Program, Runs};
use super::world::Executed;

#[cfg(not(sim))]
pub use super::processes::{AGAIN, PARALLEL, explore};
#[cfg(sim)]
pub use super::schedules::{AGAIN, PARALLEL, explore};

/// How a program is explored.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of the schedules.
    pub seed: u64,
    /// For each scheduler, or each kind of sockets.
    pub schedules: usize,
    /// The command that plays programs on sockets, if it is not this one.
    pub with: Option<PathBuf>,
    /// What a violation begins with that is none.
    pub forgiven: Vec<String>,
}

/// How a program failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// By which scheduler, or on which kind of sockets.
    pub by: &'static str,
    /// In which of its schedules, from 1.
    pub schedule: u64,
    /// What was wrong.
    pub what: String,
    /// What happened before.
    pub timeline: String,
    /// What a sanitizer says.
    pub report: String,
}

impl Failure {
    /// What failures of one kind have in common: the rule that is broken and by what, without numbers and names of
    /// threads.
    pub fn kind(&self) -> String {
        let mut parts = self.what.splitn(3, ": ");
        let (rule, first) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let text = if first.is_empty() { rule.to_owned() } else { format!("{rule}: {first}") };
        let text = text.split(" (/").next().unwrap_or_default().split(": deadlock! task ");
        let text: String = text.flat_map(|part| part.chars()).filter(|letter| !letter.is_ascii_digit()).collect();
        text.chars().take(100).collect()
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Explored {
    /// Schedules that ran.
    pub schedules: u64,
    /// What was executed.
    pub executed: Executed,
    /// If it failed.
    pub failure: Option<Failure>,
}

/// A smallest program that fails as `program` does, and how it fails.
pub fn shrink(program: Program, failure: Failure, plan: &Plan) -> (Program, Failure) {
    let (mut program, mut failure) = (program, failure);
    let kind = failure.kind();
    // A smaller program has other schedules: a few more of them.
    let plan = Plan { schedules: plan.schedules.max(AGAIN) * AGAIN, ..plan.clone() };
    'again: loop {
        for smaller in smaller(&program) {
            if let Some(found) = explore(&smaller, &plan).failure.filter(|found| found.kind() == kind) {
                (program, failure) = (smaller, found);
                continue 'again;
            }
        }
        return (program, failure);
    }
}

/// Each list with one item less.
fn fewer<T: Clone>(items: &[T]) -> impl Iterator<Item = Vec<T>> {
    (0..items.len()).map(|index| {
        let mut fewer = items.to_vec();
        fewer.remove(index);
        fewer
    })
}

/// Programs that are one step smaller, the greatest steps first.
fn smaller(program: &Program) -> Vec<Program> {
    let mut all = Vec::new();
    let mut push = |change: &dyn Fn(&mut Program)| {
        let mut smaller = program.clone();
        change(&mut smaller);
        if smaller != *program {
            all.push(smaller);
        }
    };
    if program.hosts.len() > 1 {
        for hosts in fewer(&program.hosts).filter(|hosts| hosts.iter().any(|host| host.listens)) {
            push(&|smaller| smaller.hosts.clone_from(&hosts));
        }
    }
    fewer(&program.foreign).for_each(|foreign| push(&|smaller| smaller.foreign.clone_from(&foreign)));
    fewer(&program.peers).for_each(|peers| push(&|smaller| smaller.peers.clone_from(&peers)));
    for index in 0..program.hosts.len() {
        for acts in fewer(&program.hosts[index].acts) {
            push(&|smaller| smaller.hosts[index].acts.clone_from(&acts));
        }
    }
    push(&|smaller| smaller.remote = vec![PeerAct::Drain]);
    push(&|smaller| (smaller.room, smaller.faults) = (64, false));
    push(&|smaller| smaller.races = 0);
    for index in 0..program.hosts.len() {
        push(&|smaller| smaller.hosts[index].runs = Runs::Inline);
        push(&|smaller| smaller.hosts[index].takeover = 0);
        push(&|smaller| smaller.hosts[index].pollers = 1);
        push(&|smaller| smaller.hosts[index].on_thread = false);
        push(&|smaller| (smaller.hosts[index].budget, smaller.hosts[index].ahead) = (64, 64));
        push(&|smaller| smaller.hosts[index].high = 64);
        for (place, ops) in program.hosts[index].acts.iter().enumerate() {
            for ops in fewer(&ops.1) {
                push(&|smaller| smaller.hosts[index].acts[place].1.clone_from(&ops));
            }
            simpler(&ops.1).for_each(|ops| push(&|smaller| smaller.hosts[index].acts[place].1.clone_from(&ops)));
        }
    }
    for (thread, ops) in program.foreign.iter().enumerate() {
        fewer(ops).for_each(|ops| push(&|smaller| smaller.foreign[thread].clone_from(&ops)));
    }
    for (peer, acts) in program.peers.iter().enumerate() {
        fewer(&acts.1).for_each(|acts| push(&|smaller| smaller.peers[peer].1.clone_from(&acts)));
    }
    all
}

/// The same operations, one of them on its own connection, or with no argument.
fn simpler(ops: &[Op]) -> impl Iterator<Item = Vec<Op>> {
    ops.iter().enumerate().flat_map(|(index, op)| {
        [Op { on: None, ..*op }, Op { arg: 0, ..*op }].map(|op| {
            let mut simpler = ops.to_vec();
            simpler[index] = op;
            simpler
        })
    })
}
