//! A smaller graph that a player cannot tell from the whole one.
//!
//! Two steps, neither of which changes what can be seen. A step that is not shown, and that gives the same end
//! whichever other thread goes before it, is taken at once: it is no choice. Then states from which the same can
//! follow become one state.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use loom_tests::timeline::{Kind, Token};

use super::{Graph, Move, State};
use crate::report::Failure;

/// What is seen of a move: who, with what, and the rows that it adds.
type Seen<'a> = (&'a str, Option<&'a str>, Vec<(Kind, &'a str, &'a [Token])>);

fn seen(it: &Move) -> Seen<'_> {
    let rows = it.rows.iter().map(|row| (row.kind, row.text.as_str(), row.state.as_slice())).collect();
    (&it.thread, it.step.as_deref(), rows)
}

fn hidden(it: &Move) -> bool {
    it.rows.is_empty() && it.step.is_none()
}

impl Graph {
    /// The smaller graph.
    pub fn reduced(&self) -> Graph {
        let at_once = self.at_once();
        let settled = |mut state: usize| {
            while let Some(choice) = at_once.get(&state) {
                state = self.states[state].moves[*choice].to;
            }
            state
        };
        let mut of: BTreeMap<usize, usize> = BTreeMap::new();
        let mut known: BTreeMap<(Vec<(String, usize)>, String), usize> = BTreeMap::new();
        let mut states: Vec<State> = Vec::new();
        // Deepest first, without recursion: an execution may have hundreds of steps.
        let mut stack = vec![settled(0)];
        while let Some(state) = stack.last().copied() {
            let next: Vec<usize> = self.states[state].moves.iter().map(|it| settled(it.to)).collect();
            let before = stack.len();
            stack.extend(next.iter().filter(|to| !of.contains_key(to)));
            if stack.len() > before {
                continue;
            }
            stack.pop();
            if of.contains_key(&state) {
                continue;
            }
            let here = &self.states[state];
            let mut moves: Vec<Move> =
                here.moves.iter().zip(&next).map(|(it, to)| Move { to: of[to], ..it.clone() }).collect();
            moves.sort_by(|one, other| one.thread.cmp(&other.thread));
            let looks = moves.iter().map(|it| (format!("{:?}", seen(it)), it.to)).collect();
            let end = format!("{:?} {}", here.failure.as_ref().map(|it: &Failure| &it.message), here.open);
            let class = *known.entry((looks, end)).or_insert_with(|| {
                states.push(State { moves, failure: here.failure.clone(), open: here.open });
                states.len() - 1
            });
            of.insert(state, class);
        }
        let mut along: Vec<usize> = self.along.iter().filter_map(|state| of.get(&settled(*state)).copied()).collect();
        along.dedup();
        let whole = Graph { threads: self.threads.clone(), states, along };
        whole.from(of[&settled(0)], usize::MAX)
    }

    /// The `most` states that are next to the schedule; what they lead out to is open.
    pub fn around(&self, most: usize) -> Graph {
        self.from(0, most)
    }

    /// Numbers the states anew, beginning with `first`, those along the schedule and then those next to them.
    fn from(&self, first: usize, most: usize) -> Graph {
        let mut queue: VecDeque<usize> = std::iter::once(first).chain(self.along.iter().copied()).collect();
        let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
        let mut kept = Vec::new();
        while let Some(state) = queue.pop_front() {
            if numbers.contains_key(&state) || kept.len() >= most {
                continue;
            }
            numbers.insert(state, kept.len());
            kept.push(state);
            queue.extend(self.states[state].moves.iter().map(|it| it.to));
        }
        let outside = kept.len();
        let mut leads_out = false;
        let mut states: Vec<State> = kept.iter().map(|state| self.states[*state].clone()).collect();
        for it in states.iter_mut().flat_map(|state| &mut state.moves) {
            leads_out |= !numbers.contains_key(&it.to);
            it.to = numbers.get(&it.to).copied().unwrap_or(outside);
        }
        if leads_out {
            states.push(State { open: true, ..State::default() });
        }
        let along = self.along.iter().filter_map(|state| numbers.get(state).copied()).collect();
        Graph { threads: self.threads.clone(), states, along }
    }

    /// Whether nothing was left out.
    pub fn is_whole(&self) -> bool {
        !self.states.iter().any(|state| state.open)
    }

    /// For each state that has one, a hidden move that changes nothing about what the others can do: it goes with every
    /// other move, and with each the two orders meet again. The largest set of such moves that is closed under this.
    fn at_once(&self) -> BTreeMap<usize, usize> {
        let mut set: BTreeSet<(usize, usize)> = BTreeSet::new();
        for (at, state) in self.states.iter().enumerate() {
            set.extend(state.moves.iter().enumerate().filter(|(_, it)| hidden(it)).map(|(choice, _)| (at, choice)));
        }
        loop {
            let before = set.len();
            let fits = |&(at, choice): &(usize, usize)| self.meets(at, choice, &set);
            set = set.iter().copied().filter(fits).collect();
            if set.len() == before {
                break;
            }
        }
        set.into_iter().rev().collect()
    }

    fn meets(&self, at: usize, choice: usize, set: &BTreeSet<(usize, usize)>) -> bool {
        let moves = &self.states[at].moves;
        let mine = &moves[choice];
        let after_mine = &self.states[mine.to];
        let others = moves.iter().enumerate().filter(|(other, _)| *other != choice).map(|(_, it)| it);
        !after_mine.open
            && others.into_iter().all(|other| {
                let there = &self.states[other.to].moves;
                let later = there.iter().enumerate().find(|(_, it)| it.thread == mine.thread && hidden(it));
                let later = later.filter(|(index, _)| set.contains(&(other.to, *index)));
                let before = after_mine.moves.iter().find(|it| seen(it) == seen(other));
                matches!((later, before), (Some((_, later)), Some(before)) if later.to == before.to)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(thread: &str, step: Option<&str>, to: usize) -> Move {
        Move { thread: thread.to_owned(), step: step.map(str::to_owned), rows: Vec::new(), to }
    }

    fn graph(moves: Vec<Vec<Move>>) -> Graph {
        let states = moves.into_iter().map(|moves| State { moves, ..State::default() }).collect();
        Graph { threads: vec!["A".to_owned(), "B".to_owned()], states, along: vec![0] }
    }

    #[test]
    fn a_hidden_step_that_commutes_is_no_choice() {
        let diamond = graph(vec![
            vec![step("A", None, 1), step("B", Some("b"), 2)],
            vec![step("B", Some("b"), 3)],
            vec![step("A", None, 3)],
            vec![],
        ]);
        let small = diamond.reduced();
        assert_eq!(small.states.len(), 2, "{small:?}");
        assert_eq!(small.states[0].moves, [step("B", Some("b"), 1)]);
    }

    #[test]
    fn a_hidden_step_that_decides_something_stays() {
        let mut decides = graph(vec![
            vec![step("A", None, 1), step("B", Some("b"), 2)],
            vec![step("B", Some("b"), 3)],
            vec![step("A", None, 4)],
            vec![],
            vec![],
        ]);
        decides.states[4].failure = Some(Failure::of("N1: lost"));
        // Only what comes after B's step, where nothing else can go on, is taken at once.
        let small = decides.reduced();
        assert_eq!((small.states.len(), small.states[0].moves.len()), (4, 2), "{small:?}");
    }

    #[test]
    fn a_part_says_where_it_ends() {
        let line = graph(vec![vec![step("A", Some("a"), 1)], vec![step("A", Some("b"), 2)], vec![]]);
        assert!(line.is_whole());
        let part = line.around(1);
        assert_eq!((part.states.len(), part.is_whole()), (2, false));
        assert!(part.states[part.states[0].moves[0].to].open);
    }
}
