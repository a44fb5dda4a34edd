//! Steps of two parties in an order that real threads rarely take, on real sockets.
//!
//! The protocol's scenarios explore the order of everything that the word decides. What is checked here is
//! this side of [`Effects`]: that bytes are where the next party looks for them.

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::Io;
use crate::Server;
use crate::addr::Addr;
use crate::connection::service::Factory;
use crate::connection::step::{Local, State, Step};
use crate::connection::{Connection, Detached};
use crate::error::Error;
use crate::handler::OnRequest;
use crate::protocol::effects::{Effects, Input, Ran, Sent};
use crate::protocol::lifecycle::{self, Reading};
use crate::protocol::output;
use crate::protocol::progress::{Progress, Unread};
use crate::protocol::transitions::Word;
use crate::protocol::trigger::Trigger;
use crate::protocol::word::Snapshot;
use crate::reactor::poller::WAKE;
use crate::reactor::registry::Handles;
use crate::sync::Arc;
use crate::sys::Events;

/// When others do something, in a step of the poller.
#[derive(PartialEq)]
enum After {
    /// The read.
    Read,
    /// The release of the reader lock, before the section runs.
    Release,
}

/// The poller's effects, with something that others do meanwhile.
struct Meanwhile<'a, F>(Step<'a>, F);

impl<F: Fn(After)> Effects for Meanwhile<'_, F> {
    fn read(&self, owner: bool) -> Input {
        let input = self.0.read(owner);
        (self.1)(After::Read);
        input
    }
    fn run_read(&self, at: Snapshot) {
        (self.1)(After::Release);
        self.0.run_read(at);
    }

    fn word(&self) -> &Word {
        self.0.word()
    }
    fn run_task(&self, at: Snapshot) {
        self.0.run_task(at);
    }
    fn on_prepare(&self) -> Ran {
        self.0.on_prepare()
    }
    fn register(&self) -> bool {
        self.0.register()
    }
    fn on_connect(&self) -> Ran {
        self.0.on_connect()
    }
    fn unread(&self) -> Option<Unread> {
        self.0.unread()
    }
    fn progress<R>(&self, f: impl FnOnce(&mut Progress) -> R) -> R {
        self.0.progress(f)
    }
    fn on_request(&self, last: bool) -> Ran {
        self.0.on_request(last)
    }
    fn install_handler(&self) -> bool {
        self.0.install_handler()
    }
    fn input_full(&self) -> bool {
        self.0.input_full()
    }
    fn output_high(&self) -> bool {
        self.0.output_high()
    }
    fn output_low(&self) -> bool {
        self.0.output_low()
    }
    fn await_other(&self) -> Option<bool> {
        self.0.await_other()
    }
    fn keeps_open(&self) -> bool {
        self.0.keeps_open()
    }
    fn end_output(&self) {
        self.0.end_output();
    }
    fn relieve_others(&self) {
        self.0.relieve_others();
    }
    fn keep_unread(&self) {
        self.0.keep_unread();
    }
    fn pass_on(&self, at: Snapshot) -> bool {
        self.0.pass_on(at)
    }
    fn input_empty(&self) -> bool {
        self.0.input_empty()
    }
    fn run_close_callbacks(&self) {
        self.0.run_close_callbacks();
    }
    fn finish(&self, hand_back: bool) {
        self.0.finish(hand_back);
    }
    fn on_disconnect(&self) -> Ran {
        self.0.on_disconnect()
    }
    fn deregister(&self) {
        self.0.deregister();
    }
    fn append(&self) {
        self.0.append();
    }
    fn send(&self, direct: bool) -> Sent {
        self.0.send(direct)
    }
    fn discard(&self) {
        self.0.discard();
    }
    fn set_interest(&self, readable: bool, writable: bool, edge: bool) {
        self.0.set_interest(readable, writable, edge);
    }
    fn read_trigger(&self) -> &Trigger {
        self.0.read_trigger()
    }
    fn write_trigger(&self) -> &Trigger {
        self.0.write_trigger()
    }
    fn produced(&self) -> u64 {
        self.0.produced()
    }
    fn sent(&self) -> u64 {
        self.0.sent()
    }
}

/// A connection that is connected, on the poller of a server that does not run; its peer; its server.
pub(crate) fn connected() -> (Connection, UnixStream, Server) {
    let handler = |io: &mut Io<'_>| {
        io.write(io.data());
        io.consume(io.data().len());
    };
    let server = Server::builder().on_request(handler).bind("127.0.0.1:0").expect("a port");
    let (conn, peer) = joined(&server, handler);
    (conn, peer, server)
}

/// One more connection of `server`, which does not run; its peer.
pub(crate) fn joined<H: Fn(&mut Io<'_>) + Send + Sync + 'static>(
    server: &Server,
    handler: H,
) -> (Connection, UnixStream) {
    let (ours, peer) = UnixStream::pair().expect("a pair");
    (joined_by(server, ours, handler), peer)
}

/// The same, of a socket that is there already.
pub(crate) fn joined_by<H: Fn(&mut Io<'_>) + Send + Sync + 'static>(
    server: &Server,
    ours: UnixStream,
    handler: H,
) -> Connection {
    ours.set_nonblocking(true).expect("non-blocking");
    let service = Arc::new(OnRequest(handler)).make();
    let conn = server.shared().dialed(ours.into(), Addr::Unnamed, service).ok().expect("no shutdown");
    assert!(lifecycle::register(&Step::new(&conn, &State::new())));
    lifecycle::connect(&Step::new(&conn, &State::new()));
    conn
}

fn detach(conn: &Connection) -> Receiver<Detached> {
    let (sender, receiver) = channel();
    conn.detach(move |detached| drop(sender.send(detached))).expect("the first to ask");
    receiver
}

/// A poller reads a request, `meanwhile` detaches the connection, and the request is handed back.
fn hands_back(meanwhile: impl Fn(&Connection, After) -> Option<Receiver<Detached>>) {
    let (conn, mut peer, _server) = connected();
    peer.write_all(b"request").expect("a write");
    let (local, receiver) = (Local::default(), std::cell::OnceCell::new());
    let state = State::new();
    let meanwhile = |after| {
        if let Some(detached) = meanwhile(&conn, after) {
            drop(receiver.set(detached));
        }
    };
    let step = Meanwhile(Step::polling(&conn, &local, &state), meanwhile);
    assert_eq!(lifecycle::readable(&step, false), Reading::Data);
    assert_eq!(receiver.get().expect("it read").try_recv().expect("it is over").unread, b"request");
}

#[test]
fn bytes_of_a_read_that_meets_a_detach_are_handed_back() {
    hands_back(|conn, after| (after == After::Read).then(|| detach(conn)));
}

/// SPEC: D3, R1. A section that begins with a new handler may end before it calls it.
#[test]
fn bytes_of_a_read_that_meets_a_new_handler_and_a_detach_are_handed_back() {
    hands_back(|conn, after| match after {
        After::Read => {
            conn.set_on_request(|io: &mut Io<'_>| {
                io.consume(usize::MAX);
            });
            None
        }
        After::Release => Some(detach(conn)),
    });
}

#[test]
fn bytes_of_a_read_outlive_the_section_of_its_reader() {
    let (conn, mut peer, _server) = connected();
    peer.write_all(b"request").expect("a write");
    let (local, receiver) = (Local::default(), std::cell::OnceCell::new());
    // A flush is under way, so the reader's section rests; its end is the flusher's.
    let flushes = State::new();
    let flusher = Step::new(&conn, &flushes).flushing(&b"event"[..]);
    let through = std::cell::OnceCell::new();
    let meanwhile = |after| {
        if after == After::Read {
            assert!(through.set(output::flush(&flusher).expect("nobody flushes")).is_ok());
            drop(receiver.set(detach(&conn)));
        }
    };
    let state = State::new();
    let step = Meanwhile(Step::polling(&conn, &local, &state), meanwhile);
    assert_eq!(lifecycle::readable(&step, false), Reading::Data);
    let receiver = receiver.get().expect("it read");
    assert!(receiver.try_recv().is_err(), "the flusher holds it");
    output::end_flush(&flusher, through.into_inner().expect("it flushed"));
    assert_eq!(receiver.try_recv().expect("it is over").unread, b"request");
}

#[test]
fn a_reply_waits_for_a_flush_of_another_thread() {
    let (conn, mut peer, _server) = connected();
    let flushes = State::new();
    let flusher = Step::new(&conn, &flushes).flushing(&b"event "[..]);
    let through = output::flush(&flusher).expect("nobody flushes");
    std::thread::scope(|scope| {
        peer.write_all(b"request").expect("a write");
        let conn = &conn;
        let poller = scope.spawn(move || {
            assert_eq!(
                lifecycle::readable(&Step::polling(conn, &Local::default(), &State::new()), false),
                Reading::Data
            );
        });
        // Long enough for it to have come and gone, if it did not wait.
        for _ in 0..100 {
            assert!(!poller.is_finished(), "the reply did not wait");
            std::thread::sleep(Duration::from_millis(2));
        }
        output::end_flush(&flusher, through);
    });
    let mut all = [0; 13];
    peer.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    peer.read_exact(&mut all).expect("both");
    assert_eq!(&all, b"event request");
    conn.close();
}

#[test]
fn a_flush_during_a_send_leaves_its_bytes_to_the_sender() {
    let (conn, mut peer, _server) = connected();
    // The first fills the socket and parks; the next ones queue behind it, in order.
    let (big, small) = (vec![1; 4 << 20], vec![2; 1000]);
    conn.send(&big).expect("queued");
    conn.send(&small).expect("queued");
    conn.send(&[3]).expect("queued");
    let reader = std::thread::spawn(move || {
        let mut all = vec![0; (4 << 20) + 1001];
        peer.read_exact(&mut all).expect("everything");
        all
    });
    while !reader.is_finished() {
        output::writable(&Step::new(&conn, &State::new()));
        std::thread::yield_now();
    }
    let all = reader.join().expect("no panic");
    assert!(all[..4 << 20] == big && all[4 << 20..][..1000] == small && all[(4 << 20) + 1000] == 3);
    conn.close();
}

/// SPEC: C5. It would wait for as long as nothing happens.
#[test]
fn a_polling_thread_is_woken_to_give_the_handle_of_a_connection_back_that_is_over() {
    let (conn, _peer, _server) = connected();
    let (poller, token) = (conn.conn().poller(), conn.conn().token);
    let woken = || {
        let mut events = Events::new(4);
        poller.wait(&poller.fds().expect("it is not over"), &mut events, Some(Duration::ZERO)).expect("epoll");
        events.batch().any(|(token, _)| token == WAKE)
    };
    let mut handles = Handles::new();
    assert!(poller.registry.find(&mut handles, token).is_some());
    assert!(!poller.asks() && !woken());
    conn.close();
    assert!(poller.asks() && woken());
    // An event in hand finds it closed.
    assert!(poller.registry.find(&mut handles, token).is_some_and(|kept| !kept.is_active()));
    poller.give_back(&mut handles);
    assert!(!poller.asks());
    assert!(poller.registry.find(&mut handles, token).is_none());
}

/// SPEC: E2. The poller has not seen the peer's end.
#[test]
fn a_send_that_the_kernel_refuses_says_so() {
    let (conn, peer, _server) = connected();
    drop(peer);
    assert!(matches!(conn.send(b"event"), Err(Error::Closed { call: "send", .. })));
    conn.close();
}

/// SPEC: O5. Below the upper mark is not low enough, or it would be called for every few bytes that are sent.
#[test]
fn a_handler_that_waits_for_its_output_is_called_when_that_is_low() {
    const LOW: u64 = 1 << 20;
    const HIGH: u64 = 3 << 20;
    let builder = Server::builder().water_marks(LOW, HIGH).on_request(|_: &mut Io<'_>| ());
    let server = builder.bind("127.0.0.1:0").expect("a port");
    let (sender, calls) = channel();
    let (conn, mut peer) = joined(&server, move |io| {
        sender.send(io.connection().backlog()).expect("the test waits");
        io.consume(usize::MAX);
        io.write(&[7; 4 << 20]);
    });
    let (local, mut block) = (Local::default(), vec![0; 64 << 10]);
    for request in [b"1", b"2"] {
        peer.write_all(request).expect("a write");
        assert_eq!(lifecycle::readable(&Step::polling(&conn, &local, &State::new()), false), Reading::Data);
    }
    assert_eq!(calls.try_iter().collect::<Vec<_>>(), [0]);
    assert!(conn.backlog() >= HIGH, "the socket takes too much");
    let backlog = loop {
        assert!(peer.read(&mut block).expect("there is more") > 0);
        output::writable(&Step::polling(&conn, &local, &State::new()));
        if let Ok(backlog) = calls.try_recv() {
            break backlog;
        }
    };
    assert!((1..=LOW).contains(&backlog), "called with {backlog} bytes to send");
    conn.close();
}

/// SPEC: E2. Its handler would wait for ever for output that nobody can send.
#[test]
fn what_a_broken_connection_had_to_send_is_dropped_and_its_handler_goes_on() {
    let (_, _, server) = connected();
    let (sender, calls) = channel();
    let (conn, mut peer) = joined(&server, move |io| {
        sender.send(io.consume(usize::MAX)).expect("the test waits");
    });
    conn.send(&[7; 16 << 20]).expect("queued");
    peer.write_all(b"request").expect("a write");
    drop(peer);
    let local = Local::default();
    output::writable(&Step::polling(&conn, &local, &State::new()));
    assert_eq!(conn.backlog(), 0);
    assert_eq!(lifecycle::readable(&Step::polling(&conn, &local, &State::new()), false), Reading::Data);
    assert_eq!(calls.try_recv(), Ok(7));
    conn.close();
}

/// SPEC: D1, P2. Nothing else says why it is over.
#[test]
fn a_connection_that_the_kernel_will_not_poll_is_reported_and_over() {
    let (sender, errors) = channel();
    let tell = move |error: &Error| drop(sender.send(error.to_string()));
    let server = Server::builder().on_error(tell).on_request(|_: &mut Io<'_>| ());
    let server = server.bind("127.0.0.1:0").expect("a port");
    // It has nothing to poll for.
    let null = std::fs::File::open("/dev/null").expect("a file");
    let service = Arc::new(OnRequest(|_: &mut Io<'_>| ())).make();
    let conn = server.shared().dialed(null.into(), Addr::Unnamed, service).ok().expect("no shutdown");
    let state = State::new();
    let step = Step::new(&conn, &state);
    assert!(!lifecycle::register(&step));
    lifecycle::connect(&step);
    assert_eq!(server.stats().open, 0);
    let error = errors.try_recv().expect("a report");
    assert!(error.contains("epoll_ctl"), "{error}");
}
