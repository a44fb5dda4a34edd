//! Listeners: room, descriptors, and the end of accepting.

use pollproof::sim::{Faults, Peer, count};

use super::Scenario;
use crate::stage::{ADDRESS, Acts, LONG, Stage, Step, at, end, run, thread};

/// epoll, its wake-up, the listener, and one more.
fn one_fd() -> Faults {
    Faults { numbers: 4, calls: 800, ..Faults::default() }
}

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "accept-against-shutdown",
        &["G1", "S2", "C4"],
        "A peer that connects while the server shuts down is served, or turned away; none is left.",
        &["served", "turned away", "closed with a backlog"],
        accept_against_shutdown,
    ),
    Scenario::new(
        "shutdown-before-the-start",
        &["G1"],
        "A server that never ran resets who waits in its queue, and leaves nothing.",
        &["closed with a backlog"],
        shutdown_before_start,
    ),
    Scenario::new(
        "emfile-episodes",
        &["Q1", "C5"],
        "Out of fds, again and again: accepting pauses, and goes on when a connection ends.",
        &["EMFILE", "two episodes", "fd number reused"],
        emfile,
    )
    .faults(one_fd),
    Scenario::new(
        "emfile-by-others",
        &["Q1"],
        "Out of fds by others than connections: accepting goes on by itself, after a while.",
        &["EMFILE"],
        emfile_by_others,
    )
    .faults(one_fd)
    .races(2),
    Scenario::new(
        "limit-of-connections",
        &["Q1", "Q2"],
        "At the limit of connections the next peer waits, and is served when one ends.",
        &["paused"],
        limit,
    ),
    Scenario::new(
        "shutdown-against-request",
        &["G1", "G2", "G3"],
        "A shutdown against a request in two halves: what was read of it is answered.",
        &["half of it was read", "answered", "turned away"],
        shutdown_against_request,
    ),
    Scenario::new(
        "two-shutdowns",
        &["G1", "L1"],
        "Two shutdowns at once, against a peer that sends: both return, and everything is over.",
        &["answered"],
        two_shutdowns,
    ),
];

fn accept_against_shutdown(stage: &Stage) {
    let server = stage.serve(Acts::echo());
    let peer = thread(|| {
        let Ok(peer) = Peer::connect(at(ADDRESS)) else { return count("refused") };
        let _ = peer.send(b"hi");
        let (got, _) = peer.receive_exactly(2);
        assert!(got.is_empty() || got == b"hi", "whole, or not at all");
        count(if got.is_empty() { "turned away" } else { "served" });
    });
    end(server);
    peer.join().expect("no panic");
}

fn shutdown_before_start(stage: &Stage) {
    let server = stage.builder(Acts::echo()).bind(ADDRESS).expect("nobody listens there");
    let peer = Peer::connect(at(ADDRESS)).expect("it listens");
    peer.send(b"hi").expect("it is open");
    end(server);
    let (got, clean) = peer.receive_all();
    assert!(got.is_empty() && !clean, "reset");
    assert!(Peer::connect(at(ADDRESS)).is_err(), "nobody listens any more");
    assert_eq!(stage.times(Step::Prepare), 0);
}

fn emfile(stage: &Stage) {
    let server = stage.serve(Acts::echo());
    let peers: Vec<Peer> = (0..3).map(|_| Peer::connect(at(ADDRESS)).expect("it listens")).collect();
    for peer in peers {
        peer.send(b"hi").expect("it is open");
        assert_eq!(peer.receive_exactly(2).0, b"hi", "served in its turn");
    }
    if server.stats().accept_pauses >= 2 {
        count("two episodes");
    }
    let paused = server.stats().accept_pauses as usize;
    assert_eq!(stage.take_errors().len(), paused, "each pause is reported, once");
    end(server);
    stage.take_errors();
}

fn emfile_by_others(stage: &Stage) {
    let server = stage.serve(Acts::echo());
    // Opens an epoll and a wake-up, as far as there is room, and gives them back.
    let other = thread(|| drop(pollproof::Dialer::builder().build()));
    let peer = Peer::connect(at(ADDRESS)).expect("it listens");
    peer.send(b"hi").expect("it is open");
    assert_eq!(peer.receive_exactly(2).0, b"hi", "served after a while");
    other.join().expect("no panic");
    drop(peer);
    end(server);
    stage.take_errors();
}

fn limit(stage: &Stage) {
    let server = run(stage.builder(Acts::echo()).max_connections(1));
    let first = Peer::connect(at(ADDRESS)).expect("it listens");
    let second = thread(|| {
        let peer = Peer::connect(at(ADDRESS)).expect("it listens");
        peer.send(b"second").expect("it is open");
        assert_eq!(peer.receive_exactly(6).0, b"second", "served in its turn (Q1)");
    });
    first.send(b"first").expect("it is open");
    assert_eq!(first.receive_exactly(5).0, b"first");
    assert!(server.stats().open <= 1, "never more than the limit (Q2)");
    drop(first);
    second.join().expect("no panic");
    if server.stats().accept_pauses > 0 {
        count("paused");
    }
    end(server);
}

fn shutdown_against_request(stage: &Stage) {
    let server = stage.serve(Acts::request(|stage, io| {
        if io.data().len() == 2 {
            count("half of it was read");
        }
        if io.data().len() == 4 {
            let bytes = stage.take(io);
            io.write(&bytes);
        }
    }));
    let peer = Peer::connect(at(ADDRESS)).expect("it listens");
    peer.send(b"ab").expect("it is open");
    let ender = thread(move || end(server));
    // It may be turned away, if nothing of it was read.
    let _ = peer.send(b"cd");
    let (got, _) = peer.receive_exactly(4);
    if stage.conn(0).is_some_and(|conn| conn.bytes_read() > 0) {
        assert_eq!(got, b"abcd", "what was read is answered (G2, G3)");
        count("answered");
    } else {
        count("turned away");
    }
    drop(peer);
    ender.join().expect("no panic");
}

fn two_shutdowns(stage: &Stage) {
    let server = stage.serve(Acts::echo());
    let peer = Peer::connect(at(ADDRESS)).expect("it listens");
    let (other, first) = (server.clone(), thread(move || server.shutdown(LONG).expect("not on its own thread")));
    let _ = peer.send(b"hi");
    let second = other.shutdown(LONG).expect("not on its own thread");
    let first = first.join().expect("no panic");
    assert_eq!((first.cut, first.left, second.cut, second.left), (0, 0, 0, 0));
    if peer.receive_exactly(2).0 == b"hi" {
        count("answered");
    }
}
