//! Dialed connections that get their handler later: behaviour 13. What a dial comes to is in `dial.rs`.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use pollproof::{Error, Io};

use crate::queue::queue;
use crate::support::*;

tests! {
    b13_a_dial_is_a_success_and_nothing_is_left: ALL;
    b13_a_handler_that_is_set_later_gets_what_is_there_already: ALL;
    b13_a_handler_is_replaced_while_requests_come: ALL;
    b13_a_reader_gives_way_to_a_handler: ALL;
}

fn b13_a_dial_is_a_success_and_nothing_is_left(place: Place) {
    let dialed = place.dialed();
    assert_eq!(dialed.dialer.stats().open, 1);
    write(&dialed.peer, b"greeting\n");
    assert_eq!(dialed.conn.reader().expect("nobody reads").until(b'\n').expect("a line"), "greeting\n");
    dialed.conn.send(b"answer").expect("a send");
    assert_eq!(read(&dialed.peer, 6), b"answer");
    let (dialer, peer) = (dialed.dialer.clone(), dialed.peer.try_clone().expect("another fd"));
    dialed.end();
    assert!(to_end(&peer).is_empty());
    assert_eq!((dialer.stats().dialed, dialer.stats().open), (1, 0));
}

fn b13_a_handler_that_is_set_later_gets_what_is_there_already(place: Place) {
    for early in [&b"early"[..], b""] {
        let dialed = place.dialed();
        let conn = dialed.conn.clone();
        write(&dialed.peer, early);
        wait_until("it is read", || conn.bytes_read() == early.len() as u64);
        let (told, requests) = queue();
        conn.set_on_request(move |io: &mut Io<'_>| {
            told.send(io.data().to_vec());
            echo(io);
        });
        if !early.is_empty() {
            assert_eq!(requests.next(), early, "no event comes for it any more");
            assert_eq!(read(&dialed.peer, early.len()), early);
        }
        ping(&dialed.peer, b"later");
        assert_eq!(requests.next(), b"later");
        assert!(requests.is_empty());
        dialed.end();
    }
}

fn b13_a_handler_is_replaced_while_requests_come(place: Place) {
    const ROUNDS: u8 = if cfg!(tsan) { 50 } else { 250 };
    let dialed = place.dialed();
    let (told, calls) = queue();
    for round in 0..ROUNDS {
        let (conn, told) = (dialed.conn.clone(), told.clone());
        let handler = move |io: &mut Io<'_>| {
            told.send(round);
            echo(io);
        };
        if round % 2 == 0 {
            conn.set_on_request(handler);
            ping(&dialed.peer, &[round; 100]);
            // From here on it is the new one.
            assert_eq!(calls.next(), round);
        } else {
            // Against a request that is under way: one of the two takes it, and all of it.
            let setter = std::thread::spawn(move || conn.set_on_request(handler));
            ping(&dialed.peer, &[round; 1]);
            assert!([round, round - 1].contains(&calls.next()));
            setter.join().expect("no panic");
        }
        assert!(calls.is_empty(), "one call a request");
    }
    dialed.end();
}

fn b13_a_reader_gives_way_to_a_handler(place: Place) {
    let dialed = place.dialed();
    let conn = dialed.conn.clone();
    let (told, requests) = queue();
    {
        let mut reader = conn.reader().expect("nobody reads");
        assert!(matches!(conn.reader(), Err(Error::Busy { call: "reader", .. })));
        write(&dialed.peer, b"one and two");
        assert_eq!(reader.next(4).expect("they come"), "one ");
        wait_until("it is read", || conn.bytes_read() == 11);
        conn.set_on_request(move |io: &mut Io<'_>| {
            told.send(io.data().to_vec());
            io.consume(usize::MAX);
        });
        assert!(requests.is_empty(), "somebody reads still");
        assert_eq!(reader.next(4).expect("they are there"), "and ");
    }
    assert_eq!(requests.next(), b"two");
    assert!(matches!(conn.reader(), Err(Error::Busy { call: "reader", .. })));
    dialed.end();
}
