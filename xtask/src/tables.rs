//! `cargo xtask verify`: writes the generated tables of VERIFICATION.md from the committed files.
//!
//! A table stands between `<!-- generated:NAME -->` and `<!-- /generated -->`; the prose around it is
//! written by hand.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use loom_tests::record::{Committed as _, Deep, Mutants, Scenarios, ShuttleRecord, root};
use loom_tests::scenario::models;
use pollproof_models::figures::{Agreement, Figure, Figures};

use crate::cell::cell;
use crate::mutate::show;

const PATH: &str = "VERIFICATION.md";
const CLOSE: &str = "<!-- /generated -->";

/// Writes the tables, or with `check` says whether they are what would be written.
pub fn run(check: bool) -> anyhow::Result<bool> {
    let path = root().join(PATH);
    let old = std::fs::read_to_string(&path).with_context(|| format!("{PATH} cannot be read"))?;
    let new = fill(&old, table)?;
    if old == new {
        println!("{PATH} is up to date");
        return Ok(true);
    }
    if check {
        println!("{PATH} is out of date: run `cargo xtask verify`");
        return Ok(false);
    }
    std::fs::write(&path, new)?;
    println!("{PATH} is written");
    Ok(true)
}

/// Replaces what stands between each pair of markers.
fn fill(text: &str, table: impl Fn(&str) -> anyhow::Result<String>) -> anyhow::Result<String> {
    let mut out = String::new();
    let mut inside = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("<!-- generated:").and_then(|rest| rest.strip_suffix(" -->")) {
            if let Some(open) = inside.replace(name.to_owned()) {
                bail!("{PATH}: `{name}` begins before `{open}` has ended");
            }
            writeln!(out, "{line}\n\n{}", table(name)?)?;
        } else if line == CLOSE {
            inside.take().with_context(|| format!("{PATH}: an end without a beginning"))?;
            writeln!(out, "{line}")?;
        } else if inside.is_none() {
            writeln!(out, "{line}")?;
        }
    }
    match inside {
        Some(open) => bail!("{PATH}: `{open}` has no end"),
        None => Ok(out),
    }
}

fn table(name: &str) -> anyhow::Result<String> {
    match name {
        "scenarios" => scenarios(),
        "mutants" => Ok(show::numbers(&Mutants::load()?)),
        "survivors" => Ok(show::survivors(&Mutants::load()?)),
        "killers" => Ok(show::killers(&Mutants::load()?)),
        "deep" => deep(),
        "model" => model(),
        _ => bail!("{PATH}: there is no table `{name}`"),
    }
}

fn scenarios() -> anyhow::Result<String> {
    let committed = Scenarios::load()?;
    let mut out = String::from(
        "| model | clauses | what it checks | bound | executions, forward + reverse | outcomes | shuttle |\n\
         | --- | --- | --- | --- | ---: | ---: | --- |\n",
    );
    let (mut total, mut unbounded, mut count) = (0, 0, 0);
    for model in models(loom_tests::all()) {
        let record = committed.get(&model.id()).with_context(|| format!("{} has no record", model.id()))?;
        let [forward, reverse] = record.executions;
        let shuttle = match record.shuttle {
            ShuttleRecord::Dfs { schedules, .. } => format!("all {} schedules", digits(schedules)),
            ShuttleRecord::RandomAndPct { schedules, seed, .. } => {
                format!("random and PCT, {} each, seed {seed}", digits(schedules))
            }
        };
        writeln!(
            out,
            "| `{}` | {} | {} | {} | {} + {} | {} | {shuttle} |",
            record.id,
            model.scenario.clauses.join(" "),
            cell(model.scenario.sentence),
            record.bound,
            digits(forward),
            digits(reverse),
            record.outcome_count(),
        )?;
        total += forward + reverse;
        count += 1;
        unbounded += usize::from(record.bound == loom_tests::plan::Bound::Unbounded);
    }
    writeln!(out, "\n{count} models, {unbounded} of them unbounded, {} executions under loom.", digits(total))?;
    Ok(out)
}

fn model() -> anyhow::Result<String> {
    let Figures { agreement, configurations } = Figures::load()?;
    let mut out = String::from(
        "| configuration | what it is about | parties | states | steps | ends | on cycles |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: |\n",
    );
    let number = |number: usize| digits(number as u64);
    let (mut states, mut steps) = (0, 0);
    for figure in &configurations {
        let Figure { name, about, parties, .. } = figure;
        let [s, t, e, c] = [figure.states, figure.steps, figure.ends, figure.cyclic].map(number);
        writeln!(out, "| `{name}` | {} | {parties} | {s} | {t} | {e} | {c} |", cell(about))?;
        states += figure.states;
        steps += figure.steps;
    }
    let Agreement { run_steps, model_steps, common_steps, decisions, met } = agreement;
    writeln!(
        out,
        "\n{} configurations, {} states, {} steps between them.\n\n\
         Of the {} different steps of the word that recorded runs take, {} are among the model's {}; the others are in\n\
         `models/outside.txt`. Of the {decisions} decisions of the model runs meet {met}; the others are in\n\
         `models/unseen.txt`.",
        configurations.len(),
        number(states),
        number(steps),
        number(run_steps),
        number(common_steps),
        number(model_steps),
    )?;
    Ok(out)
}

fn deep() -> anyhow::Result<String> {
    let mut out = String::from(
        "| model | bound | executions, forward + reverse | new outcomes | did not end |\n| --- | --- | ---: | --- | --- |\n",
    );
    for record in Deep::load()?.models {
        let new =
            if record.new_outcomes.is_empty() { "none".to_owned() } else { record.new_outcomes.len().to_string() };
        let gave_up: Vec<String> =
            record.gave_up.iter().map(|bound| format!("{bound}, in {} s", record.seconds)).collect();
        writeln!(
            out,
            "| `{}` | {} | {} + {} | {new} | {} |",
            record.id,
            record.bound,
            digits(record.executions[0]),
            digits(record.executions[1]),
            if gave_up.is_empty() { "-".to_owned() } else { gave_up.join("; ") },
        )?;
    }
    Ok(out)
}

/// A number in groups of three digits.
fn digits(number: u64) -> String {
    let plain = number.to_string();
    let mut out = String::new();
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_replaced_and_the_prose_is_kept() {
        let text = "before\n<!-- generated:x -->\nold\n<!-- /generated -->\nafter\n";
        let filled = fill(text, |name| Ok(format!("new {name}\n"))).unwrap();
        assert_eq!(filled, "before\n<!-- generated:x -->\n\nnew x\n\n<!-- /generated -->\nafter\n");
        assert_eq!(fill(&filled, |name| Ok(format!("new {name}\n"))).unwrap(), filled);
    }

    #[test]
    fn broken_markers_are_refused() {
        for text in ["<!-- generated:x -->\n", "<!-- /generated -->\n", "<!-- generated:x -->\n<!-- generated:y -->\n"]
        {
            assert!(fill(text, |_| Ok(String::new())).is_err(), "{text}");
        }
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(digits), ["0", "999", "1,000", "1,234,567"]);
    }
}
