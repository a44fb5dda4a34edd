//! How the examples run: until a signal, and then a graceful end.

use std::io::Write;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use pollproof::{Server, Shutdown};

/// Blocks SIGINT and SIGTERM. Called before any thread starts, so that only [`run`] sees them.
pub fn signals() -> nix::Result<SigSet> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    signals.thread_block()?;
    Ok(signals)
}

/// Runs `server`, says where it listens, and shuts it down when one of `signals` comes.
pub fn run(server: &Server, signals: &SigSet) -> Result<Shutdown, Box<dyn std::error::Error>> {
    server.spawn()?;
    println!("listening={}", server.local_addr());
    std::io::stdout().flush()?;
    let _ = signals.wait()?;
    Ok(server.shutdown(Duration::from_secs(10))?)
}
