//! The thread that runs a server is one of its polling threads, for as long as the server runs.
//!
//! Not here: servers that have threads of their own only (every other test).

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, ThreadId, current};
use std::time::Duration;

use common::{LONG, client, end, ping};
use pollproof::{Builder, Error, Io, Server};

/// Runs `server` on a thread of its own.
fn run(server: &Server) -> (JoinHandle<pollproof::Result<()>>, ThreadId) {
    let server = server.clone();
    let thread = std::thread::spawn(move || server.run());
    let id = thread.thread().id();
    (thread, id)
}

/// A server of `builder` that echoes, and the threads that its callbacks ran on.
fn noting(builder: Builder) -> (Server, Receiver<ThreadId>) {
    let (sender, threads) = channel();
    let handler = move |io: &mut Io<'_>| {
        sender.send(current().id()).expect("the test waits");
        common::echo(io);
    };
    (builder.on_request(handler).bind("127.0.0.1:0").expect("a port"), threads)
}

fn next(threads: &Receiver<ThreadId>) -> ThreadId {
    threads.recv_timeout(LONG).expect("a request")
}

#[test]
fn callbacks_run_on_the_thread_that_runs_the_server() {
    let (server, threads) = noting(Server::builder().takeover(None));
    let (running, id) = run(&server);
    for _ in 0..3 {
        ping(client(&server), b"x");
        assert_eq!(next(&threads), id);
    }
    end(&server);
    running.join().expect("no panic").expect("it was shut down");
    assert!(matches!(server.run(), Ok(())), "over at once");
}

#[test]
fn every_other_poller_has_a_thread_of_its_own() {
    let (server, threads) = noting(Server::builder().pollers(2).takeover(None));
    let (running, id) = run(&server);
    let mut clients = [client(&server), client(&server)];
    let ids = clients.each_mut().map(|client| {
        client.write_all(b"x").expect("a write");
        next(&threads)
    });
    assert!(ids.contains(&id) && ids[0] != ids[1], "{ids:?}");
    end(&server);
    running.join().expect("no panic").expect("it was shut down");
}

/// SPEC: K1, K2.
#[test]
fn a_thread_that_is_held_up_is_replaced_and_returns_when_the_server_has_ended() {
    let (entered, enters) = channel();
    let (go, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let handler = move |io: &mut Io<'_>| {
        if io.data() == b"block" {
            entered.send(current().id()).expect("the test waits");
            assert!(gate.lock().expect("whole").recv().is_err(), "nothing is ever sent");
        }
        common::echo(io);
    };
    let server = Server::builder().takeover(Some(Duration::from_millis(5))).on_request(handler);
    let server = server.bind("127.0.0.1:0").expect("a port");
    let (running, id) = run(&server);
    // On a busy machine another thread may lead already; then that one is held up as well.
    let mut blocked = Vec::new();
    loop {
        let mut client = client(&server);
        client.write_all(b"block").expect("a write");
        blocked.push(client);
        if next(&enters) == id {
            break;
        }
    }
    ping(client(&server), b"served by a successor");
    drop(go);
    for client in &mut blocked {
        let mut answer = [0; 5];
        client.read_exact(&mut answer).expect("its own answer");
    }
    assert!(!running.is_finished(), "the server still runs");
    end(&server);
    running.join().expect("no panic").expect("it was shut down");
}

#[test]
fn a_polling_thread_of_another_server_waits_only() {
    let (inner, threads) = noting(Server::builder().takeover(None));
    let (sender, told) = channel();
    let outer: Arc<Mutex<Option<Server>>> = Arc::default();
    let (nested, own) = (inner.clone(), outer.clone());
    let handler = move |io: &mut Io<'_>| {
        nested.run().expect("it is shut down");
        // It still polls for the server that it polled for.
        let own = own.lock().expect("whole").clone().expect("set before");
        sender.send((current().id(), own.shutdown(LONG))).expect("the test waits");
        common::echo(io);
    };
    let server = Server::builder().takeover(None).on_request(handler).bind("127.0.0.1:0").expect("a port");
    *outer.lock().expect("whole") = Some(server.clone());
    server.spawn().expect("a thread");
    let mut asks = client(&server);
    asks.write_all(b"x").expect("a write");
    ping(client(&inner), b"y");
    let inside = next(&threads);
    end(&inner);
    let (outside, refused) = told.recv_timeout(LONG).expect("the inner one has ended");
    assert_ne!(inside, outside);
    assert!(matches!(refused, Err(Error::OnPoller { call: "shutdown" })), "{refused:?}");
    end(&server);
    *outer.lock().expect("whole") = None;
}

#[test]
fn a_server_that_was_spawned_is_waited_for() {
    let (server, threads) = noting(Server::builder());
    server.spawn().expect("threads");
    let (running, id) = run(&server);
    ping(client(&server), b"x");
    assert_ne!(next(&threads), id);
    assert!(!running.is_finished(), "the server still runs");
    end(&server);
    running.join().expect("no panic").expect("it was shut down");
}
