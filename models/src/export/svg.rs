//! A timeline as an SVG picture inside a page: one lane a thread, one row a step, what is set beside it.

use std::fmt::Write as _;

use loom_tests::timeline::{Change, Kind, Row, Timeline};
use maud::{Markup, PreEscaped, html};

/// The width of a letter, of 12 pixels and of one width, and a little more.
const LETTER: usize = 8;
const LINE: usize = 16;
const GAP: usize = 10;
/// What is set is wrapped to so many letters.
const SET: usize = 46;

/// Draws `timeline`. `holds`: say at its end that nothing broke.
pub fn picture(timeline: &Timeline, holds: bool, name: &str) -> Markup {
    let steps: Vec<&Row> = timeline.rows.iter().filter(|row| row.kind != Kind::Break).collect();
    let mut lanes = Vec::new();
    let mut x = 30;
    for (thread, title) in timeline.threads.iter().enumerate() {
        let texts = steps.iter().filter(|row| row.thread == thread).flat_map(|row| said(row));
        let Some(longest) = texts.map(|text| letters(&text)).max() else { continue };
        let width = longest.max(letters(title)).max(6) * LETTER + 2 * GAP;
        lanes.push((thread, x, width));
        x += width + GAP;
    }
    let lane_of = |row: &Row| lanes.iter().find(|(thread, ..)| *thread == row.thread).copied().unwrap_or((0, 30, 60));
    let set_at = x + GAP;
    let mut y = 24;
    let mut tops = Vec::new();
    for row in &steps {
        tops.push(y);
        y += said(row).len().max(set(row).len()) * LINE + GAP;
    }
    let bottom = y;
    let endings: Vec<&Row> = timeline.rows.iter().filter(|row| row.kind == Kind::Break).collect();
    let ending_letters = endings.iter().map(|row| letters(&row.text) + 6).max().unwrap_or_default();
    let set_letters = steps.iter().flat_map(|row| set(row)).map(|line| width_of(&line)).max().unwrap_or(0).max(24);
    let width = (set_at + set_letters * LETTER).max(ending_letters * LETTER + 40) + GAP;
    let height = bottom + endings.len().max(usize::from(holds)) * (LINE + GAP) + GAP;
    let mut switches = String::new();
    for (at, pair) in steps.windows(2).enumerate().filter(|(_, pair)| pair[0].thread != pair[1].thread) {
        let ((_, from, wide), (_, to, other)) = (lane_of(pair[0]), lane_of(pair[1]));
        let _ = write!(
            switches,
            "M{} {}L{} {}",
            from + wide / 2,
            tops[at] + said(pair[0]).len() * LINE + 4,
            to + other / 2,
            tops[at + 1]
        );
    }
    html! {
        div.scroll {
            svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height) viewBox=(format!("0 0 {width} {height}"))
                role="img" aria-label=(name) {
                text.head x=(set_at) y="14" { "set after it: +new −gone" }
                @for (thread, x, width) in &lanes {
                    text.head x=(x + width / 2) y="14" text-anchor="middle" { (timeline.threads[*thread]) }
                    line.lane x1=(x + width / 2) x2=(x + width / 2) y1="20" y2=(bottom) {}
                }
                path.switch d=(switches) {}
                @for (number, (row, top)) in steps.iter().zip(&tops).enumerate() {
                    @let (_, x, width) = lane_of(row);
                    @let lines = said(row);
                    text.dim x="22" y=(top + 14) text-anchor="end" { (number + 1) }
                    rect class=(if row.stale.is_some() { "box old" } else { "box" }) x=(x) y=(top) width=(width)
                        height=(lines.len() * LINE + 4) rx="4" {}
                    @for (line, text) in lines.iter().enumerate() {
                        text class=(class(row, line)) x=(x + width / 2) y=(top + 14 + line * LINE) text-anchor="middle" { (text) }
                    }
                    @for (line, tokens) in set(row).iter().enumerate() {
                        text x=(set_at) y=(top + 14 + line * LINE) {
                            @for (change, text) in tokens {
                                tspan class=(match change { Change::Same => "same", Change::Added => "added", Change::Removed => "removed" }) {
                                    (text)
                                }
                                (PreEscaped(" "))
                            }
                        }
                    }
                }
                @for (at, row) in endings.iter().enumerate() {
                    rect.band x="0" y=(bottom + at * (LINE + GAP)) width=(width) height=(LINE + 6) rx="4" {}
                    text.broken x="30" y=(bottom + at * (LINE + GAP) + 15) { (row.text) }
                }
                @if holds && endings.is_empty() { text.holds x="30" y=(bottom + 15) { "holds: nothing broke in this order" } }
            }
        }
    }
}

fn class(row: &Row, line: usize) -> &'static str {
    match row.kind {
        _ if line > 0 => "stale",
        Kind::Note => "note",
        _ => "step",
    }
}

/// The text of a row, and below it what is stale about it.
fn said(row: &Row) -> Vec<String> {
    let mut lines = vec![row.text.clone()];
    if let Some(stale) = &row.stale {
        lines.push(match stale.read {
            None => "STALE: the first value;".to_owned(),
            Some(row) => format!("STALE: from row {row};"),
        });
        let newer: Vec<String> = stale.passed_over.iter().map(usize::to_string).collect();
        lines.push(format!("passes over row {}", newer.join(", ")));
    }
    lines
}

/// What is set after a row, in lines.
fn set(row: &Row) -> Vec<Vec<(Change, String)>> {
    let mut lines = vec![Vec::new()];
    if row.kind == Kind::Note {
        return lines;
    }
    for token in &row.state {
        let sign = match token.change {
            Change::Same => "",
            Change::Added => "+",
            Change::Removed => "−",
        };
        let text = format!("{sign}{}", token.text);
        if lines.last().is_some_and(|line| !line.is_empty() && width_of(line) + letters(&text) > SET) {
            lines.push(Vec::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push((token.change, text));
        }
    }
    lines
}

fn width_of(line: &[(Change, String)]) -> usize {
    line.iter().map(|(_, text)| letters(text) + 1).sum()
}

fn letters(text: &str) -> usize {
    text.chars().count()
}
