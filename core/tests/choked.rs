//! A handler that waits, over real sockets: what came meanwhile is there when it goes on.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::io::{Read, Write};
use std::sync::mpsc::channel;

use common::{LONG, client, end};
use pollproof::{Io, Server};

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
    while conn.bytes_read() < "firstsecond".len() as u64 {
        std::thread::yield_now();
    }
    client.read_exact(&mut answer[1..]).expect("an answer");
    assert_eq!(requests.recv_timeout(LONG).expect("a request"), b"second");
    client.read_exact(&mut answer).expect("an answer");
    drop(client);
    end(&server);
}
