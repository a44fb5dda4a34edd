//! Connections to others, and waiting outside handlers.

use std::time::Duration;

use pollproof::sim::{Faults, Peer, Remote, count};
use pollproof::{Connection, Dialer, Error};

use super::Scenario;
use crate::stage::{Acts, LONG, REMOTE, Stage, at, end, thread};

const SHORT: Duration = Duration::from_millis(5);

fn tight() -> Faults {
    Faults { room: 4, calls: 600, ..Faults::default() }
}

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "dial-against-shutdown",
        &["G1", "C6", "S2"],
        "A dial against the shutdown of its server: refused, or made and ended with it.",
        &["dialed", "shut down"],
        dial_against_shutdown,
    ),
    Scenario::new(
        "dial-timeout",
        &["C5"],
        "A peer that has no room in time is a timeout, and leaves nothing; nobody there is a refusal.",
        &["dial timed out", "dialed"],
        dial_timeout,
    )
    .races(2),
    Scenario::new(
        "read-timeout-against-data",
        &["T1", "T2", "T4", "S3"],
        "A read that may time out while its bytes come: none is lost, and a timeout leaves nothing behind.",
        &["timed out", "in time"],
        read_timeout,
    )
    .races(2),
    Scenario::new(
        "write-timeout-against-drain",
        &["T2", "O4", "O2", "B1"],
        "A flush that may time out while its peer drains: what was flushed goes out once, in order.",
        &["timed out", "in time", "socket full"],
        write_timeout,
    )
    .faults(tight)
    .races(2),
    Scenario::new(
        "unattended-hup",
        &["C6", "S3", "L1"],
        "A reader outside handlers against RST, and then a close: it is told, and the connection ends.",
        &["RST", "read before it"],
        unattended_hup,
    ),
    Scenario::new(
        "handler-set-late",
        &["R1", "R2", "C6", "N5"],
        "A handler that is set while data and the peer's close come: it is called for what is there.",
        &["called"],
        handler_set_late,
    ),
];

fn dialer() -> Dialer {
    Dialer::builder().takeover(None).build().expect("threads")
}

fn end_dialer(dialer: &Dialer) {
    let ended = dialer.shutdown(LONG).expect("not on its own thread");
    assert_eq!((ended.cut, ended.left), (0, 0));
}

fn dial_against_shutdown(stage: &Stage) {
    let server = stage.serve(Acts::echo());
    let remote = Remote::listen(at(REMOTE), 1);
    let dialer = server.dialer();
    let dials = thread(move || match dialer.connect(REMOTE, LONG) {
        Ok(_) => count("dialed"),
        Err(Error::ShutDown { .. }) => count("shut down"),
        Err(error) => panic!("{error}"),
    });
    end(server);
    dials.join().expect("no panic");
    drop(remote);
}

fn dial_timeout(_: &Stage) {
    let dialer = dialer();
    let remote = Remote::listen(at(REMOTE), 1);
    let first = Peer::connect(at(REMOTE)).expect("it listens");
    let server = thread(move || {
        drop(remote.accept());
        remote
    });
    match dialer.connect(REMOTE, SHORT) {
        Ok(conn) => {
            count("dialed");
            conn.close();
        }
        Err(Error::DialTimeout { .. }) => count("dial timed out"),
        Err(error) => panic!("{error}"),
    }
    assert!(matches!(dialer.connect("10.0.0.8:1", SHORT), Err(Error::Dial { .. })), "nobody listens there");
    assert_eq!(dialer.stats().open, 0);
    drop((server.join().expect("no panic"), first));
    end_dialer(&dialer);
}

/// A connection without a handler, and its other end.
fn connected(dialer: &Dialer) -> (Connection, Peer) {
    let remote = Remote::listen(at(REMOTE), 1);
    let conn = dialer.connect(REMOTE, LONG).expect("it listens");
    let peer = remote.accept();
    (conn, peer)
}

fn read_timeout(_: &Stage) {
    let dialer = dialer();
    let (conn, peer) = connected(&dialer);
    conn.set_read_timeout(Some(SHORT));
    let sender = thread(move || {
        peer.send(b"ab").expect("it is open");
        peer.send(b"cd").expect("it is open");
        peer
    });
    loop {
        match conn.reader().expect("nobody else reads").next(4) {
            Ok(bytes) => {
                assert_eq!(&bytes[..], b"abcd", "none is lost (N1)");
                break count("in time");
            }
            Err(Error::Timeout { .. }) => count("timed out"),
            Err(error) => panic!("{error}"),
        }
    }
    conn.close();
    drop(sender.join().expect("no panic"));
    drop(conn);
    end_dialer(&dialer);
}

fn write_timeout(_: &Stage) {
    let dialer = dialer();
    let (conn, peer) = connected(&dialer);
    conn.set_write_timeout(Some(SHORT));
    let drain = thread(move || {
        assert_eq!(peer.receive_exactly(14).0, b"aaaaaaaaaabbbb", "once, and in order (O4)");
        peer
    });
    let mut writer = conn.writer();
    for part in [&b"aaaaaaaaaa"[..], b"bbbb"] {
        let before = conn.bytes_sent();
        writer.write(part);
        match writer.flush() {
            Ok(()) => {
                assert!(conn.bytes_sent() >= before + part.len() as u64, "success is the bytes (T2)");
                count("in time");
            }
            Err(Error::Timeout { .. }) => count("timed out"),
            Err(error) => panic!("{error}"),
        }
    }
    drop(writer);
    drop(drain.join().expect("no panic"));
    conn.close();
    drop(conn);
    end_dialer(&dialer);
}

fn unattended_hup(_: &Stage) {
    let dialer = dialer();
    let (conn, peer) = connected(&dialer);
    let resets = thread(move || {
        peer.send(b"ab").expect("it is open");
        peer.reset();
    });
    let mut reader = conn.reader().expect("nobody else reads");
    match reader.next(2) {
        Ok(bytes) => {
            assert_eq!(&bytes[..], b"ab");
            count("read before it");
        }
        Err(Error::Closed { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    assert!(matches!(reader.next(1), Err(Error::Closed { .. } | Error::Eof { .. })), "it is told (T3)");
    drop(reader);
    resets.join().expect("no panic");
    conn.close();
    drop(conn);
    end_dialer(&dialer);
}

fn handler_set_late(_: &Stage) {
    let dialer = dialer();
    let (conn, peer) = connected(&dialer);
    let sender = thread(move || {
        peer.send(b"ab").expect("it is open");
        peer.finish();
        let (got, clean) = peer.receive_all();
        assert_eq!((&got[..], clean), (&b"ab"[..], true), "called for what is there (R2)");
    });
    conn.set_on_request(|io| {
        count("called");
        let bytes = io.data().to_vec();
        io.consume(bytes.len());
        io.write(&bytes);
    });
    sender.join().expect("no panic");
    drop(conn);
    end_dialer(&dialer);
}
