//! Bytes that a user lent: wherever their owner is dropped, and however many panic in that.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use std::time::Duration;

use bytes::Bytes;
use pollproof::{Connection, Io};
use socket2::Socket;

use crate::queue::queue;
use crate::support::*;
use crate::users::*;

tests! {
    u1_owners_that_panic_when_their_bytes_are_sent_end_their_connection_only: ALL;
    u1_owners_that_panic_when_their_bytes_are_lost_harm_nobody: ALL;
    u1_owners_that_panic_in_what_was_never_flushed_harm_nobody: ALL;
    u1_owners_that_panic_are_dropped_one_by_one_on_any_thread: ALL;
    u4_owners_that_use_their_connection_as_they_are_dropped_find_it_free: ALL;
}

/// More than a socket takes.
const MUCH: usize = 8 << 20;

/// A server whose first connection has `first` as its OnRequest, and sockets that take little.
fn small<R: pollproof::Outcome>(
    place: Place,
    first: impl Fn(&mut Io<'_>) -> R + Send + Sync + 'static,
) -> (Serving, crate::queue::Receiver<(&'static str, u64)>) {
    let (builder, panics) = telling(place.builder().send_buffer(16 << 10));
    (spoiled(place, builder, first), panics)
}

fn ask(serving: &Serving) -> Socket {
    let bad = serving.client();
    write(&bad, b"bad");
    bad
}

/// SPEC: U1: at once, or when the queue has gone; alone, or several in one reply.
fn u1_owners_that_panic_when_their_bytes_are_sent_end_their_connection_only(place: Place) {
    for (count, size) in [(1, 8192), (3, 8192), (1, MUCH), (3, MUCH)] {
        let (serving, panics) = small(place, move |io| {
            io.consume(usize::MAX);
            for _ in 0..count {
                io.writer().append(lent(size, Bomb));
            }
        });
        gone(&ask(&serving));
        for _ in 0..count {
            assert_eq!(panics.next(), ("drop of lent bytes", 0));
        }
        all_is_well(&serving);
    }
}

/// How a handler ends its connection.
type End = fn(&Connection);

/// SPEC: U1, U4: the peer resets, or the connection is closed or detached with all of it unsent.
fn u1_owners_that_panic_when_their_bytes_are_lost_harm_nobody(place: Place) {
    let ends: [(bool, End); 3] = [(true, |_| ()), (false, Connection::close), (false, |conn| drop(conn.detach(drop)))];
    for (resets, end) in ends {
        let (sender, queued) = queue();
        let (serving, panics) = small(place, move |io| {
            io.consume(usize::MAX);
            (0..3).for_each(|_| io.writer().append(lent(MUCH, Bomb)));
            io.writer().flush().ok();
            end(io.connection());
            sender.send(());
        });
        let bad = ask(&serving);
        if place == Pool && resets {
            // The flush waits until it is lost.
            std::thread::sleep(Duration::from_millis(50));
        } else if place != Pool {
            queued.next();
        }
        if resets || place == Pool {
            bad.set_linger(Some(Duration::ZERO)).expect("linger");
        }
        drop(bad);
        for _ in 0..3 {
            assert_eq!(panics.next(), ("drop of lent bytes", 0));
        }
        all_is_well(&serving);
    }
}

/// SPEC: U1: the handler panics over them, or drops the writer that they are in.
fn u1_owners_that_panic_in_what_was_never_flushed_harm_nobody(place: Place) {
    fn panics_over_them(io: &mut Io<'_>) {
        (0..3).for_each(|_| io.writer().append(lent(8192, Bomb)));
        panic!("over them");
    }
    let (serving, panics) = small(place, panics_over_them);
    gone(&ask(&serving));
    let mut all: Vec<_> = (0..4).map(|_| panics.next().0).collect();
    all.sort_unstable();
    assert_eq!(all, ["drop of lent bytes", "drop of lent bytes", "drop of lent bytes", "on_request"]);
    all_is_well(&serving);
    let (serving, panics) = small(place, |io| {
        io.consume(usize::MAX);
        let writer = io.connection().writer();
        (0..3).for_each(|_| writer.append(lent(8192, Bomb)));
    });
    gone(&ask(&serving));
    (0..3).for_each(|_| assert_eq!(panics.next(), ("drop of lent bytes", 0)));
    all_is_well(&serving);
    // A few bytes are copied.
    let (serving, panics) = small(place, |io| {
        io.consume(usize::MAX);
        (0..3).for_each(|_| io.writer().append(lent(8, Bomb)));
    });
    gone(&ask(&serving));
    (0..3).for_each(|_| assert_eq!(panics.next(), ("drop of lent bytes", 0)));
    all_is_well(&serving);
}

/// SPEC: U1: threads that the library knows nothing of.
fn u1_owners_that_panic_are_dropped_one_by_one_on_any_thread(place: Place) {
    let dialed = place.dialed();
    let mut writer = dialed.conn.writer();
    (0..3).for_each(|_| writer.append(lent(4096, Bomb)));
    writer.flush().expect("it is sent");
    (0..3).for_each(|_| writer.append(lent(4096, Bomb)));
    writer.append(lent(8, Bomb));
    drop(writer);
    let panics = || dialed.dialer.stats().panics;
    wait_until("all are told", || panics() == 7);
    assert!(!dialed.conn.is_active());
    dialed.end();
}

/// SPEC: U4: neither its output nor its section is locked.
fn u4_owners_that_use_their_connection_as_they_are_dropped_find_it_free(place: Place) {
    let (sender, told) = queue();
    let serving = spoiled(place, place.builder().send_buffer(16 << 10), move |io| {
        io.consume(usize::MAX);
        for size in [8, 8192, MUCH] {
            let (conn, sender) = (io.connection().clone(), sender.clone());
            let uses = move || {
                conn.send(b"x").expect("it is open");
                let mut writer = conn.writer();
                writer.append(Bytes::from_static(&[7; 8192]));
                writer.flush().ok();
                conn.set_on_request(echo);
                conn.set_on_disconnect(|_| ());
                sender.send(());
            };
            io.writer().append(lent(size, OnDrop(uses)));
        }
    });
    let peer = ask(&serving);
    // Each owner sends more, and the last of it is sent when its bytes are.
    read(&peer, MUCH + 8192 + 8 + 3 * 8193);
    (0..3).for_each(|_| told.next());
    ping(&peer, b"still there");
    drop(peer);
    all_is_well(&serving);
}
