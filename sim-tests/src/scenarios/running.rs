//! Where handlers run: inline, on a pool, behind a takeover.

use std::panic::resume_unwind;
use std::time::Duration;

use pollproof::Pool;
use pollproof::sim::{Faults, Peer, count};

use super::Scenario;
use crate::stage::{ADDRESS, Acts, Stage, Step, at, end, point, run, thread};

fn patient() -> Faults {
    Faults { calls: 1_000, ..Faults::default() }
}

fn wide() -> Faults {
    Faults { room: 16, calls: 600, ..Faults::default() }
}

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "takeover-against-return",
        &["K1", "K2", "K3", "K5"],
        "The watchdog replaces a thread whose handler is about to return: both go on, and nothing is lost.",
        &["taken over", "came back in time"],
        takeover,
    )
    .faults(patient)
    .races(24),
    Scenario::new(
        "blocked-reader-gives-its-loop-away",
        &["K1", "K2", "T1", "S1"],
        "A handler that waits for the rest of its request gives its loop to another thread, which serves the others.",
        &["taken over"],
        blocked_reader,
    )
    .faults(patient),
    Scenario::new(
        "pool-against-hup",
        &["S1", "N2", "N5", "H4"],
        "Handlers on a pool, a peer that sends and goes: every byte is handled, then the end.",
        &["request after OnDisconnect"],
        pool_against_hup,
    ),
    Scenario::new(
        "budget-on-two-pollers",
        &["F2", "N2", "S1"],
        "Drains that use up their budget go to the end of their poller's queue, and come back.",
        &["called again"],
        budget,
    ),
    Scenario::new(
        "read-ahead",
        &["N6", "I1", "B1"],
        "A peer that sends more than may be read ahead of a busy handler: reading stops, and goes on; in order.",
        &["reading stopped"],
        read_ahead,
    )
    .faults(wide),
    Scenario::new(
        "panic-in-handler",
        &["P1", "P3", "C2"],
        "A handler that panics ends its connection; the others are served, and the server shuts down.",
        &["panicked"],
        panic,
    ),
];

fn takeover(stage: &Stage) {
    let acts = Acts::request(|stage, io| {
        let bytes = stage.take(io);
        (0..16).for_each(|_| point());
        io.write(&bytes);
    });
    let server = run(stage.builder(acts).takeover(Some(Duration::from_millis(1))).max_threads(3));
    let slow = Peer::connect(at(ADDRESS)).expect("it listens");
    let other = thread(|| {
        let peer = Peer::connect(at(ADDRESS)).expect("it listens");
        peer.send(b"b").expect("it is open");
        assert_eq!(peer.receive_exactly(1).0, b"b", "served");
    });
    for part in [b"1", b"2"] {
        slow.send(part).expect("it is open");
    }
    assert_eq!(slow.receive_exactly(2).0, b"12", "nothing is lost, in order (K3)");
    other.join().expect("no panic");
    drop(slow);
    count(if server.stats().takeovers > 0 { "taken over" } else { "came back in time" });
    end(server);
}

fn blocked_reader(stage: &Stage) {
    let acts = Acts::request(|_, io| {
        let count = if io.data().starts_with(b"a") { 4 } else { 1 };
        // Its peer sends the rest, and waits for the answer.
        let bytes = io.reader().next(count).expect("it comes");
        io.write(&bytes);
    });
    let server = run(stage.builder(acts).takeover(Some(Duration::from_secs(100))).max_threads(3));
    let slow = Peer::connect(at(ADDRESS)).expect("it listens");
    slow.send(b"ab").expect("it is open");
    let other = Peer::connect(at(ADDRESS)).expect("it listens");
    other.send(b"x").expect("it is open");
    assert_eq!(other.receive_exactly(1).0, b"x", "served meanwhile (K1)");
    slow.send(b"cd").expect("it is open");
    assert_eq!(slow.receive_exactly(4).0, b"abcd", "woken (T1)");
    drop((slow, other));
    if server.stats().takeovers > 0 {
        count("taken over");
    }
    end(server);
}

fn pool_against_hup(stage: &Stage) {
    let server =
        run(stage.builder(Acts::request(|stage, io| drop(stage.take(io)))).runner(Pool::new(1).expect("threads")));
    let peer = Peer::connect(at(ADDRESS)).expect("it listens");
    peer.send(b"ab").expect("it is open");
    peer.send(b"cd").expect("it is open");
    peer.finish();
    assert_eq!(peer.receive_all(), (Vec::new(), true), "the end, when all is handled");
    end(server);
    let id = 0;
    assert_eq!(stage.took(stage.conn(id).expect("it came").id()), b"abcd", "every byte (N5)");
    assert_eq!(stage.times(Step::Disconnect), 1);
    stage.if_last(Step::Disconnected, Step::Request, || count("request after OnDisconnect"));
}

fn budget(stage: &Stage) {
    let acts = Acts::request(|_, io| {
        let byte = io.data().first().copied();
        if io.data().len() == 1 {
            count("called again");
        }
        io.consume(1);
        io.write(byte.as_slice());
    });
    let server = run(stage.builder(acts).budget(1).pollers(2));
    let peers = [b"abc", b"def"].map(|request| {
        thread(move || {
            let peer = Peer::connect(at(ADDRESS)).expect("it listens");
            peer.send(request).expect("it is open");
            assert_eq!(peer.receive_exactly(3).0, request, "all of it (F2)");
        })
    });
    for peer in peers {
        peer.join().expect("no panic");
    }
    end(server);
}

fn read_ahead(stage: &Stage) {
    let acts = Acts::request(|stage, io| {
        let bytes = stage.take(io);
        (0..4).for_each(|_| point());
        io.write(&bytes);
    });
    let server = run(stage.builder(acts).read_ahead(2).runner(Pool::new(1).expect("threads")));
    let peer = Peer::connect(at(ADDRESS)).expect("it listens");
    for part in [b"abc", b"def", b"ghi"] {
        peer.send(part).expect("it is open");
    }
    assert_eq!(peer.receive_exactly(9).0, b"abcdefghi", "in order (B1)");
    drop(peer);
    end(server);
}

fn panic(stage: &Stage) {
    let server = stage.serve(Acts::request(|stage, io| {
        let bytes = stage.take(io);
        if bytes.starts_with(b"p") {
            count("panicked");
            // Without the hook of the process, which the checker watches.
            resume_unwind(Box::new("on purpose"));
        }
        io.write(&bytes);
    }));
    let bad = Peer::connect(at(ADDRESS)).expect("it listens");
    bad.send(b"p").expect("it is open");
    let good = Peer::connect(at(ADDRESS)).expect("it listens");
    good.send(b"good").expect("it is open");
    assert_eq!(good.receive_exactly(4).0, b"good");
    assert!(bad.receive_all().0.is_empty(), "closed (P1)");
    drop((good, bad));
    end(server);
    assert_eq!(stage.take_errors().len(), 1, "reported, once");
}
