//! `cargo race run`, the races: each variant by the checker that shows it, compared with what must come out.
//!
//! For: the CLI and the tests. Not for: the scenarios of `loom-tests`, see [`crate::scenarios`].

use std::time::{Duration, Instant};

use loom_tests::driver::in_parallel;
use loom_tests::plan::Bound;
use loom_tests::record::Committed as _;
use loom_tests::scenario::Order;

use crate::checked::committed::{Count, Counts, Proof};
use crate::checked::minimal::reduce;
use crate::children::Children;
use crate::race::{Checkers, Expect, Race, Variant};
use crate::report::{Broken, Finding};
use crate::show::bar;

/// Processor time for one spawn order under loom, where a bound is to be chosen.
const CHOOSE: Duration = Duration::from_secs(8);
/// And where it is chosen already.
const AGAIN: Duration = Duration::from_secs(120);

/// A variant of a race.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The race.
    pub race: &'static Race,
    /// The variant.
    pub variant: &'static Variant,
}

impl Case {
    /// `race/variant`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.race.name, self.variant.name)
    }

    /// Every variant of `races`.
    pub fn all_of(races: &[&'static Race]) -> Vec<Case> {
        races.iter().flat_map(|&race| race.variants.iter().map(move |variant| Case { race, variant })).collect()
    }
}

/// What a case showed, and whether that is what must come out.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The case.
    pub case: Case,
    /// How it broke; without what can be dropped.
    pub broken: Option<Box<Broken>>,
    /// The roles and operations of what held.
    pub parts: Vec<String>,
    /// What was counted.
    pub count: Count,
    /// Wall-clock time.
    pub seconds: f64,
    /// Everything that is not as it must be.
    pub problems: Vec<String>,
}

impl Verdict {
    fn new(case: Case) -> Self {
        let count = Count { id: case.id(), ..Count::default() };
        Self { case, broken: None, parts: Vec::new(), count, seconds: 0.0, problems: Vec::new() }
    }

    /// In a word or two.
    pub fn word(&self) -> String {
        match (&self.broken, self.problems.is_empty()) {
            (_, false) => "UNEXPECTED".to_owned(),
            (Some(_), true) => format!("violates {}", self.case.variant.clause().unwrap_or_default()),
            (None, true) => "holds".to_owned(),
        }
    }
}

/// Runs `cases`; with `record`, takes the counts as they come.
///
/// # Errors
///
/// When `races.toml` is damaged.
pub fn run(children: &Children, cases: &[Case], record: bool) -> anyhow::Result<Vec<Verdict>> {
    let committed = Counts::load()?;
    let bar = bar(cases.len());
    let verdicts = in_parallel(cases, |case| {
        bar.set_message(case.id());
        let verdict = check(children, *case, if record { None } else { Some(&committed) });
        bar.inc(1);
        verdict
    });
    bar.finish_and_clear();
    if record {
        save(committed, &verdicts)?;
    }
    Ok(verdicts)
}

/// Writes what was counted over what was committed, in the order of the races; variants that are gone go.
fn save(committed: Counts, verdicts: &[Verdict]) -> anyhow::Result<()> {
    let fresh = |id: &String| verdicts.iter().map(|verdict| &verdict.count).find(|count| count.id == *id);
    let variants = Case::all_of(crate::races::RACES)
        .iter()
        .map(Case::id)
        .filter_map(|id| fresh(&id).or_else(|| committed.get(&id)).cloned())
        .collect();
    Counts { variants }.save()
}

/// One case. Without `committed`, bounds are chosen anew and counts are not compared.
pub fn check(children: &Children, case: Case, committed: Option<&Counts>) -> Verdict {
    let started = Instant::now();
    let known = committed.and_then(|counts| counts.get(&case.id()));
    let mut verdict = match explored(children, case, committed) {
        Ok(verdict) => verdict,
        Err(error) => Verdict { problems: vec![format!("{error:#}")], ..Verdict::new(case) },
    };
    if let Some(whole) = verdict.broken.take_if(|_| verdict.problems.is_empty()) {
        match reduce(children, case, &whole, committed) {
            Ok((minimal, broken)) => {
                verdict.count.rows = Some(broken.timeline.rows.len());
                verdict.count.minimal = Some(minimal);
                verdict.broken = Some(Box::new(broken));
            }
            Err(error) => {
                verdict.problems.push(format!("{error:#}"));
                verdict.broken = Some(whole);
            }
        }
    }
    if verdict.problems.is_empty() && committed.is_some() {
        match known {
            None => verdict.problems.push(format!("races.toml has no entry: run `cargo race run --record {}`", case.race.name)),
            Some(known) if *known != verdict.count => verdict.problems.push(format!(
                "the counts are not the committed ones: {} now, {} in races.toml (`cargo race run --record {}` if that is right)",
                words(&verdict.count),
                words(known),
                case.race.name
            )),
            Some(_) => {}
        }
    }
    verdict.seconds = started.elapsed().as_secs_f64();
    verdict
}

/// What its checkers show of `case`, within the bounds of `committed` where it has them; nothing is compared with that,
/// and nothing dropped.
///
/// # Errors
///
/// When a child says nothing.
pub fn explored(children: &Children, case: Case, committed: Option<&Counts>) -> anyhow::Result<Verdict> {
    let mut verdict = Verdict::new(case);
    explore(children, committed.and_then(|counts| counts.get(&case.id())), &mut verdict)?;
    Ok(verdict)
}

fn explore(children: &Children, known: Option<&Count>, verdict: &mut Verdict) -> anyhow::Result<()> {
    let Case { race, variant } = verdict.case;
    match variant.expect {
        Expect::Breaks { .. } => {
            must_break(children.breaking(race, variant)?, verdict);
        }
        Expect::Holds => {
            if variant.by != Checkers::Loom {
                dfs(children, known.and_then(|count| count.dfs.as_ref()), verdict)?;
            }
            if variant.by != Checkers::Dfs && verdict.problems.is_empty() {
                loom(children, known.and_then(|count| count.loom.as_ref()), verdict)?;
            }
        }
    }
    Ok(())
}

fn must_break(found: Finding, verdict: &mut Verdict) {
    let Expect::Breaks { clause, how, bound } = verdict.case.variant.expect else { return };
    match found {
        Finding::Breaks(broken) => {
            if !broken.failure.is(clause, how) {
                verdict.problems.push(format!("{clause} must break, but: {}", broken.failure.message));
            }
            if broken.bound != bound {
                verdict
                    .problems
                    .push(format!("it must break at preemption bound {bound}, but does at {}", broken.bound));
            }
            verdict.count.to_first_failure = Some(broken.executions);
            verdict.count.rows = Some(broken.timeline.rows.len());
            verdict.broken = Some(broken);
        }
        Finding::Holds { executions, .. } => {
            verdict.problems.push(format!("{clause} must break, but it holds in all {executions} executions"));
        }
        Finding::Unfinished { executions } => {
            verdict.problems.push(format!("{clause} must break, but did not in {executions} executions"));
        }
    }
}

/// `false` when it broke, and the verdict says so.
fn holds(found: Finding, verdict: &mut Verdict) -> Option<u64> {
    match found {
        Finding::Holds { executions, parts } => {
            verdict.parts = parts;
            Some(executions)
        }
        Finding::Unfinished { .. } => None,
        Finding::Breaks(broken) => {
            verdict.problems.push(format!("it must hold, but: {}", broken.failure.message));
            verdict.broken = Some(broken);
            None
        }
    }
}

fn dfs(children: &Children, known: Option<&Proof>, verdict: &mut Verdict) -> anyhow::Result<()> {
    let Case { race, variant } = verdict.case;
    for bound in bounds(known) {
        let found = children.prove(race, variant, bound)?;
        if let Some(executions) = holds(found, verdict) {
            verdict.count.dfs = Some(Proof { bound, executions: vec![executions] });
            return Ok(());
        }
        if !verdict.problems.is_empty() {
            return Ok(());
        }
    }
    verdict.problems.push("the depth-first search does not end, at any bound".to_owned());
    Ok(())
}

fn loom(children: &Children, known: Option<&Proof>, verdict: &mut Verdict) -> anyhow::Result<()> {
    let Case { race, variant } = verdict.case;
    let limit = if known.is_some() { AGAIN } else { CHOOSE };
    let mut last = None;
    'bounds: for bound in bounds(known) {
        let mut executions = Vec::new();
        for order in Order::BOTH {
            match children.loom(race, variant, bound, order, limit) {
                Ok(found) => match holds(found, verdict) {
                    Some(ran) => executions.push(ran),
                    None => return Ok(()),
                },
                Err(error) => {
                    last = Some(error);
                    continue 'bounds;
                }
            }
        }
        verdict.count.loom = Some(Proof { bound, executions });
        return Ok(());
    }
    Err(last.unwrap_or_else(|| anyhow::anyhow!("loom was given no bound")))
}

/// The bound that is known to end, or all of them from the largest.
fn bounds(known: Option<&Proof>) -> Vec<Bound> {
    match known {
        Some(proof) => vec![proof.bound],
        None => std::iter::once(Bound::Unbounded).chain((2..=5).rev().map(Bound::Preemptions)).collect(),
    }
}

fn words(count: &Count) -> String {
    let mut words = Vec::new();
    if let Some(first) = count.to_first_failure {
        words.push(format!("{first} executions to the first failure, {} rows", count.rows.unwrap_or_default()));
    }
    if let Some(minimal) = &count.minimal {
        words.push(format!("{minimal:?}"));
    }
    for (by, proof) in [("dfs", &count.dfs), ("loom", &count.loom)] {
        if let Some(proof) = proof {
            words.push(format!("{by} {}: {:?}", proof.bound, proof.executions));
        }
    }
    words.join(", ")
}
