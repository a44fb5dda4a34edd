//! What safe code can do with the `&mut` that it gets: swap it, take it out of its box, forget it.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use pollproof::sync::Arc;
use pollproof::sync::atomic::{AtomicUsize, Ordering};
use pollproof::{Connection, Io};

use crate::support::*;
use crate::users::*;

tests! {
    u7_guards_that_are_swapped_as_a_whole_give_back_what_they_own: ALL;
    u7_writers_that_are_swapped_send_for_their_own_connection: ALL;
    u7_a_guard_inside_a_handler_of_another_connection_owns_its_own: ALL;
}

/// SPEC: U7: also in boxes, also dropped on the other's behalf.
fn u7_guards_that_are_swapped_as_a_whole_give_back_what_they_own(place: Place) {
    let (one, two) = (place.dialed(), place.dialed());
    write(&one.peer, b"one");
    write(&two.peer, b"two");
    for _ in 0..3 {
        let mut first = Box::new(one.conn.reader().expect("nobody else reads"));
        let mut second = Box::new(two.conn.reader().expect("nobody else reads"));
        std::mem::swap(&mut *first, &mut *second);
        std::mem::swap(&mut first, &mut second);
        std::mem::swap(&mut *first, &mut *second);
        assert_eq!(first.peek(3).expect("they are there"), b"two");
        drop(first);
        assert!(two.conn.reader().is_ok(), "given back");
        assert!(one.conn.reader().is_err(), "not given back");
        assert_eq!(second.peek(3).expect("they are there"), b"one");
    }
    one.end();
    two.end();
}

/// SPEC: U7.
fn u7_writers_that_are_swapped_send_for_their_own_connection(place: Place) {
    let serving = place.serve(place.builder().on_request(|io: &mut Io<'_>| {
        io.consume(usize::MAX);
        let mut other = io.connection().writer();
        io.writer().write(b"reply");
        other.write(b"other");
        std::mem::swap(io.writer(), &mut other);
        drop(other);
    }));
    let peer = serving.client();
    for _ in 0..3 {
        write(&peer, b"x");
        // What is in the place of the reply is sent; what was carried off is not.
        assert_eq!(read(&peer, 5), b"other");
    }
    drop(peer);
    all_is_well_but_silent(&serving);
}

fn all_is_well_but_silent(serving: &Serving) {
    let peer = serving.client();
    write(&peer, b"x");
    assert_eq!(read(&peer, 5), b"other");
    drop(peer);
    serving.end();
}

/// SPEC: U7, S1: OnRequest does not overlap itself, whatever is done with the guard.
fn u7_a_guard_inside_a_handler_of_another_connection_owns_its_own(place: Place) {
    let Dialed { dialer, conn: other, peer } = place.dialed();
    let (depth, calls) = (Depth::default(), Arc::new(AtomicUsize::new(0)));
    let (deep, called, conn) = (depth.clone(), calls.clone(), other.clone());
    let serving = place.serve(place.builder().on_request(move |io: &mut Io<'_>| {
        deep.inside(|| {
            called.fetch_add(1, Ordering::Relaxed);
            let swaps = |conn: &Connection| {
                let mut guards = [conn.reader().ok(), conn.reader().ok()];
                guards.swap(0, 1);
                assert!(guards[0].is_none(), "one at a time");
            };
            swaps(&conn);
            echo(io);
        });
    }));
    let client = serving.client();
    (0..5).for_each(|_| ping(&client, b"hello"));
    assert_eq!((depth.deepest(), calls.load(Ordering::Relaxed)), (1, 5));
    drop((client, peer));
    serving.end();
    other.close();
    dialer.shutdown(LONG).expect("a shutdown");
}
