//! An echo server whose allocations are counted, as the child of `idle`.
//!
//! It echoes whole messages and leaves the rest unread. For each line on its input it prints how many connections
//! it has, how often it was called, how many bytes are allocated, and how much memory the process has to itself.

use std::io::{BufRead as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context as _;
use pollproof::{Io, Server};
use pollproof_benches::alloc::Counting;
use pollproof_benches::alloc::MESSAGE;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).context("usage: counted ADDRESS")?;
    let handler = |io: &mut Io<'_>| {
        CALLS.fetch_add(1, Relaxed);
        let whole = io.data().len() / MESSAGE * MESSAGE;
        io.write(&io.data()[..whole]);
        io.consume(whole);
    };
    // A thread that takes over has memory of its own, which is no connection's.
    let server = Server::builder().takeover(Some(Duration::from_secs(60))).on_request(handler).bind(&address)?;
    server.spawn()?;
    println!("listening={}", server.local_addr());
    for line in std::io::stdin().lock().lines() {
        line?;
        println!("{} {} {} {}", server.stats().open, CALLS.load(Relaxed), Counting::live(), private()?);
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// Memory of this process that is no other's, in bytes.
fn private() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).context("Private_Dirty")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}
