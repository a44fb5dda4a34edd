//! What `cargo race model` prints and what `cargo race explore` serves.

use std::collections::{BTreeSet, HashSet};

use anyhow::{Context as _, ensure};
use loom_tests::driver::in_parallel;
use loom_tests::steps::{LOOK, Step};
use stateright::Model as _;

use super::config::Config;
use super::configurations;
use super::coverage::decision;
use super::graph::{Explored, Graph};
use super::space::{Space, shown};
use super::step::Edge;
use crate::conform;
use crate::figures::{Agreement, Figure, Figures};

/// The configurations of these names, all if there are none.
///
/// # Errors
///
/// When one of the names is none of a configuration.
pub fn select(names: &[String]) -> anyhow::Result<Vec<Config>> {
    let all = configurations::all();
    for name in names {
        ensure!(all.iter().any(|config| config.name == name), "there is no configuration `{name}`");
    }
    Ok(all.into_iter().filter(|config| names.is_empty() || names.iter().any(|name| name == config.name)).collect())
}

/// Explores these, two at a time.
pub fn explore(configs: &[Config]) -> Vec<Explored> {
    in_parallel(configs, |config| Graph::build(config.clone()).explored())
}

/// Prints a line for each of these. Whether every property holds and every end is reached.
pub fn table(configs: &[Config], explored: &[Explored]) -> bool {
    let (mut states, mut edges, mut good) = (0, HashSet::<Edge>::new(), true);
    for (Config { name, about, .. }, explored) in configs.iter().zip(explored) {
        let Explored { states, arrows, ends, cyclic, .. } = explored;
        println!("{name:<26}{states:>9} states {arrows:>9} steps {ends:>6} ends {cyclic:>8} on cycles  {about}");
    }
    for (config, explored) in configs.iter().zip(explored) {
        explored.problems.iter().for_each(|problem| println!("\n{}: {problem}", config.name));
        good &= explored.problems.is_empty();
        states += explored.states;
        edges.extend(&explored.edges);
    }
    println!("{states} states, {} different steps of the word", edges.len());
    good
}

/// All configurations' steps of the word together, without the one that decides nothing.
pub fn steps(explored: &[Explored]) -> BTreeSet<Step> {
    let all: HashSet<&Edge> = explored.iter().flat_map(|explored| &explored.edges).collect();
    let all = all.into_iter().filter(|(transition, ..)| *transition != LOOK);
    all.map(|&(transition, before, after)| Step { transition: transition.to_owned(), before, after }).collect()
}

/// The decisions that these steps come to.
///
/// # Errors
///
/// When one is of a transition that is none of the word's.
pub fn decisions<'a>(steps: impl Iterator<Item = &'a Step>) -> anyhow::Result<BTreeSet<String>> {
    steps.map(|step| decision(&step.transition, step.before).map_err(anyhow::Error::msg)).collect()
}

/// Prints where an exploration of everything and runs do not agree: steps of runs that are none of the model's, and
/// decisions of the model that no run meets.
///
/// # Errors
///
/// When the steps of runs cannot be read.
pub fn differences(explored: &[Explored]) -> anyhow::Result<()> {
    let (model, runs) = (steps(explored), conform::committed()?);
    for (step, by) in runs.iter().filter(|(step, _)| !model.contains(*step)) {
        println!("outside: {step}  {}  {by}", shown(step.before));
    }
    let met = decisions(runs.keys())?;
    decisions(model.iter())?.difference(&met).for_each(|decision| println!("unseen: {decision}"));
    Ok(())
}

/// What is to be committed of an exploration of everything.
///
/// # Errors
///
/// When the steps of runs cannot be read.
pub fn figures(configs: &[Config], explored: &[Explored]) -> anyhow::Result<Figures> {
    let (model, runs) = (steps(explored), conform::committed()?);
    let (decided, met) = (decisions(model.iter())?, decisions(runs.keys())?);
    let agreement = Agreement {
        run_steps: runs.len(),
        model_steps: model.len(),
        common_steps: runs.keys().filter(|step| model.contains(*step)).count(),
        decisions: decided.len(),
        met: decided.intersection(&met).count(),
    };
    let figure = |(config, explored): (&Config, &Explored)| Figure {
        name: config.name.to_owned(),
        about: config.about.to_owned(),
        parties: config.parties.len(),
        states: explored.states,
        steps: explored.arrows,
        ends: explored.ends,
        cyclic: explored.cyclic,
    };
    Ok(Figures { agreement, configurations: configs.iter().zip(explored).map(figure).collect() })
}

/// Explores these with `stateright` and prints a line for each. Whether every property holds and every end is reached.
pub fn second_opinion(configs: &[Config]) -> bool {
    let mut good = true;
    for config in configs {
        let (states, wrong) = Space::explore(config.clone());
        println!("{:<26}{states:>9} states", config.name);
        wrong.iter().for_each(|name| println!("    wrong: {name}"));
        good &= wrong.is_empty();
    }
    good
}

/// Serves one configuration to a browser, until the process is ended.
///
/// # Errors
///
/// When there is no configuration of that name.
pub fn serve(name: &str, address: &str) -> anyhow::Result<()> {
    let config = configurations::named(name);
    let config = config.with_context(|| format!("there is no configuration `{name}`; `cargo race model` has them"))?;
    println!("http://{address}/ shows `{name}`");
    Space::new(config).checker().serve(address);
    Ok(())
}
