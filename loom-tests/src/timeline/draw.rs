//! A timeline as a table of text: one column a thread, one row a step, what is set beside it.
//!
//! `+BIT` was set by the step of its row and `-BIT` cleared. Colours only where the caller says that there is a
//! terminal.

use comfy_table::{Cell, Color, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::{Change, Kind, Row, Timeline};

/// The width that every timeline keeps to.
pub const WIDTH: u16 = 100;

/// Draws `timeline`.
pub fn draw(timeline: &Timeline, colours: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(WIDTH);
    if colours {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    let shown: Vec<usize> =
        (0..timeline.threads.len()).filter(|at| timeline.rows.iter().any(|row| row.thread == *at)).collect();
    let (broken, steps): (Vec<_>, Vec<_>) =
        timeline.rows.iter().enumerate().partition(|(_, row)| row.kind == Kind::Break);
    let mut header = vec![String::new()];
    header.extend(shown.iter().map(|at| timeline.threads[*at].clone()));
    header.push("set after it: +new -gone".to_owned());
    table.set_header(header);
    for (number, row) in steps {
        let mut cells = vec![Cell::new(number + 1)];
        cells.extend(shown.iter().map(|at| if *at == row.thread { step(row) } else { Cell::new("") }));
        cells.push(state(row));
        table.add_row(cells);
    }
    let lanes = u16::try_from(shown.len().max(1)).unwrap_or(1);
    let lane = ColumnConstraint::UpperBoundary(Width::Fixed(64 / lanes));
    for at in 1..=shown.len() {
        if let Some(column) = table.column_mut(at) {
            column.set_constraint(lane);
        }
    }
    let text = table.to_string();
    // Without rules between the rows.
    let mut drawn = String::new();
    for (_, line) in text.lines().enumerate().filter(|(at, line)| *at < 3 || !line.starts_with('─')) {
        drawn += line.trim_end();
        drawn.push('\n');
    }
    for (number, row) in broken {
        let line = format!("{:>3}  {}", number + 1, row.text);
        drawn += &if colours { format!("\x1b[1;31m{line}\x1b[0m") } else { line };
        drawn.push('\n');
    }
    drawn
}

fn step(row: &Row) -> Cell {
    let mut text = row.text.clone();
    if let Some(stale) = &row.stale {
        let from = stale.read.map_or_else(|| "the first value".to_owned(), |row| format!("row {row}"));
        let newer: Vec<String> = stale.passed_over.iter().map(usize::to_string).collect();
        text += &format!(" (STALE: {from}; passes over row {})", newer.join(", "));
    }
    match row.kind {
        Kind::Step if row.stale.is_some() => Cell::new(text).fg(Color::Yellow),
        Kind::Step => Cell::new(text),
        Kind::Note => Cell::new(format!("[{text}]")).fg(Color::Cyan),
        Kind::Break => Cell::new(""),
    }
}

fn state(row: &Row) -> Cell {
    Cell::new(if row.kind == Kind::Note { String::new() } else { state_of(row) })
}

/// Everything that is set after a row, in one line.
pub fn state_of(row: &Row) -> String {
    let words: Vec<String> = row
        .state
        .iter()
        .map(|token| match token.change {
            Change::Same => token.text.clone(),
            Change::Added => format!("+{}", token.text),
            Change::Removed => format!("-{}", token.text),
        })
        .collect();
    words.join(" ")
}
