//! Runs the steps of `cargo xtask test`, each as a process of its own (`cargo xtask step NAME`), its output in a log.
//!
//! So a step that passes prints one line, whatever its commands and its own code print, and one that goes wrong takes no
//! other with it. A process that is interrupted from the terminal is interrupted with all its children.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use loom_tests::record::root;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use pollproof_models::show::{spinner, table};

use crate::log::{self, Ignored};
use crate::steps::{STEPS, Step};
use crate::toolchain::Ended;

/// Where the logs are, below the root of the workspace.
const LOGS: &str = "target/xtask";

/// The exit status of a step that was skipped.
const SKIPPED: u8 = 3;

/// What to run, and how much of it to show.
pub struct Options {
    /// Only these steps; all if empty.
    pub only: Vec<String>,
    /// Not these.
    pub skip: Vec<String>,
    /// Shows everything that the steps print.
    pub verbose: bool,
    /// A step fails if it, or one of its tests, was skipped.
    pub no_skips: bool,
}

/// How a step came out.
struct Outcome {
    word: &'static str,
    remark: String,
    /// What its log says, if that is why it failed.
    log: Option<String>,
}

/// Prints the steps.
pub fn list() {
    for step in STEPS {
        println!("{:<16}{}", step.name, step.what);
    }
}

/// Runs the steps. Returns whether none failed.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    let Options { only, skip, verbose, .. } = options;
    only.iter().chain(skip).try_for_each(|name| find(name).map(drop))?;
    let wanted = |step: &&Step| {
        (only.is_empty() || only.iter().any(|name| name == step.name)) && !skip.iter().any(|name| name == step.name)
    };
    std::fs::create_dir_all(root().join(LOGS))?;
    let mut summary = table(&["step", "result", "time", ""], 2..3);
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for step in STEPS.iter().filter(wanted) {
        if *verbose {
            println!("\n==== {}: {}", step.name, step.what);
        }
        let started = Instant::now();
        let Outcome { word, remark, log } = carry_out(step, options)?;
        let time = format!("{:.1} s", started.elapsed().as_secs_f64());
        match word {
            "passed" => passed += 1,
            "skipped" => skipped += 1,
            _ => failed += 1,
        }
        let mark = if *verbose { "==== " } else { "" };
        // The names of what was ignored are for the table.
        let why = remark.lines().next().unwrap_or_default();
        let line = format!("{mark}{:<16}{word:<9}{time:>9}  {}  {why}", step.name, path(step));
        println!("{}", line.trim_end());
        if let Some(log) = log.filter(|_| !verbose) {
            print!("{}", log::excerpt(&log));
        }
        summary.add_row([step.name, word, &time, &remark]);
    }
    println!("\n{summary}\n{passed} passed, {failed} failed, {skipped} skipped");
    Ok(failed == 0)
}

fn find(name: &str) -> anyhow::Result<&'static Step> {
    STEPS.iter().find(|step| step.name == name).with_context(|| format!("there is no step `{name}`; see --list"))
}

/// The log of a step, below the root of the workspace.
fn path(step: &Step) -> String {
    format!("{LOGS}/{}.log", step.name)
}

fn carry_out(step: &Step, options: &Options) -> anyhow::Result<Outcome> {
    let path = root().join(path(step));
    let log = File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    // Of this program as it runs, whatever has been built in its place since.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("xtask").args(["step", step.name]).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let status = follow(command.spawn()?, step, &path, options.verbose)?;
    let log = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
    // The last line is the step's own.
    let said = log.lines().next_back().unwrap_or_default();
    let ignored = Ignored::of(&log);
    let outcome = |word, remark: String, log| Ok(Outcome { word, remark, log });
    let skips = if options.no_skips { "FAILED" } else { "skipped" };
    match status.code() {
        Some(0) if ignored.is_empty() => outcome("passed", String::new(), None),
        Some(0) => outcome(if options.no_skips { "FAILED" } else { "passed" }, ignored.to_string(), None),
        Some(code) if code == i32::from(SKIPPED) => outcome(skips, said.to_owned(), None),
        Some(_) => outcome("FAILED", said.strip_prefix("failed: ").unwrap_or(said).to_owned(), Some(log)),
        None => outcome("FAILED", status.to_string(), Some(log)),
    }
}

/// Waits for the end of a step; meanwhile shows what it writes, or its last line beside a spinner.
fn follow(mut child: Child, step: &Step, log: &Path, verbose: bool) -> anyhow::Result<ExitStatus> {
    let spinner = (!verbose).then(|| spinner(step.name));
    let mut log = File::open(log)?;
    let mut written = Vec::new();
    loop {
        // What it wrote before its end is there when the end is seen.
        let status = child.try_wait()?;
        written.clear();
        log.read_to_end(&mut written)?;
        match &spinner {
            None => std::io::stdout().write_all(&written)?,
            Some(spinner) => {
                let text = String::from_utf8_lossy(&written);
                if let Some(line) = text.lines().rfind(|line| !line.trim().is_empty()) {
                    spinner.set_message(line.trim().to_owned());
                }
            }
        }
        if let Some(status) = status {
            if let Some(spinner) = spinner {
                spinner.finish_and_clear();
            }
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Runs one step in this process, and says last how it ended.
pub fn one(name: &str) -> anyhow::Result<ExitCode> {
    // Whoever ends the process that shows the steps ends them as well.
    set_pdeathsig(Signal::SIGKILL)?;
    let step = find(name)?;
    Ok(match (step.run)() {
        Ok(Ended::Passed) => ExitCode::SUCCESS,
        Ok(Ended::Skipped(why)) => {
            println!("{why}");
            ExitCode::from(SKIPPED)
        }
        Err(error) => {
            // In one line, however many the error has.
            let error = format!("{error:#}");
            println!("failed: {}", error.lines().next().unwrap_or_default());
            ExitCode::from(1)
        }
    })
}
