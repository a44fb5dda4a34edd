//! Runs scenarios on the simulated kernel: `cargo xtask sim`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a command-line tool around the checker")]

#[cfg(sim)]
fn main() -> anyhow::Result<std::process::ExitCode> {
    sim::main()
}

#[cfg(not(sim))]
fn main() {
    eprintln!("built without a simulated kernel: run `cargo xtask sim`");
    std::process::exit(2);
}

#[cfg(sim)]
mod sim {
    use std::process::{Command, ExitCode};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use anyhow::ensure;
    use clap::Parser;
    use comfy_table::{CellAlignment, Table, presets};
    use pollproof::mutation::VARIABLE;
    use pollproof_sim_tests::explore::{By, Explored, explore, listen_to_panics};
    use pollproof_sim_tests::hostile::arguments;
    use pollproof_sim_tests::races;
    use pollproof_sim_tests::scenarios::{Scenario, all};

    /// How many scenarios run at a time.
    const PARALLEL: usize = 2;

    #[derive(Parser)]
    #[command(name = "sim", about = "Scenarios of the reactor on a simulated kernel, under shuttle")]
    struct Arguments {
        /// Puts each known race back, and expects its scenario to fail.
        #[arg(long)]
        races: bool,
        /// Programs of hostile users instead of scenarios.
        #[arg(long)]
        hostile: bool,
        #[command(flatten)]
        programs: arguments::Programs,
        /// Only these scenarios.
        scenarios: Vec<String>,
    }

    impl Arguments {
        fn schedules(&self) -> usize {
            self.programs.schedules.unwrap_or(1_000)
        }
    }

    /// One scenario under each scheduler.
    struct Row {
        scenario: &'static Scenario,
        seed: u64,
        explored: Vec<(By, Explored)>,
    }

    impl Row {
        /// What is wrong.
        fn problem(&self) -> Option<String> {
            let failed = self.explored.iter().find_map(|(by, explored)| {
                let how = explored.failure.as_ref()?;
                Some(format!("by {}, schedule {} of seed {}: {how}", by.name(), explored.schedules, self.seed))
            });
            let missed = || {
                let never = self.scenario.targets.iter().filter(|target| self.count(target) == 0);
                let never: Vec<&str> = never.copied().collect();
                (!never.is_empty()).then(|| format!("never happened: {}", never.join(", ")))
            };
            Some(format!("{}: {}", self.scenario.name, failed.or_else(missed)?))
        }

        /// How often `target` happened.
        fn count(&self, target: &str) -> u64 {
            self.explored.iter().filter_map(|(_, explored)| explored.counts.get(target)).sum()
        }

        fn schedules(&self) -> u64 {
            self.explored.iter().map(|(_, explored)| explored.schedules).sum()
        }
    }

    pub(super) fn main() -> anyhow::Result<ExitCode> {
        let arguments = Arguments::parse();
        listen_to_panics();
        if arguments.hostile {
            let good = arguments.programs.run(3, None)?;
            return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        for name in &arguments.scenarios {
            ensure!(all().any(|scenario| scenario.name == name), "there is no scenario `{name}`");
        }
        let good = if arguments.races { put_back(&arguments)? } else { run(&arguments) };
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn run(arguments: &Arguments) -> bool {
        let wanted = |scenario: &&Scenario| {
            arguments.scenarios.is_empty() || arguments.scenarios.iter().any(|name| name == scenario.name)
        };
        let plans: Vec<&'static Scenario> = all().filter(wanted).collect();
        let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..PARALLEL {
                scope.spawn(|| {
                    // Ordering: Relaxed: each number once is all that is asked for.
                    while let Some(scenario) = plans.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let seed = seed(scenario.name) + arguments.programs.seed;
                        let begun = Instant::now();
                        let explored =
                            By::ALL.map(|by| (by, explore(scenario, by, seed, arguments.schedules()))).into();
                        let seconds = begun.elapsed().as_secs_f64();
                        let row = Row { scenario, seed, explored };
                        match row.problem() {
                            Some(problem) => println!("{problem}"),
                            None => {
                                eprintln!("{}: holds, {} schedules in {seconds:.1} s", scenario.name, row.schedules())
                            }
                        }
                        rows.lock().expect("no panic").push(row);
                    }
                });
            }
        });
        let mut rows = rows.into_inner().expect("no panic");
        rows.sort_by_key(|row| plans.iter().position(|scenario| scenario.name == row.scenario.name));
        println!("{}", table(&rows, arguments.programs.markdown));
        let schedules: u64 = rows.iter().map(Row::schedules).sum();
        let failed = rows.iter().filter(|row| row.problem().is_some()).count();
        println!("{} scenarios, {schedules} schedules, {failed} failed", rows.len());
        failed == 0
    }

    /// A seed for each name: the same in each run.
    fn seed(name: &str) -> u64 {
        // FNV-1a.
        name.bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
            >> 32
    }

    fn table(rows: &[Row], markdown: bool) -> Table {
        let mut table = Table::new();
        table.load_style(if markdown { presets::ASCII_MARKDOWN } else { presets::UTF8_HORIZONTAL_ONLY });
        table.set_header(["scenario", "clauses", "what must hold", "seed", "schedules", "what happened"]);
        for row in rows {
            let counts: Vec<String> =
                row.scenario.targets.iter().map(|target| format!("{target}: {}", row.count(target))).collect();
            table.add_row([
                format!("`{}`", row.scenario.name),
                row.scenario.clauses.join(" "),
                row.scenario.what.to_owned(),
                row.seed.to_string(),
                row.schedules().to_string(),
                counts.join("; "),
            ]);
        }
        for column in [3, 4] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }

    /// Puts each race back in a child process; each must make its scenario fail.
    fn put_back(arguments: &Arguments) -> anyhow::Result<bool> {
        let mut good = true;
        for race in races::ALL {
            let child = Command::new(std::env::current_exe()?)
                .args(["--schedules", &arguments.schedules().to_string(), race.scenario])
                .env(VARIABLE, race.mutant)
                .output()?;
            let said = String::from_utf8_lossy(&child.stdout);
            let how = said.lines().next().unwrap_or_default();
            // A mutant that is not there, and a scenario that is not, end the child in another way.
            let noticed = child.status.code() == Some(1) && how.starts_with(race.scenario);
            good &= noticed;
            let verdict = if noticed { how } else { "NOT NOTICED" };
            println!("{}: {} (`{}`): {verdict}", race.id, race.what, race.mutant);
        }
        Ok(good)
    }
}
