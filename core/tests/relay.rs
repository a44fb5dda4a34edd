//! Connections that are kept open and paced by each other, over real sockets. The `proxy` example, driven as a
//! process, is in `proxy`.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use common::paced::{MUCH, connecting, hold_up};
use common::{LONG, client, end, to_end, wait_until};
use nix::sys::socket::{setsockopt, sockopt::Linger};
use pollproof::{Callbacks, Connection, Error, Server};

/// A server whose first `count` connections are kept open; them, and whether each was broken when it was over.
fn keeping(count: u64) -> (Server, Receiver<Connection>, Receiver<bool>) {
    let (conn_sender, conns) = channel();
    let (over_sender, over) = channel();
    let server = Server::builder()
        .handler(
            Callbacks::new(move |io| {
                if io.connection().id() < count {
                    io.keep_open();
                }
                let over = over_sender.clone();
                let added = io.connection().on_close(move |conn| {
                    let _ = over.send(conn.is_broken());
                });
                assert!(added.is_ok(), "the end waits for OnConnect");
                Ok(conn_sender.send(io.connection().clone())?)
            })
            .on_request(|_, io| {
                io.consume(usize::MAX);
            }),
        )
        .bind("127.0.0.1:0")
        .expect("a port");
    server.spawn().expect("threads");
    (server, conns, over)
}

/// SPEC: E5
#[test]
fn the_end_of_the_output_comes_behind_it_and_once() {
    let (server, conns, over) = keeping(1);
    let mut client = client(&server);
    let conn = conns.recv_timeout(LONG).expect("a connection");
    conn.send(&vec![7; MUCH]).expect("queued");
    conn.end_output().expect("the first");
    assert!(matches!(conn.end_output(), Err(Error::Closed { call: "end_output", .. })));
    assert!(matches!(conn.send(b"more"), Err(Error::Closed { .. })));
    assert_eq!(to_end(&mut client), vec![7; MUCH]);
    // It is read as ever.
    client.write_all(b"still here").expect("a write");
    wait_until("nobody reads it", || conn.bytes_read() >= 10);
    drop(client);
    assert_eq!(over.recv_timeout(LONG), Ok(false), "both streams have ended");
    end(&server);
}

/// SPEC: E4, G1
#[test]
fn a_graceful_shutdown_waits_for_both_streams() {
    let (server, conns, over) = keeping(1);
    let (mut client, mut other) = (common::client(&server), common::client(&server));
    let conn = conns.recv_timeout(LONG).expect("a connection");
    // One that waits to be accepted would be reset.
    drop(conns.recv_timeout(LONG).expect("the other one"));
    std::thread::scope(|scope| {
        let ends = scope.spawn(|| end(&server));
        assert!(to_end(&mut other).is_empty(), "nobody keeps that one open");
        conn.send(b"an event").expect("it is open");
        conn.end_output().expect("it is open");
        assert_eq!(to_end(&mut client), b"an event");
        client.write_all(b"thanks").expect("a write");
        client.shutdown(Shutdown::Write).expect("a half-close");
        ends.join().expect("nothing was cut");
    });
    assert_eq!((over.recv(), over.recv()), (Ok(false), Ok(false)));
    assert_eq!(conn.bytes_read(), 6);
}

/// SPEC: E4
#[test]
fn a_reset_is_told_from_an_end() {
    let (server, conns, over) = keeping(2);
    for half_closed in [false, true] {
        let mut client = client(&server);
        let conn = conns.recv_timeout(LONG).expect("a connection");
        if half_closed {
            client.shutdown(Shutdown::Write).expect("a half-close");
            wait_until("its end is not seen", || !conn.is_active());
        }
        conn.send(b"hello").expect("it is open");
        client.read_exact(&mut [0; 5]).expect("a greeting");
        setsockopt(&client, Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 }).expect("linger");
        drop(client);
        assert_eq!(over.recv_timeout(LONG), Ok(true));
    }
    end(&server);
}

/// SPEC: O6
#[test]
fn a_handler_that_waits_for_another_output_goes_on_when_that_is_sent_or_closed() {
    let (server, conns) = connecting();
    let connect = || (client(&server), conns.recv_timeout(LONG).expect("a connection"));
    let (mut fast, source) = connect();
    for closed in [false, true] {
        let (mut slow, sink) = connect();
        let calls = hold_up(&source, &mut fast, &sink);
        assert_eq!(calls.recv_timeout(Duration::from_millis(20)), Err(RecvTimeoutError::Timeout), "it waits");
        if closed {
            sink.close();
        } else {
            slow.read_exact(&mut vec![0; MUCH]).expect("all of it");
        }
        calls.recv_timeout(LONG).expect("the other call");
    }
    end(&server);
}

/// SPEC: O6, C5
#[test]
fn connections_that_were_paced_by_each_other_are_freed() {
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = upstream.local_addr().expect("an address").to_string();
    let (sender, alive) = channel::<Weak<()>>();
    let server = Server::builder().on_request(|_| ()).bind("127.0.0.1:0").expect("a port");
    server.spawn().expect("threads");
    let dialer = server.dialer();
    let dial = |paced_by: Option<Connection>| {
        let token = Arc::new(());
        sender.send(Arc::downgrade(&token)).expect("the test waits");
        let handler = Callbacks::new(move |io| {
            if let Some(other) = &paced_by {
                io.pace_by(other);
            }
            Ok(token.clone())
        });
        let handler = handler.on_request(|_, io| {
            io.consume(usize::MAX);
        });
        let conn = dialer.dial(&address, LONG, handler).expect("a connection");
        (conn, upstream.accept().expect("it dialed").0)
    };
    let (first, mut at_first) = dial(None);
    let (second, _at_second) = dial(Some(first.clone()));
    let (sender, paced) = channel();
    let other = second.clone();
    first.set_on_request(move |io| {
        io.pace_by(&other);
        sender.send(()).expect("the test waits");
    });
    at_first.write_all(b"go").expect("a write");
    paced.recv_timeout(LONG).expect("a request");
    for conn in [first, second] {
        conn.close();
    }
    for token in alive.try_iter() {
        wait_until("a connection that is over keeps another, which keeps it", || token.upgrade().is_none());
    }
    end(&server);
}
