//! A server as a process of its own, so that what it uses is nobody else's.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::time::ClockId;
use nix::unistd::Pid;

/// A binary of this package, built as this one was.
///
/// # Errors
///
/// When it cannot be built.
pub fn build(name: &str) -> anyhow::Result<PathBuf> {
    build_with(name, None)
}

/// [`build`], with `--cfg CFG` for every crate, below a folder of that name so that nothing else is built anew.
///
/// # Errors
///
/// When it cannot be built.
pub fn build_with(name: &str, cfg: Option<&str>) -> anyhow::Result<PathBuf> {
    let profile = std::env::current_exe()?.parent().context("a binary is in a directory")?.to_owned();
    let mut target = profile.parent().context("target")?.to_owned();
    let mut cargo = cargo();
    if let Some(cfg) = cfg {
        target.push(cfg);
        cargo.env("RUSTFLAGS", format!("--cfg {cfg}"));
    }
    cargo.args(["build", "--quiet", "--bin", name, "--target-dir"]).arg(&target);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    ensure!(cargo.status()?.success(), "{name} does not build");
    Ok(target.join(profile.file_name().context("a profile")?).join(name))
}

/// A cargo in this package.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo
}

/// A server that can be run.
#[derive(Clone, Debug)]
pub struct Program {
    /// What tables call it.
    pub name: String,
    /// Its binary.
    pub path: PathBuf,
    /// What comes before the address.
    pub arguments: Vec<String>,
}

impl Program {
    /// The binary at `path`, which takes its address and nothing else.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { name: path.display().to_string(), path, arguments: Vec::new() }
    }

    /// It alone.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments);
        command
    }

    /// It, run by `tool`.
    #[must_use]
    pub fn under(&self, mut tool: Command) -> Command {
        tool.arg(&self.path).args(&self.arguments);
        tool
    }
}

/// A running server that prints `listening=ADDRESS` first.
pub struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts `command`, the address still to be appended.
    ///
    /// # Errors
    ///
    /// When it does not start, or says something else.
    pub fn start(mut command: Command) -> anyhow::Result<Self> {
        command.arg("127.0.0.1:0").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{:?}", command.get_program()))?;
        let input = child.stdin.take().context("its input is piped")?;
        let mut output = BufReader::new(child.stdout.take().context("its output is piped")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening=").with_context(|| format!("it said {line:?}"))?.parse()?;
        Ok(Self { child, input, output, address })
    }

    /// Starts the binary at `path`.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn run(path: &Path) -> anyhow::Result<Self> {
        Self::start(Command::new(path))
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processor time that it has used so far.
    ///
    /// # Errors
    ///
    /// When it is not there any more.
    pub fn time(&self) -> anyhow::Result<Duration> {
        let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(self.pid() as i32))?;
        Ok(clock.now()?.into())
    }

    /// A connection to it, without Nagle's delay.
    ///
    /// # Errors
    ///
    /// When it does not accept.
    pub fn connect(&self) -> anyhow::Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Sends it a line, and returns the one that it answers with.
    ///
    /// # Errors
    ///
    /// When it is not there any more.
    pub fn ask(&mut self, line: &str) -> anyhow::Result<String> {
        writeln!(self.input, "{line}")?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }

    /// Ends it by a signal, and waits until it has.
    ///
    /// # Errors
    ///
    /// When it is not there any more.
    pub fn end(mut self, signal: Signal) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.child.id() as i32), signal)?;
        self.output.read_to_string(&mut String::new())?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    /// A measurement that failed leaves no process behind.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Sends `message` on each of `streams`, then reads as much back from each, and compares.
///
/// # Errors
///
/// When a connection ends, or an answer differs.
pub fn round(streams: &mut [TcpStream], message: &[u8], back: &mut [u8]) -> anyhow::Result<()> {
    for stream in &mut *streams {
        stream.write_all(message)?;
    }
    for stream in streams {
        stream.read_exact(back)?;
        ensure!(back == message, "the answer differs");
    }
    Ok(())
}
