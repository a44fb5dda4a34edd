//! What users' code does at the wrong moment: calls from inside callbacks, ends, drops that count.
//!
//! A few programs whose outcome is known. Not here: programs that are drawn at random (`hostile`).

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use pollproof::sim::{Faults, Peer, Remote, count};
use pollproof::{Connection, Dialer, Error, Io, Pool, Server};

use super::Scenario;
use crate::stage::{ADDRESS, Acts, LONG, REMOTE, Stage, Step, at, end, point, run, thread, until};

fn roomy() -> Faults {
    Faults { room: 1024, calls: 600, ..Faults::default() }
}

fn tight() -> Faults {
    Faults { room: 4, calls: 600, ..Faults::default() }
}

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "section-of-another-server",
        &["U2", "U5", "F2"],
        "A handler that is set inside a callback of another server is called on its own loop, which is woken for it.",
        &["every byte"],
        section_of_another_server,
    ),
    Scenario::new(
        "upstream-inside-a-handler",
        &["U6", "K1", "S3"],
        "A handler asks an upstream and waits for it, on the only polling thread.",
        &["answered"],
        |stage| upstream_inside_a_handler(stage, false),
    ),
    Scenario::new(
        "upstream-inside-a-pool-of-one",
        &["U6", "S3"],
        "The same on a pool of one thread: the connection to the upstream has nothing to run there.",
        &["answered"],
        |stage| upstream_inside_a_handler(stage, true),
    ),
    Scenario::new(
        "end-read-by-its-handler",
        &["U3", "H1", "H4"],
        "A handler that reads the end of the stream itself: OnDisconnect comes once, and not on that stack.",
        &["the handler read it"],
        end_read_by_its_handler,
    ),
    Scenario::new(
        "drops-at-the-end",
        &["U1", "U4", "C5"],
        "What a user gave a connection is dropped once it is over, whoever has a handle; a drop that panics is reported.",
        &["a drop panicked"],
        drops_at_the_end,
    )
    .faults(tight),
    Scenario::new(
        "lent-bytes-that-are-sent",
        &["U1", "U4", "O2"],
        "Lent bytes that the consumer has sent from the queue are dropped when it holds nothing: their drop may send, and panic.",
        &["sent from the queue", "socket full"],
        lent_bytes_that_are_sent,
    )
    .faults(roomy),
    Scenario::new(
        "shutdown-inside-callbacks",
        &["U6", "G1"],
        "A shutdown that is begun inside every callback ends the server; one that would wait there is refused.",
        &["begun and refused"],
        shutdown_inside_callbacks,
    ),
    Scenario::new(
        "closes-in-a-row",
        &["U2", "C2"],
        "Close callbacks that each close the next connection run one after the other, never inside one another.",
        &["one after the other"],
        closes_in_a_row,
    ),
];

shuttle::thread_local! {
    /// How deep this thread is inside callbacks.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Runs a callback that must not be inside another one.
fn not_nested<R>(callback: impl FnOnce() -> R) -> R {
    let before = DEPTH.with(|depth| depth.replace(depth.get() + 1));
    assert_eq!(before, 0, "a callback runs inside another one (U2, U3)");
    let result = callback();
    DEPTH.with(|depth| depth.set(before));
    result
}

fn dialer() -> Dialer {
    Dialer::builder().takeover(None).budget(1).build().expect("threads")
}

/// Everything is over, and no callback has panicked, which [`not_nested`] does.
fn over(dialer: &Dialer) {
    let ended = dialer.shutdown(LONG).expect("not inside a callback");
    let stats = dialer.stats();
    assert_eq!((ended.cut, ended.left, stats.open, stats.panics), (0, 0, 0, 0));
}

fn section_of_another_server(stage: &Stage) {
    let remote = Remote::listen(at(REMOTE), 1);
    let dialer = dialer();
    let up = dialer.connect(REMOTE, LONG).expect("it listens");
    let source = remote.accept();
    source.send(b"abc").expect("it is open");
    let subscribes = up.clone();
    let server = stage.serve(Acts::request(|_, _| ()).connect(move |_, io| {
        let client = io.connection().clone();
        subscribes.set_on_request(move |io: &mut Io<'_>| {
            not_nested(|| client.send(&io.data()[..1])).expect("it is open");
            io.consume(1);
        });
    }));
    let peer = Peer::connect(at(ADDRESS)).expect("it listens");
    assert_eq!(peer.receive_exactly(3).0, b"abc", "nobody was woken");
    count("every byte");
    up.close();
    drop((peer, source));
    over(&dialer);
    end(server);
}

fn upstream_inside_a_handler(stage: &Stage, pool: bool) {
    let dialer: Arc<OnceLock<Dialer>> = Arc::default();
    let dials = dialer.clone();
    let acts = Acts::request(move |stage, io| {
        stage.take(io);
        let up = dials.get().expect("it is set").connect(REMOTE, LONG).expect("it listens");
        up.send(b"?").expect("it is open");
        let answer = up.reader().expect("nobody reads").next(2).expect("it answers");
        up.close();
        assert!(matches!(up.reader(), Err(Error::Closed { .. })), "it is closed here");
        io.write(&answer);
    });
    let builder = stage.builder(acts);
    let server = run(if pool { builder.runner(Pool::new(1).expect("a thread")) } else { builder });
    assert!(dialer.set(server.dialer()).is_ok());
    let remote = Remote::listen(at(REMOTE), 1);
    let upstream = thread(move || {
        let peer = remote.accept();
        assert_eq!(peer.receive_exactly(1).0, b"?");
        peer.send(b"ok").expect("it is open");
        (peer, remote)
    });
    let peer = Peer::connect(at(ADDRESS)).expect("it listens");
    peer.send(b"x").expect("it is open");
    assert_eq!(peer.receive_exactly(2).0, b"ok");
    count("answered");
    drop((peer, upstream.join().expect("no panic")));
    end(server);
}

fn end_read_by_its_handler(stage: &Stage) {
    let acts = Acts::request(|stage, io| {
        not_nested(|| match io.reader().next(2) {
            Err(Error::Eof { .. } | Error::Closed { .. }) => count("the handler read it"),
            other => panic!("{other:?}"),
        });
        stage.take(io);
    });
    let server = stage.serve(acts.disconnect(|_, _| not_nested(point)));
    let peer = Peer::connect(at(ADDRESS)).expect("it listens");
    peer.send(b"1").expect("it is open");
    peer.finish();
    drop(peer);
    until(|| stage.times(Step::Disconnected) == 1);
    end(server);
}

/// Counts its drop.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        // Ordering: Relaxed: one thread of the machine.
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A page that is lent, and whose drop panics after it has called its connection.
struct Page(Connection, #[allow(dead_code, reason = "its drop counts")] Counted);

impl AsRef<[u8]> for Page {
    fn as_ref(&self) -> &[u8] {
        &[7; 8192]
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // Under the output's locks this would be waiting for oneself.
        self.0.send(b"late").ok();
        panic!("the drop of a page");
    }
}

fn drops_at_the_end(_: &Stage) {
    let dropped: Arc<AtomicUsize> = Arc::default();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let hears = heard.clone();
    let hook = move |error: &Error| hears.lock().expect("no panic").push(error.to_string());
    let dialer = Dialer::builder().takeover(None).on_error(hook).build().expect("threads");
    let remote = Remote::listen(at(REMOTE), 1);
    let conn = dialer.connect(REMOTE, LONG).expect("it listens");
    let peer = remote.accept();
    let counted = || Counted(dropped.clone());
    let (own, one) = (conn.clone(), counted());
    conn.set_on_disconnect(move |_| {
        let _ = (&own, &one);
    });
    let (own, two) = (conn.clone(), counted());
    assert!(conn.on_close(move |_| drop((own, two))).is_ok());
    let (own, three, page) = (conn.clone(), counted(), Mutex::new(Some(Page(conn.clone(), counted()))));
    conn.set_on_request(move |io: &mut Io<'_>| {
        let _ = (&own, &three);
        io.consume(usize::MAX);
        if let Some(page) = page.lock().expect("no panic").take() {
            io.writer().append(Bytes::from_owner(page));
        }
    });
    let closes = conn.clone();
    let closer = thread(move || closes.close());
    peer.send(b"x").ok();
    closer.join().expect("no panic");
    drop(peer);
    let ended = dialer.shutdown(LONG).expect("not inside a callback");
    assert_eq!((ended.cut, ended.left, dialer.stats().panics), (0, 0, 1));
    conn.set_on_disconnect({
        let late = counted();
        move |_| {
            let _ = &late;
        }
    });
    conn.set_on_request({
        let late = counted();
        move |_: &mut Io<'_>| {
            let _ = &late;
        }
    });
    // Ordering: Relaxed, as above.
    assert_eq!(dropped.load(Ordering::Relaxed), 6, "dropped, whoever keeps a handle (U4)");
    let heard = std::mem::take(&mut *heard.lock().expect("no panic"));
    assert!(heard.iter().all(|error| error.contains("the drop of a page")), "{heard:?}");
    assert_eq!(heard.len(), 1, "a panic is reported once");
    count("a drop panicked");
    drop(conn);
}

fn lent_bytes_that_are_sent(_: &Stage) {
    let dropped: Arc<AtomicUsize> = Arc::default();
    let dialer = dialer();
    let remote = Remote::listen(at(REMOTE), 1);
    let conn = dialer.connect(REMOTE, LONG).expect("it listens");
    let peer = remote.accept();
    let lends = dropped.clone();
    conn.set_on_request(move |io: &mut Io<'_>| {
        io.consume(usize::MAX);
        let page = Page(io.connection().clone(), Counted(lends.clone()));
        io.writer().append(Bytes::from_owner(page));
    });
    peer.send(b"x").expect("it is open");
    assert!(peer.receive_exactly(8192).0.iter().all(|byte| *byte == 7));
    // Ordering: Relaxed: one thread of the machine.
    until(|| dropped.load(Ordering::Relaxed) == 1);
    count("sent from the queue");
    until(|| !conn.is_active());
    drop((peer, conn));
    let ended = dialer.shutdown(LONG).expect("not inside a callback");
    assert_eq!((ended.cut, ended.left, dialer.stats().panics), (0, 0, 1), "its connection is over, and nothing else");
}

fn shutdown_inside_callbacks(stage: &Stage) {
    let server: Arc<OnceLock<Server>> = Arc::default();
    let shuts = {
        let server = server.clone();
        move || {
            let server = server.get().expect("it is set");
            server.begin_shutdown(LONG).expect("a thread");
            let refused = server.shutdown(Duration::ZERO);
            assert!(matches!(refused, Err(Error::OnPoller { .. })), "it would wait for itself (U6)");
            count("begun and refused");
        }
    };
    let (in_request, in_disconnect, in_close) = (shuts.clone(), shuts.clone(), shuts);
    let acts = Acts::request(move |stage, io| {
        let bytes = stage.take(io);
        io.write(&bytes);
        if bytes == b"shut" {
            in_request();
        }
    });
    let acts = acts.disconnect(move |_, conn| {
        in_disconnect();
        let in_close = in_close.clone();
        // It may be too late.
        conn.on_close(move |_| in_close()).ok();
    });
    assert!(server.set(run(stage.builder(acts))).is_ok());
    let peer = Peer::connect(at(ADDRESS)).expect("it listens");
    peer.send(b"shut").expect("it is open");
    let other = thread(|| drop(Peer::connect(at(ADDRESS))));
    assert_eq!(peer.receive_exactly(4).0, b"shut");
    drop(peer);
    other.join().expect("no panic");
    end(server.get().expect("it is set").clone());
}

fn closes_in_a_row(_: &Stage) {
    let dialer = dialer();
    let remote = Remote::listen(at(REMOTE), 4);
    let conns: Vec<Connection> = (0..4).map(|_| dialer.connect(REMOTE, LONG).expect("it listens")).collect();
    let peers: Vec<Peer> = (0..4).map(|_| remote.accept()).collect();
    for pair in conns.windows(2) {
        let next = pair[1].clone();
        assert!(pair[0].on_close(move |_| not_nested(|| next.close())).is_ok());
    }
    let first = conns[0].clone();
    let closer = thread(move || first.close());
    let also = conns[2].clone();
    also.close();
    closer.join().expect("no panic");
    over(&dialer);
    count("one after the other");
    drop((peers, conns));
}
