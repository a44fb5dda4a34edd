//! What the examples share: their arguments, the signals that end them, and the lines that they print.
//!
//! `NAME ADDRESS [POLLERS]`, where the address is `host:port` or `unix:` and a path. `listening=ADDRESS` is the
//! first line that is printed: clients can come. On SIGINT or SIGTERM the server shuts down gracefully, within ten
//! seconds.

#![allow(dead_code, reason = "each example uses a part of it")]

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use pollproof::{BoxError, Handler, Server, Shutdown, Stats};

/// A server that runs until a signal comes.
pub struct Running {
    pub server: Server,
    errors: Arc<AtomicU64>,
    signals: SigSet,
}

/// Starts a server with the arguments of this process, which has no other thread yet.
pub fn start(handler: impl Handler) -> Result<Running, BoxError> {
    let mut args = std::env::args();
    let name = args.next().unwrap_or_default();
    let address = args.next().ok_or_else(|| format!("usage: {name} ADDRESS [POLLERS]"))?;
    let pollers = args.next().map_or(Ok(1), |count| count.parse())?;

    let signals = signals()?;
    let errors = Arc::new(AtomicU64::new(0));
    let counted = errors.clone();
    let server = Server::builder()
        .pollers(pollers)
        .handler(handler)
        .on_error(move |error| {
            counted.fetch_add(1, Relaxed);
            eprintln!("{error}");
        })
        .bind(&address)?;
    listen(&server)?;
    Ok(Running { server, errors, signals })
}

/// Blocks SIGINT and SIGTERM. Called before any thread starts, so that only [`end`] sees them.
pub fn signals() -> nix::Result<SigSet> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    signals.thread_block()?;
    Ok(signals)
}

/// Starts `server` and says where it listens.
fn listen(server: &Server) -> Result<(), BoxError> {
    server.spawn()?;
    println!("listening={}", server.local_addr());
    Ok(std::io::stdout().flush()?)
}

/// Shuts `server` down when one of `signals` comes.
fn end(server: &Server, signals: &SigSet) -> Result<Shutdown, BoxError> {
    let _ = signals.wait()?;
    Ok(server.shutdown(Duration::from_secs(10))?)
}

/// Runs `server`, says where it listens, and shuts it down when one of `signals` comes.
pub fn run(server: &Server, signals: &SigSet) -> Result<Shutdown, BoxError> {
    listen(server)?;
    end(server, signals)
}

impl Running {
    /// Waits for a signal and shuts the server down.
    pub fn end(self) -> Result<Ended, BoxError> {
        let shutdown = end(&self.server, &self.signals)?;
        Ok(Ended { shutdown, stats: self.server.stats(), errors: self.errors.load(Relaxed) })
    }
}

/// How it went, as `key=value` pairs for scripts.
pub struct Ended {
    pub shutdown: Shutdown,
    pub stats: Stats,
    pub errors: u64,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shutdown, stats, errors } = self;
        let (accepted, open, stale) = (stats.accepted, stats.open, stats.stale_events);
        let (cut, left) = (shutdown.cut, shutdown.left);
        write!(f, "accepted={accepted} open={open} cut={cut} left={left} stale={stale} errors={errors}")
    }
}
