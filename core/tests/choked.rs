//! A handler that waits, over real sockets: what came meanwhile is there when it goes on.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::io::{Read, Write};
use std::sync::mpsc::{TryRecvError, channel};

use common::{LONG, client, end, to_end, wait_until};
use pollproof::{Callbacks, Io, Server};

/// Bytes of each answer: more than the socket takes.
const ANSWER: usize = 16 << 20;

/// SPEC: O5, N1
#[test]
fn a_request_that_comes_while_the_output_is_high_is_not_lost() {
    let (sender, requests) = channel();
    let (conn_sender, conns) = channel();
    let server = Server::builder()
        .on_request(move |io: &mut Io<'_>| {
            conn_sender.send(io.connection().clone()).expect("the test waits");
            sender.send(io.data().to_vec()).expect("the test waits");
            io.consume(usize::MAX);
            io.write(&vec![7; ANSWER]);
        })
        .bind("127.0.0.1:0")
        .expect("a port");
    server.spawn().expect("threads");
    let mut client = client(&server);
    client.write_all(b"first").expect("a write");
    assert_eq!(requests.recv_timeout(LONG).expect("a request"), b"first");
    let mut answer = vec![0; ANSWER];
    // Its answer is queued, and a part of it is here.
    client.read_exact(&mut answer[..1]).expect("an answer");
    client.write_all(b"second").expect("a write");
    let conn = conns.recv().expect("it was sent first");
    wait_until("the second is not read", || conn.bytes_read() >= "firstsecond".len() as u64);
    client.read_exact(&mut answer[1..]).expect("an answer");
    assert_eq!(requests.recv_timeout(LONG).expect("a request"), b"second");
    client.read_exact(&mut answer).expect("an answer");
    drop(client);
    end(&server);
}

/// SPEC: O5
#[test]
fn a_handler_goes_on_when_the_output_is_low_though_some_is_left() {
    const MIB: usize = 1 << 20;
    const LOW: u64 = 6 << 20;
    let (sender, requests) = channel();
    let server = Server::builder()
        .send_buffer(64 * 1024)
        .water_marks(LOW, 8 << 20)
        .on_request(move |io: &mut Io<'_>| {
            io.consume(usize::MAX);
            sender.send(io.connection().clone()).expect("the test waits");
            io.write(&vec![7; ANSWER]);
        })
        .bind("127.0.0.1:0")
        .expect("a port");
    server.spawn().expect("threads");
    let mut client = client(&server);
    client.write_all(b"1").expect("a write");
    let conn = requests.recv_timeout(LONG).expect("a request");
    let mut answer = vec![0; MIB];
    client.read_exact(&mut answer).expect("an answer");
    client.write_all(b"2").expect("a write");
    wait_until("the second is not read", || conn.bytes_read() == 2);
    let mut left = conn.backlog();
    assert!(left > LOW, "the sockets take {} bytes", ANSWER as u64 - left);
    assert_eq!(requests.try_recv().err(), Some(TryRecvError::Empty), "above the mark the handler waits");
    // The kernel may have taken more for the client than it has room for, and takes no more before that is read: how much
    // has to be read is not known.
    while left > LOW {
        assert_ne!(client.read(&mut answer).expect("an answer"), 0, "the server sends on");
        left = conn.backlog();
    }
    requests.recv_timeout(LONG).expect("the second request");
    assert!(left > 0, "nobody has read all of the first answer");
    conn.close();
    end(&server);
}

/// SPEC: O5, O1
#[test]
fn a_send_that_relieves_the_handler_returns_though_the_handler_writes() {
    const REQUESTS: usize = 3000;
    let (sender, conns) = channel();
    let server = Server::builder()
        .water_marks(0, 1)
        .handler(Callbacks::new(move |io| Ok(sender.send(io.connection().clone())?)).on_request(|(), io| {
            io.write(io.data());
            io.consume(usize::MAX);
        }))
        .bind("127.0.0.1:0")
        .expect("a port");
    server.spawn().expect("threads");
    let mut client = client(&server);
    let conn = conns.recv_timeout(LONG).expect("a connection");
    // Whatever is under way is above the mark: a request that comes meanwhile waits for the sender to be through.
    let (stop, stopped) = channel::<()>();
    let pusher = std::thread::spawn(move || {
        while stopped.try_recv() == Err(TryRecvError::Empty) {
            // Never more than the client reads.
            if conn.backlog() == 0 {
                conn.send(&[b'-'; 4096]).expect("open");
            }
        }
    });
    let mut block = vec![0; 1 << 16];
    for _ in 0..REQUESTS {
        client.write_all(b"+").expect("a write");
        loop {
            let count = client.read(&mut block).expect("an answer");
            assert!(count > 0, "the end, and not an answer");
            if block[..count].contains(&b'+') {
                break;
            }
        }
    }
    drop(stop);
    let drained = std::thread::spawn(move || drop(to_end(&mut client)));
    pusher.join().expect("no panic");
    end(&server);
    drained.join().expect("no panic");
}
