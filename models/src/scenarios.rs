//! `race list` and `race run`: the scenarios under loom.

use std::io::Write as _;

use anyhow::ensure;
use loom_tests::driver::{Driver, in_parallel};
use loom_tests::plan::{Bound, Build};
use loom_tests::record::{Committed as _, ModelRecord, Scenarios};
use loom_tests::scenario::{Model, models};
use loom_tests::verdict::{self, Verdict};

use crate::show::{bar, table};

/// The models that `names` select: all if it is empty; else by the name of the scenario or of the model.
///
/// # Errors
///
/// When a name selects none.
pub fn select(names: &[String]) -> anyhow::Result<Vec<Model>> {
    let all = models(loom_tests::all());
    for name in names {
        ensure!(
            all.iter().any(|model| hit(model, name)),
            "there is no race and no scenario `{name}`; `cargo race list` shows them all"
        );
    }
    Ok(all.into_iter().filter(|model| names.is_empty() || names.iter().any(|name| hit(model, name))).collect())
}

fn hit(model: &Model, name: &str) -> bool {
    name == model.scenario.name || name == model.id()
}

/// Prints every scenario with its clauses and its sentence.
///
/// # Errors
///
/// When the standard output is gone.
pub fn list() -> anyhow::Result<()> {
    let mut table = table(&["scenario", "clauses", "what it checks"], 0..0);
    for scenario in loom_tests::all() {
        table.add_row([scenario.name.to_owned(), scenario.clauses.join(" "), scenario.sentence.to_owned()]);
    }
    writeln!(std::io::stdout(), "{table}")?;
    Ok(())
}

/// Builds the scenarios under loom, runs `selected` and prints what each of them showed. Returns whether
/// every verdict is as expected.
///
/// # Errors
///
/// When the scenarios cannot be built or run.
pub fn run(selected: &[Model], json: bool) -> anyhow::Result<bool> {
    eprintln!("building the scenarios under loom (the first time takes a minute or two)");
    let driver = Driver::build(Build::Loom)?;
    let committed = Scenarios::load()?;
    // The expensive ones first, so that the two children end at about the same time.
    let cost = |model: &Model| committed.get(&model.id()).map_or(0, |record| record.executions.iter().sum::<u64>());
    let mut jobs: Vec<(usize, Model)> = selected.iter().copied().enumerate().collect();
    jobs.sort_by_key(|(_, model)| std::cmp::Reverse(cost(model)));
    let bar = bar(jobs.len());
    let verdicts = in_parallel(&jobs, |(index, model)| {
        bar.set_message(model.id());
        let verdict = verdict::check(&driver, Build::Loom, &committed, *model);
        bar.inc(1);
        verdict.map(|verdict| (*index, *model, verdict))
    });
    bar.finish_and_clear();
    let mut rows = verdicts.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    rows.sort_by_key(|(index, ..)| *index);
    let mut out = std::io::stdout();
    if json {
        for (_, model, verdict) in &rows {
            writeln!(out, "{}", object(*model, verdict, committed.get(&verdict.id)))?;
        }
    } else {
        show(&mut out, &rows, &committed)?;
    }
    Ok(rows.iter().all(|(.., verdict)| verdict.problems.is_empty()))
}

fn show(out: &mut impl std::io::Write, rows: &[(usize, Model, Verdict)], committed: &Scenarios) -> anyhow::Result<()> {
    let header = ["scenario", "clause", "verdict", "executions", "outcomes", "bound", "time"];
    let mut table = table(&header, 3..7);
    for (_, model, verdict) in rows {
        table.add_row([
            verdict.id.clone(),
            model.scenario.clauses.first().copied().unwrap_or_default().to_owned(),
            word(verdict).to_owned(),
            verdict.executions.iter().sum::<u64>().to_string(),
            verdict.outcomes.len().to_string(),
            bound(committed.get(&verdict.id)),
            format!("{:.2} s", verdict.seconds),
        ]);
    }
    writeln!(out, "{table}")?;
    let failed = rows.iter().filter(|(.., verdict)| !verdict.problems.is_empty());
    for (_, model, verdict) in failed.clone() {
        writeln!(out, "\n{}: {}", verdict.id, model.scenario.sentence)?;
        for problem in &verdict.problems {
            writeln!(out, "  {problem}")?;
        }
    }
    let executions: u64 = rows.iter().flat_map(|(.., verdict)| &verdict.executions).sum();
    let failed = failed.count();
    writeln!(out, "{} models, {executions} executions: {} as expected, {failed} not", rows.len(), rows.len() - failed)?;
    Ok(())
}

fn word(verdict: &Verdict) -> &'static str {
    if verdict.problems.is_empty() { "holds" } else { "FAILS" }
}

fn bound(record: Option<&ModelRecord>) -> String {
    record.map_or_else(String::new, |record| record.bound.to_string())
}

fn object(model: Model, verdict: &Verdict, record: Option<&ModelRecord>) -> serde_json::Value {
    serde_json::json!({
        "scenario": model.scenario.name,
        "runner": model.runner.name(),
        "chapter": model.scenario.chapter,
        "clauses": model.scenario.clauses,
        "sentence": model.scenario.sentence,
        "verdict": word(verdict),
        "executions": verdict.executions,
        "bound": record.map(|record| match record.bound {
            Bound::Unbounded => serde_json::json!("unbounded"),
            Bound::Preemptions(most) => serde_json::json!(most),
        }),
        "outcomes": verdict.outcomes,
        "seconds": verdict.seconds,
        "problems": verdict.problems,
    })
}
