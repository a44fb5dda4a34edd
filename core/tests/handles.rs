//! A handle that outlives its server keeps no file descriptor and no thread: counted for the process, so these tests run
//! one at a time.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::dialing::{alone, fds};
use common::{LONG, client, echo, ping, wait_until};
use pollproof::{Builder, Connection, Dialer, Io, Pool, Runner, Server, Task};

/// Threads of servers and pools, by their names: the harness has threads of its own.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("our threads");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let ours = ["poller", "spare poller", "watchdog", "handler", "shutdown"];
    names.filter(|name| ours.iter().any(|ours| name.starts_with(ours))).count()
}

/// What a process has before and after.
fn counts() -> (usize, usize) {
    (fds(), threads())
}

/// Waits until the process has no more than `before`: the threads of a pool end by themselves.
fn back_to(before: (usize, usize)) {
    wait_until("fds and threads are given back", || {
        let (fds, threads) = counts();
        fds <= before.0 && threads <= before.1
    });
}

/// A runner of a user's that has threads.
struct Owns(Pool);

impl Runner for Owns {
    fn run(&self, task: Task) {
        self.0.run(task);
    }
}

type Kind = fn() -> Builder;

const KINDS: [Kind; 5] = [
    || Server::builder().pollers(2),
    || Server::builder().pollers(2).takeover(None),
    || Server::builder().takeover(Some(Duration::from_millis(5))).max_threads(4),
    || Server::builder().runner(Pool::new(3).expect("threads")),
    || Server::builder().runner(Owns(Pool::new(3).expect("threads"))),
];

/// Every handle of a server that a user may have.
struct Handles {
    _server: Server,
    _dialer: Dialer,
    _conns: Vec<Connection>,
}

/// A server of this kind that has served, and is over.
fn served(kind: Kind) -> Handles {
    let conns = Arc::new(Mutex::new(Vec::new()));
    let kept = conns.clone();
    let handler = move |io: &mut Io<'_>| {
        kept.lock().expect("no panic").push(io.connection().clone());
        if io.data() == b"slow!" {
            std::thread::sleep(Duration::from_millis(30));
        }
        echo(io);
    };
    let server = kind().on_request(handler).bind("127.0.0.1:0").expect("a port");
    server.spawn().expect("threads");
    let dialer = server.dialer();
    let conn = dialer.connect(&server.local_addr().to_string(), LONG).expect("a connection");
    conn.send(b"hello").expect("it is open");
    assert_eq!(&conn.reader().expect("nobody else reads").next(5).expect("an answer")[..], b"hello");
    let peers: Vec<TcpStream> = (0..4).map(|_| client(&server)).collect();
    peers.iter().for_each(|peer| ping(peer, b"slow!"));
    assert_eq!(server.shutdown(LONG).expect("a shutdown").left, 0);
    let mut conns = std::mem::take(&mut *conns.lock().expect("no panic"));
    conns.push(conn);
    Handles { _server: server, _dialer: dialer, _conns: conns }
}

/// SPEC: U4
#[test]
fn handles_that_outlive_their_server_keep_no_fd_and_no_thread() {
    let _alone = alone();
    // What the process has anyway comes with the first.
    drop(served(KINDS[0]));
    for kind in KINDS {
        let before = counts();
        let handles: Vec<_> = (0..3).map(|_| served(kind)).collect();
        back_to(before);
        drop(handles);
    }
}

/// SPEC: U4
#[test]
fn a_dialer_that_is_over_keeps_nothing_whoever_has_a_handle() {
    let _alone = alone();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let before = counts();
    let dialer = Dialer::builder().runner(Pool::new(2).expect("threads")).build().expect("threads");
    let conn = dialer.connect(&address, LONG).expect("a connection");
    let peer = listener.accept().expect("it is there").0;
    dialer.shutdown(LONG).expect("a shutdown");
    drop(peer);
    back_to(before);
    // They still answer.
    assert!(conn.send(b"x").is_err());
    assert!(dialer.connect(&address, LONG).is_err());
    assert_eq!(dialer.stats().open, 0);
}

/// SPEC: U4: whether it never ran, or began to end in a callback.
#[test]
fn a_server_that_never_ran_or_ended_itself_keeps_nothing() {
    let _alone = alone();
    drop(served(KINDS[0]));
    for kind in KINDS {
        let before = counts();
        drop(kind().on_request(echo).bind("127.0.0.1:0").expect("a port"));
        back_to(before);
        let unused = kind().on_request(echo).bind("127.0.0.1:0").expect("a port");
        unused.shutdown(LONG).expect("a shutdown");
        back_to(before);
        let found = Arc::new(Mutex::new(None::<Server>));
        let own = found.clone();
        let handler = move |io: &mut Io<'_>| {
            let server = own.lock().expect("no panic").clone().expect("it is there");
            server.begin_shutdown(LONG).expect("a thread");
            echo(io);
        };
        let server = kind().on_request(handler).bind("127.0.0.1:0").expect("a port");
        *found.lock().expect("no panic") = Some(server.clone());
        server.spawn().expect("threads");
        let mut peer = client(&server);
        peer.write_all(b"hello").expect("a write");
        peer.read_exact(&mut [0; 5]).expect("an answer");
        drop(peer);
        back_to(before);
        drop((server, unused));
    }
}
