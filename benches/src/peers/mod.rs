//! Echo servers to compare with: small programs on public crates, each as its users would write it.
//!
//! For: being measured by the generator, in a process of their own (`peer KIND ADDRESS`). All of them set TCP_NODELAY,
//! and read into a buffer of 64 KiB unless told otherwise. Not for: use; some drop what a socket does not take,
//! which the generator never lets it come to, for it reads while it writes.

mod bare;
mod mio;
mod monoio;
mod naive;
mod pollproof;
mod smol;
mod tokio;

use std::io::Write as _;
use std::net::SocketAddr;

use clap::{Args, ValueEnum};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// One epoll a thread, level-triggered; wait, read, write.
    Bare,
    /// This crate, on its polling threads.
    Pollproof,
    /// This crate, with a pool.
    PollproofPool,
    /// mio, as its documentation has it: reads until the socket has nothing more.
    Mio,
    /// tokio, current-thread (with one thread) or multi-thread.
    Tokio,
    /// smol: async-io and a thread-local executor.
    Smol,
    /// monoio, on epoll.
    Monoio,
    /// One polling thread that hands each event to one of two workers: what a literal port does.
    Naive,
    /// The same, with workers that sleep as soon as there is nothing to do: what a hand-over costs at least.
    Handover,
}

/// How it is started.
#[derive(Args, Clone, Copy, Debug)]
pub struct Options {
    /// Threads that poll.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Bytes of a buffer, where that is the program's own choice.
    #[arg(long, default_value_t = 64 * 1024)]
    pub buffer: usize,
    /// Seconds after which a polling thread whose handler does not come back is replaced, where the program does that;
    /// its own choice if this does not say, never if it is 0. The thread that watches looks at the clock as often.
    #[arg(long)]
    pub takeover: Option<u64>,
}

/// Says where it listens, for whoever started it.
fn announce(address: SocketAddr) -> anyhow::Result<()> {
    println!("listening={address}");
    std::io::stdout().flush()?;
    Ok(())
}

/// Serves `address` until the process is killed.
///
/// # Errors
///
/// When the kernel refuses something.
pub fn serve(kind: Kind, address: SocketAddr, options: Options) -> anyhow::Result<()> {
    match kind {
        Kind::Bare => bare::serve(address, options),
        Kind::Pollproof => pollproof::serve(address, options, false),
        Kind::PollproofPool => pollproof::serve(address, options, true),
        Kind::Mio => mio::serve(address, options),
        Kind::Tokio => tokio::serve(address, options),
        Kind::Smol => smol::serve(address, options),
        Kind::Monoio => monoio::serve(address, options),
        Kind::Naive => naive::serve(address, options),
        Kind::Handover => naive::serve_sleeping(address, options),
    }
}
