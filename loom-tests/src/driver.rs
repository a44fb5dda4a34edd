//! Builds the `model` binary and runs plans as child processes.
//!
//! For: everything that runs models: the suite, the `race` CLI, `cargo xtask verify` and `mutate`. Neither
//! loom nor shuttle can be stopped from inside, and a deadlock under loom aborts the process, so
//! whatever may hang or fail runs in a child, and the child is killed when its time is up. That time is the
//! processor's, not the clock's: what else the machine does changes no verdict and no chosen bound.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tooling around the checkers, never inside one"
)]

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::time::ClockId;
use nix::unistd::Pid;

use crate::checker::{FAILED, Recorded};
use crate::plan::{Build, Plan};
use crate::record::root;
use crate::report::Report;
use crate::scenario::Order;
use crate::timeline::Timeline;

pub use pollproof::mutation::VARIABLE as MUTANT;

/// How many children run at a time.
pub const PARALLEL: usize = 2;

/// A child that uses no processor for so long is taken to sleep for ever.
const ASLEEP: Duration = Duration::from_secs(60);

/// How a child ended.
#[derive(Clone, Debug)]
pub enum End {
    /// It went through.
    Passed(Report),
    /// It failed and said how.
    Failed(Report),
    /// It ended without a report: an abort, a sanitizer's exit, a signal.
    Crashed(ExitStatus),
    /// It was killed, having used so much processor time.
    Hung(Duration),
}

/// One run of a model in a child process.
#[derive(Clone, Debug)]
pub struct Run {
    /// How it ended.
    pub end: End,
    /// What it wrote on its standard error.
    pub stderr: String,
}

impl Run {
    /// The report of a run that passed.
    ///
    /// # Errors
    ///
    /// How it failed otherwise, with what it wrote.
    pub fn passed(&self) -> Result<&Report, String> {
        match &self.end {
            End::Passed(report) => Ok(report),
            _ => Err(self.failure()),
        }
    }

    /// How it came to its failure, if that was recorded.
    pub fn timeline(&self) -> Option<&Timeline> {
        match &self.end {
            End::Failed(report) => report.timeline.as_ref(),
            _ => None,
        }
    }

    /// How it failed, in words. A run that passed did not, and says so.
    pub fn failure(&self) -> String {
        let said = self.stderr.trim_end();
        let said = if said.is_empty() { String::new() } else { format!("\n{said}") };
        match &self.end {
            End::Passed(_) => "passed".to_owned(),
            End::Failed(report) => {
                format!("failed in execution {} ({} order): {}", report.executions, report.order, report.told())
            }
            End::Crashed(status) => format!("crashed: {status}{said}"),
            End::Hung(after) => format!("hung: killed after {:.1} s of processor time{said}", after.as_secs_f64()),
        }
    }
}

/// A built `model` binary.
#[derive(Clone, Debug)]
pub struct Driver {
    binary: PathBuf,
    env: Vec<(OsString, OsString)>,
    asleep: Duration,
    only_committed: bool,
}

impl Driver {
    /// The driver of a binary that is built already.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self { binary: binary.into(), env: Vec::new(), asleep: ASLEEP, only_committed: false }
    }

    /// Sets an environment variable for the children.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// A run fails at the first outcome that is not committed.
    #[must_use]
    pub fn only_committed(mut self) -> Self {
        self.only_committed = true;
        self
    }

    /// Sets how long a child may use no processor; a minute unless this says otherwise.
    #[must_use]
    pub fn asleep(mut self, limit: Duration) -> Self {
        self.asleep = limit;
        self
    }

    /// Builds the `model` binary of `build` in its own target directory; cargo's progress goes to the
    /// standard error.
    ///
    /// # Errors
    ///
    /// When cargo fails, or a mutation build cannot be copied away.
    pub fn build(build: Build) -> anyhow::Result<Self> {
        let mut cargo = cargo(build);
        cargo.args(["build", "--release", "--package", "loom-tests", "--bin", "model"]);
        let built = Self::built_by(cargo)?;
        if build != Build::Mutation {
            return Ok(built);
        }
        // Where it is now, the next build without mutants will be.
        let own = root().join("target").join(build.name());
        std::fs::create_dir_all(&own)?;
        std::fs::copy(&built.binary, own.join("model"))?;
        Ok(Self::new(own.join("model")))
    }

    /// Runs a `cargo build` command that builds the `model` binary and takes the binary from it.
    ///
    /// # Errors
    ///
    /// When cargo fails or names no such binary.
    pub fn built_by(cargo: Command) -> anyhow::Result<Self> {
        Ok(Self::new(built_binary(cargo, "model")?))
    }

    /// Runs one plan of one model in a child process, and kills it when it has used `limit` of processor
    /// time, all its threads together, or sleeps for ever.
    ///
    /// # Errors
    ///
    /// When the child cannot be started or did not do what it was asked.
    pub fn run(&self, model: &str, order: Order, plan: Plan, limit: Duration) -> anyhow::Result<Run> {
        self.run_recorded(model, order, plan, limit, Recorded::Nothing)
    }

    /// As [`run`](Self::run); the report has what was to be recorded.
    ///
    /// # Errors
    ///
    /// When the child cannot be started or did not do what it was asked.
    pub fn run_recorded(
        &self,
        model: &str,
        order: Order,
        plan: Plan,
        limit: Duration,
        recorded: Recorded,
    ) -> anyhow::Result<Run> {
        let mut command = self.command();
        command.args(["run", model, order.name(), &plan.to_string()]);
        match recorded {
            Recorded::Nothing => {}
            Recorded::Timeline => _ = command.arg("--timeline"),
            Recorded::Steps => _ = command.arg("--steps"),
        }
        if self.only_committed {
            command.arg("--only-committed");
        }
        let Output { status, stdout, stderr } = watched(&mut command, limit, self.asleep)?;
        let report = stdout.lines().last().and_then(|line| serde_json::from_str::<Report>(line).ok());
        let end = match (status, report) {
            (Ended::Killed(after), _) => End::Hung(after),
            (Ended::Itself(status), Some(report)) if status.success() && report.failure.is_none() => {
                End::Passed(report)
            }
            (Ended::Itself(status), Some(report)) if status.code() == Some(FAILED) => End::Failed(report),
            (Ended::Itself(status), _) if status.code() == Some(2) => anyhow::bail!("{}", stderr.trim_end()),
            (Ended::Itself(status), _) => End::Crashed(status),
        };
        Ok(Run { end, stderr })
    }

    /// Where it is.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The mutants of a mutation build, by name.
    ///
    /// # Errors
    ///
    /// When the binary is not a mutation build.
    pub fn mutants(&self) -> anyhow::Result<Vec<String>> {
        let output = self.command().arg("mutants").output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
    }

    /// The command without arguments.
    fn command(&self) -> Command {
        let mut command = clean(&self.binary);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A command that runs `binary`. What the caller's shell says to loom and shuttle is left out: published counts must
/// not depend on it.
pub fn clean(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("LOOM_") || text.starts_with("SHUTTLE_") || text == MUTANT {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a `cargo` command that builds the binary `name`, and returns where that is.
///
/// # Errors
///
/// When cargo fails or names no such binary.
pub fn built_binary(mut cargo: Command, name: &str) -> anyhow::Result<PathBuf> {
    let mut child = cargo
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .context("cargo cannot be started")?;
    let mut messages = String::new();
    child.stdout.take().context("cargo has no output")?.read_to_string(&mut messages)?;
    let status = child.wait()?;
    ensure!(status.success(), "cargo build failed: {status}");
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo named no `{name}` binary"))
}

/// A `cargo` for one build: run at the root, with its flags and its target directory, whatever the
/// caller's environment says.
pub fn cargo(build: Build) -> Command {
    let mut cargo = plain_cargo();
    cargo.env("RUSTFLAGS", build.rustflags());
    if build != Build::Std {
        cargo.env("CARGO_TARGET_DIR", Path::new("target").join(build.directory()));
    }
    if build == Build::Mutation {
        mutable(&mut cargo);
    }
    cargo
}

/// Has `cargo` compile this workspace with `--cfg mutation`, and what it depends on without.
pub fn mutable(cargo: &mut Command) {
    cargo.env("RUSTC_WORKSPACE_WRAPPER", root().join("loom-tests/mutation-rustc"));
}

/// A `cargo` at the root that inherits no compiler flags and no target directory.
pub fn plain_cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    for name in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_TARGET_DIR",
    ] {
        cargo.env_remove(name);
    }
    cargo
}

/// How a child came to its end.
#[derive(Clone, Copy, Debug)]
pub enum Ended {
    /// By itself.
    Itself(ExitStatus),
    /// It was killed, having used so much processor time.
    Killed(Duration),
}

/// What a child wrote, and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub status: Ended,
    /// What it wrote on its standard output.
    pub stdout: String,
    /// What it wrote on its standard error.
    pub stderr: String,
}

/// Runs `command` to its end. It is killed when it has used `limit` of processor time, all its threads together, or
/// none at all for as long as `asleep`.
///
/// # Errors
///
/// When it cannot be started.
pub fn watched(command: &mut Command, limit: Duration, asleep: Duration) -> anyhow::Result<Output> {
    let name = command.get_program().to_owned();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    watch(child.with_context(|| format!("{} cannot be started", name.display()))?, limit, asleep)
}

fn watch(mut child: Child, limit: Duration, asleep: Duration) -> anyhow::Result<Output> {
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(child.id().try_into()?))?;
    // What is counted is naps, not the clock, which jumps when the machine was suspended.
    let (mut used, mut idle) = (Duration::ZERO, Duration::ZERO);
    let mut nap = Duration::from_micros(500);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Ended::Itself(status);
        }
        let now = Duration::from(clock.now()?);
        if now > used {
            (used, idle) = (now, Duration::ZERO);
        }
        if used >= limit || idle >= asleep {
            child.kill()?;
            child.wait()?;
            break Ended::Killed(used);
        }
        std::thread::sleep(nap);
        idle += nap;
        nap = (nap * 2).min(Duration::from_millis(20));
    };
    let text = |reader: std::thread::JoinHandle<Vec<u8>>| {
        reader.join().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    };
    Ok(Output { status, stdout: text(stdout), stderr: text(stderr) })
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A read error means that the child is gone; what came before it is what there is.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// Calls `work` for each of `items`, [`PARALLEL`] at a time; the results are in the items' order.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let worker = || {
            let mut mine = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                match items.get(index) {
                    Some(item) => mine.push((index, work(item))),
                    None => return mine,
                }
            }
        };
        let workers: Vec<_> = (0..PARALLEL).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
