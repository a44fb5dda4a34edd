//! Plain threads: the same body again and again on the real machine, the build that ships.
//!
//! Proves nothing alone; under ThreadSanitizer it checks what loom checks, on what the compiler made of it.

use anyhow::bail;

use crate::plan::Plan;

/// Repeats `execution`. It is never a complete search.
pub(super) fn explore(plan: Plan, execution: impl Fn() + Send + Sync + 'static) -> anyhow::Result<bool> {
    let Plan::Threads(repeats) = plan else { bail!("{plan} is no plan for plain threads") };
    for _ in 0..repeats {
        execution();
    }
    Ok(false)
}
