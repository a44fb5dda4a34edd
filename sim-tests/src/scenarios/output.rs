//! Output that the peer does not take at once.

use pollproof::sim::{Faults, Peer, count};

use super::Scenario;
use crate::stage::{ADDRESS, Acts, Stage, Step, at, end, run, thread, until};

/// So little room that almost every answer is parked.
fn tight() -> Faults {
    Faults { room: 4, calls: 600, ..Faults::default() }
}

fn tight_and_short() -> Faults {
    Faults { short_write: 3, short_read: 3, ..tight() }
}

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "short-writes-and-backlog",
        &["O3", "B1", "I1"],
        "Answers that go out in pieces, by handler, flusher and poller: every byte, in order.",
        &["socket full", "short write", "short read"],
        short_writes,
    )
    .faults(tight_and_short),
    Scenario::new(
        "half-close-with-output-left",
        &["E1", "E3"],
        "A peer that sends its request and FIN, and reads slowly, gets the whole answer and a clean end.",
        &["socket full"],
        half_close,
    )
    .faults(tight),
    Scenario::new(
        "rst-while-writing",
        &["E2", "O3", "H3"],
        "A peer that resets in the middle of an answer ends its connection, and nothing else.",
        &["socket full", "write after RST"],
        rst_while_writing,
    )
    .faults(tight),
    Scenario::new(
        "high-water",
        &["O5", "I1"],
        "Above the high-water mark the handler waits, and goes on when the peer has taken enough.",
        &["socket full", "the handler waited"],
        high_water,
    )
    .faults(tight),
    Scenario::new(
        "relay",
        &["O6", "E5", "B1"],
        "What one connection reads goes out on another, paced by that one's peer; in order, and then the end.",
        &["socket full"],
        relay,
    )
    .faults(tight),
    Scenario::new(
        "two-senders",
        &["O1", "O2", "O3", "B1"],
        "A foreign thread's sends beside the handler's answers: both whole and in order, though the socket is full.",
        &["socket full"],
        two_senders,
    )
    .faults(tight),
];

fn short_writes(stage: &Stage) {
    let server = stage.serve(Acts::multiply(4));
    let peer = Peer::connect(at(ADDRESS)).expect("it listens");
    peer.send(b"abc").expect("it is open");
    assert_eq!(peer.receive_exactly(12).0, b"aaaabbbbcccc");
    drop(peer);
    end(server);
}

fn half_close(stage: &Stage) {
    let server = stage.serve(Acts::multiply(6));
    let peer = Peer::connect(at(ADDRESS)).expect("it listens");
    peer.send(b"ab").expect("it is open");
    peer.finish();
    let (answer, clean) = peer.receive_all();
    assert_eq!((&answer[..], clean), (&b"aaaaaabbbbbb"[..], true), "the whole answer, then the end (E3)");
    end(server);
    assert_eq!(stage.times(Step::Disconnect), 1, "at the end of the stream (E1)");
}

fn rst_while_writing(stage: &Stage) {
    let server = stage.serve(Acts::multiply(12));
    let peer = Peer::connect(at(ADDRESS)).expect("it listens");
    peer.send(b"a").expect("it is open");
    let (got, _) = peer.receive_exactly(2);
    assert!(got.iter().all(|byte| *byte == b'a'));
    peer.reset();
    let other = Peer::connect(at(ADDRESS)).expect("it listens");
    other.send(b"b").expect("it is open");
    assert_eq!(other.receive_exactly(12).0, [b'b'; 12], "the other one is served");
    drop(other);
    end(server);
}

fn high_water(stage: &Stage) {
    let server = run(stage.builder(Acts::multiply(6)).water_marks(2, 4));
    let peer = Peer::connect(at(ADDRESS)).expect("it listens");
    for byte in [b"a", b"b", b"c"] {
        peer.send(byte).expect("it is open");
    }
    if stage.took(0).len() < 3 && stage.conn(0).is_some_and(|conn| conn.backlog() >= 4) {
        count("the handler waited");
    }
    assert_eq!(peer.receive_exactly(18).0, b"aaaaaabbbbbbcccccc");
    drop(peer);
    end(server);
}

fn relay(stage: &Stage) {
    let acts = Acts::request(|stage, io| {
        let other = stage.conn(1).expect("it came first");
        let bytes = stage.take(io);
        if io.connection().id() == other.id() {
            return;
        }
        io.pace_by(&other);
        other.send(&bytes).expect("its peer waits for all");
        if io.is_last() {
            other.end_output().expect("once");
            io.connection().end_output().expect("once");
        }
    });
    let server = run(stage.builder(acts.connect(|_, io| io.keep_open())).water_marks(1, 2));
    let from = Peer::connect(at(ADDRESS)).expect("it listens");
    let to = Peer::connect(at(ADDRESS)).expect("it listens");
    until(|| stage.conn(1).is_some());
    let sender = thread(move || {
        for part in [b"abc", b"def", b"ghi"] {
            from.send(part).expect("it is open");
        }
        from.finish();
        from
    });
    let (got, _) = to.receive_exactly(9);
    assert_eq!(got, b"abcdefghi", "in order (B1)");
    assert_eq!(to.receive_all(), (Vec::new(), true), "and then the end (E5)");
    drop(sender.join().expect("no panic"));
    drop(to);
    // The second one is kept open, and its peer has gone.
    end(server);
}

fn two_senders(stage: &Stage) {
    let server = stage.serve(Acts::multiply(3));
    let (peer, conn) = {
        let peer = Peer::connect(at(ADDRESS)).expect("it listens");
        peer.send(b"!").expect("it is open");
        assert_eq!(peer.receive_exactly(3).0, b"!!!");
        (peer, stage.conn(0).expect("it was accepted"))
    };
    let sender = thread(move || {
        conn.send(b"1234").expect("nobody closes");
        conn.send(b"56").expect("nobody closes");
    });
    peer.send(b"ab").expect("it is open");
    let (got, _) = peer.receive_exactly(12);
    let of = |digits: bool| got.iter().copied().filter(|byte| byte.is_ascii_digit() == digits).collect::<Vec<u8>>();
    assert_eq!((&of(true)[..], &of(false)[..]), (&b"123456"[..], &b"aaabbb"[..]), "each in order (B1)");
    sender.join().expect("no panic");
    drop(peer);
    end(server);
}
