//! Timeouts and deadlines: behaviour 3.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use std::time::{Duration, Instant};

use pollproof::{Connection, Error, Io, Reader};

use crate::queue::{Sender, queue};
use crate::support::*;

tests! {
    b03_reads_end_on_time: ALL;
    b03_reads_outside_a_handler_end_on_time: ALL;
    b03_flushes_end_on_time: ALL;
    b03_flushes_in_a_handler_end_on_time: [Pool];
}

const TIME: Duration = Duration::from_millis(60);
/// The machine is busy with other tests: of several tries the best counts.
const TRIES: usize = 10;
const LATE: Duration = Duration::from_millis(if cfg!(tsan) { 200 } else { 20 });

/// `call` takes `time` and hardly more.
fn takes(time: Duration, what: &str, mut call: impl FnMut()) {
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        let began = Instant::now();
        call();
        let took = began.elapsed();
        assert!(took >= time, "{what} ended early, after {took:?}");
        best = best.min(took);
        if best <= time + LATE {
            return;
        }
    }
    panic!("{what} ended late, after {best:?} at best");
}

fn timed_out<T: std::fmt::Debug>(result: pollproof::Result<T>) {
    assert!(matches!(result, Err(Error::Timeout { .. })), "{result:?}");
}

fn reads_end_on_time(conn: &Connection, reader: &mut Reader<'_>, told: &Sender<&'static str>) {
    conn.set_read_timeout(Some(TIME));
    takes(TIME, "a read with a timeout", || timed_out(reader.next(9)));
    // The shorter of both counts.
    conn.set_read_deadline(Some(Instant::now() + LONG));
    takes(TIME, "a read with both", || timed_out(reader.until(b'\n')));
    conn.set_read_timeout(None);
    takes(TIME, "a read with a deadline", || {
        conn.set_read_deadline(Some(Instant::now() + TIME));
        timed_out(reader.peek(9).map(<[u8]>::len));
    });
    takes(Duration::ZERO, "a read past its deadline", || timed_out(reader.skip(9)));
    conn.set_read_timeout(Some(LONG));
    takes(Duration::ZERO, "a read past its deadline", || timed_out(reader.slice(9)));
    // What is there needs no time.
    assert_eq!(reader.next(2).expect("it was there all the time"), "go");
    conn.set_read_timeout(Some(TIME));
    conn.set_read_timeout(None);
    conn.set_read_deadline(None);
    told.send("cleared");
    assert_eq!(reader.next(4).expect("it comes at last"), "late");
    told.send("read");
}

fn b03_reads_end_on_time(place: Place) {
    let (told, results) = queue();
    let (handler, _conns) = on_request(move |io: &mut Io<'_>| {
        let conn = io.connection();
        reads_end_on_time(conn, io.reader(), &told);
    });
    let serving = place.serve(place.builder().handler(handler));
    let peer = serving.client();
    write(&peer, b"go");
    assert_eq!(results.next(), "cleared");
    assert_eq!(results.within(3 * TIME), None, "there is a limit still");
    write(&peer, b"late");
    assert_eq!(results.next(), "read");
    serving.end();
}

fn b03_reads_outside_a_handler_end_on_time(place: Place) {
    let dialed = place.dialed();
    write(&dialed.peer, b"go");
    let (told, results) = queue();
    let conn = dialed.conn.clone();
    let reader = std::thread::spawn(move || {
        reads_end_on_time(&conn, &mut conn.reader().expect("nobody reads"), &told);
    });
    assert_eq!(results.next(), "cleared");
    assert_eq!(results.within(3 * TIME), None, "there is a limit still");
    write(&dialed.peer, b"late");
    assert_eq!(results.next(), "read");
    reader.join().expect("no panic");
    dialed.end();
}

/// Much more than the sockets take.
const MUCH: usize = 16 << 20;

fn flushes_end_on_time(conn: &Connection, writer: &mut pollproof::Writer<'_>, told: &Sender<&'static str>) {
    writer.write(&vec![7; MUCH]);
    let mut sent = MUCH;
    let mut flush = |limit: &dyn Fn()| {
        writer.write(b"x");
        sent += 1;
        limit();
        timed_out(writer.flush());
    };
    conn.set_write_timeout(Some(TIME));
    takes(TIME, "a flush with a timeout", || flush(&|| ()));
    conn.set_write_timeout(None);
    takes(TIME, "a flush with a deadline", || flush(&|| conn.set_write_deadline(Some(Instant::now() + TIME))));
    takes(Duration::ZERO, "a flush past its deadline", || flush(&|| ()));
    conn.set_write_timeout(Some(LONG));
    takes(Duration::ZERO, "a flush past its deadline", || flush(&|| ()));
    conn.set_write_timeout(Some(TIME));
    conn.set_write_timeout(None);
    conn.set_write_deadline(None);
    told.send("cleared");
    writer.flush().expect("the peer reads at last");
    assert_eq!(conn.bytes_sent(), sent as u64);
    told.send("flushed");
}

fn b03_flushes_end_on_time(place: Place) {
    let dialed = place.dialed();
    let (told, results) = queue();
    let conn = dialed.conn.clone();
    let flusher = std::thread::spawn(move || flushes_end_on_time(&conn, &mut conn.writer(), &told));
    assert_eq!(results.next(), "cleared");
    assert_eq!(results.within(3 * TIME), None, "there is a limit still");
    assert!(read(&dialed.peer, MUCH).iter().all(|&byte| byte == 7));
    assert_eq!(results.next(), "flushed");
    flusher.join().expect("no panic");
    dialed.end();
}

fn b03_flushes_in_a_handler_end_on_time(place: Place) {
    let (told, results) = queue();
    let (handler, _conns) = on_request(move |io: &mut Io<'_>| {
        io.consume(2);
        let conn = io.connection();
        flushes_end_on_time(conn, io.writer(), &told);
    });
    let serving = place.serve(place.builder().handler(handler));
    let peer = serving.client();
    write(&peer, b"go");
    assert_eq!(results.next(), "cleared");
    assert_eq!(results.within(3 * TIME), None, "there is a limit still");
    assert!(read(&peer, MUCH).iter().all(|&byte| byte == 7));
    assert_eq!(results.next(), "flushed");
    drop(peer);
    serving.end();
}
