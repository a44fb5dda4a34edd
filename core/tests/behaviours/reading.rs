//! Reading that waits: behaviour 2, and the slices of behaviour 5 (race W20).

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use std::net::Shutdown;

use pollproof::{Connection, Error, Io, Reader};
use socket2::Socket;

use crate::queue::{Sender, queue};
use crate::support::*;

tests! {
    b02_next_waits_for_exactly_so_many_bytes: ALL;
    b02_next_outside_a_handler_waits_for_exactly_so_many_bytes: ALL;
    b02_the_end_of_the_stream_comes_after_what_is_there: ALL;
    b02_the_end_of_the_stream_outside_a_handler_comes_after_what_is_there: ALL;
    b02_until_returns_the_rest_at_the_end: ALL;
    b05_w20_slices_stay_as_they_were_when_the_connection_is_over: ALL;
}

/// Reads 10 bytes and then 2, and tells.
fn ten_and_two(reader: &mut Reader<'_>, told: &Sender<(Vec<u8>, usize)>) {
    for count in [10, 2] {
        let bytes = reader.next(count).expect("they come");
        told.send((bytes.to_vec(), reader.len()));
    }
}

/// Sends 12 bytes in three parts; the reader must not return before the third.
fn twelve_in_parts(conn: &Connection, peer: &Socket, waits: impl Fn() -> bool) {
    for (part, total) in [(&b"0123"[..], 4), (b"45678", 9)] {
        write(peer, part);
        wait_until("it is read", || conn.bytes_read() == total);
        assert!(waits(), "it returned after {total} bytes");
    }
    write(peer, b"9ab");
}

fn b02_next_waits_for_exactly_so_many_bytes(place: Place) {
    let (told, results) = queue();
    let (handler, conns) = on_request(move |io: &mut Io<'_>| ten_and_two(io.reader(), &told));
    let serving = place.serve(place.builder().handler(handler));
    let peer = serving.client();
    twelve_in_parts(&conns.next(), &peer, || results.is_empty());
    assert_eq!(results.next(), (b"0123456789".to_vec(), 2));
    assert_eq!(results.next(), (b"ab".to_vec(), 0));
    serving.end();
}

fn b02_next_outside_a_handler_waits_for_exactly_so_many_bytes(place: Place) {
    let dialed = place.dialed();
    let (told, results) = queue();
    let conn = dialed.conn.clone();
    let reader = std::thread::spawn(move || ten_and_two(&mut conn.reader().expect("nobody reads"), &told));
    twelve_in_parts(&dialed.conn, &dialed.peer, || results.is_empty());
    assert_eq!(results.next(), (b"0123456789".to_vec(), 2));
    assert_eq!(results.next(), (b"ab".to_vec(), 0));
    reader.join().expect("no panic");
    dialed.end();
}

/// Reads to the end in steps, each larger than what may be left.
fn to_the_end(reader: &mut Reader<'_>, told: &Sender<&'static str>) {
    assert_eq!(reader.next(3).expect("it is there"), "abc");
    let eof = |result: pollproof::Result<bytes::Bytes>, want| match result {
        Err(Error::Eof { call, .. }) => assert_eq!(call, want),
        other => panic!("{other:?}"),
    };
    eof(reader.next(3), "next");
    eof(reader.slice(100), "slice");
    assert_eq!(reader.peek(2).expect("it stayed"), b"de");
    assert!(matches!(reader.skip(3), Err(Error::Eof { .. })));
    assert_eq!(reader.next(2).expect("it stayed"), "de");
    eof(reader.next(1), "next");
    told.send("end");
}

fn b02_the_end_of_the_stream_comes_after_what_is_there(place: Place) {
    let (told, results) = queue();
    let (handler, _conns) = on_request(move |io: &mut Io<'_>| to_the_end(io.reader(), &told));
    let serving = place.serve(place.builder().handler(handler));
    let peer = serving.client();
    write(&peer, b"abcde");
    peer.shutdown(Shutdown::Write).expect("a shutdown");
    assert_eq!(results.next(), "end");
    assert!(to_end(&peer).is_empty());
    serving.end();
}

fn b02_the_end_of_the_stream_outside_a_handler_comes_after_what_is_there(place: Place) {
    let dialed = place.dialed();
    let (told, results) = queue();
    let conn = dialed.conn.clone();
    let reader = std::thread::spawn(move || to_the_end(&mut conn.reader().expect("nobody reads"), &told));
    write(&dialed.peer, b"abcde");
    dialed.peer.shutdown(Shutdown::Write).expect("a shutdown");
    assert_eq!(results.next(), "end");
    reader.join().expect("no panic");
    dialed.end();
}

fn b02_until_returns_the_rest_at_the_end(place: Place) {
    let (told, results) = queue();
    let (handler, conns) = on_request(move |io: &mut Io<'_>| {
        let reader = io.reader();
        for _ in 0..3 {
            told.send(reader.until(b'\n').expect("a line").to_vec());
        }
        assert!(matches!(reader.until(b'\n'), Err(Error::Eof { call: "until", .. })));
        told.send(b"end".to_vec());
    });
    let serving = place.serve(place.builder().handler(handler));
    let peer = serving.client();
    // The second line is long, and its end comes late.
    let long = [vec![b'x'; 100_000], b"\n".to_vec()].concat();
    write(&peer, b"one\n");
    assert_eq!(results.next(), b"one\n");
    write(&peer, &long[..50_000]);
    let conn = conns.next();
    wait_until("it is read", || conn.bytes_read() == 50_004);
    assert!(results.is_empty(), "half a line");
    write(&peer, &long[50_000..]);
    assert!(results.next() == long);
    write(&peer, b"the rest");
    wait_until("it is read", || conn.bytes_read() == 100_013);
    assert!(results.is_empty(), "it may go on");
    peer.shutdown(Shutdown::Write).expect("a shutdown");
    assert_eq!(results.next(), b"the rest");
    assert_eq!(results.next(), b"end");
    serving.end();
}

fn b05_w20_slices_stay_as_they_were_when_the_connection_is_over(place: Place) {
    const SIZE: usize = 20_000;
    let (kept, slices) = queue();
    let (handler, conns) = on_request(move |io: &mut Io<'_>| {
        let reader = io.reader();
        let at = reader.peek(SIZE).expect("they come").as_ptr();
        let slice = reader.slice(SIZE).expect("they are there");
        // Nothing is copied: it is the memory that was looked at.
        assert_eq!(slice.as_ptr(), at);
        kept.send(slice);
        io.write(b"!");
    });
    let serving = place.serve(place.builder().handler(handler));
    let messages: Vec<_> = (0..20).map(|seed| pattern(SIZE, seed)).collect();
    let mut held = Vec::new();
    for message in &messages {
        let peer = serving.client();
        write(&peer, message);
        held.push(slices.next());
        assert_eq!(read(&peer, 1), b"!");
        // Another thread closes, and the poller reads the next one's bytes.
        let conn = conns.next();
        conn.close();
        assert!(to_end(&peer).is_empty() && !conn.is_active());
    }
    serving.end();
    for (slice, message) in held.iter().zip(&messages) {
        assert!(slice == message, "the bytes changed under their reader");
    }
}
