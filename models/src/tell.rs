//! `cargo race list`, the table of `run`, and `show`: what the races say, for people.

use std::io::{IsTerminal as _, Write};

use comfy_table::{ContentArrangement, Table, presets};
use loom_tests::plan::Bound;
use loom_tests::record::Committed as _;
use loom_tests::timeline::draw::{WIDTH, draw};

use crate::checked::committed::{Counts, Proof};
use crate::checked::minimal::Minimal;
use crate::checked::run::{Case, Verdict};
use crate::children::Children;
use crate::race::{Checkers, Expect, Race, Variant};
use crate::races::RACES;
use crate::report::{Finding, Turn};
use crate::show::table;
use crate::spec;

/// Prints every race.
///
/// # Errors
///
/// When the standard output is gone.
pub fn list(out: &mut impl Write) -> anyhow::Result<()> {
    let mut table = table(&["id", "race", "clauses", "threads", "what goes wrong"], 0..0);
    for race in RACES {
        let threads = if race.sequential { "sequential" } else { "race" };
        table.add_row([race.id, race.name, &race.clauses.join(" "), threads, race.title]);
    }
    writeln!(out, "{table}")?;
    Ok(())
}

/// Prints what `run` found.
///
/// # Errors
///
/// When the standard output is gone.
pub fn verdicts(out: &mut impl Write, verdicts: &[Verdict]) -> anyhow::Result<()> {
    let header = ["id", "race", "variant", "checker", "verdict", "bound", "to first failure", "proof", "time"];
    let mut table = table(&header, 5..9);
    for verdict in verdicts {
        let count = &verdict.count;
        let proofs: Vec<&Proof> = count.dfs.iter().chain(&count.loom).collect();
        table.add_row([
            verdict.case.race.id.to_owned(),
            verdict.case.race.name.to_owned(),
            verdict.case.variant.title.to_owned(),
            checker(verdict.case.variant).to_owned(),
            verdict.word(),
            bound(verdict, &proofs),
            count.to_first_failure.map(|first| first.to_string()).unwrap_or_default(),
            proofs.iter().map(|proof| sum(proof).to_string()).collect::<Vec<_>>().join(" + "),
            format!("{:.2} s", verdict.seconds),
        ]);
    }
    writeln!(out, "{table}")?;
    let unexpected = verdicts.iter().filter(|verdict| !verdict.problems.is_empty());
    for verdict in unexpected.clone() {
        writeln!(out, "\n{}:", verdict.case.id())?;
        for problem in &verdict.problems {
            writeln!(out, "  {problem}")?;
        }
        if let Some(broken) = &verdict.broken {
            writeln!(out, "{}", draw(&broken.timeline, std::io::stdout().is_terminal()))?;
        }
    }
    let unexpected = unexpected.count();
    let races: std::collections::BTreeSet<_> = verdicts.iter().map(|verdict| verdict.case.race.id).collect();
    writeln!(
        out,
        "{} races, {} variants: {} as expected, {unexpected} not",
        races.len(),
        verdicts.len(),
        verdicts.len() - unexpected
    )?;
    Ok(())
}

fn checker(variant: &Variant) -> &'static str {
    match variant.by {
        Checkers::Dfs => "dfs",
        Checkers::Loom => "loom",
        Checkers::Both => "dfs + loom",
    }
}

fn bound(verdict: &Verdict, proofs: &[&Proof]) -> String {
    match &verdict.broken {
        Some(broken) if !verdict.case.race.sequential => broken.bound.to_string(),
        Some(_) => "-".to_owned(),
        None => {
            let mut bounds: Vec<String> = proofs.iter().map(|proof| proof.bound.to_string()).collect();
            bounds.dedup();
            bounds.join(" + ")
        }
    }
}

fn sum(proof: &Proof) -> u64 {
    proof.executions.iter().sum()
}

/// A verdict for machines.
pub fn object(verdict: &Verdict) -> serde_json::Value {
    let race = verdict.case.race;
    serde_json::json!({
        "id": race.id,
        "race": race.name,
        "title": race.title,
        "variant": verdict.case.variant.name,
        "sequential": race.sequential,
        "clauses": race.clauses,
        "checker": checker(verdict.case.variant),
        "verdict": verdict.word(),
        "expected": verdict.problems.is_empty(),
        "bound": verdict.broken.as_ref().map(|broken| broken.bound),
        "executions_to_first_failure": verdict.count.to_first_failure,
        "rows": verdict.count.rows,
        "minimal": verdict.count.minimal,
        "dfs": verdict.count.dfs,
        "loom": verdict.count.loom,
        "timeline": verdict.broken.as_ref().map(|broken| &broken.timeline),
        "problems": verdict.problems,
        "seconds": verdict.seconds,
    })
}

/// Tells one race: its story, how each broken variant breaks, and how the repaired one goes under the same schedule.
///
/// # Errors
///
/// When a child cannot be run, or the standard output is gone.
pub fn show(out: &mut impl Write, children: &Children, race: &'static Race, colours: bool) -> anyhow::Result<()> {
    writeln!(out, "{} {}: {}\n", race.id, race.name, race.title)?;
    writeln!(out, "{}\n", wrapped(race.story))?;
    writeln!(out, "{}", wrapped(&format!("Seen: {}.", race.seen)))?;
    for clause in race.clauses {
        writeln!(out, "{}", wrapped(&format!("{clause}: {}", spec::clause(clause)?)))?;
    }
    for reference in race.references {
        writeln!(out, "See {reference}")?;
    }
    let counts = Counts::load()?;
    // With what the reduction has left; what holds goes without what the one before it goes without.
    let mut fewer = children.clone();
    let mut turns: Option<Vec<Turn>> = None;
    for variant in race.variants {
        let Expect::Breaks { .. } = variant.expect else {
            let Some(turns) = &turns else { continue };
            writeln!(out, "\n{}, under the same schedule as far as it applies:\n", variant.title)?;
            let (timeline, failure) = fewer.follow(race, variant, turns)?;
            write!(out, "{}", draw(&timeline, colours))?;
            if failure.is_none() {
                writeln!(out, "  =  holds")?;
            }
            continue;
        };
        let minimal = counts.get(&Case { race, variant }.id()).and_then(|count| count.minimal.as_ref());
        fewer = children.without(Minimal::dropped_of(minimal));
        match fewer.breaking(race, variant)? {
            Finding::Breaks(broken) => {
                let bound = Bound::Preemptions(broken.bound);
                let preemptions = match broken.bound {
                    _ if race.sequential => "without a second thread".to_owned(),
                    1 => "with 1 preemption".to_owned(),
                    _ => format!("with {bound} preemptions"),
                };
                writeln!(out, "\n{}, {preemptions}:\n", variant.title)?;
                write!(out, "{}", draw(&broken.timeline, colours))?;
                let unknown = || format!("Not reduced yet: `cargo race run --record {}` does that.", race.name);
                writeln!(out, "\n{}", wrapped(&minimal.map_or_else(unknown, Minimal::words)))?;
                turns = Some(Turn::all_of(&broken.timeline));
            }
            Finding::Holds { .. } | Finding::Unfinished { .. } => {
                writeln!(out, "\n{}: was not seen breaking", variant.title)?;
            }
        }
    }
    Ok(())
}

/// `text`, in lines of [`WIDTH`].
fn wrapped(text: &str) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.force_no_tty();
    table.add_row([text]);
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 0));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
