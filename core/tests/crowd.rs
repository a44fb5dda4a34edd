//! Crowds of clients against the echo example: every byte, every callback once, no fd left.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::crowd::{End, run};
use common::example::{Example, assert_clean};

const MIB: usize = 1 << 20;

#[test]
fn half_closing_clients_get_every_byte() {
    let example = Example::start(2);
    let failed = run(&example.address, End::HalfClose, 500, MIB);
    let counts = example.end();
    assert!(failed.is_empty(), "{} clients failed, the first: {}", failed.len(), failed[0]);
    assert_clean(&counts, 500);
    assert_eq!((counts["read"], counts["sent"]), (500 << 20, 500 << 20));
}

#[test]
fn clients_that_close_without_reading_leave_nothing() {
    let example = Example::start(1);
    let failed = run(&example.address, End::CloseUnread, 500, MIB);
    let counts = example.end();
    assert!(failed.is_empty(), "{} clients failed, the first: {}", failed.len(), failed[0]);
    assert_clean(&counts, 500);
}

#[test]
fn clients_that_reset_in_the_middle_leave_nothing() {
    let example = Example::start(2);
    let failed = run(&example.address, End::Reset, 200, MIB);
    // The server still serves.
    let mut stream = TcpStream::connect(&example.address).expect("a connection");
    common::ping(&mut stream, b"still there");
    drop(stream);
    let counts = example.end();
    assert!(failed.is_empty(), "{} clients failed, the first: {}", failed.len(), failed[0]);
    assert_clean(&counts, 201);
}

#[test]
fn out_of_fds_it_pauses_keeps_serving_and_recovers() {
    const FDS: usize = 40;
    let example = Example::with_fds(1, FDS);
    // The kernel takes them all into the listener's queue; the server cannot.
    let mut clients: Vec<_> =
        (0..2 * FDS).map(|_| TcpStream::connect(&example.address).expect("a connection")).collect();
    for client in &mut clients {
        client.set_read_timeout(Some(common::LONG)).expect("a timeout");
    }
    let waiting = clients.split_off(FDS / 2);
    for round in 0..50_u8 {
        clients.iter_mut().for_each(|client| common::ping(client, &[round; 100]));
    }
    example.assert_sleeps("out of fds");
    drop(clients);
    // Each one that leaves makes room for one that waits.
    for mut client in waiting {
        common::ping(&mut client, b"at last");
    }
    let mut counts = example.end();
    assert!(counts.insert("errors".to_owned(), 0) > Some(0), "it never was out of fds: {counts:?}");
    assert_clean(&counts, 2 * FDS as i64);
}

#[test]
fn a_reader_that_comes_late_gets_everything() {
    let example = Example::start(1);
    let message = common::pattern(3 * MIB, 7);
    let mut late = TcpStream::connect(&example.address).expect("a connection");
    late.write_all(&message).expect("the server reads ahead");
    // Its output is parked; others are served.
    let mut other = TcpStream::connect(&example.address).expect("a connection");
    common::ping(&mut other, &message[..100]);
    example.assert_sleeps("output parked");
    late.shutdown(std::net::Shutdown::Write).expect("a shutdown");
    example.assert_sleeps("output parked after the end of the stream");
    let mut back = Vec::new();
    late.read_to_end(&mut back).expect("the rest");
    assert!(back == message, "{} bytes of {}", back.len(), message.len());
    drop((late, other));
    assert_clean(&example.end(), 2);
}
