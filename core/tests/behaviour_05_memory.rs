//! Behaviour 5 over sockets: what the memory of a connection costs, counted at the allocator.
//!
//! The buffers alone are counted in `buffer_memory.rs`. Here the bytes come as they do in life: in small pieces, to
//! a reader that waits. All threads count together, so there is one test at a time.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use common::{LONG, client, end};
use pollproof::{Callbacks, Connection, Io, Pool, Server};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The system's allocator, which counts what the process asks for.
struct Counting;

/// What is allocated.
static LIVE: AtomicIsize = AtomicIsize::new(0);
/// What was ever asked for.
static TOTAL: AtomicUsize = AtomicUsize::new(0);

// Safety: every call goes on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        TOTAL.fetch_add(layout.size(), Ordering::Relaxed);
        // Safety: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // Safety: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Where the handler runs, and whether somebody takes its polling thread over while it waits.
fn places() -> [(&'static str, pollproof::Builder); 3] {
    let builder = Server::builder;
    [
        ("inline", builder()),
        ("without takeover", builder().takeover(None)),
        ("pool", builder().runner(Pool::new(2).expect("threads"))),
    ]
}

/// A server with `request`, a client, and its connection.
fn serve(
    builder: pollproof::Builder,
    request: impl Fn(&mut Io<'_>) + Send + Sync + 'static,
) -> (Server, TcpStream, Connection) {
    let (sender, conns): (Sender<Connection>, _) = channel();
    let handler = Callbacks::new(move |io: &mut Io<'_>| {
        sender.send(io.connection().clone())?;
        Ok(())
    });
    let server = builder.handler(handler.on_request(move |(), io| request(io))).bind("127.0.0.1:0").expect("a port");
    server.spawn().expect("threads");
    let stream = client(&server);
    (server, stream, conns.recv_timeout(LONG).expect("the connection"))
}

/// Sends `bytes` in pieces of a KiB, each read before the next one is sent.
fn in_kibibytes(conn: &Connection, stream: &mut TcpStream, bytes: &[u8]) {
    let before = conn.bytes_read();
    for (index, piece) in bytes.chunks(KIB).enumerate() {
        stream.write_all(piece).expect("a write");
        let due = before + (index * KIB + piece.len()) as u64;
        let deadline = std::time::Instant::now() + LONG;
        while conn.bytes_read() < due {
            assert!(std::time::Instant::now() < deadline, "{} of {due} bytes are read", conn.bytes_read());
            std::thread::yield_now();
        }
    }
}

#[test]
fn b05_a_mebibyte_that_comes_in_kibibytes_costs_at_most_four() {
    let _alone = alone();
    for (place, builder) in places() {
        let (sender, results) = channel();
        let (server, mut stream, conn) = serve(builder, move |io| {
            // The first request warms up; what is counted is the second.
            let warm = io.data()[0] == 0;
            let size = if warm { KIB } else { MIB };
            let before = TOTAL.load(Ordering::Relaxed);
            let bytes = io.reader().next(size).expect("they come");
            let asked = TOTAL.load(Ordering::Relaxed) - before;
            assert!(bytes.len() == size && bytes.iter().all(|&byte| byte == bytes[0]));
            sender.send(asked).expect("the test waits");
            io.write(b"!");
        });
        for byte in 0..2 {
            let message = vec![byte; if byte == 0 { KIB } else { MIB }];
            in_kibibytes(&conn, &mut stream, &message);
            stream.read_exact(&mut [0]).expect("an answer");
            let asked = results.recv_timeout(LONG).expect("a result");
            assert!(byte == 0 || asked <= 4 * MIB, "{place}: {asked} bytes were asked for");
        }
        drop(stream);
        end(&server);
    }
}

#[test]
fn b05_looking_again_and_again_costs_nothing_and_the_bytes_stay() {
    let _alone = alone();
    const SIZE: usize = 200 * KIB;
    for (place, builder) in places() {
        let (sender, results) = channel();
        let (server, mut stream, conn) = serve(builder, move |io| {
            let reader = io.reader();
            let first = reader.peek(SIZE).expect("they come").as_ptr() as usize;
            let before = (LIVE.load(Ordering::Relaxed), TOTAL.load(Ordering::Relaxed));
            for count in (0..1000).map(|round| SIZE - round) {
                // The borrow checker keeps what was peeked at valid; that it also stays where it is saves copies.
                assert_eq!(reader.peek(count).expect("they are there").as_ptr() as usize, first);
            }
            let after = (LIVE.load(Ordering::Relaxed), TOTAL.load(Ordering::Relaxed));
            let grown = (after.0 - before.0, after.1 - before.1);
            // Two slices of it share its memory, which is there as long as one of them is.
            let slice = reader.slice(SIZE).expect("they are there");
            let half = slice.slice(SIZE / 2..);
            assert_eq!(half.as_ptr() as usize, slice.as_ptr() as usize + SIZE / 2);
            drop(slice);
            sender.send((grown, half)).expect("the test waits");
        });
        let message = common::pattern(SIZE, 1);
        in_kibibytes(&conn, &mut stream, &message);
        let (grown, half) = results.recv_timeout(LONG).expect("a result");
        // Other threads of the server may have done something meanwhile, but not a thousand times.
        assert!(grown.0.unsigned_abs() < SIZE && grown.1 < SIZE, "{place}: {grown:?}");
        drop(stream);
        end(&server);
        drop(conn);
        assert!(half == message[SIZE / 2..], "{place}: it changed");
    }
}

#[test]
fn b05_an_idle_connection_gives_its_memory_back() {
    let _alone = alone();
    for (place, builder) in places() {
        let (server, mut stream, conn) = serve(builder, |io| {
            if io.data().len() >= MIB / 2 {
                common::echo(io);
            }
        });
        let message = common::pattern(MIB / 2, 2);
        let mut used = Vec::new();
        for _ in 0..8 {
            in_kibibytes(&conn, &mut stream, &message);
            let mut back = vec![0; message.len()];
            stream.read_exact(&mut back).expect("an answer");
            assert!(back == message);
            drop(back);
            used.push(LIVE.load(Ordering::Relaxed));
        }
        // The answer is there before its handler has given everything back.
        let deadline = Instant::now() + LONG;
        while LIVE.load(Ordering::Relaxed) - used[1] >= 64 * KIB as isize {
            assert!(Instant::now() < deadline, "{place}: {used:?}");
            std::thread::yield_now();
        }
        drop(stream);
        end(&server);
    }
}
