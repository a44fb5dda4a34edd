//! The summary in README.md, between `<!-- generated:figures -->` and `<!-- /generated -->`.

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};

use super::Kept;
use crate::load::Cell;
use crate::pair::Ratio;
use crate::report::Report;
use crate::report::table;
use crate::rivals::RIVALS;

const OPEN: &str = "<!-- generated:figures -->\n";
const CLOSE: &str = "<!-- /generated -->\n";

/// `text` with `summary` between the markers.
pub(super) fn fill(text: &str, summary: &str) -> anyhow::Result<String> {
    let (before, rest) = text.split_once(OPEN).context("README.md has no mark for the figures")?;
    let (old, after) = rest.split_once(CLOSE).context("README.md: the figures have no end")?;
    ensure!(!old.contains(OPEN) && !after.contains(OPEN), "README.md has two marks for the figures");
    Ok(format!("{before}{OPEN}\n{summary}\n{CLOSE}{after}"))
}

/// A column: its title, and what it says of a server.
type Column<'a> = (&'static str, Box<dyn Fn(&str) -> Option<String> + 'a>);

const fn load(connections: usize, size: usize) -> Cell {
    Cell { connections, size, depth: 1 }
}

/// The figures side by side, and what is said in words.
pub(super) fn of(kept: &Kept) -> String {
    let columns = columns(kept);
    let header: Vec<&str> = ["server"].into_iter().chain(columns.iter().map(|(title, _)| *title)).collect();
    let mut table = table(&header);
    for rival in RIVALS {
        let cells: Vec<Option<String>> = columns.iter().map(|(_, of)| of(rival.name)).collect();
        if cells.iter().any(Option::is_some) {
            let cells = cells.into_iter().map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
            table.add_row([rival.name.to_owned()].into_iter().chain(cells).collect::<Vec<_>>());
        }
    }
    let mut out = if columns.is_empty() { String::new() } else { format!("{table}\n\n") };
    words(&mut out, kept);
    let commands = commands(kept);
    if !commands.is_empty() {
        write!(
            out,
            "Measured by {}; everything is in [benches/results](benches/results/README.md).",
            commands.join(", ")
        )
        .expect("a string");
    }
    out.trim_end().to_owned()
}

fn columns(kept: &Kept) -> Vec<Column<'_>> {
    let mut columns: Vec<Column<'_>> = Vec::new();
    if let Some(report) = &kept.instructions {
        let of = |server: &str, cell| report.at(server, cell).map(|row| format!("{:.0}", row.all));
        columns.push((
            "user instructions, 1 / 64 conn.",
            Box::new(move |server| both(of(server, load(1, 1024)), of(server, load(64, 1024)))),
        ));
    }
    if let Some(report) = &kept.calls {
        let of = |server: &str, cell| report.at(server, cell).map(|row| format!("{:.2}", row.serving));
        columns.push((
            "system calls, 1 / 64 conn.",
            Box::new(move |server| both(of(server, load(1, 1024)), of(server, load(64, 1024)))),
        ));
    }
    if let Some(report) = &kept.pairs {
        let of = |server: &str, cell| report.at(server, cell).map(|row| format!("{:.2}", row.time.ratio));
        let small = move |server: &str| {
            both(both(of(server, load(1, 1024)), of(server, load(64, 1024))), of(server, load(1_000, 1024)))
        };
        columns.push(("CPU, x bare, 1 / 64 / 1,000 conn.", Box::new(small)));
        columns.push((
            "CPU of 64 KiB, 1 / 64 conn.",
            Box::new(move |server| both(of(server, load(1, 65_536)), of(server, load(64, 65_536)))),
        ));
    }
    if let Some(report) = &kept.churn {
        columns.push((
            "CPU of a short connection",
            Box::new(|server| {
                let row = report.rows.iter().find(|row| row.server == server)?;
                Some(format!("{:.2}", row.time.ratio))
            }),
        ));
    }
    if let Some(report) = &kept.rates {
        let row = |server: &str| report.at(server, load(64, 1024));
        columns.push(("requests/s, 64 conn.", Box::new(move |server| Some(format!("{:.0}", row(server)?.rate)))));
        columns.push((
            "server busy, generator busy, %",
            Box::new(move |server| {
                let row = row(server)?;
                Some(format!("{:.0} / {:.0}", row.server_busy, row.load_busy))
            }),
        ));
        columns.push(("p99, us", Box::new(move |server| Some(format!("{:.0}", row(server)?.p99_us)))));
    }
    if let Some(report) = &kept.saturated {
        let of = |server: &str, cell| report.at(server, cell).map(|row| format!("{:.2}", row.ratio));
        columns.push((
            "requests/s with half a processor, x bare, 64 / 1,000 conn.",
            Box::new(move |server| both(of(server, load(64, 1024)), of(server, load(1_000, 1024)))),
        ));
    }
    columns
}

/// Two figures in one cell, if there is any.
fn both(one: Option<String>, other: Option<String>) -> Option<String> {
    if one.is_none() && other.is_none() {
        return None;
    }
    let shown = |figure: Option<String>| figure.unwrap_or_else(|| "-".to_owned());
    Some(format!("{} / {}", shown(one), shown(other)))
}

fn words(out: &mut String, kept: &Kept) {
    if let Some(report) = &kept.cost {
        let each = |of: &dyn Fn(usize) -> String| (0..report.rows.len()).map(of).collect::<Vec<_>>().join(" / ");
        let connections = each(&|at| report.rows[at].cell.connections.to_string());
        let more = each(&|at| format!("{:.1}", report.rows[at].instructions_more()));
        let calls = each(&|at| {
            let [flags, word] = report.rows[at].calls;
            format!("{flags:.2} and {word:.2}")
        });
        let time = each(&|at| {
            let Ratio { ratio, least, most, .. } = report.rows[at].time;
            format!("{ratio:.2} ({least:.2} to {most:.2})")
        });
        write!(
            out,
            "What the atomics cost: beside the same server with plain flags instead of the word (unsound, built for this \
             alone), at {connections} connections, {more} user instructions per request more, {calls} system calls, and \
             {time} x its processor time a request.\n\n"
        )
        .expect("a string");
    }
    if let Some(row) = kept.idle.iter().flat_map(|report| &report.rows).find(|row| row.unread == 0) {
        write!(
            out,
            "An idle connection owns {:.0} bytes of user memory, {:.0} with what the allocator adds: the median of three \
             runs with {} of them.\n\n",
            row.allocated[0], row.private[0], row.connections
        )
        .expect("a string");
    }
}

/// How each figure was measured.
fn commands(kept: &Kept) -> Vec<String> {
    fn of<R>(report: &Option<Report<R>>) -> Option<&str> {
        report.as_ref().map(|report| report.command.as_str())
    }
    let commands = [
        of(&kept.instructions),
        of(&kept.calls),
        of(&kept.cost),
        of(&kept.idle),
        of(&kept.churn),
        of(&kept.pairs),
        of(&kept.rates),
        of(&kept.saturated),
    ];
    commands.into_iter().flatten().map(|command| format!("`{command}`")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::pairs::Paired;
    use crate::report::Machine;

    fn kept(ratio: f64) -> Kept {
        let machine = Machine { processor: String::new(), kernel: String::new(), rustc: String::new(), load: 0.0 };
        let time = Ratio { ratio, least: ratio, most: ratio, first_us: 12.0 };
        let rows = vec![Paired { server: "mio".to_owned(), cell: load(64, 1024), time }];
        let pairs = Some(Report { command: "cargo xtask bench pairs".to_owned(), machine, rows });
        Kept { pairs, ..Kept::default() }
    }

    #[test]
    fn a_figure_stands_in_the_row_of_its_server() {
        let summary = of(&kept(0.987));
        let row = summary.lines().find(|line| line.contains("mio")).expect("its row");
        assert!(row.contains("- / 0.99 / -"), "{row}");
        assert!(summary.contains("Measured by `cargo xtask bench pairs`;"), "{summary}");
        assert_ne!(summary, of(&kept(1.5)));
    }

    #[test]
    fn what_was_not_measured_is_left_out() {
        assert_eq!(of(&Kept::default()), "");
        assert!(!of(&kept(1.0)).contains("system calls"));
    }

    #[test]
    fn the_text_around_is_kept() {
        let text = format!("before\n{OPEN}\nold\n{CLOSE}after\n");
        let filled = fill(&text, "new").unwrap();
        assert_eq!(filled, format!("before\n{OPEN}\nnew\n{CLOSE}after\n"));
        assert_eq!(fill(&filled, "new").unwrap(), filled);
        assert!(fill("no mark\n", "new").is_err() && fill(OPEN, "new").is_err());
    }
}
