//! What can be seen from outside: the counts of `Stats` and the events of `tracing`. With both features on.

#![cfg(all(feature = "stats", feature = "tracing", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::fmt::{Debug, Write as _};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use common::{Connecting, Event as Told, LONG, Step, client, echo, end, ping, telling, to_end};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use pollproof::{Connection, Dialer, Error, Io, Server};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Hands every event of pollproof on, as text: its level, its message, and its fields in their order.
struct Listener(Sender<String>);

struct Fields(String, String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = if field.name() == "message" { &mut self.0 } else { &mut self.1 };
        let name = if field.name() == "message" { "" } else { field.name() };
        let equals = if name.is_empty() { " " } else { "=" };
        let space = if text.is_empty() || name.is_empty() { "" } else { " " };
        write!(text, "{space}{name}{equals}{value:?}").expect("a string");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "pollproof"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(event.metadata().level().to_string(), String::new());
        event.record(&mut fields);
        let Fields(head, tail) = fields;
        let _ = self.0.send(if tail.is_empty() { head } else { format!("{head}: {tail}") });
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// What the process's only subscriber hears; one test at a time listens.
struct Ear(MutexGuard<'static, Receiver<String>>);

fn listen() -> Ear {
    static HEARD: OnceLock<Mutex<Receiver<String>>> = OnceLock::new();
    let heard = HEARD.get_or_init(|| {
        let (sender, receiver) = channel();
        tracing::subscriber::set_global_default(Listener(sender)).expect("the first");
        Mutex::new(receiver)
    });
    let heard = heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    heard.try_iter().for_each(drop);
    Ear(heard)
}

impl Ear {
    /// The events up to the first that begins with `last`.
    fn until(&self, last: &str) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        while !all.last().is_some_and(|event| event.starts_with(last)) {
            let event = self.0.recv_timeout(LONG);
            all.push(event.unwrap_or_else(|error| panic!("{last}: {error} after {all:?}")));
        }
        all
    }
}

/// Panics at the second request.
struct Story;

impl Step for Story {
    fn request(&self, io: &mut Io<'_>) {
        assert!(io.data() != b"panic", "on purpose");
        if io.data() == b"close" {
            io.connection().close();
        }
        echo(io);
    }
}

#[test]
fn a_connection_is_told_and_counted_from_accept_to_close() {
    let ear = listen();
    let (server, events) = telling(1, Story);
    let mut first = client(&server);
    let peer = first.local_addr().expect("its address");
    ping(&mut first, b"hello");
    first.shutdown(std::net::Shutdown::Write).expect("a shutdown");
    assert_eq!(to_end(&mut first), b"");
    events.until(|event| *event == Told::Close(0));
    let heard = ear.until("DEBUG close");
    let expected = [
        &format!("DEBUG accept: connection=0 peer={peer} poller=0"),
        "DEBUG connect: connection=0",
        "TRACE request: connection=0 bytes=5",
        "DEBUG close: connection=0 reason=half-close",
    ];
    // The first request may come before OnConnect's end is told.
    assert!(expected.iter().all(|event| heard.iter().any(|heard| heard == event)), "{heard:?}");
    assert_eq!(heard.len(), expected.len(), "{heard:?}");
    let stats = server.stats();
    assert_eq!((stats.accepted, stats.dialed, stats.requests, stats.bytes_read, stats.bytes_written), (1, 0, 1, 5, 5));

    // A panic, a close by the handler, a reset: each with its reason.
    let mut second = client(&server);
    std::io::Write::write_all(&mut second, b"panic").expect("a write");
    let _ = to_end(&mut second);
    let heard = ear.until("DEBUG close");
    assert!(
        heard.contains(&"ERROR panic: connection=1 callback=on_request payload=on purpose".to_owned()),
        "{heard:?}"
    );
    assert_eq!(heard.last().expect("one"), "DEBUG close: connection=1 reason=user");
    assert_eq!(server.stats().panics, 1);

    let mut third = client(&server);
    std::io::Write::write_all(&mut third, b"close").expect("a write");
    let _ = to_end(&mut third);
    assert_eq!(ear.until("DEBUG close").last().expect("one"), "DEBUG close: connection=2 reason=user");

    let mut fourth = client(&server);
    ping(&mut fourth, b"hello");
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    nix::sys::socket::setsockopt(&fourth, nix::sys::socket::sockopt::Linger, &linger).expect("linger");
    drop(fourth);
    assert_eq!(ear.until("DEBUG close").last().expect("one"), "DEBUG close: connection=3 reason=peer");

    let mut fifth = client(&server);
    ping(&mut fifth, b"hello");
    end(&server);
    assert_eq!(ear.until("DEBUG close").last().expect("one"), "DEBUG close: connection=4 reason=shutdown");
    assert_eq!((server.stats().open, server.stats().accepted), (0, 5));
}

#[test]
fn a_dialed_connection_is_told_and_counted() {
    let ear = listen();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let dialer = Dialer::builder().build().expect("a thread");
    let conn = dialer.dial(&address, LONG, Connecting(|_: &Connection| ())).expect("a connection");
    conn.detach(drop).expect("the first to ask");
    let heard = ear.until("DEBUG close");
    let expected = [
        format!("DEBUG dial: connection=0 peer={address} poller=0"),
        "DEBUG connect: connection=0".to_owned(),
        "DEBUG close: connection=0 reason=detach".to_owned(),
    ];
    assert_eq!(heard, expected);
    assert_eq!((dialer.stats().dialed, dialer.stats().accepted, dialer.stats().requests), (1, 0, 0));
    dialer.shutdown(LONG).expect("a shutdown");
}

#[test]
fn the_limit_of_connections_is_told_and_counted() {
    let ear = listen();
    let server = Server::builder().max_connections(1).on_request(echo).bind("127.0.0.1:0").expect("a port");
    server.spawn().expect("a thread");
    let mut first = client(&server);
    ping(&mut first, b"hello");
    let mut second = client(&server);
    ear.until("INFO full: limit=1");
    drop(first);
    ping(&mut second, b"hello");
    assert!((1..=2).contains(&server.stats().accept_pauses), "{:?}", server.stats());
    end(&server);
}

#[test]
fn out_of_fds_is_told_and_counted_once_and_over_without_any_connections_end() {
    let ear = listen();
    let (sender, errors) = channel();
    let server = Server::builder()
        .on_error(move |error: &Error| drop(sender.send(error.to_string())))
        .on_request(echo)
        .bind("127.0.0.1:0")
        .expect("a port");
    // In the kernel's queue; nobody accepts yet.
    let mut waiting = client(&server);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    // The next one would have this number.
    let next = std::fs::File::open("/dev/null").expect("an fd").as_raw_fd();
    setrlimit(Resource::RLIMIT_NOFILE, next as u64, hard).expect("a lower limit");
    server.spawn().expect("a thread");
    let heard = ear.until("WARN out of fds");
    assert_eq!(heard, ["WARN out of fds: error=Too many open files (os error 24)"]);
    // Longer than a few pauses: it is told and counted once, however often it is tried.
    let again = ear.0.recv_timeout(Duration::from_millis(100));
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("the limit before");
    assert!(again.is_err(), "{again:?}");
    ping(&mut waiting, b"at last");
    assert_eq!(server.stats().accept_pauses, 1);
    end(&server);
    drop(server);
    assert_eq!(errors.iter().collect::<Vec<_>>(), ["accept4: Too many open files (os error 24)"]);
}

/// Holds its poller up until it is let go.
struct Blocks(Mutex<Receiver<()>>);

impl Step for Blocks {
    fn request(&self, io: &mut Io<'_>) {
        if io.data() == b"block" {
            self.0.lock().expect("whole").recv_timeout(LONG).expect("the test lets it go");
        }
        echo(io);
    }
}

#[test]
fn a_takeover_is_told_and_counted() {
    let ear = listen();
    let (go, gate) = channel();
    let (server, _events) = telling(1, Blocks(Mutex::new(gate)));
    let mut stuck = client(&server);
    std::io::Write::write_all(&mut stuck, b"block").expect("a write");
    ear.until("WARN takeover: poller=0");
    assert!(server.stats().takeovers >= 1);
    ping(client(&server), b"served meanwhile");
    go.send(()).expect("it waits");
    let mut answer = [0; 5];
    std::io::Read::read_exact(&mut stuck, &mut answer).expect("an answer");
    end(&server);
}
