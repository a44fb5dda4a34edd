//! Writing that waits: behaviour 1, and races W10 and W11.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use std::io::Read as _;
use std::time::Duration;

use bytes::Bytes;
use pollproof::{Error, Io, Writer};
use socket2::Socket;

use crate::queue::queue;
use crate::support::*;

tests! {
    b01_many_blocks_arrive_whole: ALL;
    b01_many_blocks_from_a_handler_arrive_whole: ALL;
    b01_a_blocked_flush_returns_as_the_peer_drains: ALL;
    b01_a_close_ends_a_blocked_flush_with_an_error: ALL;
    b01_a_reset_ends_a_blocked_flush_with_an_error: ALL;
    w10_w11_a_flush_after_one_that_gave_up_waits_for_its_own_bytes: ALL;
    w11_many_flushers_send_each_block_once: ALL;
}

/// Writes blocks of all kinds and sizes; returns them in a row.
fn many_blocks(writer: &mut Writer<'_>) -> Vec<u8> {
    let mut all = Vec::new();
    for block in 0..600 {
        let bytes = pattern(1 + (block * 37) % 9000, block as u64);
        match block % 3 {
            0 => writer.write(&bytes),
            1 => writer.append(Bytes::from(bytes.clone())),
            _ => {
                writer.malloc(bytes.len() + 10)[..bytes.len()].copy_from_slice(&bytes);
                writer.ack(bytes.len()).expect("that much was offered");
            }
        }
        all.extend(bytes);
        if block % 100 == 7 {
            writer.flush().expect("the peer reads");
        }
    }
    all
}

fn b01_many_blocks_arrive_whole(place: Place) {
    let dialed = place.dialed();
    let conn = dialed.conn.clone();
    let writer = std::thread::spawn(move || {
        let mut writer = conn.writer();
        let all = many_blocks(&mut writer);
        writer.flush().expect("the peer reads");
        assert_eq!(conn.bytes_sent(), all.len() as u64);
        conn.close();
        all
    });
    let came = to_end(&dialed.peer);
    assert!(came == writer.join().expect("no panic"), "{} bytes", came.len());
    dialed.end();
}

fn b01_many_blocks_from_a_handler_arrive_whole(place: Place) {
    let (told, all) = queue();
    let (handler, _conns) = on_request(move |io: &mut Io<'_>| {
        io.consume(usize::MAX);
        told.send(many_blocks(io.writer()));
        io.connection().shutdown();
    });
    let serving = place.serve(place.builder().send_buffer(32 * 1024).handler(handler));
    let peer = serving.client();
    write(&peer, b"go");
    let came = to_end(&peer);
    assert!(came == all.next(), "{} bytes", came.len());
    serving.end();
}

/// Much more than the sockets take.
const MUCH: usize = 8 << 20;

/// A thread that flushes much, and is blocked in that.
fn blocked(dialed: &Dialed) -> std::thread::JoinHandle<pollproof::Result<()>> {
    let conn = dialed.conn.clone();
    let flusher = std::thread::spawn(move || {
        let mut writer = conn.writer();
        writer.write(&pattern(MUCH, 1));
        writer.flush()
    });
    wait_until("it is queued", || dialed.conn.backlog() > 0);
    flusher
}

fn b01_a_blocked_flush_returns_as_the_peer_drains(place: Place) {
    let dialed = place.dialed();
    let flusher = blocked(&dialed);
    let message = pattern(MUCH, 1);
    assert!(read(&dialed.peer, MUCH / 2) == message[..MUCH / 2]);
    assert!(!flusher.is_finished(), "more is left than the sockets take");
    assert!(read(&dialed.peer, MUCH / 2) == message[MUCH / 2..]);
    flusher.join().expect("no panic").expect("everything is sent");
    dialed.end();
}

fn b01_a_close_ends_a_blocked_flush_with_an_error(place: Place) {
    let dialed = place.dialed();
    let flusher = blocked(&dialed);
    assert!(!flusher.is_finished());
    dialed.conn.close();
    let flushed = flusher.join().expect("no panic");
    assert!(matches!(flushed, Err(Error::Closed { call: "flush", .. })), "{flushed:?}");
    dialed.end();
}

fn b01_a_reset_ends_a_blocked_flush_with_an_error(place: Place) {
    let Dialed { dialer, conn, peer } = place.dialed();
    let dialed = Dialed { dialer, conn, peer: peer.try_clone().expect("another fd") };
    let flusher = blocked(&dialed);
    assert!(!flusher.is_finished());
    // With bytes unread, a close is a reset.
    peer.shutdown(std::net::Shutdown::Both).expect("a shutdown");
    let Dialed { dialer, conn, peer: other } = dialed;
    drop((peer, other));
    let flushed = flusher.join().expect("no panic");
    assert!(matches!(flushed, Err(Error::Closed { call: "flush", .. })), "{flushed:?}");
    conn.close();
    let ended = dialer.shutdown(LONG).expect("a shutdown");
    assert_eq!((ended.cut, ended.left), (0, 0), "{ended:?}");
}

/// Reads as much as it is told to, and compares it with a pattern that goes on.
fn drainer(mut peer: Socket, all: Vec<u8>) -> (crate::queue::Sender<usize>, std::thread::JoinHandle<()>) {
    let (sender, counts) = queue::<usize>();
    let thread = std::thread::spawn(move || {
        let mut at = 0;
        while let Some(count) = counts.within(LONG) {
            let mut bytes = vec![0; count];
            peer.read_exact(&mut bytes).expect("they come");
            assert!(bytes == all[at..at + count], "not what was flushed as bytes {at} to {}", at + count);
            at += count;
        }
        assert_eq!(at, all.len());
        drop(peer);
    });
    (sender, thread)
}

fn w10_w11_a_flush_after_one_that_gave_up_waits_for_its_own_bytes(place: Place) {
    const ROUNDS: usize = if cfg!(tsan) { 20 } else { 100 };
    const FIRST: usize = 1 << 20;
    const ROUND: usize = FIRST + 300_000;
    let Dialed { dialer, conn, peer } = place.dialed();
    let all = pattern(ROUNDS * ROUND, 3);
    let (drain, drained) = drainer(peer, all.clone());
    let mut gave_up = 0;
    for (round, bytes) in all.chunks(ROUND).enumerate() {
        let mut writer = conn.writer();
        // Every other time the peer drains while the flush gives up.
        if round % 2 == 1 {
            drain.send(ROUND);
        }
        writer.write(&bytes[..FIRST]);
        conn.set_write_timeout(Some(Duration::from_micros(round as u64 * 50)));
        match writer.flush() {
            Ok(()) => {}
            Err(Error::Timeout { call: "flush", .. }) => gave_up += 1,
            Err(error) => panic!("{error}"),
        }
        if round % 2 == 0 {
            drain.send(ROUND);
        }
        conn.set_write_timeout(None);
        writer.write(&bytes[FIRST..]);
        writer.flush().expect("the peer reads");
        assert_eq!(conn.bytes_sent(), (round * ROUND + ROUND) as u64, "it says that they are sent");
    }
    assert!(gave_up >= ROUNDS / 2, "only {gave_up} of {ROUNDS} gave up");
    drop(drain);
    drained.join().expect("all of it once and in order");
    conn.close();
    let ended = dialer.shutdown(LONG).expect("a shutdown");
    assert_eq!((ended.cut, ended.left), (0, 0), "{ended:?}");
}

fn w11_many_flushers_send_each_block_once(place: Place) {
    const FLUSHERS: u8 = 4;
    const EACH: u16 = if cfg!(tsan) { 60 } else { 300 };
    const BLOCK: usize = 10_000;
    let mut dialed = place.dialed();
    dialed.conn.set_write_timeout(Some(Duration::from_micros(300)));
    let threads: Vec<_> = (0..FLUSHERS)
        .map(|flusher| {
            let conn = dialed.conn.clone();
            std::thread::spawn(move || {
                for number in 0..EACH {
                    let mut writer = conn.writer();
                    let [high, low] = number.to_be_bytes();
                    writer.write(&[flusher, high, low]);
                    writer.write(&vec![flusher; BLOCK - 3]);
                    match writer.flush() {
                        // In either case they are queued.
                        Ok(()) | Err(Error::Timeout { .. } | Error::ConcurrentAccess { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    let mut next = [0; FLUSHERS as usize];
    let mut block = vec![0; BLOCK];
    for _ in 0..usize::from(EACH) * usize::from(FLUSHERS) {
        dialed.peer.read_exact(&mut block).expect("a block");
        let (flusher, number) = (block[0], u16::from_be_bytes([block[1], block[2]]));
        assert!(block[3..].iter().all(|&byte| byte == flusher), "blocks are mixed");
        assert_eq!(number, next[usize::from(flusher)], "a block of {flusher} is lost, or there twice");
        next[usize::from(flusher)] += 1;
    }
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    assert_eq!(next, [EACH; FLUSHERS as usize]);
    // The peer may have the last bytes before the thread that wrote them has counted them.
    wait_until("all is counted", || dialed.conn.backlog() == 0);
    dialed.end();
}
