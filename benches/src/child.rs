//! A server as a process of its own, so that what it uses is nobody else's.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A binary of this package, or an example of the crate, built as this one was.
///
/// # Errors
///
/// When it cannot be built.
pub fn build(kind: &str, name: &str) -> anyhow::Result<PathBuf> {
    let profile = std::env::current_exe()?.parent().context("a binary is in a directory")?.to_owned();
    let package = if kind == "--example" { "pollproof" } else { "pollproof-benches" };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", package, kind, name, "--target-dir"]);
    cargo.arg(profile.parent().context("target")?).current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    ensure!(cargo.status()?.success(), "{name} does not build");
    Ok(profile.join(if kind == "--example" { "examples" } else { "" }).join(name))
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
