//! A run: as many programs as are asked for or there is time for, and what came of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::draw::draw;
use super::explore::{Failure, PARALLEL, Plan, explore, shrink};
use super::ground::MISSING;
use super::program::{Kinds, Program};
use super::report;
use super::world::Executed;

/// What is run.
pub struct Run {
    /// The seed of the first program; the next one's is one more.
    pub seed: u64,
    /// So many programs.
    pub programs: u64,
    /// Or as many as begin in that time.
    pub time: Option<Duration>,
    /// Which kinds of programs.
    pub kinds: Kinds,
    /// Schedules of each scheduler, or on each kind of sockets, for each program.
    pub schedules: usize,
    /// The command that plays programs on sockets, if it is not this one.
    pub with: Option<PathBuf>,
    /// What a violation begins with that is none.
    pub forgiven: Vec<String>,
    /// Failures are made smaller.
    pub shrinks: bool,
    /// The timeline of each failure is printed.
    pub timeline: bool,
    /// The table of what was executed where is printed.
    pub table: bool,
    /// As Markdown.
    pub markdown: bool,
}

impl Run {
    fn plan(&self, seed: u64) -> Plan {
        Plan { seed, schedules: self.schedules, with: self.with.clone(), forgiven: self.forgiven.clone() }
    }
}

#[derive(Default)]
struct Found {
    executed: Executed,
    programs: u64,
    schedules: u64,
    /// By kind: how many programs failed, and the seed of the first.
    failed: BTreeMap<String, (u64, u64)>,
}

/// Runs programs. Whether there were some, and none failed.
pub fn run(run: &Run) -> bool {
    let begun = Instant::now();
    let (next, found) = (AtomicU64::new(0), Mutex::new(Found::default()));
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                loop {
                    // Ordering: Relaxed: each number once is all that is asked for.
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let late = run.time.is_some_and(|time| begun.elapsed() > time);
                    if late || run.time.is_none() && index >= run.programs {
                        return;
                    }
                    one(run, run.seed + index, &found);
                }
            });
        }
    });
    let found = found.into_inner().expect("no panic");
    let seconds = begun.elapsed().as_secs_f64();
    if run.table {
        println!("{}\n{MISSING}", report::table(&found.executed, run.markdown));
    }
    let (cells, covered) = report::covered(&found.executed);
    println!("{covered} of {cells} cells: operation, place, kind of thread (p polling, r runner, f foreign)");
    for (kind, (count, seed)) in &found.failed {
        println!("{count} failed, the first of them with --seed {seed}: {kind}");
    }
    let failed: u64 = found.failed.values().map(|failed| failed.0).sum();
    let (programs, rate) = (found.programs, found.programs as f64 / seconds);
    println!(
        "{programs} programs, {} schedules, {seconds:.0} s, {rate:.1} programs/s, {failed} failed",
        found.schedules
    );
    failed == 0 && programs > 0
}

fn one(run: &Run, seed: u64, found: &Mutex<Found>) {
    let program = draw(seed, run.kinds);
    let plan = run.plan(seed);
    let explored = explore(&program, &plan);
    let new = {
        let mut found = found.lock().expect("no panic");
        found.programs += 1;
        found.schedules += explored.schedules;
        for (cell, count) in explored.executed {
            *found.executed.entry(cell).or_default() += count;
        }
        explored.failure.filter(|failure| {
            let failed = found.failed.entry(failure.kind()).or_insert((0, seed));
            failed.0 += 1;
            failed.0 == 1
        })
    };
    if let Some(failure) = new {
        println!("seed {seed}: {}", failure.what);
        let (program, failure) = if run.shrinks { shrink(program, failure, &plan) } else { (program, failure) };
        print(run, seed, &program, &failure);
    }
}

fn print(run: &Run, seed: u64, program: &Program, failure: &Failure) {
    let timeline = if run.timeline { failure.timeline.as_str() } else { "" };
    let Failure { by, schedule, what, report, .. } = failure;
    println!("# {what}\n# by {by}: --seed {seed} --schedules {schedule} --program FILE\n{program}{timeline}{report}");
}

/// Runs one program. Whether it holds.
pub fn run_one(run: &Run, program: Program) -> bool {
    let plan = run.plan(run.seed);
    let explored = explore(&program, &plan);
    match explored.failure {
        Some(failure) => {
            let (program, failure) = if run.shrinks { shrink(program, failure, &plan) } else { (program, failure) };
            print(run, run.seed, &program, &failure);
            false
        }
        None => {
            println!("it holds: {} schedules", explored.schedules);
            true
        }
    }
}
