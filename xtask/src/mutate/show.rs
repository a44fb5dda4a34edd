//! The tables of the mutants: on the terminal, and in VERIFICATION.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use loom_tests::failure::Kind;
use loom_tests::record::{Exempt, Killer, MutantRecord, Mutants, site_of};
use pollproof_models::show::table;

use crate::cell::cell;

/// The kinds of mutants, in the order in which they are shown.
const KINDS: [&str; 4] = ["guard dropped", "bit left out", "bit too many", "ordering weaker"];

fn kind(name: &str) -> &'static str {
    match name.split_once(':') {
        Some(("guard", _)) => KINDS[0],
        Some(("bit", rest)) if rest.contains('+') => KINDS[2],
        Some(("bit", _)) => KINDS[1],
        _ => KINDS[3],
    }
}

/// One row for each kind, and one for all.
fn rows(file: &Mutants) -> Vec<[String; 8]> {
    let row = |title: &str, wanted: &dyn Fn(&str) -> bool| {
        let records: Vec<&MutantRecord> = file.mutants.iter().filter(|record| wanted(&record.name)).collect();
        let sites: BTreeSet<&str> = records.iter().map(|record| site_of(&record.name)).collect();
        let count = |keep: &dyn Fn(&MutantRecord) -> bool| records.iter().filter(|record| keep(record)).count();
        let exempt = |kind: Exempt| {
            count(&|record| record.killer.is_none() && record.survives.as_ref().is_some_and(|why| why.kind == kind))
        };
        let open = count(&|record| record.killer.is_none() && record.survives.is_none());
        let without_effect = file.without_effect.iter().filter(|name| wanted(name)).count();
        let numbers = [
            sites.len(),
            records.len(),
            count(&|record| record.killer.is_some()),
            exempt(Exempt::Equivalent),
            exempt(Exempt::Performance),
            open,
            without_effect,
        ];
        let mut row: [String; 8] = std::array::from_fn(|_| title.to_owned());
        row[1..].iter_mut().zip(numbers).for_each(|(cell, number)| *cell = number.to_string());
        row
    };
    let mut rows: Vec<_> = KINDS.iter().map(|wanted| row(wanted, &|name| kind(name) == *wanted)).collect();
    rows.push(row("all", &|_| true));
    rows
}

const COLUMNS: [&str; 8] =
    ["kind", "sites", "mutants", "killed", "equivalent", "performance", "open", "without effect, not counted"];

/// The numbers, for the terminal.
pub fn summary(file: &Mutants) -> String {
    let mut table = table(&COLUMNS, 1..8);
    for row in rows(file) {
        table.add_row(row);
    }
    table.to_string()
}

/// The numbers, for VERIFICATION.md.
pub fn numbers(file: &Mutants) -> String {
    let mut out = format!("| {} |\n| --- |{}\n", COLUMNS.join(" | "), " ---: |".repeat(COLUMNS.len() - 1));
    for row in rows(file) {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
    out
}

/// A row for each mutant that has no killer.
pub fn survivors(file: &Mutants) -> String {
    let mut out = String::from("| mutant | kind | why nothing fails with it |\n| --- | --- | --- |\n");
    for record in file.mutants.iter().filter(|record| record.killer.is_none()) {
        let (kind, why) = match &record.survives {
            Some(why) if why.kind == Exempt::Equivalent => ("equivalent", why.reason.as_str()),
            Some(why) => ("performance", why.reason.as_str()),
            None => ("open", "no reason is given"),
        };
        let _ = writeln!(out, "| `{}` | {kind} | {} |", record.name, cell(why));
    }
    out
}

/// A row for each mutant with a killer; the added bits of a transition in one row.
pub fn killers(file: &Mutants) -> String {
    let mut out = String::from("| mutant | killed by | executions | what failed |\n| --- | --- | ---: | --- |\n");
    let killed = || file.mutants.iter().filter_map(|record| Some((record.name.as_str(), record.killer.as_ref()?)));
    for (name, killer) in killed().filter(|(name, _)| kind(name) != KINDS[2]) {
        let executions = killer.executions.map_or_else(|| "none".to_owned(), |count| count.to_string());
        let _ = writeln!(
            out,
            "| `{name}` | `{}`, {} | {executions} | {} |",
            killer.model,
            killer.order,
            cell(&killer.told())
        );
    }
    let mut added: BTreeMap<&str, Vec<&Killer>> = BTreeMap::new();
    for (name, killer) in killed().filter(|(name, _)| kind(name) == KINDS[2]) {
        added.entry(site_of(name)).or_default().push(killer);
    }
    for (site, killers) in added {
        let models: BTreeSet<&str> = killers.iter().map(|killer| killer.model.as_str()).collect();
        let most = killers.iter().filter_map(|killer| killer.executions).max().unwrap_or_default();
        let _ = writeln!(
            out,
            "| `{site}+...`, {} mutants | {} models | at most {most} | {} |",
            killers.len(),
            models.len(),
            kinds(&killers)
        );
    }
    out
}

/// How many failed in which way.
fn kinds(killers: &[&Killer]) -> String {
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    killers.iter().for_each(|killer| *counts.entry(killer.failed).or_default() += 1);
    let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} x {kind}")).collect();
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_the_kind_and_the_site() {
        let names = ["guard:close-list.sealed", "bit:take-TASK", "bit:gate.wait+WAITS", "order:link.pop=Relaxed"];
        assert_eq!(names.map(kind), [KINDS[0], KINDS[1], KINDS[2], KINDS[3]]);
        assert_eq!(names.map(site_of), ["guard:close-list.sealed", "bit:take", "bit:gate.wait", "order:link.pop"]);
    }
}
