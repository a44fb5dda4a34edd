//! loom: every interleaving within the bound, with the weak reads and the data races of C11.

use ::loom::model::Builder;
use anyhow::bail;

use crate::plan::{Bound, Plan};

/// loom's own limit, with the main thread.
const THREADS: usize = 5;
/// Far above what a scenario needs; a loop that never ends still meets it.
const BRANCHES: usize = 100_000;

/// Explores `execution`; returns whether the exploration saw all that the plan asks for, which loom
/// always does or panics.
pub(super) fn explore(plan: Plan, execution: impl Fn() + Send + Sync + 'static) -> anyhow::Result<bool> {
    let Plan::Loom(bound) = plan else { bail!("{plan} is no plan for loom") };
    // `new` reads the environment, so every field is set: counts must not depend on the caller's shell.
    let mut builder = Builder::new();
    builder.max_threads = THREADS;
    builder.max_branches = BRANCHES;
    // These two would let a model pass that was not explored to its end.
    builder.max_permutations = None;
    builder.max_duration = None;
    builder.preemption_bound = match bound {
        Bound::Preemptions(most) => Some(usize::from(most)),
        Bound::Unbounded => None,
    };
    builder.checkpoint_file = None;
    builder.checkpoint_interval = usize::MAX;
    builder.expect_explicit_explore = false;
    builder.location = false;
    builder.log = false;
    builder.check(execution);
    Ok(true)
}
