//! From the recorder's log to a [`Timeline`].
//!
//! Steps on cells without a name are left out: what has no name is bookkeeping. A step on a hidden cell is shown if it
//! has a label, as something that happened.

use std::collections::BTreeMap;

use pollproof::sync::record::{self, Intent, Log, Named, Op, Shown};

use super::{Change, Kind, Row, Stale, Timeline, Token};

/// The timeline of what has been recorded so far.
pub fn of_record() -> Timeline {
    record::with(of_log)
}

/// The timeline of a log.
pub fn of_log(log: &Log) -> Timeline {
    let mut rows: Vec<Row> = Vec::new();
    let mut values = first_values(log);
    // The rows that stored something, cell by cell: 0 for the first value.
    let mut stores: BTreeMap<usize, Vec<(usize, u64)>> =
        values.iter().map(|(cell, value)| (*cell, vec![(0, *value)])).collect();
    for step in &log.steps {
        let place = (step.place.file().to_owned(), step.place.line());
        let named = log.cells.iter().rev().find(|named| named.cell == step.cell);
        let happening = step.op == Op::Note || named.is_some_and(|named| named.shown == Shown::Hidden);
        if happening {
            if !step.label.is_empty() {
                let state = tokens(log, &values, &values);
                let text = step.label.clone().into_owned();
                rows.push(Row { thread: step.thread, kind: Kind::Note, text, state, stale: None, place });
            }
            continue;
        }
        let Some(named) = named else { continue };
        let before = values.clone();
        let history = stores.entry(step.cell).or_default();
        let mut stale = None;
        if step.op.only_reads() || step.op == Op::Exchange(false) {
            stale = step.seen.and_then(|seen| staleness(history, seen));
        } else if step.op != Op::Lock {
            values.insert(step.cell, step.left);
            history.push((rows.len() + 1, step.left));
        }
        let text = sentence(named, step.op, &step.label, step.seen, step.left);
        let state = tokens(log, &before, &values);
        rows.push(Row { thread: step.thread, kind: Kind::Step, text, state, stale, place });
    }
    let name = |(at, thread): (usize, &record::Thread)| match thread.name {
        "" if at == 0 => "main".to_owned(),
        "" => format!("t{at}"),
        name => name.to_owned(),
    };
    Timeline { threads: log.threads.iter().enumerate().map(name).collect(), rows }
}

/// What a thread is about to do, in words; `None` where that is nothing to show.
pub fn intent(log: &Log, intent: &Intent) -> Option<String> {
    let named = log.cells.iter().rev().find(|named| named.cell == intent.cell)?;
    match (named.shown, intent.label) {
        (Shown::Hidden, "") => None,
        (Shown::Hidden, label) => Some(label.to_owned()),
        (Shown::Bits(_), label) if !label.is_empty() => Some(label.to_owned()),
        (_, "") => Some(match intent.op {
            Op::Load => format!("load {}", named.name),
            Op::Store => format!("store {} = {}", named.name, value(named, intent.operand)),
            Op::Exchange(_) => format!("CAS {} to {}", named.name, value(named, intent.operand)),
            _ => format!("change {}", named.name),
        }),
        (_, label) => Some(format!("{label}({})", named.name)),
    }
}

/// What each named cell held before the first step.
fn first_values(log: &Log) -> BTreeMap<usize, u64> {
    let mut values = log.values.clone();
    for named in &log.cells {
        values.entry(named.cell).or_insert_with(|| first_value(log, named.cell));
    }
    values
}

/// What the first step found; where that was a store, what a later load found and no step had left; else nothing.
fn first_value(log: &Log, cell: usize) -> u64 {
    let steps = || log.steps.iter().filter(|step| step.cell == cell && step.op != Op::Note);
    let left = |value: &u64| steps().any(|step| !step.op.only_reads() && step.left == *value);
    let first = steps().next().and_then(|step| step.seen);
    first.or_else(|| steps().filter_map(|step| step.seen).find(|seen| !left(seen))).unwrap_or(0)
}

fn staleness(history: &[(usize, u64)], seen: u64) -> Option<Stale> {
    let at = history.iter().rposition(|(_, value)| *value == seen)?;
    if at + 1 == history.len() {
        return None;
    }
    let passed_over = history[at + 1..].iter().map(|(row, _)| *row).collect();
    Some(Stale { read: (history[at].0 > 0).then_some(history[at].0), passed_over })
}

fn value(named: &Named, value: u64) -> String {
    match named.shown {
        Shown::Values(names) => usize::try_from(value)
            .ok()
            .and_then(|at| names.get(at))
            .map_or_else(|| value.to_string(), |name| (*name).to_owned()),
        Shown::Bits(names) => {
            let set: Vec<&str> = bits(names, value).collect();
            if set.is_empty() { "-".to_owned() } else { set.join("|") }
        }
        Shown::Flag | Shown::Number | Shown::Hidden => value.to_string(),
    }
}

fn bits(names: &'static [(u32, &'static str)], value: u64) -> impl Iterator<Item = &'static str> {
    names.iter().filter(move |(bit, _)| value & u64::from(*bit) != 0).map(|(_, name)| *name)
}

fn sentence(named: &Named, op: Op, label: &str, seen: Option<u64>, left: u64) -> String {
    let name = named.name;
    let found = seen.map(|seen| value(named, seen)).unwrap_or_default();
    if matches!(named.shown, Shown::Bits(_)) && !label.is_empty() {
        return label.to_owned();
    }
    let what = if label.is_empty() { String::new() } else { format!("{label}({name})") };
    match op {
        Op::Load if label.is_empty() => format!("load {name}: {found}"),
        Op::Load => format!("{what}: {found}"),
        Op::Store if label.is_empty() => format!("store {name} = {}", value(named, left)),
        Op::Store => what,
        Op::Exchange(done) => {
            let what = if label.is_empty() { format!("CAS {name}") } else { what };
            format!("{what}: {}", if done { "ok" } else { "fails" })
        }
        Op::Update if label.is_empty() => format!("{name}: {found} to {}", value(named, left)),
        Op::Update => what,
        Op::Lock => format!("lock {name}"),
        Op::Read => format!("read {name}"),
        Op::Write => format!("write {name}"),
        Op::Note => label.to_owned(),
    }
}

/// What is set in `after`, and what a step from `before` changed.
fn tokens(log: &Log, before: &BTreeMap<usize, u64>, after: &BTreeMap<usize, u64>) -> Vec<Token> {
    let mut found = Vec::new();
    for named in &log.cells {
        let now = of_cell(named, after.get(&named.cell).copied().unwrap_or_default());
        let was = of_cell(named, before.get(&named.cell).copied().unwrap_or_default());
        let gone = was.iter().filter(|token| !now.contains(token));
        if now.is_empty() || matches!(named.shown, Shown::Bits(_)) {
            found.extend(gone.map(|text| Token { text: text.clone(), change: Change::Removed }));
        }
        found.extend(now.into_iter().map(|text| {
            let change = if was.contains(&text) { Change::Same } else { Change::Added };
            Token { text, change }
        }));
    }
    found
}

fn of_cell(named: &Named, held: u64) -> Vec<String> {
    match named.shown {
        Shown::Bits(names) => bits(names, held).map(str::to_owned).collect(),
        Shown::Hidden => Vec::new(),
        _ if held == 0 => Vec::new(),
        Shown::Flag => vec![named.name.to_owned()],
        Shown::Values(_) | Shown::Number => vec![format!("{}={}", named.name, value(named, held))],
    }
}
