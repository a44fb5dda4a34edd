//! Chains of endings as long as a process lives through in a day, in a small stack. In release builds alone: they take a
//! minute at most.

#![cfg(all(feature = "net", not(any(loom, shuttle)), not(debug_assertions)))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::collections::VecDeque;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{LONG, client, wait_until};
use pollproof::{Connection, Io, Runner, Server, Task};

/// The stack of a thread that has little.
const SMALL: usize = 256 << 10;

fn on_small_stack<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> std::thread::JoinHandle<R> {
    std::thread::Builder::new().stack_size(SMALL).spawn(body).expect("a thread")
}

/// What the links of a chain share.
struct Chain {
    /// The next ones.
    next: Mutex<Receiver<Connection>>,
    closed: AtomicUsize,
    /// How many close callbacks a thread is inside of.
    depth: AtomicUsize,
    over: Sender<()>,
}

impl Chain {
    const ALL: usize = 1_000_000;

    /// Has the close callback of `conn` close the next one, up to the last.
    fn link(self: &Arc<Self>, conn: &Connection) {
        let chain = self.clone();
        let closes = move |_: &Connection| {
            // Ordering: Relaxed, here and below: the links come one after the other.
            assert_eq!(chain.depth.fetch_add(1, Ordering::Relaxed), 0, "a close callback inside another one");
            if chain.closed.fetch_add(1, Ordering::Relaxed) + 1 == Self::ALL {
                chain.over.send(()).expect("the test waits");
            } else {
                // It is made by another thread, which needs nothing of this loop.
                let next = chain.next.lock().expect("no panic").recv_timeout(LONG).expect("the next one");
                chain.link(&next);
                next.close();
            }
            chain.depth.fetch_sub(1, Ordering::Relaxed);
        };
        assert!(conn.on_close(closes).is_ok(), "it is open");
    }
}

/// SPEC: U2: one chain without a break: each close but the first is made by the close callback of the connection before.
/// A million at once would be more fds than the kernel allows a process, so new ones are made as old ones go.
#[test]
fn a_million_close_callbacks_that_each_close_the_next_run_in_a_small_stack() {
    const AHEAD: usize = 200;
    let folder = tempfile::tempdir().expect("a folder");
    let [peers, own] = ["peers", "own"].map(|name| folder.path().join(name));
    let listener = UnixListener::bind(&peers).expect("a path");
    // A peer is kept until its connection is closed for sure.
    let accepts = std::thread::spawn(move || {
        let mut kept = VecDeque::new();
        for peer in listener.incoming().take(Chain::ALL) {
            kept.push_back(peer.expect("fds"));
            if kept.len() > 2 * AHEAD {
                kept.pop_front();
            }
        }
    });
    let builder = Server::builder().takeover(None).pollers(1).on_request(|_: &mut Io<'_>| ());
    let server = builder.bind(&format!("unix:{}", own.display())).expect("a path");
    let serves = server.clone();
    let polls = on_small_stack(move || serves.run().expect("it serves"));
    let ((sender, next), (over, all)) = (sync_channel(AHEAD), channel());
    let (dialer, address) = (server.dialer(), format!("unix:{}", peers.display()));
    let dials = std::thread::spawn(move || {
        for _ in 0..Chain::ALL {
            sender.send(dialer.connect(&address, LONG).expect("a connection")).expect("the chain goes on");
        }
    });
    let first = next.recv_timeout(LONG).expect("a connection");
    let (closed, depth) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let chain = Arc::new(Chain { next: Mutex::new(next), closed, depth, over });
    chain.link(&first);
    on_small_stack(move || first.close()).join().expect("no panic");
    all.recv_timeout(Duration::from_secs(600)).expect("the whole chain");
    dials.join().expect("no panic");
    accepts.join().expect("no panic");
    wait_until("all are closed", || server.stats().open == 0);
    assert_eq!(server.shutdown(LONG).expect("a shutdown").left, 0);
    polls.join().expect("no panic");
}

/// Runs each task where it is.
struct AtOnce;

impl Runner for AtOnce {
    fn run(&self, task: Task) {
        task.run();
    }
}

/// SPEC: U2, F2: 64 MiB, of which each call takes a byte.
#[test]
fn a_runner_that_runs_tasks_at_once_lives_through_64_mib_of_one_byte_calls() {
    const BYTES: u64 = 64 << 20;
    let (sender, told) = channel();
    let handler = move |io: &mut Io<'_>| {
        io.consume(1);
        if io.data().is_empty() && io.connection().bytes_read() == BYTES {
            sender.send(()).expect("the test waits");
        }
    };
    let builder = Server::builder().takeover(None).runner(AtOnce).on_request(handler);
    let server = builder.bind("127.0.0.1:0").expect("a port");
    let serves = server.clone();
    let polls = on_small_stack(move || serves.run().expect("it serves"));
    let mut peer = client(&server);
    let block = vec![7; 1 << 20];
    (0..64).for_each(|_| peer.write_all(&block).expect("a write"));
    told.recv_timeout(Duration::from_secs(120)).expect("every call");
    drop(peer);
    assert_eq!(server.shutdown(LONG).expect("a shutdown").left, 0);
    polls.join().expect("no panic");
}
