//! Graceful shutdown: behaviour 11, and race W13.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use pollproof::sync::Arc;
use pollproof::sync::atomic::{AtomicU64, Ordering};
use pollproof::{Callbacks, Io, Server};

use crate::queue::queue;
use crate::support::*;

tests! {
    b11_idle_connections_close_and_busy_ones_are_waited_for: ALL;
    b11_the_deadline_cuts_what_is_busy_still: [Inline, Unix, Pool];
    w13_a_shutdown_in_a_storm_of_requests_loses_none: [Inline, Alone, Pool];
}

fn b11_idle_connections_close_and_busy_ones_are_waited_for(place: Place) {
    let (began, begins) = queue();
    let (go, gate) = queue::<()>();
    let (handler, _conns) = on_request(move |io: &mut Io<'_>| {
        if io.data() == b"slow" {
            began.send(());
            gate.next();
        }
        echo(io);
    });
    // The accepting thread and the busy one are two, or nobody would close the idle one without takeover.
    let serving = place.serve(place.builder().pollers(2).handler(handler));
    let (idle, busy) = (serving.client(), serving.client());
    ping(&idle, b"one");
    ping(&busy, b"two");
    write(&busy, b"slow");
    begins.next();
    let server = serving.server.clone();
    let ends = std::thread::spawn(move || server.shutdown(LONG));
    assert!(to_end(&idle).is_empty());
    assert!(!ends.is_finished(), "one is busy");
    go.send(());
    assert_eq!(to_end(&busy), b"slow");
    let ended = ends.join().expect("no panic").expect("a shutdown");
    assert_eq!((ended.cut, ended.left), (0, 0));
    serving.end();
    let address = serving.server.local_addr().to_string();
    let again = Server::builder().on_request(echo).bind(&address).expect("it can be bound again");
    again.shutdown(LONG).expect("it never ran");
}

fn b11_the_deadline_cuts_what_is_busy_still(place: Place) {
    let (began, begins) = queue();
    let (go, gate) = queue::<()>();
    let (handler, conns) = on_request(move |io: &mut Io<'_>| {
        io.consume(usize::MAX);
        began.send(());
        gate.next();
    });
    let serving = place.serve(place.builder().handler(handler));
    let busy = serving.client();
    write(&busy, b"slow");
    begins.next();
    let time = Duration::from_millis(50);
    let before = Instant::now();
    let ended = serving.server.shutdown(time).expect("a shutdown");
    assert!(before.elapsed() >= time, "it did not wait");
    assert_eq!((ended.cut, ended.left), (1, 1));
    let conn = conns.next();
    assert!(!conn.is_active());
    go.send(());
    assert!(to_end(&busy).is_empty());
    serving.end();
}

fn w13_a_shutdown_in_a_storm_of_requests_loses_none(place: Place) {
    const ROUNDS: u64 = if cfg!(tsan) { 6 } else { 40 };
    const CLIENTS: usize = 4;
    for round in 0..ROUNDS {
        let requests = Arc::new(AtomicU64::new(0));
        let (closed, ends) = queue();
        let handler = Callbacks::new(move |io: &mut Io<'_>| {
            let closed = closed.clone();
            let added = io.connection().on_close(move |conn| {
                closed.send((conn.peer().to_string(), conn.bytes_read(), conn.bytes_sent()));
            });
            assert!(added.is_ok());
            Ok(())
        });
        let count = requests.clone();
        let handler = handler.on_request(move |(), io| {
            count.fetch_add(1, Ordering::Release);
            echo(io);
        });
        let serving = place.serve(place.builder().pollers(2).handler(handler));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let mut peer = serving.client();
                ping(&peer, &[1; 16]);
                std::thread::spawn(move || {
                    let mut answered = 16;
                    // One request at a time, so that a reset takes away nothing but one that was not read.
                    while peer.write_all(&[2; 16]).is_ok() && peer.read_exact(&mut [0; 16]).is_ok() {
                        answered += 16;
                    }
                    (peer.local_addr().expect("its address").as_socket().expect("TCP").to_string(), answered)
                })
            })
            .collect();
        wait_until("they send", || requests.load(Ordering::Acquire) > 20 + round * 7 % 60);
        serving.end();
        let answered: HashMap<_, _> = clients.into_iter().map(|client| client.join().expect("no panic")).collect();
        for _ in 0..CLIENTS {
            let (peer, read, sent) = ends.next();
            assert_eq!(read, sent, "round {round}: a request was read and not answered");
            assert_eq!(answered[&peer], sent, "round {round}: an answer did not arrive");
        }
    }
}
