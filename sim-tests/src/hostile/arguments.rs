//! What the commands that run hostile users take: `sim`, on the simulated kernel, and `sockets`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::drive::{Run, run, run_one};
use super::program::Kinds;

/// Which programs, and what is printed of them.
#[derive(Args)]
pub struct Programs {
    /// The seed of the first program; the next one's is one more. (Of scenarios: added to the seed of each.)
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Schedules of each scheduler, for each program, 3 unless it is said, and for each scenario, 1000; on sockets, how
    /// often each program is played on each kind of them, 1.
    #[arg(long)]
    pub schedules: Option<usize>,
    /// How many programs.
    #[arg(long, default_value_t = 200)]
    programs: u64,
    /// As many programs as begin in so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Programs without these kinds, separated by commas; `list` says which there are.
    #[arg(long, default_value = "")]
    without: String,
    /// Programs of these kinds only.
    #[arg(long)]
    only: Option<String>,
    /// Violations that begin with this are none.
    #[arg(long)]
    pub forgive: Vec<String>,
    /// Failures are printed as they are, not made smaller.
    #[arg(long)]
    whole: bool,
    /// The timeline of each failure.
    #[arg(long)]
    timeline: bool,
    /// The program in this file, instead of those that are drawn.
    #[arg(long)]
    program: Option<PathBuf>,
    /// The table of what was executed where.
    #[arg(long)]
    table: bool,
    /// The tables as Markdown.
    #[arg(long)]
    pub markdown: bool,
}

impl Programs {
    /// Runs what they say, `schedules` of each program unless they say how many, with another build of the command if
    /// there is one. Whether nothing failed.
    ///
    /// # Errors
    ///
    /// When they name what there is not.
    pub fn run(&self, schedules: usize, with: Option<PathBuf>) -> anyhow::Result<bool> {
        if self.without == "list" {
            Kinds::NAMES.iter().for_each(|(_, name, what)| println!("{name}: {what}"));
            return Ok(true);
        }
        let kinds = self.only.as_deref().map_or(Ok(Kinds::ALL), Kinds::named)?;
        let all = Run {
            seed: self.seed,
            programs: self.programs,
            time: self.seconds.map(Duration::from_secs),
            kinds: kinds.without(Kinds::named(&self.without)?),
            schedules: self.schedules.unwrap_or(schedules),
            with,
            forgiven: self.forgive.clone(),
            shrinks: !self.whole,
            timeline: self.timeline,
            table: self.table,
            markdown: self.markdown,
        };
        Ok(match &self.program {
            Some(path) => run_one(&all, std::fs::read_to_string(path)?.parse()?),
            None => run(&all),
        })
    }
}
