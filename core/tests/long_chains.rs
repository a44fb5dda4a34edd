//! Chains of endings as long as a process lives through in a day, in a small stack. In release builds alone: they take a
//! minute at most.

#![cfg(all(feature = "net", not(any(loom, shuttle)), not(debug_assertions)))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use common::{LONG, client, wait_until};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use pollproof::{Callbacks, Connection, Io, Runner, Server, Task};

/// The stack of a thread that has little.
const SMALL: usize = 256 << 10;

fn on_small_stack<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> std::thread::JoinHandle<R> {
    std::thread::Builder::new().stack_size(SMALL).spawn(body).expect("a thread")
}

/// SPEC: U2: a million, or as many as there is time for; each closes the next in its close callback.
#[test]
fn a_million_close_callbacks_that_each_close_the_next_run_in_a_small_stack() {
    const ALL: usize = 1_000_000;
    const ROUND: usize = 4000;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("more fds");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let (sender, conns) = channel();
    let handler = Callbacks::new(move |io: &mut Io<'_>| Ok(sender.send(io.connection().clone())?));
    let builder = Server::builder().takeover(None).handler(handler.on_request(|(), _| ()));
    let server = builder.bind(&format!("unix:{}", path.display())).expect("a path");
    let serves = server.clone();
    let polls = on_small_stack(move || serves.run().expect("it serves"));
    let until = Instant::now() + Duration::from_secs(60);
    let mut closed = 0;
    while closed < ALL && (closed == 0 || Instant::now() < until) {
        let peers: Vec<_> = (0..ROUND).map(|_| UnixStream::connect(&path).expect("a connection")).collect();
        let chain: Vec<Connection> = (0..ROUND).map(|_| conns.recv_timeout(LONG).expect("a connection")).collect();
        for pair in chain.windows(2) {
            let next = pair[1].clone();
            assert!(pair[0].on_close(move |_| next.close()).is_ok());
        }
        let first = chain[0].clone();
        on_small_stack(move || first.close()).join().expect("no panic");
        wait_until("all are closed", || server.stats().open == 0);
        closed += ROUND;
        drop(peers);
    }
    println!("{closed} in a chain");
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
