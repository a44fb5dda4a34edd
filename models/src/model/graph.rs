//! The complete state graph of one configuration, and what holds in each state of it.
//!
//! For: everything that needs more than the states: liveness needs the cycles, the comparison with runs the steps.
//! A state is kept as its fingerprint of 64 bits while it is explored, and as a number after; to show one, its way
//! from the start is taken again. The `stateright` crate explores the same model ([`super::space`]) without keeping
//! the graph; a test compares the two.
//!
//! Not here: the search for runs that never do what they must (`lasso`).

use std::collections::{HashMap, HashSet, VecDeque};

use nohash_hasher::BuildNoHashHasher;

use super::config::Config;
use super::lasso;
use super::liveness::OBLIGATIONS;
use super::properties::{CLAUSES, FINALLY, STANDING};
use super::space::{Space, shown};
use super::state::State;
use super::step::{Edge, choices, step};

/// A step from one state to another.
#[derive(Clone, Copy, Debug)]
pub struct Arrow {
    /// Where to, by its number.
    pub to: u32,
    /// Whose step, an index of the configuration's parties.
    pub party: u8,
    /// Which of the ways that it can go.
    pub choice: u8,
}

/// The states of one configuration, numbered by their distance from the first, and the steps between them.
pub struct Graph {
    pub(super) space: Space,
    /// Where the arrows of each state begin, and where the last one's end.
    starts: Vec<usize>,
    arrows: Vec<Arrow>,
    /// The state from which each was found.
    parents: Vec<u32>,
    /// A bit for each of [`OBLIGATIONS`] that is open.
    open: Vec<u16>,
    /// Every step, projected on the word.
    edges: HashSet<Edge, ahash::RandomState>,
    /// A property and the first state in which it does not hold.
    broken: Vec<(&'static str, u32)>,
    /// The ends that are never reached.
    missed: Vec<&'static str>,
}

/// What the exploration of one configuration showed.
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Steps between them.
    pub arrows: usize,
    /// States in which nobody can move.
    pub ends: usize,
    /// States that lie on a cycle. No cycle is fair, or it is a problem.
    pub cyclic: usize,
    /// Every step, projected on the word.
    pub edges: HashSet<Edge, ahash::RandomState>,
    /// Properties that do not hold, each with the way there, and ends that are never reached.
    pub problems: Vec<String>,
}

impl Graph {
    /// Explores everything.
    pub fn build(config: Config) -> Self {
        let mut graph = Self {
            space: Space::new(config),
            starts: Vec::new(),
            arrows: Vec::new(),
            parents: vec![0],
            open: Vec::new(),
            edges: HashSet::default(),
            broken: Vec::new(),
            missed: Vec::new(),
        };
        let hash = ahash::RandomState::with_seeds(1, 2, 3, 4);
        let print = |state: &State| hash.hash_one(state);
        let mut numbers: HashMap<u64, u32, BuildNoHashHasher<u64>> = HashMap::default();
        let mut queue = VecDeque::from([State::first(&graph.space.config)]);
        numbers.insert(print(&queue[0]), 0);
        let mut missed = graph.space.config.reaches.clone();
        let mut number = 0;
        while let Some(state) = queue.pop_front() {
            graph.starts.push(graph.arrows.len());
            graph.judge(&state, number);
            missed.retain(|reach| !(reach.1)(&graph.space, &state));
            for party in 0..state.parties.len() {
                for choice in 0..choices(&state, &graph.space.config, party) {
                    let mut next = state.clone();
                    graph.edges.extend(step(&mut next, &graph.space.config, party, choice));
                    let new = u32::try_from(graph.parents.len()).expect("less than 2^32 states");
                    let to = *numbers.entry(print(&next)).or_insert_with(|| {
                        graph.parents.push(number);
                        queue.push_back(next);
                        new
                    });
                    let party = u8::try_from(party).expect("a few parties");
                    graph.arrows.push(Arrow { to, party, choice });
                }
            }
            number += 1;
        }
        graph.starts.push(graph.arrows.len());
        graph.missed = missed.iter().map(|reach| reach.0).collect();
        graph
    }

    fn judge(&mut self, state: &State, number: u32) {
        let mut open = 0;
        for (bit, obligation) in OBLIGATIONS.iter().enumerate() {
            open |= u16::from((obligation.open)(&self.space, state)) << bit;
        }
        self.open.push(open);
        let clauses = if state.ghost.broken == 0 { &[] } else { CLAUSES };
        for property in clauses.iter().chain(STANDING).chain(FINALLY) {
            if !(property.holds)(&self.space, state) && self.broken.iter().all(|(name, _)| *name != property.name) {
                self.broken.push((property.name, number));
            }
        }
    }

    /// How many states there are.
    pub fn states(&self) -> usize {
        self.parents.len()
    }

    /// The steps that can be taken in this state.
    pub fn arrows(&self, state: u32) -> &[Arrow] {
        let state = state as usize;
        &self.arrows[self.starts[state]..self.starts[state + 1]]
    }

    /// Whether an obligation is open in this state, by its index in [`OBLIGATIONS`].
    pub fn is_open(&self, state: u32, obligation: usize) -> bool {
        self.open[state as usize] & 1 << obligation != 0
    }

    /// The shortest way from the first state to this one.
    pub fn way_to(&self, mut state: u32) -> Vec<Arrow> {
        let mut way = Vec::new();
        while state != 0 {
            let parent = self.parents[state as usize];
            way.extend(self.arrows(parent).iter().find(|arrow| arrow.to == state));
            state = parent;
        }
        way.reverse();
        way
    }

    /// Takes `way` from the first state on, and says each step of it; `from` is where a cycle begins, if one does.
    pub fn told(&self, way: &[Arrow], from: Option<usize>) -> String {
        use std::fmt::Write as _;
        let mut state = State::first(&self.space.config);
        let mut text = String::new();
        for (at, arrow) in way.iter().enumerate() {
            if from == Some(at) {
                text.push_str("  from here again and again:\n");
            }
            let party = usize::from(arrow.party);
            let (name, op) =
                (self.space.config.parties[party].name, *state.parties[party].stack.last().expect("a step"));
            let _ = step(&mut state, &self.space.config, party, arrow.choice);
            let otherwise = if arrow.choice > 0 { ", otherwise" } else { "" };
            let _ = writeln!(text, "  {name:<10} {op:?}{otherwise}\n             {}", shown(state.word));
        }
        let _ = writeln!(text, "  {state:?}");
        text
    }

    /// Judges it: safety, ends, liveness.
    pub fn explored(self) -> Explored {
        let mut problems: Vec<String> = Vec::new();
        for (name, state) in &self.broken {
            problems.push(format!("{name}: does not hold:\n{}", self.told(&self.way_to(*state), None)));
        }
        problems.extend(self.missed.iter().map(|name| format!("{name} is never reached")));
        let (cyclic, lassos) = lasso::search(&self);
        problems.extend(lassos);
        let last = u32::try_from(self.states()).expect("less than 2^32 states");
        Explored {
            states: self.states(),
            arrows: self.arrows.len(),
            ends: (0..last).filter(|&state| self.arrows(state).is_empty()).count(),
            cyclic,
            edges: self.edges,
            problems,
        }
    }
}
