//! Much input and few turns: behaviour 4, race W17, and peers that do not read.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use pollproof::sync::Arc;
use pollproof::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use pollproof::{Io, Server};
use socket2::Socket;

use crate::queue::queue;
use crate::support::*;

tests! {
    b04_a_handler_that_leaves_bytes_is_called_when_there_are_more: ALL;
    b04_much_passes_through_one_connection: ALL;
    w17_a_peer_that_never_stops_sending_starves_nobody: ALL;
    w17_a_handler_that_is_always_due_starves_nobody: [Pool];
    o05_a_peer_that_does_not_read_stops_only_itself: ALL;
}

fn b04_a_handler_that_leaves_bytes_is_called_when_there_are_more(place: Place) {
    let (told, calls) = queue();
    let (handler, _conns) = on_request(move |io: &mut Io<'_>| {
        told.send(io.data().len());
        if io.data().len() >= 10 {
            echo(io);
        }
    });
    let serving = place.serve(place.builder().handler(handler));
    let peer = serving.client();
    let message = pattern(10, 1);
    for (index, byte) in message.iter().enumerate() {
        write(&peer, &[*byte]);
        assert_eq!(calls.next(), index + 1);
    }
    assert!(read(&peer, 10) == message);
    assert!(calls.is_empty(), "called again for bytes that it has seen");
    serving.end();
}

/// How much, in MiB. The whole size is 4096.
fn volume() -> usize {
    let default = if cfg!(tsan) { 8 } else { 256 };
    std::env::var("POLLPROOF_VOLUME_MIB").map_or(default, |text| text.parse().expect("POLLPROOF_VOLUME_MIB in MiB"))
}

/// Not a divisor of any size of a buffer.
const PERIOD: usize = 1_000_003;

fn b04_much_passes_through_one_connection(place: Place) {
    let (handler, _conns) = on_request(|io: &mut Io<'_>| {
        // Many calls return without reading.
        if io.data().len() >= 100_000 || io.is_last() {
            echo(io);
        }
    });
    let serving = place.serve(place.builder().handler(handler));
    let peer = serving.client();
    let total = volume() << 20;
    let writing = peer.try_clone().expect("another fd");
    let message = pattern(PERIOD, 5);
    let sent = message.clone();
    let writer = std::thread::spawn(move || {
        let mut left = total;
        while left > 0 {
            let count = left.min(PERIOD);
            write(&writing, &sent[..count]);
            left -= count;
        }
        writing.shutdown(Shutdown::Write).expect("a shutdown");
    });
    let mut left = total;
    while left > 0 {
        let count = left.min(PERIOD);
        assert!(read(&peer, count) == message[..count], "{} bytes before the end", left);
        left -= count;
    }
    assert!(to_end(&peer).is_empty(), "more than was sent");
    writer.join().expect("no panic");
    serving.end();
}

/// Sends without end, and reads nothing; returns how much it sent, once it is told to end.
fn flood(mut peer: Socket, ends: Arc<AtomicBool>, sent: Arc<AtomicU64>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let block = vec![1; 100_000];
        while !ends.load(Ordering::Acquire) {
            peer.write_all(&block).expect("the server reads");
            sent.fetch_add(block.len() as u64, Ordering::Release);
        }
    })
}

/// Others are served while two peers send without end.
fn others_are_served(server: Serving) {
    let (ends, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let floods: Vec<_> = (0..2).map(|_| flood(server.client(), ends.clone(), sent.clone())).collect();
    let other = server.client();
    wait_until("the flood begins", || sent.load(Ordering::Acquire) > 0);
    for round in 0..100_u8 {
        let before = sent.load(Ordering::Acquire);
        ping(&other, &[round | 128; 10]);
        if round % 10 == 9 {
            wait_until("the flood goes on", || sent.load(Ordering::Acquire) > before);
        }
    }
    ends.store(true, Ordering::Release);
    floods.into_iter().for_each(|flood| flood.join().expect("no panic"));
    drop(other);
    // What the flood has left in memory is drained first.
    server.end();
}

/// Throws a flood away, so many bytes at a call, each of which takes longer than they took to send; answers everything
/// else.
fn eat(bite: usize, takes: Duration) -> impl Fn(&mut Io<'_>) {
    move |io| {
        let reader = io.reader();
        if reader.peek(1).expect("it is due") == [1] {
            reader.skip(bite.min(reader.len())).expect("they are there");
            let until = Instant::now() + takes;
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        } else {
            echo(io);
        }
    }
}

fn w17_a_peer_that_never_stops_sending_starves_nobody(place: Place) {
    let builder = match place {
        Pool => Server::builder().runner(pool(1)),
        other => other.builder(),
    };
    let (handler, _conns) = on_request(eat(usize::MAX, Duration::from_micros(500)));
    others_are_served(place.serve(builder.handler(handler)));
}

fn w17_a_handler_that_is_always_due_starves_nobody(place: Place) {
    let (handler, _conns) = on_request(eat(1000, Duration::from_micros(20)));
    others_are_served(place.serve(Server::builder().runner(pool(1)).handler(handler)));
}

fn o05_a_peer_that_does_not_read_stops_only_itself(place: Place) {
    const HIGH: u64 = 256 << 10;
    const AHEAD: u64 = 128 << 10;
    const TOTAL: usize = 24 << 20;
    let (handler, conns) = on_request(echo);
    let builder = place.builder().water_marks(HIGH / 4, HIGH).read_ahead(AHEAD);
    let builder = builder.send_buffer(64 << 10).recv_buffer(64 << 10);
    let serving = place.serve(builder.handler(handler));
    let mut hog = serving.client();
    let conn = conns.next();
    let mut writing = hog.try_clone().expect("another fd");
    let message = pattern(TOTAL, 6);
    let sent = message.clone();
    let writer = std::thread::spawn(move || {
        writing.write_all(&sent).expect("it is read in the end");
        writing.shutdown(Shutdown::Write).expect("a shutdown");
    });
    let other = serving.client();
    // It has stopped when its output waits, and others have many turns while it has none.
    let (mut last, mut turns, deadline) = (0, 0, Instant::now() + LONG);
    while turns < 300 {
        ping(&other, b"others are served");
        let in_memory = conn.bytes_read() - conn.bytes_sent();
        // A call that begins below the mark adds all that is unread to it, and as much is read meanwhile: each time the
        // limit, and a block that went beyond it.
        assert!(in_memory <= HIGH + 2 * (AHEAD + 2 * (64 << 10)), "{in_memory} bytes are in memory");
        let now = conn.bytes_read();
        let waits = now == last && conn.backlog() > HIGH / 4;
        turns = if waits { turns + 1 } else { 0 };
        last = now;
        assert!(Instant::now() < deadline, "it does not stop; {now} bytes were read, {} wait", conn.backlog());
    }
    assert!(!writer.is_finished() && last < TOTAL as u64, "the sockets take that much by themselves");
    // Then everything arrives.
    let mut came = vec![0; TOTAL];
    hog.read_exact(&mut came).expect("all of it");
    assert!(came == message, "not what was sent");
    assert!(to_end(&hog).is_empty());
    writer.join().expect("no panic");
    drop((hog, other));
    serving.end();
}
