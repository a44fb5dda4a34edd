//! `benches/results/README.md`: every table, how it was measured and where, and the plots.

use std::fmt::Write as _;

use super::Kept;
use crate::report::{Machine, Report, Row};

/// The page; `plots` are the files beside it.
pub(super) fn of<'a>(kept: &Kept, plots: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::from(
        "# Results\n\nWritten by `cargo xtask bench NAME --save` and `cargo xtask bench write`. The figures are in the files \
         of that name beside this page; what each measurement does is said at the head of its module in \
         `benches/src/measure/`.\n",
    );
    let plots: Vec<&str> = plots.collect();
    section(&mut out, kept.instructions.as_ref(), &plots);
    section(&mut out, kept.calls.as_ref(), &plots);
    section(&mut out, kept.cost.as_ref(), &plots);
    section(&mut out, kept.idle.as_ref(), &plots);
    section(&mut out, kept.churn.as_ref(), &plots);
    section(&mut out, kept.pairs.as_ref(), &plots);
    section(&mut out, kept.rates.as_ref(), &plots);
    section(&mut out, kept.saturated.as_ref(), &plots);
    if let Some(micro) = &kept.micro {
        head(&mut out, "Micro-benchmarks, by divan", &micro.command, &micro.machine);
        writeln!(out, "```text\n{}\n```", micro.printed).expect("a string");
    }
    out
}

fn section<R: Row>(out: &mut String, report: Option<&Report<R>>, plots: &[&str]) {
    let Some(report) = report else { return };
    head(out, R::TITLE, &report.command, &report.machine);
    for plot in plots.iter().filter(|plot| plot.starts_with(R::NAME)) {
        writeln!(out, "![{plot}]({plot})\n").expect("a string");
    }
    writeln!(out, "{}", report.table()).expect("a string");
}

fn head(out: &mut String, title: &str, command: &str, machine: &Machine) {
    let Machine { processor, kernel, rustc, load } = machine;
    writeln!(out, "\n## {title}\n\n`{command}`, on {processor}, {kernel}, {rustc}; load before it {load:.2}.\n")
        .expect("a string");
}
