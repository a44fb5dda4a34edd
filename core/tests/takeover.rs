//! A handler that does not come back holds up its own connection and no other.
//!
//! SPEC: K1, K2, K3, K5, K6.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use common::{Event, LONG, Step, client, end, ping, telling_on, to_end};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::socket::{setsockopt, sockopt::Linger};
use nix::sys::time::TimeValLike;
use pollproof::{Connection, Error, Io, Server};

/// Processor time and the number of threads are the process's: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Blocks in the callbacks of connections that ask for it, until each is let go.
struct Blocks {
    entered: Sender<Entered>,
    on_connect: Option<u64>,
    on_disconnect: bool,
}

/// A callback that is held up; dropping this lets it go.
struct Entered {
    conn: Connection,
    _go: Sender<()>,
}

impl Blocks {
    fn hold_up(&self, conn: &Connection) {
        let (sender, gate) = channel();
        self.entered.send(Entered { conn: conn.clone(), _go: sender }).expect("the test waits");
        assert!(gate.recv().is_err(), "nothing is ever sent");
    }
}

impl Step for Blocks {
    fn connect(&self, conn: &Connection) {
        if self.on_connect == Some(conn.id()) {
            self.hold_up(conn);
        }
    }

    fn request(&self, io: &mut Io<'_>) {
        if io.data().starts_with(b"block") {
            self.hold_up(io.connection());
        } else if io.data().starts_with(b"half") {
            io.reader().peek(7).expect("the rest comes");
        }
        common::echo(io);
    }

    fn disconnect(&self, conn: &Connection) {
        if self.on_disconnect {
            self.hold_up(conn);
        }
    }
}

/// A server with one poller, and what its callbacks tell.
struct Bench {
    server: Server,
    events: common::Events,
    entered: Receiver<Entered>,
    _alone: std::sync::MutexGuard<'static, ()>,
}

impl Bench {
    fn new(
        on_connect: Option<u64>,
        on_disconnect: bool,
        set: impl FnOnce(pollproof::Builder) -> pollproof::Builder,
    ) -> Self {
        let alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (sender, entered) = channel();
        let step = Blocks { entered: sender, on_connect, on_disconnect };
        let (server, events) = telling_on("127.0.0.1:0", set(Server::builder()), step);
        Self { server, events, entered, _alone: alone }
    }

    fn plain() -> Self {
        Self::new(None, false, |builder| builder)
    }

    fn client(&self) -> TcpStream {
        client(&self.server)
    }

    /// A client whose request is held up.
    fn blocked(&self) -> (TcpStream, Entered) {
        let mut stream = self.client();
        stream.write_all(b"block").expect("a write");
        (stream, self.entered())
    }

    fn entered(&self) -> Entered {
        self.entered.recv_timeout(LONG).expect("the callback")
    }

    fn takeovers(&self) -> u64 {
        self.server.stats().takeovers
    }

    /// Waits until so many threads were replaced.
    fn wait_takeovers(&self, count: u64) {
        let deadline = Instant::now() + LONG;
        while self.takeovers() < count {
            assert!(Instant::now() < deadline, "{} of {count} takeovers", self.takeovers());
            std::thread::yield_now();
        }
    }
}

fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).expect("an answer");
    bytes
}

/// Polling threads of this process, those included that could be.
fn pollers() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").expect("its threads");
    // One may end while it is looked at.
    let names = threads.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.contains("poller")).count()
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

#[test]
fn others_are_served_while_a_handler_is_held_up() {
    let bench = Bench::plain();
    let mut others: Vec<_> = (0..8).map(|_| bench.client()).collect();
    others.iter_mut().for_each(|other| ping(other, b"before"));
    let (mut stream, entered) = bench.blocked();
    for round in 0..20_u8 {
        others.iter_mut().for_each(|other| ping(other, &[round; 100]));
    }
    // It accepts, too.
    ping(bench.client(), b"new");
    assert!(bench.takeovers() >= 1);
    drop(entered);
    assert_eq!(read(&mut stream, 5), b"block");
    ping(&mut stream, b"after");
    drop((stream, others));
    end(&bench.server);
}

/// A watchdog that has seen nothing move for a second looks again when something does.
#[test]
fn others_are_served_after_a_quiet_time_too() {
    let bench = Bench::plain();
    let mut other = bench.client();
    ping(&mut other, b"before");
    std::thread::sleep(Duration::from_millis(1_500));
    let (stream, entered) = bench.blocked();
    ping(&mut other, b"meanwhile");
    assert!(bench.takeovers() >= 1);
    drop((entered, stream, other));
    end(&bench.server);
}

/// SPEC: K1. The watchdog would come too late.
#[test]
fn others_are_served_at_once_while_a_handler_waits_for_bytes() {
    let bench = Bench::new(None, false, |builder| builder.takeover(Some(5 * LONG)));
    let mut stream = bench.client();
    stream.write_all(b"half").expect("a write");
    bench.wait_takeovers(1);
    ping(bench.client(), b"other");
    stream.write_all(b"way").expect("a write");
    assert_eq!(read(&mut stream, 7), b"halfway");
    drop(stream);
    end(&bench.server);
}

#[test]
fn without_takeover_they_wait() {
    let bench = Bench::new(None, false, |builder| builder.takeover(None));
    let mut other = bench.client();
    let (stream, entered) = bench.blocked();
    other.write_all(b"waits").expect("a write");
    other.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    assert!(other.read(&mut [0; 5]).is_err(), "somebody served it");
    assert_eq!(bench.takeovers(), 0);
    drop(entered);
    other.set_read_timeout(Some(LONG)).expect("a timeout");
    assert_eq!(read(&mut other, 5), b"waits");
    drop((other, stream));
    end(&bench.server);
}

#[test]
fn what_comes_meanwhile_is_handled_after_and_in_order() {
    let bench = Bench::plain();
    let (mut stream, entered) = bench.blocked();
    let later = common::pattern(300_000, 7);
    stream.write_all(&later).expect("a write");
    // The successor has read it all, behind the handler that is held up.
    let deadline = Instant::now() + LONG;
    while entered.conn.bytes_read() < 5 + later.len() as u64 {
        assert!(Instant::now() < deadline, "{} bytes are read", entered.conn.bytes_read());
        std::thread::yield_now();
    }
    drop(entered);
    assert_eq!(read(&mut stream, 5), b"block");
    assert!(read(&mut stream, later.len()) == later, "not what was sent");
    drop(stream);
    end(&bench.server);
}

/// SPEC: C5. The successor sleeps, and keeps a handle.
#[test]
fn a_connection_that_a_deposed_thread_ends_is_freed() {
    let bench = Bench::plain();
    let (mut stream, entered) = bench.blocked();
    let (held, freed) = channel::<()>();
    entered.conn.set_on_disconnect(move |_| drop(held.clone()));
    bench.wait_takeovers(1);
    stream.write_all(b"more").expect("a write");
    common::wait_until("nobody reads it", || entered.conn.bytes_read() == 9);
    std::thread::sleep(Duration::from_millis(20));
    entered.conn.close();
    drop(entered);
    assert_eq!(freed.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
    drop(stream);
    end(&bench.server);
}

#[test]
fn many_handlers_at_once_each_get_a_thread_and_give_it_back() {
    let bench = Bench::plain();
    let mut other = bench.client();
    ping(&mut other, b"before");
    let held: Vec<_> = (0..10).map(|_| bench.blocked()).collect();
    ping(&mut other, b"meanwhile");
    assert!(bench.takeovers() >= 10);
    let most = pollers();
    for (mut stream, entered) in held {
        drop(entered);
        assert_eq!(read(&mut stream, 5), b"block");
    }
    // Those threads are there still, and are used again.
    let held: Vec<_> = (0..10).map(|_| bench.blocked()).collect();
    ping(&mut other, b"again");
    // One or two more are those of threads that were merely preempted.
    assert!(pollers() <= most + 2, "{} threads after {most}", pollers());
    drop((held, other));
    end(&bench.server);
}

#[test]
fn beyond_the_limit_of_threads_the_rest_waits_for_one_of_them() {
    let bench = Bench::new(None, false, |builder| builder.max_threads(3));
    let mut other = bench.client();
    ping(&mut other, b"before");
    let mut held: Vec<_> = (0..3).map(|_| bench.blocked()).collect();
    assert!(bench.takeovers() >= 2);
    other.write_all(b"waits").expect("a write");
    other.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    assert!(other.read(&mut [0; 5]).is_err(), "somebody served it");
    let takeovers = bench.takeovers();
    assert_eq!(pollers(), 3);
    // One that comes back takes over from the last.
    let (mut stream, entered) = held.remove(0);
    drop(entered);
    assert_eq!(read(&mut stream, 5), b"block");
    other.set_read_timeout(Some(LONG)).expect("a timeout");
    assert_eq!(read(&mut other, 5), b"waits");
    assert!(bench.takeovers() > takeovers);
    drop((held, other, stream));
    end(&bench.server);
}

#[test]
fn accepting_goes_on_while_a_client_is_held_up_in_on_connect() {
    let bench = Bench::new(Some(0), false, |builder| builder);
    let mut stream = bench.client();
    let entered = bench.entered();
    stream.write_all(b"early").expect("a write");
    for _ in 0..5 {
        ping(bench.client(), b"others");
    }
    drop(entered);
    assert_eq!(read(&mut stream, 5), b"early");
    drop(stream);
    end(&bench.server);
}

#[test]
fn nothing_spins_while_handlers_are_held_up() {
    let bench = Bench::new(None, true, |builder| builder);
    let (mut stream, in_request) = bench.blocked();
    bench.wait_takeovers(1);
    stream.write_all(b"more").expect("a write");
    stream.shutdown(Shutdown::Write).expect("a shutdown");
    let in_disconnect = bench.entered();
    bench.wait_takeovers(2);
    assert_sleeps();
    // A reset, which no mask keeps out, while OnDisconnect has the reader lock.
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&stream, Linger, &linger).expect("linger");
    drop(stream);
    assert_sleeps();
    ping(bench.client(), b"others");
    drop((in_request, in_disconnect));
    bench.events.until(|event| *event == Event::Close(0));
    // The client above ends in on_disconnect as well.
    drop(bench.entered());
    end(&bench.server);
}

#[test]
fn a_close_while_both_callbacks_are_held_up_does_not_spin() {
    let bench = Bench::new(None, true, |builder| builder);
    let (mut stream, in_request) = bench.blocked();
    bench.wait_takeovers(1);
    stream.write_all(b"more").expect("a write");
    stream.shutdown(Shutdown::Write).expect("a shutdown");
    let in_disconnect = bench.entered();
    in_disconnect.conn.close();
    assert_sleeps();
    drop((in_request, in_disconnect));
    bench.events.until(|event| *event == Event::Close(0));
    end(&bench.server);
}

#[test]
fn shutdown_reports_what_is_held_up_and_its_thread_ends_later() {
    let bench = Bench::plain();
    let (idle, (mut stream, entered)) = (bench.client(), bench.blocked());
    let before = Instant::now();
    let ended = bench.server.shutdown(Duration::from_millis(50)).expect("a shutdown");
    assert_eq!((ended.cut, ended.left), (1, 1));
    assert!(before.elapsed() < LONG / 4, "it took {:?}", before.elapsed());
    // Its polling thread is gone from the loop, though it is not back.
    bench.server.run().expect("over at once");
    assert!(TcpStream::connect(bench.server.local_addr().tcp().expect("TCP")).is_err(), "it still accepts");
    drop(entered);
    bench.events.until(|event| *event == Event::Close(0) || *event == Event::Close(1));
    assert!(to_end(&mut stream).is_empty(), "it was cut");
    end(&bench.server);
    drop(idle);
}

#[test]
fn shutdown_waits_for_a_handler_that_is_held_up_but_comes_back_in_time() {
    let bench = Bench::plain();
    let (mut stream, entered) = bench.blocked();
    bench.wait_takeovers(1);
    let server = bench.server.clone();
    let ends = std::thread::spawn(move || server.shutdown(LONG));
    let address = bench.server.local_addr().tcp().expect("TCP");
    while TcpStream::connect(address).is_ok() {}
    drop(entered);
    assert_eq!(to_end(&mut stream), b"block");
    let ended = ends.join().expect("no panic").expect("a shutdown");
    assert_eq!((ended.cut, ended.left), (0, 0));
}

#[test]
fn shutdown_on_a_thread_that_was_deposed_or_was_spare_is_an_error() {
    let alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let slot: &'static Mutex<Option<Server>> = Box::leak(Box::new(Mutex::new(None)));
    let (sender, results) = channel();
    let handler = move |io: &mut Io<'_>| {
        let server = slot.lock().expect("whole").clone().expect("set before");
        if io.data() == b"slow" {
            while server.stats().takeovers == 0 {
                std::thread::yield_now();
            }
        }
        sender.send(server.shutdown(LONG).map(drop)).expect("the test waits");
        common::echo(io);
    };
    let server = Server::builder().on_request(handler).bind("127.0.0.1:0").expect("a port");
    *slot.lock().expect("whole") = Some(server.clone());
    server.spawn().expect("a thread");
    // The first thread, deposed; then the one that was spare.
    for request in [&b"slow"[..], b"quick"] {
        ping(client(&server), request);
        let result = results.recv_timeout(LONG).expect("a result");
        assert!(matches!(result, Err(Error::OnPoller { call: "shutdown" })), "{result:?}");
    }
    end(&server);
    drop(alone);
}
