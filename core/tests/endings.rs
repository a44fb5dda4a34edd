//! How connections end: closes from inside and outside, panics, detach. Each callback once.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};

use common::{Event, LONG, Step, client, end, ping, telling, to_end};
use nix::sys::socket::{getsockopt, sockopt::TcpNoDelay};
use pollproof::{BoxError, Connection, Detached, Error, Io, Server};

/// Does `act` in the callback named `at`, on the first connection.
struct In<F> {
    at: &'static str,
    act: F,
}

impl<F: Fn(&Connection) + Send + Sync + 'static> In<F> {
    fn reached(&self, at: &str, conn: &Connection) {
        if at == self.at && conn.id() == 0 {
            (self.act)(conn);
        }
    }
}

impl<F: Fn(&Connection) + Send + Sync + 'static + Clone> Step for In<F> {
    fn prepare(&self, conn: &Connection) {
        self.reached("prepare", conn);
        if self.at == "close" && conn.id() == 0 {
            let act = self.act.clone();
            assert!(conn.on_close(move |conn| act(conn)).is_ok());
        }
    }

    fn connect(&self, conn: &Connection) {
        self.reached("connect", conn);
    }

    fn request(&self, io: &mut Io<'_>) {
        common::echo(io);
        self.reached("request", io.connection());
    }

    fn disconnect(&self, conn: &Connection) {
        self.reached("disconnect", conn);
    }
}

/// The callbacks of connection 0, in order, without the errors.
fn of_first(events: &[Event]) -> Vec<&'static str> {
    let name = |event: &Event| match event {
        Event::Prepare(0) => Some("prepare"),
        Event::Connect(0) => Some("connect"),
        Event::Request(0, _) => Some("request"),
        Event::Disconnect(0) => Some("disconnect"),
        Event::Close(0) => Some("close"),
        _ => None,
    };
    events.iter().filter_map(name).collect()
}

/// One connection that sends, and ends in the callback `at` by `act`; what was called, and the errors.
fn story(at: &'static str, act: impl Fn(&Connection) + Send + Sync + Clone + 'static) -> (String, Vec<String>) {
    let (server, events) = telling(1, In { at, act });
    let mut stream = client(&server);
    // It may be closed already.
    let _ = stream.write_all(b"request");
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
    let mut seen = events.until(|event| *event == Event::Close(0));
    // Others are served as if nothing had been.
    ping(client(&server), b"another");
    end(&server);
    drop((server, stream));
    seen.extend(events.rest());
    let errors = seen.iter().filter_map(|event| match event {
        Event::Error(text) => Some(text.clone()),
        _ => None,
    });
    (of_first(&seen).join(" "), errors.collect())
}

#[test]
fn a_close_inside_any_callback_ends_it_once() {
    let expected = [
        ("prepare", "prepare close"),
        ("connect", "prepare connect disconnect close"),
        ("request", "prepare connect request close"),
        ("disconnect", "prepare connect request disconnect close"),
        ("close", "prepare connect request disconnect close"),
    ];
    for (at, callbacks) in expected {
        let (seen, errors) = story(at, Connection::close);
        assert_eq!((seen.as_str(), errors), (callbacks, Vec::new()), "closed in {at}");
    }
}

#[test]
fn a_panic_in_any_callback_ends_that_connection_only() {
    let expected = [
        ("prepare", "on_prepare", "prepare close"),
        ("connect", "on_connect", "prepare connect close"),
        ("request", "on_request", "prepare connect request close"),
        ("disconnect", "on_disconnect", "prepare connect request disconnect close"),
        ("close", "close callback", "prepare connect request disconnect close"),
    ];
    for (at, callback, callbacks) in expected {
        let (seen, errors) = story(at, |_: &Connection| panic!("on purpose"));
        assert_eq!(seen, callbacks, "panicked in {at}");
        assert_eq!(errors, [format!("{callback} of connection 0 panicked: on purpose")], "panicked in {at}");
    }
}

#[test]
fn a_shutdown_inside_a_request_answers_it_first() {
    for at in ["connect", "request"] {
        let (server, events) = telling(1, In { at, act: Connection::shutdown });
        let mut stream = client(&server);
        if at == "request" {
            stream.write_all(b"last words").expect("a write");
            assert_eq!(to_end(&mut stream), b"last words");
        } else {
            assert_eq!(to_end(&mut stream), b"");
        }
        let seen = events.until(|event| *event == Event::Close(0));
        assert!(!seen.contains(&Event::Disconnect(0)), "it was not the peer's close: {seen:?}");
        end(&server);
    }
}

#[test]
fn close_callbacks_run_newest_first_and_none_is_taken_too_late() {
    let (told, order) = channel();
    let act = move |conn: &Connection| {
        for name in ["oldest", "middle", "newest"] {
            let told = told.clone();
            let added = conn.on_close(move |conn| {
                let late = conn.on_close(|_| panic!("it was refused"));
                assert!(conn.send(b"too late").is_err() && conn.detach(|_| panic!("it was refused")).is_err());
                told.send((name, late.is_err())).expect("the test waits");
            });
            assert!(added.is_ok());
        }
    };
    let (seen, errors) = story("connect", act);
    assert_eq!((seen.as_str(), errors), ("prepare connect request disconnect close", Vec::new()));
    assert_eq!(order.iter().collect::<Vec<_>>(), [("newest", true), ("middle", true), ("oldest", true)]);
}

#[test]
fn a_connection_that_is_over_answers_with_errors() {
    let (sender, conns) = channel();
    let act = move |conn: &Connection| sender.send(conn.clone()).expect("the test waits");
    let (server, events) = telling(1, In { at: "connect", act });
    let stream = client(&server);
    let conn = conns.recv_timeout(LONG).expect("the connection");
    assert!(conn.is_active());
    drop(stream);
    events.until(|event| *event == Event::Close(0));
    assert!(!conn.is_active());
    assert!(matches!(conn.send(b"x"), Err(Error::Closed { call: "send", connection: 0 })));
    assert!(matches!(conn.detach(drop), Err(Error::Closed { call: "detach", connection: 0 })));
    let back = conn.on_close(|_| ()).expect_err("too late");
    back(&conn);
    (0..3).for_each(|_| conn.close());
    conn.shutdown();
    end(&server);
}

/// Takes 4 bytes and detaches.
struct Upgrade(Sender<Detached>);

impl Step for Upgrade {
    fn request(&self, io: &mut Io<'_>) {
        io.consume(4);
        let sender = self.0.clone();
        let conn = io.connection();
        conn.send(b"OK").expect("a send");
        conn.detach(move |detached| drop(sender.send(detached))).expect("the first to ask");
        assert!(matches!(conn.detach(drop), Err(Error::Closed { call: "detach", .. })));
    }
}

#[test]
fn detach_hands_the_fd_back_with_what_was_read() {
    let (sender, receiver) = channel();
    let (server, events) = telling(1, Upgrade(sender));
    let mut peer = client(&server);
    peer.write_all(b"UPGRread ahead").expect("a write");
    let mut answer = [0; 2];
    peer.read_exact(&mut answer).expect("an answer");
    let Detached { fd, unread, unsent, .. } = receiver.recv_timeout(LONG).expect("the fd");
    assert_eq!((&answer, unread.as_slice(), unsent.as_slice()), (b"OK", b"read ahead".as_slice(), b"".as_slice()));
    let seen = events.until(|event| *event == Event::Close(0));
    assert_eq!(of_first(&seen), ["prepare", "connect", "request", "close"]);
    // It is ours: out of epoll, open, and nobody reads from it.
    let mut stream = TcpStream::from(fd);
    assert_eq!(getsockopt(&stream, TcpNoDelay), Ok(true), "inherited from the listener");
    stream.set_nonblocking(false).expect("blocking");
    peer.write_all(b"more").expect("a write");
    // The poller polls meanwhile, and does not hear of it.
    let mut other = client(&server);
    other.write_all(b"UPGR").expect("a write");
    other.read_exact(&mut answer).expect("an answer");
    assert_eq!(server.stats().stale_events, 0);
    let mut more = [0; 4];
    stream.read_exact(&mut more).expect("bytes");
    assert_eq!(&more, b"more");
    end(&server);
    stream.write_all(b"and back").expect("a write");
    drop(stream);
    assert_eq!(to_end(&mut peer), b"and back");
}

#[test]
fn addresses_that_are_none_are_refused() {
    for address in ["", "unix:", "127.0.0.1", "127.0.0.1:x"] {
        let bound = Server::builder().on_request(common::echo).bind(address);
        assert!(matches!(&bound, Err(Error::Address { address: given, .. }) if given == address), "{bound:?}");
    }
    let bound = Server::builder().on_request(common::echo).bind("unix:/nowhere/at/all");
    assert!(matches!(bound, Err(Error::Server { call: "bind", .. })), "{bound:?}");
}

#[test]
fn a_close_by_many_threads_at_once_is_one_close() {
    let closes = std::sync::Arc::new(AtomicU64::new(0));
    let (sender, conns) = channel();
    let counted = closes.clone();
    let act = move |conn: &Connection| {
        let counted = counted.clone();
        let added = conn.on_close(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        assert!(added.is_ok());
        sender.send(conn.clone()).expect("the test waits");
    };
    let server = Server::builder().pollers(2).handler(common::Connecting(act)).bind("127.0.0.1:0").expect("a port");
    server.spawn().expect("threads");
    const ROUNDS: u64 = 200;
    for _ in 0..ROUNDS {
        let mut stream = client(&server);
        let conn = conns.recv_timeout(LONG).expect("the connection");
        std::thread::scope(|scope| {
            scope.spawn(|| conn.close());
            scope.spawn(|| conn.shutdown());
            scope.spawn(|| drop(conn.send(&[1; 100])));
            let _ = stream.write_all(b"data");
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
    end(&server);
    assert_eq!(closes.load(Ordering::Relaxed), ROUNDS);
}

#[test]
fn a_peer_that_resets_after_its_half_close_is_gone() {
    let (server, events) = telling(1, ());
    let mut stream = client(&server);
    // More than the sockets take, so that output is left when the peer goes.
    stream.write_all(&common::pattern(3 << 20, 1)).expect("the server reads ahead");
    stream.shutdown(Shutdown::Write).expect("a shutdown");
    events.until(|event| *event == Event::Disconnect(0));
    // With bytes unread, a close is a reset.
    drop(stream);
    events.until(|event| *event == Event::Close(0));
    end(&server);
}

/// SPEC: E1, E2
#[test]
fn the_end_of_a_stream_closes_both_directions_where_half_close_is_off() {
    const ANSWER: usize = 16 << 20;
    for half_close in [true, false] {
        let (sender, requests) = channel();
        let server = Server::builder().half_close(half_close).on_request(move |io: &mut Io<'_>| {
            io.consume(usize::MAX);
            io.write(&vec![7; ANSWER]);
            sender.send(()).expect("the test waits");
        });
        let server = server.bind("127.0.0.1:0").expect("a port");
        server.spawn().expect("threads");
        let mut stream = client(&server);
        stream.write_all(b"x").expect("a write");
        requests.recv_timeout(LONG).expect("a request");
        stream.shutdown(Shutdown::Write).expect("a shutdown");
        if !half_close {
            common::wait_until("it goes on sending", || server.stats().open == 0);
        }
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        assert_eq!(read.is_ok_and(|count| count == ANSWER), half_close, "{} bytes", answer.len());
        end(&server);
    }
}

/// A context that holds its own connection, and tells when it is dropped.
struct Holding(Connection, Sender<u64>);

impl Drop for Holding {
    fn drop(&mut self) {
        self.1.send(self.0.id()).expect("the test waits");
        panic!("on purpose");
    }
}

struct Holder(Sender<u64>);

impl pollproof::Handler for Holder {
    type Context = Holding;
    type State = ();

    fn on_connect(&self, (): &mut (), io: &mut Io<'_>) -> Result<Holding, BoxError> {
        let conn = io.connection();
        Ok(Holding(conn.clone(), self.0.clone()))
    }

    fn on_request(&self, _: &Holding, (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        common::echo(io);
        Ok(())
    }
}

#[test]
fn a_context_is_dropped_at_the_end_also_when_it_holds_its_connection() {
    let (sender, dropped) = channel();
    let server = Server::builder().handler(Holder(sender)).bind("127.0.0.1:0").expect("a port");
    server.spawn().expect("a thread");
    for id in 0..3 {
        ping(client(&server), b"x");
        assert_eq!(dropped.recv_timeout(LONG), Ok(id));
    }
    end(&server);
}
