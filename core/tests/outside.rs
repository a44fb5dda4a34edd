//! A connection without a handler: read and written from outside, and given a handler later.
#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use common::LONG;
use pollproof::{Connection, Dialer, Error, Io};

/// A dialer, a connection of its without a handler, and the peer.
fn pair() -> (Dialer, Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let dialer = Dialer::builder().build().expect("threads");
    let address = listener.local_addr().expect("an address").to_string();
    let conn = dialer.connect(&address, LONG).expect("a connection");
    conn.set_read_timeout(Some(LONG));
    conn.set_write_timeout(Some(LONG));
    let peer = listener.accept().expect("the connection").0;
    (dialer, conn, peer)
}

fn end(dialer: &Dialer, conn: &Connection) {
    conn.close();
    let ended = dialer.shutdown(LONG).expect("not on a poller");
    assert_eq!((ended.cut, ended.left), (0, 0));
}

/// SPEC: S3
#[test]
fn bytes_that_came_before_the_reader_are_read() {
    let (dialer, conn, mut peer) = pair();
    peer.write_all(b"first line\nsecond").expect("a write");
    // The poller has them before anybody reads.
    common::wait_until("they are not read", || conn.bytes_read() >= 17);
    let mut reader = conn.reader().expect("nobody else reads");
    assert_eq!(reader.until(b'\n').expect("a line"), "first line\n");
    assert_eq!(reader.peek(6).expect("the rest"), b"second");
    peer.write_all(b" line\n").expect("a write");
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    assert_eq!(line, "second line\n");
    drop(reader);
    end(&dialer, &conn);
}

#[test]
fn a_writer_and_a_reader_of_std_plug_in() {
    let (dialer, conn, mut peer) = pair();
    let message = common::pattern(3 << 20, 5);
    let echo = std::thread::spawn(move || {
        let mut block = vec![0; 64 * 1024];
        loop {
            match peer.read(&mut block).expect("a read") {
                0 => return,
                count => peer.write_all(&block[..count]).expect("a write"),
            }
        }
    });
    std::thread::scope(|scope| {
        let (conn, message) = (&conn, &message);
        scope.spawn(move || {
            let mut writer = conn.writer();
            std::io::Write::write_all(&mut writer, message).expect("gathered");
            writer.flush().expect("sent");
        });
        let mut back = vec![0; message.len()];
        conn.reader().expect("nobody else reads").read_exact(&mut back).expect("everything");
        assert!(back == *message);
    });
    end(&dialer, &conn);
    echo.join().expect("no panic");
}

/// SPEC: S3
#[test]
fn a_second_reader_is_told_so() {
    let (dialer, conn, _peer) = pair();
    let reader = conn.reader().expect("nobody else reads");
    assert!(matches!(conn.reader(), Err(Error::Busy { call: "reader", .. })));
    drop(reader);
    drop(conn.reader().expect("the first has left"));
    conn.set_on_request(|io: &mut Io<'_>| {
        io.consume(usize::MAX);
    });
    assert!(matches!(conn.reader(), Err(Error::Busy { .. })), "a handler reads");
    end(&dialer, &conn);
    assert!(conn.reader().is_err());
}

/// SPEC: R2
#[test]
fn a_handler_that_is_set_later_gets_what_is_there() {
    let (dialer, conn, mut peer) = pair();
    peer.write_all(b"early").expect("a write");
    common::wait_until("they are not read", || conn.bytes_read() >= 5);
    let (sender, receiver) = channel();
    conn.set_on_request(move |io: &mut Io<'_>| {
        sender.send(io.data().to_vec()).expect("the test waits");
        io.consume(usize::MAX);
        io.write(b"ok");
    });
    assert_eq!(receiver.recv_timeout(LONG).expect("a call"), b"early");
    let mut answer = [0; 2];
    peer.read_exact(&mut answer).expect("an answer");
    peer.write_all(b"late").expect("a write");
    assert_eq!(receiver.recv_timeout(LONG).expect("a call"), b"late");
    let (sender, replaced) = channel();
    conn.set_on_request(move |io: &mut Io<'_>| {
        sender.send(io.consume(usize::MAX)).expect("the test waits");
    });
    peer.write_all(b"later").expect("a write");
    assert_eq!(replaced.recv_timeout(LONG).expect("a call"), 5);
    end(&dialer, &conn);
}

/// SPEC: N6
#[test]
fn what_nobody_reads_is_left_to_the_peer() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let dialer = Dialer::builder().read_ahead(64 * 1024).build().expect("threads");
    let conn = dialer.connect(&listener.local_addr().expect("an address").to_string(), LONG).expect("a connection");
    let mut peer = listener.accept().expect("the connection").0;
    let message = common::pattern(32 << 20, 3);
    std::thread::scope(|scope| {
        let (sent, message) = (&message, &message);
        scope.spawn(move || peer.write_all(sent).expect("somebody reads"));
        // It stops in the end: so much and no more, until somebody reads.
        common::wait_until("it reads nothing ahead", || conn.bytes_read() >= 64 * 1024);
        let mut quiet = conn.bytes_read();
        loop {
            std::thread::sleep(Duration::from_millis(50));
            if std::mem::replace(&mut quiet, conn.bytes_read()) == conn.bytes_read() {
                break;
            }
        }
        assert!(quiet <= 3 * 64 * 1024, "{quiet} bytes were read ahead");
        let mut back = vec![0; message.len()];
        conn.reader().expect("nobody else reads").read_exact(&mut back).expect("everything");
        assert!(back == *message);
    });
    end(&dialer, &conn);
}

/// Connects `dialer` to a listener; each call: a connection without a handler, and its peer.
fn connecting(dialer: &Dialer) -> impl Fn() -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    move || {
        let conn = dialer.connect(&address, LONG).expect("a connection");
        (conn, listener.accept().expect("the connection").0)
    }
}

/// The poller of `conn` reads five bytes, and sleeps. A handler that takes one of them at a time, and its calls.
fn five_bytes(conn: &Connection, peer: &mut TcpStream) -> (impl FnMut(&mut Io<'_>) + Send + use<>, Receiver<()>) {
    peer.write_all(b"12345").expect("a write");
    common::wait_until("they are not read", || conn.bytes_read() == 5);
    std::thread::sleep(Duration::from_millis(20));
    let (sender, calls) = channel();
    let handler = move |io: &mut Io<'_>| {
        io.consume(1);
        sender.send(()).expect("the test waits");
    };
    (handler, calls)
}

/// SPEC: F2. The thread that sets the handler runs it, once; the polling thread sleeps meanwhile.
#[test]
fn what_a_section_leaves_on_another_thread_is_handled_by_the_polling_thread() {
    let dialer = Dialer::builder().budget(1).build().expect("threads");
    let (conn, mut peer) = connecting(&dialer)();
    let (handler, calls) = five_bytes(&conn, &mut peer);
    conn.set_on_request(handler);
    (0..5).for_each(|_| calls.recv_timeout(LONG).expect("a call"));
    end(&dialer, &conn);
}

/// SPEC: F2. That one looks at the queue of its own loop before it waits, and at no other.
#[test]
fn what_a_section_leaves_on_the_thread_of_another_loop_is_handled_by_its_own() {
    let dialer = Dialer::builder().pollers(2).budget(1).build().expect("threads");
    let connect = connecting(&dialer);
    let ((conn, mut peer), (other, mut other_peer)) = (connect(), connect());
    let (handler, calls) = five_bytes(&conn, &mut peer);
    let (first, mut handler) = (conn.clone(), Some(handler));
    other.set_on_request(move |io: &mut Io<'_>| {
        io.consume(usize::MAX);
        handler.take().into_iter().for_each(|handler| first.set_on_request(handler));
    });
    other_peer.write_all(b"x").expect("a write");
    (0..5).for_each(|_| calls.recv_timeout(LONG).expect("a call"));
    end(&dialer, &conn);
}
