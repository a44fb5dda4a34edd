//! `cargo race step`: be the scheduler.
//!
//! After each choice the execution is run anew along all choices so far, which takes no time; so taking one back is
//! nothing special. Reads lines from the standard input, a terminal or a pipe.

use std::io::{BufRead, IsTerminal as _, Write, stdin, stdout};

use loom_tests::timeline::draw::{draw, state_of};
use loom_tests::timeline::{Kind, Row, Timeline};

use crate::race::{Race, Variant};
use crate::search::{Position, at, hint};
use crate::spec;

/// More executions than this are not run for one hint.
const HINT: u64 = 200_000;

/// Lets the user schedule one execution of `variant`.
///
/// # Errors
///
/// When the standard input or output is gone.
pub fn play(race: &'static Race, variant: &'static Variant) -> anyhow::Result<()> {
    let terminal = stdout().is_terminal();
    let mut out = stdout();
    writeln!(out, "{} {}: {}. {}: you are the scheduler.\n", race.id, race.name, race.title, variant.title)?;
    let mut player = Player { variant, choices: Vec::new(), mine: Vec::new() };
    let mut lines = stdin().lock().lines();
    let mut shown = 0;
    loop {
        let position = at(variant, &player.choices);
        shown = rows(&mut out, &position.timeline, shown)?;
        if position.candidates.is_empty() {
            return end(&mut out, &position, terminal);
        }
        if position.candidates.len() == 1 {
            player.choices.push(0);
            continue;
        }
        menu(&mut out, &position)?;
        let Some(line) = lines.next().transpose()? else {
            writeln!(out, "\nthe input has ended before the execution has")?;
            return Ok(());
        };
        match player.take(line.trim(), &position) {
            Reply::Next => {}
            Reply::Back => {
                shown = 0;
                writeln!(out, "back:")?;
            }
            Reply::Say(text) => writeln!(out, "{text}")?,
            Reply::Quit => return Ok(()),
        }
    }
}

enum Reply {
    Next,
    Back,
    Say(String),
    Quit,
}

struct Player {
    variant: &'static Variant,
    choices: Vec<usize>,
    /// Where in `choices` the user's own are; between them there was nothing to choose.
    mine: Vec<usize>,
}

impl Player {
    fn take(&mut self, word: &str, position: &Position) -> Reply {
        match word {
            "q" => Reply::Quit,
            "u" => match self.mine.pop() {
                Some(at) => {
                    self.choices.truncate(at);
                    Reply::Back
                }
                None => Reply::Say("there is nothing to take back".to_owned()),
            },
            "h" => Reply::Say(match hint(self.variant, &self.choices, HINT) {
                Some(choice) => format!("hint: {}", position.candidates[choice].thread),
                None => "no way from here breaks anything".to_owned(),
            }),
            _ => {
                let by_name =
                    position.candidates.iter().position(|candidate| candidate.thread.eq_ignore_ascii_case(word));
                let by_number =
                    word.parse::<usize>().ok().filter(|number| (1..=position.candidates.len()).contains(number));
                match by_name.or(by_number.map(|number| number - 1)) {
                    Some(choice) => {
                        self.mine.push(self.choices.len());
                        self.choices.push(choice);
                        Reply::Next
                    }
                    None => Reply::Say(format!("`{word}` is none of them")),
                }
            }
        }
    }
}

/// Prints the rows from `from` on; returns how many there are.
fn rows(out: &mut impl Write, timeline: &Timeline, from: usize) -> std::io::Result<usize> {
    let steps: Vec<&Row> = timeline.rows.iter().filter(|row| row.kind != Kind::Break).collect();
    for (number, row) in steps.iter().enumerate().skip(from) {
        let thread = &timeline.threads[row.thread];
        writeln!(out, "{:>3}  {thread:<4} {:<32} {}", number + 1, row.text, state_of(row))?;
    }
    Ok(steps.len())
}

fn menu(out: &mut impl Write, position: &Position) -> std::io::Result<()> {
    writeln!(out)?;
    for (at, candidate) in position.candidates.iter().enumerate() {
        let step = candidate.step.as_deref().unwrap_or("(something that is not shown)");
        writeln!(out, "     {}) {:<4} {step}", at + 1, candidate.thread)?;
    }
    write!(out, "who goes next? (a number or a name; u undo, h hint, q quit) ")?;
    out.flush()?;
    writeln!(out)
}

fn end(out: &mut impl Write, position: &Position, colours: bool) -> anyhow::Result<()> {
    write!(out, "\n{}", draw(&position.timeline, colours))?;
    match &position.failure {
        None => writeln!(out, "  =  holds: nothing broke in this order")?,
        Some(failure) => {
            if let Some(text) = failure.clause.as_deref().and_then(|id| spec::clause(id).ok()) {
                writeln!(out, "\n{} {text}", failure.clause.as_deref().unwrap_or_default())?;
            }
        }
    }
    Ok(())
}
