//! All states of one configuration: the model as the `stateright` crate explores it.
//!
//! For: an explorer in the browser, and a second opinion on what `graph` explores: as many states, the same verdicts.

use std::fmt;

use stateright::{Checker, Model};

use super::config::Config;
use super::properties::{CLAUSES, FINALLY, STANDING};
use super::state::State;
use super::step::{choices, step};

/// One configuration.
pub struct Space {
    /// The configuration.
    pub config: Config,
}

/// Which party steps, and which way.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Move {
    /// An index of the configuration's parties.
    pub party: u8,
    /// Which of the ways that its step can go.
    pub choice: u8,
    name: &'static str,
}

impl fmt::Debug for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if self.choice > 0 { write!(f, ", otherwise") } else { Ok(()) }
    }
}

impl Space {
    /// Nothing is explored yet.
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// Explores everything with `stateright`: how many states there are, and the properties that do not hold.
    pub fn explore(config: Config) -> (usize, Vec<&'static str>) {
        let checker = Self::new(config).checker().threads(2).spawn_bfs().join();
        let wrong = |property: &stateright::Property<Self>| {
            let always = matches!(property.expectation, stateright::Expectation::Always);
            always == checker.discovery(property.name).is_some()
        };
        let wrong = checker.model().properties().into_iter().filter(wrong).map(|property| property.name).collect();
        (checker.unique_state_count(), wrong)
    }
}

/// The bits of a word, by their names.
pub fn shown(word: u32) -> String {
    let names = pollproof::protocol::word::NAMES.iter().filter(|(bit, _)| word & bit != 0).map(|(_, name)| *name);
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "-".to_owned() } else { names.join("|") }
}

impl Model for Space {
    type State = State;
    type Action = Move;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(&self.config)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Move>) {
        for (party, spec) in (0_u8..).zip(&self.config.parties) {
            let ways = choices(state, &self.config, usize::from(party));
            actions.extend((0..ways).map(|choice| Move { party, choice, name: spec.name }));
        }
    }

    fn next_state(&self, last: &State, next: Move) -> Option<State> {
        let mut state = last.clone();
        let _ = step(&mut state, &self.config, usize::from(next.party), next.choice);
        Some(state)
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        let all = CLAUSES.iter().chain(STANDING).chain(FINALLY);
        let always = all.map(|property| stateright::Property::always(property.name, property.holds));
        let reached = self.config.reaches.iter().map(|reach| stateright::Property::sometimes(reach.0, reach.1));
        always.chain(reached).collect()
    }
}
