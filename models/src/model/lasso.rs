//! The search for fair runs on which what must happen never does: liveness over the complete graph.
//!
//! Fairness is weak, of each party: one that can take a step from some point on without a break takes one. So a run
//! for ever is fair if each party takes steps again and again, or again and again cannot. What user code and the peer
//! may leave undone they are free to leave undone, which is a step as well (`step::may_be_left_out`). No fairness among
//! the ways that one step can go is assumed.
//!
//! A fair run that never ends stays, from some point on, inside one strongly connected set of states; and there is
//! such a run inside a set if and only if each party has a step in it or cannot step in one of its states. Tarjan's
//! algorithm finds the sets. A set that is not fair has no part that is: who can step everywhere in it and never does can
//! step everywhere in the part. So if the whole graph has no fair set, every fair run ends, and an obligation can stay
//! open for ever only where nobody can move.
//!
//! Not here: what must happen (`liveness`).

use super::graph::{Arrow, Graph};
use super::liveness::{OBLIGATIONS, REST};

const NONE: u32 = u32::MAX;

/// How many states lie on a cycle; and each obligation that a fair run leaves open for ever, with that run.
pub(super) fn search(graph: &Graph) -> (usize, Vec<String>) {
    let (mut cyclic, mut busy) = (0, None);
    strongly_connected(
        graph,
        |_| true,
        |set| {
            if is_cycle(graph, set) {
                cyclic += set.len();
                if busy.is_none() && is_fair(graph, set) {
                    busy = Some(set.to_vec());
                }
            }
        },
    );
    let mut problems: Vec<String> = busy.iter().map(|set| told(graph, REST, set)).collect();
    for (bit, obligation) in OBLIGATIONS.iter().enumerate() {
        let mut left = None;
        let mut stays = |set: &[u32]| {
            let end = graph.arrows(set[0]).is_empty();
            if left.is_none() && (end || is_cycle(graph, set) && is_fair(graph, set)) {
                left = Some(told(graph, obligation.name, set));
            }
        };
        if busy.is_some() {
            strongly_connected(graph, |state| graph.is_open(state, bit), stays);
        } else {
            // Every fair run ends.
            let ends = numbers(graph).filter(|&state| graph.arrows(state).is_empty() && graph.is_open(state, bit));
            ends.for_each(|state| stays(&[state]));
        }
        problems.extend(left);
    }
    (cyclic, problems)
}

fn numbers(graph: &Graph) -> std::ops::Range<u32> {
    0..u32::try_from(graph.states()).expect("less than 2^32 states")
}

/// Tarjan's algorithm without recursion, over the states that are `in_it`: `found` is told each strongly connected set.
fn strongly_connected(graph: &Graph, in_it: impl Fn(u32) -> bool, mut found: impl FnMut(&[u32])) {
    let states = graph.states();
    let (mut order, mut low) = (vec![NONE; states], vec![NONE; states]);
    let mut is_open = vec![false; states];
    let (mut path, mut open, mut next) = (Vec::new(), Vec::new(), 0);
    for root in numbers(graph) {
        if order[root as usize] != NONE || !in_it(root) {
            continue;
        }
        path.push((root, 0));
        while let Some((state, at)) = path.pop() {
            let me = state as usize;
            if at == 0 {
                (order[me], low[me]) = (next, next);
                next += 1;
                open.push(state);
                is_open[me] = true;
            } else {
                let child = graph.arrows(state)[at - 1].to as usize;
                if is_open[child] {
                    low[me] = low[me].min(low[child]);
                }
            }
            let arrows = graph.arrows(state);
            if let Some(arrow) = arrows.get(at) {
                path.push((state, at + 1));
                if in_it(arrow.to) && order[arrow.to as usize] == NONE {
                    path.push((arrow.to, 0));
                }
            } else if low[me] == order[me] {
                let from = open.iter().rposition(|&other| other == state).expect("it is open");
                found(&open[from..]);
                open.drain(from..).for_each(|state| is_open[state as usize] = false);
            }
        }
    }
}

/// One can go round in it.
fn is_cycle(graph: &Graph, set: &[u32]) -> bool {
    set.len() > 1 || graph.arrows(set[0]).iter().any(|arrow| arrow.to == set[0])
}

/// What makes a run round this set fair to a party.
enum Fair {
    /// It cannot step here.
    Idle(u32),
    /// It takes this step, from here.
    Steps(u32, Arrow),
}

fn fairness(graph: &Graph, set: &[u32], sorted: &[u32], party: usize) -> Option<Fair> {
    set.iter().find_map(|&state| {
        let mut its = graph.arrows(state).iter().filter(|arrow| usize::from(arrow.party) == party).peekable();
        if its.peek().is_none() {
            return Some(Fair::Idle(state));
        }
        its.find(|arrow| sorted.binary_search(&arrow.to).is_ok()).map(|arrow| Fair::Steps(state, *arrow))
    })
}

fn is_fair(graph: &Graph, set: &[u32]) -> bool {
    let mut sorted = set.to_vec();
    sorted.sort_unstable();
    (0..graph.space.config.parties.len()).all(|party| fairness(graph, set, &sorted, party).is_some())
}

/// The run: the way to the set, and once round it, by whatever makes it fair to each party.
fn told(graph: &Graph, name: &str, set: &[u32]) -> String {
    let mut sorted = set.to_vec();
    sorted.sort_unstable();
    let first = sorted[0];
    let mut way = graph.way_to(first);
    if graph.arrows(first).is_empty() {
        return format!("{name}: nobody can move, and it has not happened:\n{}", graph.told(&way, None));
    }
    let stem = way.len();
    let mut at = first;
    for party in 0..graph.space.config.parties.len() {
        match fairness(graph, set, &sorted, party) {
            Some(Fair::Idle(state)) => at = go(graph, &sorted, at, state, &mut way),
            Some(Fair::Steps(state, arrow)) => {
                go(graph, &sorted, at, state, &mut way);
                way.push(arrow);
                at = arrow.to;
            }
            None => {}
        }
    }
    if way.len() == stem {
        // Any step inside it leads round, in the end.
        let arrow = graph.arrows(at).iter().find(|arrow| sorted.binary_search(&arrow.to).is_ok()).expect("a cycle");
        way.push(*arrow);
        at = arrow.to;
    }
    go(graph, &sorted, at, first, &mut way);
    format!("{name}: a fair run never comes to it:\n{}", graph.told(&way, Some(stem)))
}

/// The shortest way inside the set; returns where it leads.
fn go(graph: &Graph, sorted: &[u32], from: u32, to: u32, way: &mut Vec<Arrow>) -> u32 {
    let place = |state: u32| sorted.binary_search(&state).ok();
    let mut came: Vec<Option<(u32, Arrow)>> = vec![None; sorted.len()];
    let mut queue = std::collections::VecDeque::from([from]);
    while let Some(state) = queue.pop_front().filter(|&state| state != to) {
        for arrow in graph.arrows(state) {
            if let Some(place) = place(arrow.to)
                && came[place].is_none()
                && arrow.to != from
            {
                came[place] = Some((state, *arrow));
                queue.push_back(arrow.to);
            }
        }
    }
    let begin = way.len();
    let mut at = to;
    while at != from {
        let (before, arrow) = place(at).and_then(|place| came[place]).expect("strongly connected");
        way.push(arrow);
        at = before;
    }
    way[begin..].reverse();
    to
}
