//! Makes the state graph of a small variant: from each state that is known, every move, by running to it once more.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;
use loom_tests::timeline::{Kind, Row};
use pollproof::sync::record;

use super::{Position, at};
use crate::graph::{Graph, Move, State};
use crate::race::Variant;

/// What tells two states apart: what each thread has seen, and which steps were the last to write to their cells.
type Key = (BTreeMap<Who, Vec<Option<u64>>>, BTreeSet<(Who, usize)>, bool);

/// A thread: its name, or when it was first seen if it has none.
type Who = (String, usize);

/// The graph of `variant`.
///
/// # Errors
///
/// When it has more than `most` states.
pub fn graph(variant: &'static Variant, most: usize) -> anyhow::Result<Graph> {
    let mut graph = Graph::default();
    let mut known: BTreeMap<Key, usize> = BTreeMap::new();
    let mut paths: Vec<Vec<usize>> = vec![Vec::new()];
    let mut threads = BTreeSet::new();
    let first = at(variant, &[]);
    known.insert(key(&first), 0);
    let mut next = 0;
    while next < paths.len() {
        ensure!(paths.len() <= most, "more than {most} states");
        let path = paths[next].clone();
        let here = at(variant, &path);
        let seen = rows(&here).len();
        let mut moves = Vec::new();
        for (choice, candidate) in here.candidates.iter().enumerate() {
            let longer: Vec<usize> = path.iter().copied().chain([choice]).collect();
            let there = at(variant, &longer);
            let to = *known.entry(key(&there)).or_insert_with(|| {
                paths.push(longer);
                paths.len() - 1
            });
            let rows: Vec<Row> = rows(&there).into_iter().skip(seen).collect();
            threads.extend(rows.iter().map(|row| there.timeline.threads[row.thread].clone()));
            moves.push(Move { thread: candidate.thread.clone(), step: candidate.step.clone(), rows, to });
        }
        graph.states.push(State { moves, failure: here.failure });
        next += 1;
    }
    graph.threads = threads.into_iter().collect();
    Ok(graph)
}

fn rows(position: &Position) -> Vec<Row> {
    position.timeline.rows.iter().filter(|row| row.kind != Kind::Break).cloned().collect()
}

/// The key of the execution that has just run to `position`.
fn key(position: &Position) -> Key {
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
        (histories, last.into_values().collect(), position.failure.is_some())
    })
}
