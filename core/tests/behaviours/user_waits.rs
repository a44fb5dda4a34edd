//! No call waits for its own caller: it is refused at once, or done elsewhere.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use std::net::Shutdown;
use std::time::{Duration, Instant};

use pollproof::sync::{Arc, Mutex, lock};
use pollproof::{BoxError, Builder, Callbacks, Connection, Dialer, Error, Handler, Io, Runner, Server, Task};

use crate::queue::{Receiver, Sender, queue};
use crate::support::*;
use crate::users::*;

tests! {
    u6_a_callback_that_shuts_its_own_server_down_is_refused_at_once: ALL;
    u6_a_shutdown_may_begin_in_every_callback: ALL;
    u6_a_reader_is_refused_or_given_at_once_in_every_callback: ALL;
    u6_a_flush_in_every_callback_comes_back: ALL;
    u6_a_handler_may_ask_an_upstream_on_every_kind_of_thread: ALL;
    u6_a_section_without_user_code_needs_no_runner: [Inline];
    u6_a_reader_that_is_forgotten_keeps_a_shutdown_no_longer_than_its_grace: ALL;
    u6_a_reader_of_what_this_very_loop_is_to_end_is_refused: ALL;
    u6_a_handler_that_was_set_may_shut_other_servers_down: ALL;
}

type Act = Arc<dyn Fn(&str, &Connection) + Send + Sync>;

/// Calls its function in every callback, and in the drop of its context.
struct Calling(Act);

impl Handler for Calling {
    type Context = Box<dyn Send + Sync>;
    type State = ();

    fn on_prepare(&self, conn: &Connection) {
        (self.0)("on_prepare", conn);
        let act = self.0.clone();
        assert!(conn.on_close(move |conn| act("close callback", conn)).is_ok());
    }

    fn on_connect(&self, (): &mut (), io: &mut Io<'_>) -> Result<Self::Context, BoxError> {
        let conn = io.connection().clone();
        (self.0)("on_connect", &conn);
        let act = self.0.clone();
        Ok(Box::new(OnDrop(move || act("drop", &conn))))
    }

    fn on_request(&self, _: &Self::Context, (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        (self.0)("on_request", io.connection());
        echo(io);
        Ok(())
    }

    fn on_disconnect(&self, _: &Self::Context, conn: &Connection) {
        (self.0)("on_disconnect", conn);
    }
}

const CALLBACKS: [&str; 6] = ["on_prepare", "on_connect", "on_request", "on_disconnect", "close callback", "drop"];

/// Where a handler finds what is there only later.
type Later = Arc<Mutex<Option<Server>>>;

/// A server that calls `act` in each of its callbacks, with a handle of it.
fn calling(
    place: Place,
    builder: Builder,
    act: impl Fn(&Server, &str, &Connection) + Send + Sync + 'static,
) -> (Serving, Later) {
    let later = Later::default();
    let found = later.clone();
    let act: Act = Arc::new(move |name: &str, conn: &Connection| {
        let server = lock(&found).clone();
        if let Some(server) = server {
            act(&server, name, conn);
        }
    });
    let serving = place.bind(builder.handler(Calling(act)));
    *lock(&later) = Some(serving.server.clone());
    serving.server.spawn().expect("threads");
    (serving, later)
}

/// A client that sees each callback called.
fn visit(serving: &Serving) {
    let peer = serving.client();
    ping(&peer, b"request");
    peer.shutdown(Shutdown::Write).expect("a shutdown");
    gone(&peer);
}

/// What was told, for each callback.
fn of_each(told: &Receiver<String>) {
    let mut left = CALLBACKS.to_vec();
    while !left.is_empty() {
        let name = told.next();
        left.retain(|left| *left != name);
    }
}

/// SPEC: U6, G1: with a deadline that a test would not survive.
fn u6_a_callback_that_shuts_its_own_server_down_is_refused_at_once(place: Place) {
    let (sender, told) = queue();
    let (serving, later) = calling(place, place.builder(), move |server, name, _| {
        let begun = Instant::now();
        assert!(matches!(server.shutdown(10 * LONG), Err(Error::OnPoller { call: "shutdown" })));
        assert!(matches!(server.dialer().shutdown(10 * LONG), Err(Error::OnPoller { .. })));
        assert!(matches!(server.run(), Err(Error::OnPoller { call: "run" })));
        assert!(begun.elapsed() < LONG);
        sender.send(name.to_owned());
    });
    visit(&serving);
    of_each(&told);
    assert_eq!(serving.server.stats().panics, 0);
    lock(&later).take();
    serving.end();
}

/// SPEC: U6, G1.
fn u6_a_shutdown_may_begin_in_every_callback(place: Place) {
    for callback in CALLBACKS {
        let (serving, later) = calling(place, place.builder().pollers(2), move |server, name, _| {
            if name == callback {
                server.begin_shutdown(LONG).expect("a thread");
                server.begin_shutdown(LONG).expect("another");
            }
        });
        let peer = serving.client();
        let _ = std::io::Write::write_all(&mut &peer, b"request");
        let _ = peer.shutdown(Shutdown::Write);
        gone(&peer);
        serving.end();
        assert_eq!(serving.server.stats().panics, 0);
        lock(&later).take();
    }
}

/// SPEC: U6, S3.
fn u6_a_reader_is_refused_or_given_at_once_in_every_callback(place: Place) {
    let (sender, told) = queue();
    let (serving, later) = calling(place, place.builder(), move |_, name, conn| {
        // Of its own, which has a handler.
        assert!(matches!(conn.reader(), Err(Error::Busy { .. } | Error::Closed { .. })), "{name}");
        sender.send(name.to_owned());
    });
    visit(&serving);
    of_each(&told);
    assert_eq!(serving.server.stats().panics, 0);
    lock(&later).take();
    serving.end();
    // One that has no handler: in the callbacks that were set on it.
    let (sender, told) = queue();
    let Dialed { dialer, conn, peer } = place.dialed();
    let asks = move |conn: &Connection| {
        let refused = match conn.reader() {
            Ok(mut reader) => reader.next(3).map(drop),
            Err(error) => Err(error),
        };
        sender.send(refused);
    };
    conn.set_on_disconnect(asks.clone());
    assert!(conn.on_close(asks).is_ok());
    write(&peer, b"bye");
    drop(peer);
    assert!(matches!(told.next(), Ok(()) | Err(Error::Busy { .. })));
    conn.close();
    assert!(matches!(told.next(), Err(Error::Closed { .. })));
    dialer.shutdown(LONG).expect("a shutdown");
}

/// SPEC: U6, O1.
fn u6_a_flush_in_every_callback_comes_back(place: Place) {
    let (sender, told) = queue();
    let (serving, later) = calling(place, place.builder(), move |_, name, conn| {
        conn.set_write_timeout(Some(LONG));
        let mut writer = conn.writer();
        writer.append(lent(8192, ()));
        let flushed = writer.flush();
        let ends = ["on_disconnect", "close callback", "drop"];
        assert!(flushed.is_ok() || ends.contains(&name), "{name}: {flushed:?}");
        sender.send(name.to_owned());
    });
    let peer = serving.client();
    read(&peer, 2 * 8192);
    write(&peer, b"request");
    read(&peer, 8192 + 7);
    drop(peer);
    of_each(&told);
    assert_eq!(serving.server.stats().panics, 0);
    lock(&later).take();
    serving.end();
}

/// A proxy whose handler asks an upstream, once for each way to dial it.
fn u6_a_handler_may_ask_an_upstream_on_every_kind_of_thread(place: Place) {
    const CLIENTS: usize = 4;
    let greets = Callbacks::new(|io: &mut Io<'_>| {
        io.write(b"greeting\n");
        Ok(())
    });
    let upstream = place.serve(place.builder().handler(greets));
    let address = upstream.server.local_addr().to_string();
    let foreign = Dialer::builder().build().expect("a thread");
    for own in [false, true] {
        for pollers in [1, 2] {
            let (later, address, foreign) = (Later::default(), address.clone(), foreign.clone());
            let found = later.clone();
            let handler = move |io: &mut Io<'_>| {
                io.consume(usize::MAX);
                let dialer = if own { lock(&found).as_ref().expect("it is there").dialer() } else { foreign.clone() };
                let up = dialer.connect(&address, LONG)?;
                up.set_read_timeout(Some(LONG));
                let line = up.reader()?.until(b'\n')?;
                up.close();
                io.write(&line);
                Ok::<_, Error>(())
            };
            // As many handlers as threads.
            let builder = if place == Pool { Server::builder().runner(pool(CLIENTS)) } else { place.builder() };
            let serving = place.bind(builder.pollers(pollers).on_request(handler));
            *lock(&later) = Some(serving.server.clone());
            serving.server.spawn().expect("threads");
            let peers: Vec<_> = (0..CLIENTS).map(|_| serving.client()).collect();
            peers.iter().for_each(|peer| write(peer, b"x"));
            peers.iter().for_each(|peer| assert_eq!(read(peer, 9), b"greeting\n"));
            lock(&later).take();
            drop(peers);
            serving.end();
        }
    }
    foreign.shutdown(LONG).expect("a shutdown");
    upstream.end();
}

/// Keeps its tasks.
struct Keeps(Sender<Task>);

impl Runner for Keeps {
    fn run(&self, task: Task) {
        self.0.send(task);
    }
}

/// SPEC: U6: none of its connections has a handler, so nobody sees a task.
fn u6_a_section_without_user_code_needs_no_runner(place: Place) {
    let upstream = place.serve(place.builder().on_request(echo));
    let (sender, tasks) = queue();
    let dialer = Dialer::builder().runner(Keeps(sender)).build().expect("a thread");
    let conn = dialer.connect(&upstream.server.local_addr().to_string(), LONG).expect("a connection");
    let (over, closed) = queue();
    assert!(conn.on_close(move |_| over.send(())).is_ok());
    conn.set_read_timeout(Some(LONG));
    for _ in 0..10 {
        conn.send(b"line\n").expect("it is open");
        assert_eq!(&conn.reader().expect("nobody else reads").until(b'\n').expect("an answer")[..], b"line\n");
    }
    conn.close();
    closed.next();
    assert!(tasks.is_empty());
    assert_eq!(dialer.shutdown(LONG).expect("a shutdown").left, 0);
    upstream.end();
}

/// SPEC: U6, G2.
fn u6_a_reader_that_is_forgotten_keeps_a_shutdown_no_longer_than_its_grace(place: Place) {
    let Dialed { dialer, conn, peer } = place.dialed();
    // Kept as one that is forgotten would be; it goes at the end, for the sake of a leak detector.
    let forgotten = conn.reader().expect("nobody else reads");
    assert!(matches!(conn.reader(), Err(Error::Busy { .. })));
    let begun = Instant::now();
    let ended = dialer.shutdown(Duration::ZERO).expect("a shutdown");
    assert_eq!((ended.cut, ended.left), (1, 1));
    assert!(begun.elapsed() < LONG);
    drop(peer);
    assert!(matches!(conn.reader(), Err(Error::Busy { .. })));
    // Nor does it keep another server.
    let serving = place.serve(place.builder().on_request(echo));
    all_is_well(&serving);
    drop(forgotten);
    wait_until("it is over", || dialer.stats().open == 0);
}

/// SPEC: U6, U5: a section that a foreign thread runs is inside its own server, and outside every other.
fn u6_a_handler_that_was_set_may_shut_other_servers_down(place: Place) {
    let Dialed { dialer, conn, peer } = place.dialed();
    let other = place.serve(place.builder().on_request(echo));
    let peer_of_other = other.client();
    ping(&peer_of_other, b"hello");
    write(&peer, b"data");
    wait_until("it is read ahead", || conn.bytes_read() == 4);
    let (sender, told) = queue();
    let (own, server) = (dialer.clone(), other.server.clone());
    conn.set_on_request(move |io: &mut Io<'_>| {
        io.consume(usize::MAX);
        assert!(matches!(own.shutdown(LONG), Err(Error::OnPoller { .. })));
        sender.send(server.shutdown(LONG).map(|ended| ended.left));
    });
    assert!(matches!(told.next(), Ok(0)));
    gone(&peer_of_other);
    assert_eq!(dialer.stats().panics, 0);
    conn.close();
    dialer.shutdown(LONG).expect("a shutdown");
}

/// SPEC: U6, U2: the end of its shutdown waits in the queue of the loop whose thread asks for the reader.
fn u6_a_reader_of_what_this_very_loop_is_to_end_is_refused(place: Place) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let found = Arc::new(Mutex::new(None::<Connection>));
    let ((sender, answers), other) = (queue(), found.clone());
    let handler = move |io: &mut Io<'_>| {
        let conn = lock(&other).take().expect("it is there");
        conn.shutdown();
        sender.send(matches!(conn.reader().map(drop), Err(Error::Closed { .. })));
        echo(io);
    };
    let serving = place.serve(place.builder().pollers(1).on_request(handler));
    let address = listener.local_addr().expect("its address").to_string();
    let conn = serving.server.dialer().connect(&address, LONG).expect("a connection");
    let (peer, _) = listener.accept().expect("it is there");
    peer.shutdown(Shutdown::Write).expect("a shutdown");
    let end = conn.reader().expect("nobody else reads").next(1).map(drop);
    assert!(matches!(end, Err(Error::Eof { .. })), "{end:?}");
    *lock(&found) = Some(conn);
    ping(&serving.client(), b"x");
    assert!(answers.next());
    serving.end();
}
