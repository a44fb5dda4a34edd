//! The steady state allocates nothing: neither on the polling thread nor, per request, on any other.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::{LONG, client, end};
use pollproof::{Io, Server};

const REQUESTS: usize = 10_000;

/// The system's allocator, which counts how often it is asked.
struct Counting;

#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// A thread of the server that has not called a handler: the watchdog, say.
    Other,
    Polling,
    Client,
}

thread_local! {
    static ROLE: Cell<Role> = const { Cell::new(Role::Other) };
}

static POLLING: AtomicUsize = AtomicUsize::new(0);
static OTHERS: AtomicUsize = AtomicUsize::new(0);

impl Counting {
    fn count() {
        match ROLE.get() {
            Role::Polling => POLLING.fetch_add(1, Relaxed),
            Role::Other => OTHERS.fetch_add(1, Relaxed),
            Role::Client => 0,
        };
    }
}

// Safety: every call goes on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // Safety: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // Safety: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What is allocated while `connections` clients send [`REQUESTS`] requests together: by polling threads, and by
/// others.
fn allocations(connections: usize, handler: fn(&mut Io<'_>)) -> (usize, usize) {
    let marking = move |io: &mut Io<'_>| {
        ROLE.set(Role::Polling);
        handler(io);
    };
    // A thread that is merely preempted for long is replaced, and its successor has memory to get.
    let builder = Server::builder().pollers(1).takeover(Some(LONG));
    let server = builder.on_request(marking).bind("127.0.0.1:0").expect("a port");
    server.spawn().expect("threads");
    let mut clients: Vec<_> = (0..connections).map(|_| client(&server)).collect();
    // What the first requests of a thread allocate, it keeps.
    (0..2).for_each(|_| round(&mut clients));
    let counts = || (POLLING.load(Relaxed), OTHERS.load(Relaxed));
    let before = counts();
    (0..REQUESTS / connections).for_each(|_| round(&mut clients));
    let after = counts();
    drop(clients);
    end(&server);
    (after.0 - before.0, after.1 - before.1)
}

/// One request on each connection at the same time.
fn round(clients: &mut [TcpStream]) {
    for client in &mut *clients {
        client.write_all(&[7; 1024]).expect("a write");
    }
    for client in clients {
        let mut back = [0; 1024];
        client.read_exact(&mut back).expect("an answer");
        assert!(back == [7; 1024], "the answer differs");
    }
}

#[test]
fn a_request_allocates_nothing() {
    ROLE.set(Role::Client);
    // The reply as it came, from where it was read to; copied, in two pieces; by way of reader and writer.
    let whole: fn(&mut Io<'_>) = common::echo;
    let copied: fn(&mut Io<'_>) = |io| {
        let (head, tail) = io.data().split_at(100);
        io.write(head);
        io.write(tail);
        io.consume(1024);
    };
    let streamed: fn(&mut Io<'_>) = |io| {
        let (reader, writer) = io.split();
        writer.write_all(reader.data()).expect("gathered");
        reader.skip(1024).expect("all of it is there");
    };
    for (name, handler) in [("whole", whole), ("copied", copied), ("streamed", streamed)] {
        for connections in [1, 32] {
            let (polling, others) = allocations(connections, handler);
            println!("{name}, {connections} connections: {polling} allocations, {others} on other threads");
            assert_eq!(polling, 0, "{name}, {connections} connections");
            // The watchdog is no part of a request: now and then it asks epoll whether something happens.
            assert!(others < REQUESTS / 10, "{others} on other threads");
        }
    }
}
