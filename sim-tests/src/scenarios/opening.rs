//! The beginning of a connection, against its end.

use pollproof::sim::{Peer, count};

use super::Scenario;
use crate::stage::{ADDRESS, Acts, Stage, Step, at, end, run, until};

pub(super) const ALL: &[Scenario] = &[
    Scenario::new(
        "hup-against-connect",
        &["H1", "H5", "S2"],
        "A peer that goes while OnConnect runs: OnConnect, then OnDisconnect, once each.",
        &["closed during OnConnect"],
        hup_against_connect,
    ),
    Scenario::new(
        "send-then-close-against-connect",
        &["N5", "H2", "H1"],
        "What a peer sent before it closed reaches OnRequest, wherever OnConnect is meanwhile.",
        &["closed during OnConnect", "request after OnDisconnect"],
        send_then_close,
    ),
    Scenario::new(
        "close-in-connect",
        &["H1", "S4", "D1"],
        "A user close in OnConnect, against a peer that sends: OnDisconnect, no OnRequest, and one end.",
        &["closed during OnConnect"],
        close_in_connect,
    ),
];

/// Two pollers: the one accepts and runs OnConnect, the other sees the hup.
fn hup_against_connect(stage: &Stage) {
    let server = run(stage.builder(Acts::echo()).pollers(2));
    for _ in 0..2 {
        Peer::connect(at(ADDRESS)).expect("it listens").reset();
    }
    until(|| stage.times(Step::CloseOlder) == 2);
    end(server);
    assert_eq!((stage.times(Step::Connect), stage.times(Step::Disconnect)), (2, 2), "once for each (H1)");
}

fn send_then_close(stage: &Stage) {
    let server = run(stage.builder(Acts::echo()).pollers(2));
    for _ in 0..2 {
        let peer = Peer::connect(at(ADDRESS)).expect("it listens");
        peer.send(b"req").expect("it is open");
        peer.finish();
        let (answer, clean) = peer.receive_all();
        assert_eq!((&answer[..], clean), (&b"req"[..], true), "the request is answered (N5, E1)");
    }
    end(server);
    assert_eq!((stage.times(Step::Connect), stage.times(Step::Disconnect)), (2, 2), "once for each (H1)");
    stage.if_last(Step::Disconnected, Step::Request, || count("request after OnDisconnect"));
}

fn close_in_connect(stage: &Stage) {
    let server = run(stage.builder(Acts::echo().connect(|_, io| io.connection().close())).pollers(2));
    for _ in 0..2 {
        let peer = Peer::connect(at(ADDRESS)).expect("it listens");
        // It may be gone.
        let _ = peer.send(b"req");
        let (answer, _) = peer.receive_all();
        assert!(answer.is_empty(), "a user close stops the drain (S4)");
    }
    end(server);
    assert_eq!(stage.times(Step::Request), 0, "a user close stops the drain (S4)");
    assert_eq!(stage.times(Step::Disconnect), 2, "closed during OnConnect (H1)");
}
