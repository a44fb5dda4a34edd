//! The end of a connection, from several sides at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use pollproof::sim::{Peer, Remote, count};
use pollproof::{Connection, Detached};

use super::Scenario;
use crate::stage::{ADDRESS, Acts, LONG, REMOTE, Stage, Step, at, end, thread, until};

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "stale-event-against-reuse",
        &["C4", "C5", "D1", "D2"],
        "An event in hand for a connection that was closed, whose fd number and slot another one has by now, is dropped.",
        &["fd number reused", "stale event dropped"],
        stale_event,
    ),
    Scenario::new(
        "close-against-hup",
        &["C1", "C2", "H4", "D1"],
        "A user close and a hup at once: one end, and OnDisconnect only if the hup was first.",
        &["user first", "peer first"],
        close_against_hup,
    ),
    Scenario::new(
        "detach-against-hup",
        &["D1", "D3", "C4"],
        "Detach against a hup: the fd comes back once, out of epoll, or the hup was first.",
        &["handed back", "too late"],
        detach_against_hup,
    ),
    Scenario::new(
        "detach-at-task-exit",
        &["D1", "D3", "N2"],
        "Detach while the handler returns: the fd comes back, out of epoll, with what was not consumed.",
        &["handed back", "handed back with bytes"],
        detach_at_task_exit,
    ),
    Scenario::new(
        "adders-against-close",
        &["C2", "C3"],
        "Close callbacks that are added while somebody closes: each runs once, newest first, or comes back.",
        &["callback accepted", "callback refused"],
        adders_against_close,
    ),
    Scenario::new(
        "send-against-close",
        &["O1", "T3", "C4"],
        "A send from a foreign thread against a close: the peer gets what was sent, whole or cut, in order.",
        &["sent", "refused"],
        send_against_close,
    ),
];

/// While the poller is in a handler, with the event of another connection in hand, that one is closed and a new one is
/// dialed: number and slot are reused.
fn stale_event(stage: &Stage) {
    // Two handlers of one batch, each of which waits until the gate of its kind is open.
    let gates: Arc<[AtomicBool; 2]> = Arc::default();
    let handled = gates.clone();
    let server = stage.serve(Acts::request(move |stage, io| {
        let gate = match &stage.take(io)[..] {
            b"wait" => &handled[0],
            b"close" => &handled[1],
            _ => return,
        };
        // Ordering: Relaxed: one thread of the machine.
        while !gate.load(Ordering::Relaxed) {
            shuttle::thread::yield_now();
        }
    }));
    let open = |gate: usize| gates[gate].store(true, Ordering::Relaxed);
    let dialer = server.dialer();
    let remote = Remote::listen(at(REMOTE), 1);
    let victim = Peer::connect(at(ADDRESS)).expect("it listens");
    let closer = Peer::connect(at(ADDRESS)).expect("it listens");
    let gate = Peer::connect(at(ADDRESS)).expect("it listens");
    until(|| stage.times(Step::Connected) == 3);
    // While the poller is in a handler, both of them send: their events come in one batch.
    gate.send(b"wait").expect("it is open");
    until(|| stage.times(Step::Request) == 1);
    closer.send(b"close").expect("it is open");
    victim.send(b"more").expect("it is open");
    open(0);
    until(|| stage.times(Step::Request) >= 2);
    // The poller is in the second handler of its batch, and may have the victim's event in hand.
    stage.conn(0).expect("it came first").close();
    let conn = dialer.connect(REMOTE, LONG).expect("it listens");
    open(1);
    let peer = remote.accept();
    peer.send(b"hello").expect("it is open");
    assert_eq!(&conn.reader().expect("nobody reads").next(5).expect("they come")[..], b"hello");
    conn.close();
    drop((victim, closer, gate, peer));
    if server.stats().stale_events > 0 {
        count("stale event dropped");
    }
    end(server);
}

fn close_against_hup(stage: &Stage) {
    let server = stage.serve(Acts::echo());
    let (peer, conn) = stage.known_peer();
    let closer = thread(move || conn.close());
    peer.reset();
    closer.join().expect("no panic");
    end(server);
    count(if stage.times(Step::Disconnect) == 0 { "user first" } else { "peer first" });
}

fn detach_against_hup(stage: &Stage) {
    let server = stage.serve(Acts::echo());
    let (peer, conn) = stage.known_peer();
    let detacher = thread(move || detach(&conn));
    peer.reset();
    let back = detacher.join().expect("no panic");
    end(server);
    if let Some(back) = back {
        let detached = back.lock().expect("no panic").take().expect("the fd comes back (D3)");
        drop(detached);
        count("handed back");
    } else {
        count("too late");
    }
}

fn detach_at_task_exit(stage: &Stage) {
    let server = stage.serve(Acts::echo());
    let (peer, conn) = stage.known_peer();
    let detacher = thread(move || detach(&conn));
    peer.send(b"ab").expect("it is open or handed back");
    let back = detacher.join().expect("no panic").expect("nobody else closes it");
    end(server);
    let detached = back.lock().expect("no panic").take().expect("the fd comes back (D3)");
    count("handed back");
    if !detached.unread.is_empty() {
        assert_eq!(detached.unread, b"ab");
        count("handed back with bytes");
    }
}

fn detach(conn: &Connection) -> Option<Arc<Mutex<Option<Detached>>>> {
    let back: Arc<Mutex<Option<Detached>>> = Arc::default();
    let gives = back.clone();
    let callback = move |detached: Detached| {
        // A server that is over has no epoll any more, so this is looked at here.
        assert!(!detached.fd.is_registered(), "out of epoll (D1)");
        assert!(gives.lock().expect("no panic").replace(detached).is_none(), "once (D3)");
    };
    conn.detach(callback).is_ok().then_some(back)
}

fn adders_against_close(stage: &Stage) {
    let server = stage.serve(Acts::echo());
    let (peer, conn) = stage.known_peer();
    let ran: Arc<Mutex<Vec<u32>>> = Arc::default();
    let (adds, runs) = (conn.clone(), ran.clone());
    let adder = thread(move || {
        let add = |number: u32| {
            let runs = runs.clone();
            let added = adds.on_close(move |_| runs.lock().expect("no panic").push(number)).is_ok();
            count(if added { "callback accepted" } else { "callback refused" });
            added
        };
        (0..3).filter(|number| add(*number)).collect::<Vec<u32>>()
    });
    conn.close();
    let mut accepted = adder.join().expect("no panic");
    drop(peer);
    end(server);
    accepted.reverse();
    assert_eq!(*ran.lock().expect("no panic"), accepted, "what was accepted runs once, newest first (C2, C3)");
}

fn send_against_close(stage: &Stage) {
    let server = stage.serve(Acts::echo());
    let (peer, conn) = stage.known_peer();
    let sends = conn.clone();
    let sender = thread(move || sends.send(b"abcdef").is_ok());
    conn.close();
    let (got, _) = peer.receive_all();
    assert!(b"abcdef".starts_with(&got), "in order (B1)");
    count(if sender.join().expect("no panic") { "sent" } else { "refused" });
    end(server);
}
