//! Ends: behaviours 10, 12 and 14, and race W21.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use std::io::{Read as _, Write as _};
use std::net::Shutdown;

use pollproof::sync::Arc;
use pollproof::sync::atomic::{AtomicU64, Ordering};
use pollproof::{Callbacks, Connection, Detached, Error, Io};
use socket2::Socket;

use crate::queue::queue;
use crate::support::*;

tests! {
    b10_a_panic_in_on_request_ends_that_connection_only: ALL;
    b12_a_close_inside_each_callback_works_and_its_close_callbacks_run: ALL;
    b12_after_a_close_every_call_of_a_writer_is_an_error: ALL;
    b14_detach_hands_the_fd_back: ALL;
    w21_writers_against_closes_get_errors_and_nothing_else: ALL;
}

fn b10_a_panic_in_on_request_ends_that_connection_only(place: Place) {
    let (told, closed) = queue();
    let handler = Callbacks::new(move |io: &mut Io<'_>| {
        let told = told.clone();
        assert!(io.connection().on_close(move |conn| told.send(conn.id())).is_ok());
        Ok(())
    });
    let handler = handler.on_request(|(), io| {
        assert!(io.data() != b"panic", "on purpose");
        echo(io);
    });
    let serving = place.serve(place.builder().handler(handler));
    let other = serving.client();
    ping(&other, b"before");
    for round in 1..=3 {
        let peer = serving.client();
        write(&peer, b"panic");
        assert!(to_end(&peer).is_empty());
        assert_eq!(closed.next(), round);
        ping(&other, b"after");
    }
    assert_eq!(serving.server.stats().panics, 3);
    serving.end();
    assert_eq!(closed.next(), 0);
    assert!(closed.is_empty(), "once each");
}

fn b12_a_close_inside_each_callback_works_and_its_close_callbacks_run(place: Place) {
    for at in ["prepare", "connect", "request", "disconnect", "close"] {
        let (sender, told) = queue();
        let reached = move |callback: &'static str, conn: &Connection| {
            let told = sender.clone();
            // A close callback of each callback, which runs unless it comes too late.
            let added = conn.on_close(move |conn| {
                told.send(callback);
                if at == "close" {
                    conn.close();
                }
            });
            assert!(added.is_ok(), "in {callback}");
            if callback == at {
                conn.close();
            }
        };
        let (prepare, request, disconnect) = (reached.clone(), reached.clone(), reached.clone());
        let handler = Callbacks::new(move |io: &mut Io<'_>| {
            reached("connect", io.connection());
            Ok(())
        });
        let handler = handler.on_prepare(move |conn| prepare("prepare", conn)).on_request(move |(), io| {
            echo(io);
            request("request", io.connection());
        });
        let handler = handler.on_disconnect(move |(), conn| disconnect("disconnect", conn));
        let serving = place.serve(place.builder().handler(handler));
        let mut peer = serving.client();
        // It may be closed already.
        let _ = peer.write_all(b"request");
        if at == "disconnect" || at == "close" {
            assert_eq!(read(&peer, 7), b"request");
            peer.shutdown(Shutdown::Write).expect("a shutdown");
        }
        // A close with bytes unread is a reset.
        let _ = peer.read_to_end(&mut Vec::new());
        serving.end();
        // Newest first.
        let expected: &[_] = match at {
            "prepare" => &["prepare"],
            "connect" => &["disconnect", "connect", "prepare"],
            "request" => &["request", "connect", "prepare"],
            _ => &["disconnect", "request", "connect", "prepare"],
        };
        let ran: Vec<_> = std::iter::from_fn(|| (!told.is_empty()).then(|| told.next())).collect();
        assert_eq!(ran, expected, "closed in {at}");
    }
}

fn b12_after_a_close_every_call_of_a_writer_is_an_error(place: Place) {
    let (handler, conns) = on_request(echo);
    let serving = place.serve(place.builder().handler(handler));
    let peer = serving.client();
    let conn = conns.next();
    ping(&peer, b"before");
    let mut gathered = conn.writer();
    gathered.write(b"too late");
    conn.close();
    let id = conn.id();
    let refused = |result: pollproof::Result<()>, wanted: &str| match result {
        Err(Error::Closed { call, connection }) => assert_eq!((call, connection), (wanted, id)),
        other => panic!("{wanted}: {other:?}"),
    };
    refused(gathered.flush(), "flush");
    refused(conn.send(b"x"), "send");
    let mut writer = conn.writer();
    writer.append(bytes::Bytes::from(vec![1; 10_000]));
    writer.malloc(10)[0] = 1;
    writer.ack(1).expect("it is memory");
    refused(writer.flush(), "flush");
    refused(writer.flush(), "flush");
    let flushed = std::io::Write::flush(&mut writer).expect_err("it is closed");
    assert_eq!(flushed.kind(), std::io::ErrorKind::BrokenPipe);
    // On a pool, the end may take until here.
    assert!(to_end(&peer).is_empty());
    refused(conn.detach(drop), "detach");
    assert!(conn.on_close(|_| ()).is_err());
    assert_eq!(conn.bytes_sent(), 6);
    serving.end();
}

fn b14_detach_hands_the_fd_back(place: Place) {
    let (sender, fds) = queue();
    let (handler, _conns) = on_request(move |io: &mut Io<'_>| {
        io.consume(4);
        let sender = sender.clone();
        let conn = io.connection();
        conn.send(b"OK").expect("a send");
        conn.detach(move |detached| sender.send(detached)).expect("the first to ask");
        assert!(matches!(conn.detach(drop), Err(Error::Closed { call: "detach", .. })));
    });
    let serving = place.serve(place.builder().handler(handler));
    let peer = serving.client();
    write(&peer, b"UPGRread ahead");
    assert_eq!(read(&peer, 2), b"OK");
    let Detached { fd, unread, unsent, .. } = fds.next();
    assert_eq!((unread.as_slice(), unsent.as_slice()), (&b"read ahead"[..], &b""[..]));
    let ours = Socket::from(fd);
    ours.set_nonblocking(false).expect("blocking");
    ours.set_read_timeout(Some(LONG)).expect("a timeout");
    write(&peer, b"more");
    // The poller polls meanwhile, and neither hears of it nor reads it.
    let another = serving.client();
    write(&another, b"UPGR");
    assert_eq!(read(&another, 2), b"OK");
    assert_eq!(serving.server.stats().stale_events, 0);
    assert_eq!(read(&ours, 4), b"more");
    serving.end();
    // It outlives its server.
    write(&ours, b"and back");
    drop(ours);
    assert_eq!(to_end(&peer), b"and back");
}

/// How one connection of the race ends.
const WAYS: usize = 4;

fn w21_writers_against_closes_get_errors_and_nothing_else(place: Place) {
    const ROUNDS: usize = if cfg!(tsan) { 60 } else { 400 };
    let closes = Arc::new(AtomicU64::new(0));
    let (sender, conns) = queue();
    let count = closes.clone();
    let handler = Callbacks::new(move |io: &mut Io<'_>| {
        let count = count.clone();
        let added = io.connection().on_close(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert!(added.is_ok());
        sender.send(io.connection().clone());
        Ok(())
    });
    let handler = handler.on_request(|(), io| echo(io));
    let serving = place.serve(place.builder().pollers(2).send_buffer(16 << 10).handler(handler));
    let mut refused = 0;
    for round in 0..ROUNDS {
        let mut peer = serving.client();
        let conn = conns.next();
        let writers: Vec<_> = (0..2)
            .map(|kind| {
                let conn = conn.clone();
                std::thread::spawn(move || writes_until_refused(&conn, kind))
            })
            .collect();
        // Its replies compete as well.
        let _ = peer.write_all(b"request");
        wait_until("they write", || conn.bytes_sent() > 7);
        match round % WAYS {
            0 => conn.close(),
            1 => peer.shutdown(Shutdown::Both).expect("a shutdown"),
            2 => peer.set_linger(Some(std::time::Duration::ZERO)).expect("linger"),
            _ => drop(conn.detach(|detached| drop(detached.fd))),
        }
        if round % WAYS == 0 {
            for _ in 0..2 {
                assert!(matches!(conn.send(b"x"), Err(Error::Closed { .. })), "it is closed");
            }
        }
        drop(peer);
        refused += writers.into_iter().map(|writer| writer.join().expect("no panic")).count();
    }
    serving.end();
    assert_eq!((refused, closes.load(Ordering::Relaxed)), (2 * ROUNDS, ROUNDS as u64));
    assert_eq!(serving.server.stats().panics, 0);
}

/// Writes until the connection is closed; any other error fails.
fn writes_until_refused(conn: &Connection, kind: usize) {
    let block = bytes::Bytes::from(vec![7; 5000]);
    loop {
        let result = if kind == 0 {
            conn.send(&block[..3000])
        } else {
            let mut writer = conn.writer();
            writer.write(&block[..100]);
            writer.append(block.clone());
            writer.flush()
        };
        match result {
            Ok(()) | Err(Error::ConcurrentAccess { .. }) => {}
            Err(Error::Closed { .. }) => return,
            Err(error) => panic!("{error}"),
        }
        // A peer that does not read would have it queue without end.
        while conn.backlog() > 1 << 20 && conn.is_active() {
            std::thread::yield_now();
        }
    }
}
