//! A kernel that interrupts, reports what is not there, and has no memory.

use pollproof::sim::{Faults, Peer};

use super::Scenario;
use crate::stage::{ADDRESS, Acts, Stage, Step, at, end};

fn interrupting() -> Faults {
    Faults { interrupt: 3, calls: 1_000, ..Faults::default() }
}

fn spurious() -> Faults {
    Faults { spurious: 2, calls: 600, ..Faults::default() }
}

fn no_memory_at_add() -> Faults {
    Faults { add_fails: vec![1], ..Faults::default() }
}

fn no_memory_at_modify() -> Faults {
    Faults { room: 4, modify_fails: vec![1], ..Faults::default() }
}

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "interrupted-calls",
        &["N1", "B1", "L1"],
        "EINTR of every call that can have it: it is made again, and nothing is lost.",
        &["EINTR"],
        echo_twice,
    )
    .faults(interrupting),
    Scenario::new(
        "spurious-events",
        &["N3", "F1", "C4"],
        "Events of sockets that have nothing to read, of open and of closing connections: no harm.",
        &["spurious event"],
        spurious_events,
    )
    .faults(spurious),
    Scenario::new(
        "no-memory-at-add",
        &["D1", "C2", "C5"],
        "A connection that cannot be added to epoll ends, its close callbacks included; the next one is served.",
        &["ENOMEM at ADD", "fd number reused"],
        at_add,
    )
    .faults(no_memory_at_add),
    Scenario::new(
        "no-memory-at-mod",
        &["I1", "C4"],
        "A mask that cannot be changed is reported; the connection can be closed, and leaves nothing.",
        &["ENOMEM at MOD"],
        at_modify,
    )
    .faults(no_memory_at_modify),
];

fn echo_twice(stage: &Stage) {
    let server = stage.serve(Acts::echo());
    for request in [b"ab", b"cd"] {
        let peer = Peer::connect(at(ADDRESS)).expect("it listens");
        peer.send(request).expect("it is open");
        assert_eq!(peer.receive_exactly(2).0, request);
    }
    end(server);
}

fn spurious_events(stage: &Stage) {
    let server = stage.serve(Acts::echo());
    let peers = [b"a", b"b"].map(|request| {
        let peer = Peer::connect(at(ADDRESS)).expect("it listens");
        peer.send(request).expect("it is open");
        (peer, request)
    });
    for (peer, request) in peers {
        assert_eq!(peer.receive_exactly(1).0, request);
    }
    end(server);
}

fn at_add(stage: &Stage) {
    let server = stage.serve(Acts::echo());
    let first = Peer::connect(at(ADDRESS)).expect("it listens");
    let _ = first.send(b"ab");
    assert!(first.receive_all().0.is_empty(), "closed");
    let second = Peer::connect(at(ADDRESS)).expect("it listens");
    second.send(b"cd").expect("it is open");
    assert_eq!(second.receive_exactly(2).0, b"cd");
    drop((first, second));
    end(server);
    assert_eq!((stage.times(Step::Prepare), stage.times(Step::Connect)), (2, 1));
    assert_eq!(stage.take_errors().len(), 1, "reported, once");
}

fn at_modify(stage: &Stage) {
    let server = stage.serve(Acts::multiply(12));
    let peer = Peer::connect(at(ADDRESS)).expect("it listens");
    peer.send(b"a").expect("it is open");
    assert_eq!(peer.receive_exactly(4).0, b"aaaa");
    stage.conn(0).expect("it was accepted").close();
    let (rest, _) = peer.receive_all();
    assert!(rest.iter().all(|byte| *byte == b'a') && rest.len() <= 8);
    drop(peer);
    end(server);
    stage.take_errors();
}
