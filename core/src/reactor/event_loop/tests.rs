//! A round of a loop, step by step, without a thread of its own: whose turn it is, and what a deposed thread leaves.
//!
//! Not here: what a request is answered with, over sockets (`core/tests/`).

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use super::*;
use crate::Io;
use crate::Server;
use crate::buffer::block::SIZE;
use crate::buffer::output::Write as _;
use crate::connection::events::TURN;
use crate::connection::shared::Shared;
use crate::connection::step::sending::Writing;
use crate::connection::step::tests::{connected, joined, joined_by};
use crate::connection::step::{Local, State, Step};
use crate::protocol::lifecycle::{self, Reading};
use crate::protocol::takeover::Crew;
use crate::sync::Mutex;
use crate::sys::Interest;

/// What a loop that is not over has of the kernel.
fn fds(poller: &Poller<Shared>) -> Arc<Fds> {
    poller.fds().expect("it is not over")
}

/// SPEC: F1. The handler is the peer too: whatever it has consumed is there again.
#[test]
fn a_peer_that_never_stops_sending_has_one_turn_at_a_time() {
    let (ours, peer) = UnixStream::pair().expect("a pair");
    peer.set_nonblocking(true).expect("non-blocking");
    let refill = move |peer: &mut UnixStream| while peer.write(&[7; 4096]).is_ok() {};
    let peer = Arc::new(Mutex::new((peer, 0)));
    let sender = peer.clone();
    let handler = move |io: &mut Io<'_>| {
        io.consume(usize::MAX);
        let (peer, calls) = &mut *crate::sync::lock(&sender);
        *calls += 1;
        if *calls < 100 {
            refill(peer);
        }
    };
    let server = Server::builder().on_request(|_: &mut Io<'_>| ()).bind("127.0.0.1:0").expect("a port");
    let conn = joined_by(&server, ours, handler);
    refill(&mut crate::sync::lock(&peer).0);

    let local = Local::default();
    for turn in 1..4 {
        let mut events = Events::new(4);
        conn.conn().poller().wait(&fds(conn.conn().poller()), &mut events, Some(Duration::ZERO)).expect("epoll");
        let (_, ready) = events.batch().next().expect("it is level-triggered");
        Shared::event(&conn, ready, &local);
        assert_eq!(crate::sync::lock(&peer).1, turn * (TURN + 1), "calls after {turn} events");
        assert_eq!(conn.conn().input.produced(), (turn * (TURN + 1) * SIZE) as u64);
    }
    conn.close();
}

#[test]
fn an_event_for_a_registration_that_is_over_is_dropped_and_counted() {
    let (conn, _peer, server) = connected();
    let (poller, token) = (conn.conn().poller(), conn.conn().token);
    conn.close();
    let (other, mut peer) = UnixStream::pair().expect("a pair");
    let other = OwnedFd::from(other);
    poller.add(&other, Interest::READABLE, token.0).expect("epoll");
    peer.write_all(b"x").expect("a write");
    let lead = Crew::new(1, 1).lead_of(0);
    assert_eq!(round(server.shared(), poller, &fds(poller), &lead, &mut Desk::new(), Some(Duration::ZERO)), Some(0));
    assert_eq!(server.stats().stale_events, 1);
}

/// SPEC: K3. The two are not served twice, and none is forgotten.
#[test]
fn a_thread_that_is_deposed_in_a_batch_leaves_the_rest_of_it_to_its_successor() {
    let crew = Arc::new(Crew::new(1, 2));
    let lead = crew.lead_of(0);
    let calls = Arc::new(Mutex::new(0));
    let deposing = {
        let (crew, lead, calls) = (crew.clone(), lead.clone(), calls.clone());
        move |io: &mut Io<'_>| {
            io.consume(usize::MAX);
            *crate::sync::lock(&calls) += 1;
            let _ = crew.succeed(&lead, || true);
        }
    };
    let server = Server::builder().on_request(|_: &mut Io<'_>| ()).bind("127.0.0.1:0").expect("a port");
    let connections = [joined(&server, deposing.clone()), joined(&server, deposing)];
    for (_, peer) in &connections {
        (&*peer).write_all(b"x").expect("a write");
    }
    let poller = connections[0].0.conn().poller();
    let next = |lead: &Lead| round(server.shared(), poller, &fds(poller), lead, &mut Desk::new(), Some(Duration::ZERO));
    assert_eq!((next(&lead), *crate::sync::lock(&calls)), (None, 1));
    assert_eq!((next(&crew.lead_of(0)), *crate::sync::lock(&calls)), (Some(0), 2));
    connections.iter().for_each(|(conn, _)| conn.close());
}

/// SPEC: K2. Connections of two loops may have the same token.
#[test]
fn a_thread_that_goes_on_to_another_loop_has_no_handles_of_the_first() {
    let crew = Arc::new(Crew::new(2, 3));
    let lead = crew.lead_of(0);
    let served = Arc::new(Mutex::new(Vec::new()));
    let deposing = {
        let (crew, lead, served) = (crew.clone(), lead.clone(), served.clone());
        move |io: &mut Io<'_>| {
            io.consume(usize::MAX);
            crate::sync::lock(&served).push(io.connection().id());
            let _ = crew.succeed(&lead, || true);
        }
    };
    let server = Server::builder().pollers(2).on_request(|_: &mut Io<'_>| ()).bind("127.0.0.1:0").expect("a port");
    let connections = [joined(&server, deposing.clone()), joined(&server, deposing)];
    let [first, second] = [0, 1].map(|index| connections[index].0.conn());
    assert_eq!((first.place.home(), second.place.home(), first.token), (0, 1, second.token));
    for (_, peer) in &connections {
        (&*peer).write_all(b"x").expect("a write");
    }
    let mut desk = Desk::new();
    run(server.shared(), &lead, &mut desk);
    assert_eq!(*crate::sync::lock(&served), [0]);
    let next = round(
        server.shared(),
        second.poller(),
        &fds(second.poller()),
        &crew.lead_of(1),
        &mut desk,
        Some(Duration::ZERO),
    );
    assert_eq!((next, &**crate::sync::lock(&served)), (Some(0), &[0, 1][..]));
    connections.iter().for_each(|(conn, _)| conn.close());
}

/// SPEC: F2, C5. It owns the connection, and nobody would take it from the queue.
#[test]
fn a_section_that_waits_for_its_turn_ends_with_the_loop() {
    let server = Server::builder().budget(1).on_request(|_: &mut Io<'_>| ()).bind("127.0.0.1:0").expect("a port");
    let (conn, mut peer) = joined(&server, |io| {
        io.consume(1);
    });
    peer.write_all(b"12").expect("a write");
    let read = lifecycle::readable(&Step::polling(&conn, &Local::default(), &State::new()), false);
    assert_eq!((read, conn.conn().poller().queued(), server.stats().open), (Reading::Data, true, 1));
    end(server.shared(), &Crew::new(1, 1).lead_of(0), &Local::default());
    assert_eq!(server.stats().open, 0);
}

/// SPEC: K6. On a masked fd the event comes once.
#[test]
fn a_deposed_thread_sends_what_an_event_in_hand_says_there_is_room_for() {
    let (conn, mut peer, _server) = connected();
    let poller = conn.conn().poller();
    conn.send(&vec![1; 4 << 20]).expect("queued");
    let before = conn.bytes_sent();
    peer.read_exact(&mut vec![0; before as usize]).expect("what the socket took");
    let mut events = Events::new(4);
    poller.wait(&fds(poller), &mut events, Some(Duration::ZERO)).expect("epoll");
    let (token, ready) = events.batch().next().expect("there is room");
    drop_event(poller, &mut Handles::new(), token, ready, &Local::default());
    assert!(conn.bytes_sent() > before);
    conn.close();
}

/// SPEC: K6. A masked fd is reported again only after it was full.
#[test]
fn a_consumer_rests_only_where_epoll_comes_back_to_it() {
    let (conn, _peer, _server) = connected();
    let (local, state) = (Local::default(), State::new());
    let may_rest = || Writing(Step::polling(&conn, &local, &state)).may_rest();
    assert!(may_rest());
    conn.conn().word.mask();
    assert!(!may_rest());
}
