//! Who and what takes part in an execution: its roles and its operations, less what is dropped.
//!
//! For: [`crate::race`], which asks before it spawns a role or runs an operation, and the `explore` binary, which is
//! told what to drop. Kept beside the checkers, like the record: a process explores one variant. Not for: deciding
//! what to drop, see [`crate::checked::minimal`].

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The cast of the executions of this process.
#[derive(Default)]
struct Cast {
    dropped: Vec<String>,
    met: Vec<String>,
}

static CAST: Mutex<Cast> = Mutex::new(Cast { dropped: Vec::new(), met: Vec::new() });

fn cast() -> MutexGuard<'static, Cast> {
    CAST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Explorations of this process do without `parts`.
pub fn without(parts: Vec<String>) {
    cast().dropped = parts;
}

/// Whether `part` takes part. Asked where it would begin.
pub(crate) fn plays(part: &str) -> bool {
    let mut cast = cast();
    if !cast.met.iter().any(|met| met == part) {
        cast.met.push(part.to_owned());
    }
    !cast.dropped.iter().any(|dropped| dropped == part)
}

/// Every part that an execution has come to, dropped or not, in the order in which that was.
pub fn met() -> Vec<String> {
    cast().met.clone()
}
