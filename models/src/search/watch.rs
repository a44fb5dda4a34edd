//! What broke in the execution that runs, and its timeline: kept by the panic hook, beside the checker.

use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use loom_tests::timeline::{Change, Timeline, of_record};

use crate::report::Failure;

static BROKEN: Mutex<Option<(Failure, Timeline)>> = Mutex::new(None);

fn broken() -> MutexGuard<'static, Option<(Failure, Timeline)>> {
    BROKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets the hook, once: quiet, and it keeps the first panic of an execution with what was recorded up to it.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| panic::set_hook(Box::new(keep)));
}

fn keep(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("a panic without a message");
    fail(message);
}

/// The execution has failed, and that is why.
pub fn fail(message: &str) {
    let mut broken = broken();
    if broken.is_none() {
        *broken = Some((Failure::of(message), of_record()));
    }
}

/// Whether the execution has failed.
pub fn failed() -> bool {
    broken().is_some()
}

/// Nothing has broken yet.
pub fn clear() {
    *broken() = None;
}

/// What broke, if anything did.
pub fn taken() -> Option<(Failure, Timeline)> {
    broken().take()
}

/// How this execution ended: each thread's steps with what they saw, in its own order, and what is set at the end.
pub fn ending() -> String {
    let timeline = of_record();
    let of = |thread: usize| {
        let rows = timeline.rows.iter().filter(move |row| row.thread == thread);
        rows.map(|row| row.text.as_str()).collect::<Vec<_>>().join("; ")
    };
    let threads: Vec<String> =
        timeline.threads.iter().enumerate().map(|(at, name)| format!("{name}: {}", of(at))).collect();
    let state = timeline.rows.last().map(|row| {
        let left = row.state.iter().filter(|token| token.change != Change::Removed);
        left.map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
    });
    format!("{} | {}", threads.join(" | "), state.unwrap_or_default())
}

/// The timeline of the last execution, whether it broke or not.
pub fn last() -> Timeline {
    of_record()
}
