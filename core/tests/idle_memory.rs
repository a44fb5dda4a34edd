//! An idle connection costs little memory, counted at the allocator. The bench `idle` measures the same from outside,
//! with more connections.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};

use common::{LONG, client, end};
use pollproof::{Io, Server};

const CONNECTIONS: usize = 1_000;
const MESSAGE: usize = 128;

/// The system's allocator, which counts what the process has.
struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);

// Safety: every call goes on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Relaxed);
        // Safety: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Relaxed);
        // Safety: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Echoes whole messages, leaves the rest, and says how much it left.
fn whole_messages(left: Sender<usize>) -> impl Fn(&mut Io<'_>) + Send + Sync {
    move |io| {
        let whole = io.data().len() / MESSAGE * MESSAGE;
        io.write(&io.data()[..whole]);
        io.consume(whole);
        let _ = left.send(io.data().len());
    }
}

/// SPEC: B2, an idle connection owns no buffer; and what it does own is small.
#[test]
fn a_connection_costs_half_a_kibibyte() {
    let (sender, left) = channel();
    // Room for what is told meanwhile is nobody's cost: taken before, by filling it once.
    (0..2 * CONNECTIONS).for_each(|_| sender.send(0).expect("a receiver"));
    (0..2 * CONNECTIONS).for_each(|_| assert_eq!(left.recv(), Ok(0)));
    // A thread that takes over has its own blocks, which are no connection's.
    let builder = Server::builder().pollers(1).takeover(Some(LONG));
    let server = builder.on_request(whole_messages(sender)).bind("127.0.0.1:0").expect("a port");
    server.spawn().expect("threads");
    let mut streams = Vec::with_capacity(CONNECTIONS);
    // What the first one allocates is the server's.
    let mut first = client(&server);
    common::ping(&mut first, &[7; MESSAGE]);
    assert_eq!(left.recv_timeout(LONG), Ok(0));

    let before = LIVE.load(Relaxed);
    let each = || (LIVE.load(Relaxed) - before) as f64 / CONNECTIONS as f64;
    for _ in 0..CONNECTIONS {
        let mut stream = client(&server);
        common::ping(&mut stream, &[7; MESSAGE]);
        assert_eq!(left.recv_timeout(LONG), Ok(0));
        streams.push(stream);
    }
    let idle = each();
    for stream in &mut streams {
        stream.write_all(&[7; 100]).expect("a write");
        assert_eq!(left.recv_timeout(LONG), Ok(100));
    }
    let half_packet = each();
    assert!(idle <= 512.0, "{idle:.1} bytes per idle connection");
    assert!(half_packet <= 1024.0, "{half_packet:.1} bytes per connection with half a packet");

    drop(streams);
    common::wait_until("all but the first are over", || server.stats().open == 1);
    // The polling thread has let go of the last of them when it answers again.
    common::ping(&mut first, &[7; MESSAGE]);
    // The registry keeps its slots for the next ones.
    let kept = each();
    println!("{idle:.1} bytes per idle connection, {half_packet:.1} with 100 bytes unread, {kept:.1} afterwards");
    assert!(kept <= 64.0, "{kept:.1} bytes are left of each connection");
    drop(first);
    end(&server);
}
