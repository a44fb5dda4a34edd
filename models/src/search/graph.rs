//! Makes the state graph of a small variant: from each state that is known, every move, by running to it once more.

use std::collections::{BTreeMap, BTreeSet};

use loom_tests::timeline::{Kind, Row};
use pollproof::sync::record;

use super::{Position, at, threads_along};
use crate::graph::{Graph, Move, State};
use crate::race::Variant;
use crate::report::Turn;

/// What tells two states apart: what each thread has seen, which steps were the last to write to their cells, and how
/// often each thread went on (a step that is not recorded is one all the same).
type Key = (BTreeMap<Who, Vec<Option<u64>>>, BTreeSet<(Who, usize)>, BTreeMap<String, usize>, bool);

/// A thread: its name, or when it was first seen if it has none.
type Who = (String, usize);

/// A way to a state: the index of each candidate that was chosen, and its thread.
type Path = Vec<(usize, String)>;

/// The graph of `variant`, or the `most` states of it that are next to the execution along `turns`.
pub fn graph(variant: &'static Variant, most: usize, turns: Vec<Turn>) -> Graph {
    let mut graph = Graph::default();
    let mut known: BTreeMap<Key, usize> = BTreeMap::new();
    let mut paths: Vec<Path> = vec![Vec::new()];
    known.insert(key(&at(variant, &[]), &[]), 0);
    graph.along.push(0);
    // The schedule first, so that what is next to it comes next.
    let mut path = Path::new();
    for thread in threads_along(variant, turns) {
        let Some(choice) = at_path(variant, &path).candidates.iter().position(|it| it.thread == thread) else { break };
        path.push((choice, thread));
        let there = at_path(variant, &path);
        let next = paths.len();
        let to = *known.entry(key(&there, &path)).or_insert(next);
        if to == next {
            paths.push(path.clone());
        }
        graph.along.push(to);
    }
    let mut threads = BTreeSet::new();
    let mut next = 0;
    while next < paths.len() {
        if next >= most {
            graph.states.push(State { open: true, ..State::default() });
            next += 1;
            continue;
        }
        let path = paths[next].clone();
        let here = at_path(variant, &path);
        let seen = rows(&here).len();
        let mut moves = Vec::new();
        for (choice, candidate) in here.candidates.iter().enumerate() {
            let mut longer = path.clone();
            longer.push((choice, candidate.thread.clone()));
            let there = at_path(variant, &longer);
            let key = key(&there, &longer);
            let to = *known.entry(key).or_insert_with(|| {
                paths.push(longer);
                paths.len() - 1
            });
            let rows: Vec<Row> = rows(&there).into_iter().skip(seen).collect();
            threads.extend(rows.iter().map(|row| there.timeline.threads[row.thread].clone()));
            moves.push(Move { thread: candidate.thread.clone(), step: candidate.step.clone(), rows, to });
        }
        graph.states.push(State { moves, failure: here.failure, open: false });
        next += 1;
    }
    graph.threads = threads.into_iter().collect();
    graph
}

fn at_path(variant: &'static Variant, path: &[(usize, String)]) -> Position {
    let choices: Vec<usize> = path.iter().map(|(choice, _)| *choice).collect();
    at(variant, &choices)
}

fn rows(position: &Position) -> Vec<Row> {
    position.timeline.rows.iter().filter(|row| row.kind != Kind::Break).cloned().collect()
}

/// The key of the execution that has just run to `position`.
fn key(position: &Position, path: &[(usize, String)]) -> Key {
    let mut turns: BTreeMap<String, usize> = BTreeMap::new();
    path.iter().for_each(|(_, thread)| *turns.entry(thread.clone()).or_default() += 1);
    record::with(|log| {
        let mut histories: BTreeMap<Who, Vec<Option<u64>>> = BTreeMap::new();
        let mut last: BTreeMap<usize, (Who, usize)> = BTreeMap::new();
        for step in &log.steps {
            let name = log.threads[step.thread].name;
            let who = (name.to_owned(), if name.is_empty() { step.thread } else { 0 });
            let history = histories.entry(who.clone()).or_default();
            history.push(step.seen);
            if step.op != record::Op::Note && !step.op.only_reads() {
                last.insert(step.cell, (who, history.len()));
            }
        }
        (histories, last.into_values().collect(), turns, position.failure.is_some())
    })
}
