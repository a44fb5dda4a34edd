//! Graceful shutdown: the idle are closed, the busy answered, the rest cut in time.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use common::{Event, LONG, Step, client, end, ping, telling, to_end};
use pollproof::{Error, Io, Server};

/// A request that takes until it is let go.
struct Slow {
    began: Sender<()>,
    go: Mutex<Receiver<()>>,
}

impl Step for Slow {
    fn request(&self, io: &mut Io<'_>) {
        if io.data() == b"slow" {
            self.began.send(()).expect("the test waits");
            self.go.lock().expect("whole").recv_timeout(LONG).expect("the test lets it go");
            common::echo(io);
        }
    }
}

#[test]
fn shutdown_answers_the_busy_and_closes_the_idle() {
    let (began, begins) = channel();
    let (go, gate) = channel();
    let (server, events) = telling(2, Slow { began, go: Mutex::new(gate) });
    let (mut busy, mut idle) = (client(&server), client(&server));
    events.until(|event| *event == Event::Connect(1));
    busy.write_all(b"slow").expect("a write");
    begins.recv_timeout(LONG).expect("the request");
    let handle = server.clone();
    let ends = std::thread::spawn(move || handle.shutdown(LONG));
    // The idle one is closed while the busy one is at work.
    assert_eq!(to_end(&mut idle), b"");
    go.send(()).expect("it waits");
    assert_eq!(to_end(&mut busy), b"slow");
    let ended = ends.join().expect("no panic").expect("a shutdown");
    assert_eq!((ended.cut, ended.left), (0, 0));
    let again = server.shutdown(LONG).expect("a second shutdown");
    assert_eq!((again.cut, again.left), (0, 0));
    server.run().expect("over at once");
    let address = server.local_addr().to_string();
    Server::builder().on_request(common::echo).bind(&address).expect("the port is free");
}

#[test]
fn nobody_can_connect_while_a_shutdown_waits() {
    let (began, begins) = channel();
    let (go, gate) = channel();
    let (server, events) = telling(2, Slow { began, go: Mutex::new(gate) });
    let (_first, mut busy) = (client(&server), client(&server));
    events.until(|event| *event == Event::Connect(1));
    busy.write_all(b"slow").expect("a write");
    begins.recv_timeout(LONG).expect("the request");
    let handle = server.clone();
    let ends = std::thread::spawn(move || handle.shutdown(LONG));
    let (address, deadline) = (server.local_addr().tcp().expect("TCP"), Instant::now() + LONG);
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < deadline, "it still accepts");
    }
    go.send(()).expect("it waits");
    assert_eq!(to_end(&mut busy), b"slow");
    let ended = ends.join().expect("no panic").expect("a shutdown");
    assert_eq!((ended.cut, ended.left), (0, 0));
}

#[test]
fn shutdown_does_not_wait_for_a_callback_that_does_not_return() {
    let (began, begins) = channel();
    let (go, gate) = channel();
    let (server, events) = telling(1, Slow { began, go: Mutex::new(gate) });
    let (mut stuck, mut half) = (client(&server), client(&server));
    half.write_all(b"sl").expect("a write");
    events.until(|event| *event == Event::Request(1, 2));
    stuck.write_all(b"slow").expect("a write");
    begins.recv_timeout(LONG).expect("the request");
    let ended = server.shutdown(Duration::from_millis(20)).expect("a shutdown");
    assert_eq!((ended.cut, ended.left), (2, 1));
    // The other one is over, though its poller is stuck.
    assert_eq!(events.until(|event| *event == Event::Close(1)).len(), 2);
    go.send(()).expect("it waits");
    events.until(|event| *event == Event::Close(0));
    end(&server);
}

#[test]
fn shutdown_cuts_what_is_not_over_in_time() {
    let (began, _begins) = channel();
    let (_go, gate) = channel();
    let (server, events) = telling(1, Slow { began, go: Mutex::new(gate) });
    let mut half = client(&server);
    half.write_all(b"sl").expect("a write");
    events.until(|event| matches!(event, Event::Request(0, 2)));
    let ended = server.shutdown(Duration::from_millis(50)).expect("a shutdown");
    assert_eq!((ended.cut, ended.left), (1, 0));
    // Closed with a byte unread or not, it is over.
    let _ = half.read_to_end(&mut Vec::new());
    assert_eq!(events.until(|event| *event == Event::Close(0)).len(), 1);
}

#[test]
fn shutdown_inside_a_callback_is_an_error() {
    let (sender, errors) = channel();
    let slot: &'static Mutex<Option<Server>> = Box::leak(Box::new(Mutex::new(None)));
    let handler = move |io: &mut Io<'_>| {
        let server = slot.lock().expect("whole").clone().expect("set before");
        let errors = [server.shutdown(LONG).map(drop), server.run()];
        sender.send(errors).expect("the test waits");
        common::echo(io);
    };
    let server = Server::builder().on_request(handler).bind("127.0.0.1:0").expect("a port");
    *slot.lock().expect("whole") = Some(server.clone());
    server.spawn().expect("a thread");
    ping(client(&server), b"x");
    let [shutdown, run] = errors.recv_timeout(LONG).expect("both");
    assert!(matches!(shutdown, Err(Error::OnPoller { call: "shutdown" })), "{shutdown:?}");
    assert!(matches!(run, Err(Error::OnPoller { call: "run" })), "{run:?}");
    end(&server);
}
