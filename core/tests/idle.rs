//! A poller sleeps when nothing happens, also while a connection's end waits for somebody.
//!
//! epoll is level-triggered: an event that nobody may act on yet must not be reported for ever.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use common::paced::{connecting, hold_up};
use common::{Event, LONG, Step, client, echo, end, ping, telling, wait_until};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::socket::{setsockopt, sockopt::Linger};
use nix::sys::time::TimeValLike;
use pollproof::{Connection, Io, Server};

/// Processor time is the process's: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Blocks the OnConnect of the second connection, which lives on the second poller, until it is let go.
struct Gate {
    entered: Sender<Connection>,
    go: Mutex<Receiver<()>>,
}

impl Step for Gate {
    fn connect(&self, conn: &Connection) {
        if conn.id() == 1 {
            self.entered.send(conn.clone()).expect("the test waits");
            self.go.lock().expect("whole").recv_timeout(LONG).expect("the test lets it go");
        }
    }
}

fn assert_sleeps() {
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_SELF).expect("its times");
        usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds()
    };
    let before = used();
    std::thread::sleep(Duration::from_millis(500));
    let used = used() - before;
    assert!(used <= 100, "it used {used} ms of 500");
}

/// A connection whose OnConnect is under way meets `what`; then nothing happens.
fn while_connecting(what: impl FnOnce(&Connection, TcpStream)) {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (entered, conns) = channel();
    let (go, gate) = channel();
    let (server, events) = telling(2, Gate { entered, go: Mutex::new(gate) });
    let first = client(&server);
    let second = client(&server);
    let conn = conns.recv_timeout(LONG).expect("the connection");
    what(&conn, second);
    assert_sleeps();
    go.send(()).expect("it waits");
    events.until(|event| *event == Event::Close(1));
    drop((first, conn));
    end(&server);
}

/// Waits until the poller has acted on what `stream` did.
fn wait_inactive(conn: &Connection) {
    wait_until("the poller has not seen it", || !conn.is_active());
}

#[test]
fn after_a_half_close() {
    let mut kept = None;
    while_connecting(|conn, mut stream| {
        stream.write_all(b"x").expect("a write");
        stream.shutdown(Shutdown::Write).expect("a shutdown");
        wait_inactive(conn);
        kept = Some(stream);
    });
}

#[test]
fn after_a_half_close_and_a_reset() {
    while_connecting(|conn, stream| {
        stream.shutdown(Shutdown::Write).expect("a shutdown");
        wait_inactive(conn);
        let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        setsockopt(&stream, Linger, &linger).expect("linger");
    });
}

#[test]
fn after_a_close_with_bytes_to_read() {
    let mut kept = None;
    while_connecting(|conn, mut stream| {
        conn.close();
        stream.write_all(b"x").expect("a write");
        kept = Some(stream);
    });
}

#[test]
fn after_a_close_with_output_parked() {
    let mut kept = None;
    while_connecting(|conn, mut stream| {
        conn.send(&vec![1; 16 << 20]).expect("queued");
        conn.close();
        // Room for the output: the fd is writable.
        std::io::copy(&mut std::io::Read::take(&mut stream, 1 << 20), &mut std::io::sink()).expect("bytes");
        kept = Some(stream);
    });
}

#[test]
fn at_the_limit_of_connections_while_a_client_waits() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let server = Server::builder().max_connections(1).on_request(echo).bind("127.0.0.1:0").expect("a port");
    server.spawn().expect("a thread");
    let first = client(&server);
    let waits = client(&server);
    wait_until("it never pauses", || server.stats().accept_pauses == 1);
    assert_sleeps();
    drop(first);
    ping(&waits, b"my turn");
    assert_sleeps();
    drop(waits);
    end(&server);
}

/// SPEC: O6. Its own output is empty meanwhile.
#[test]
fn while_a_handler_waits_for_the_output_of_another_connection() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (server, conns) = connecting();
    let connect = || (client(&server), conns.recv_timeout(LONG).expect("a connection"));
    let ((mut fast, source), (slow, sink)) = (connect(), connect());
    let calls = hold_up(&source, &mut fast, &sink);
    assert_sleeps();
    drop(slow);
    calls.recv_timeout(LONG).expect("the other call");
    drop(fast);
    end(&server);
}

/// SPEC: F2. Nobody would take over from a thread that has left its loop.
#[test]
fn after_sections_that_gave_others_their_turn() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let crumbs = |io: &mut Io<'_>| {
        io.write(&io.data()[..1]);
        io.consume(1);
    };
    let server = Server::builder().budget(1).takeover(None).on_request(crumbs);
    let server = server.bind("127.0.0.1:0").expect("a port");
    server.spawn().expect("a thread");
    let stream = client(&server);
    ping(&stream, &common::pattern(1000, 1));
    assert_sleeps();
    drop(stream);
    end(&server);
}

/// SPEC: T1. Its thread goes on polling for itself.
#[test]
fn while_a_handler_that_nobody_stands_in_for_waits() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let server = Server::builder().takeover(None).on_request(|io: &mut Io<'_>| {
        io.reader().skip(2).expect("the rest comes");
        io.write(b"both");
    });
    let server = server.bind("127.0.0.1:0").expect("a port");
    server.spawn().expect("a thread");
    let mut stream = client(&server);
    stream.write_all(b"1").expect("a write");
    assert_sleeps();
    stream.write_all(b"2").expect("a write");
    let mut answer = [0; 4];
    std::io::Read::read_exact(&mut stream, &mut answer).expect("an answer");
    drop(stream);
    end(&server);
}
