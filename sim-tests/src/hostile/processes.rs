//! A program on real sockets: one process for each time that it is played, TCP and Unix sockets in turn.
//!
//! So whatever ends a process, a sanitizer that finds something, a leak, an abort, a hang, tells which program it was.
//! The command is this one's own, or another build of it, and plays what it reads; see `child`.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use anyhow::Context as _;

use super::child::{CELL, OVER, VIOLATION};
use super::explore::{Explored, Failure, Plan};
use super::program::Program;
use super::report::read_cell;
use super::world::Executed;

/// How many programs run at a time: they wait most of the time.
pub const PARALLEL: u64 = 6;
/// A smaller program is played so many times as often.
pub const AGAIN: usize = 2;

/// The kinds of sockets.
const KINDS: [&str; 2] = ["TCP", "Unix"];

/// Plays `program` on each kind of sockets, until it fails.
pub fn explore(program: &Program, plan: &Plan) -> Explored {
    let mut all = Explored { schedules: 0, executed: Executed::new(), failure: None };
    for schedule in 1..=plan.schedules.max(1) as u64 {
        for by in KINDS {
            all.schedules += 1;
            let failed = |what: String| Failure { by, schedule, what, timeline: String::new(), report: String::new() };
            let failure = match play(program, by, plan) {
                Ok(output) => judge(&output, &mut all.executed).map(|(what, timeline, report)| Failure {
                    timeline,
                    report,
                    ..failed(what)
                }),
                Err(error) => Some(failed(format!("no process: {error:#}"))),
            };
            if failure.is_some() {
                all.failure = failure;
                return all;
            }
        }
    }
    all
}

fn play(program: &Program, by: &str, plan: &Plan) -> anyhow::Result<Output> {
    let folder = tempfile::tempdir()?;
    let own = std::env::current_exe()?;
    let mut command = Command::new(plan.with.as_ref().unwrap_or(&own));
    command.args(["--play", by]).current_dir(&folder);
    plan.forgiven.iter().for_each(|text| {
        command.args(["--forgive", text]);
    });
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    // One that ends at once says why.
    let _ = child.stdin.take().context("it has an input")?.write_all(program.to_string().as_bytes());
    Ok(child.wait_with_output()?)
}

/// What a process says: how it failed if it did, what happened before, and what it wrote on its standard error.
fn judge(output: &Output, executed: &mut Executed) -> Option<(String, String, String)> {
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let (mut violation, mut timeline, mut over) = (None, String::new(), false);
    for line in said.lines() {
        if let Some(cell) = line.strip_prefix(CELL).and_then(read_cell) {
            *executed.entry(cell).or_default() += 1;
        } else if let Some(what) = line.strip_prefix(VIOLATION) {
            violation.get_or_insert_with(|| what.to_owned());
        } else if line == OVER {
            over = true;
        } else {
            timeline.push_str(line);
            timeline.push('\n');
        }
    }
    if output.status.success() && over && violation.is_none() {
        return None;
    }
    let found = || {
        let found = errors.lines().find(|line| line.contains("ERROR: ") || line.contains("WARNING: "));
        found.map(|line| line.trim_start_matches(|letter: char| !letter.is_alphabetic()).to_owned())
    };
    let what = violation.or_else(found).unwrap_or_else(|| format!("the process ended: {}", output.status));
    Some((what, timeline, errors.into_owned()))
}
