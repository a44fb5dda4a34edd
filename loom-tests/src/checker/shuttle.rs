//! shuttle: sequentially consistent schedules, all of them or many of them.
//!
//! It sees no weak memory and no data race on a cell; it is an oracle for outcomes, independent of loom.

use ::shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use ::shuttle::{Config, Runner};
use anyhow::bail;

use crate::plan::{PCT_DEPTH, Plan};

/// Explores `execution`; returns whether every schedule was seen.
pub(super) fn explore(plan: Plan, execution: impl Fn() + Send + Sync + 'static) -> anyhow::Result<bool> {
    Ok(match plan {
        Plan::Dfs(most) => {
            let ran = run(DfsScheduler::new(Some(usize::try_from(most)?), false), execution);
            u64::try_from(ran)? < most
        }
        Plan::Random(schedules, seed) => {
            run(RandomScheduler::new_from_seed(seed, usize::try_from(schedules)?), execution);
            false
        }
        Plan::Pct(schedules, seed) => {
            run(PctScheduler::new_from_seed(seed, PCT_DEPTH, usize::try_from(schedules)?), execution);
            false
        }
        Plan::Loom(_) | Plan::Threads(_) => bail!("{plan} is no plan for shuttle"),
    })
}

fn run(scheduler: impl Scheduler + 'static, execution: impl Fn() + Send + Sync + 'static) -> usize {
    let mut config = Config::new();
    config.stack_size = 0x2_0000;
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(execution)
}
