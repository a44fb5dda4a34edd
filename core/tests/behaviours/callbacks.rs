//! Which callback comes when, with what: behaviours 6 to 9.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use std::net::Shutdown;

use pollproof::sync::Arc;
use pollproof::sync::atomic::{AtomicU64, Ordering};
use pollproof::{BoxError, Callbacks, Connection, Error, Handler, Io};

use crate::queue::{Receiver, Sender, queue};
use crate::support::*;

tests! {
    b06_each_callback_comes_once_and_with_the_context_of_on_connect: ALL;
    b07_on_connect_plays_ping_pong_and_on_request_gets_the_rest: ALL;
    b07_what_on_connect_writes_needs_no_request: ALL;
    b08_on_disconnect_cancels_a_request_that_is_blocked: [Inline, Unix, Pool];
    b08_on_disconnect_comes_while_a_request_waits_for_bytes: ALL;
    b08_a_close_during_on_connect_is_told_after_it: [Inline, Unix, Pool];
    b09_every_byte_of_clients_that_send_and_close_is_handled: ALL;
    b09_short_connections_to_two_servers_never_mix: ALL;
}

type Told = (u64, &'static str);

/// Tells of each callback. OnConnect makes a context of what the connection is.
struct Telling(Sender<Told>);

struct Context(u64);

impl Handler for Telling {
    type Context = Context;
    type State = u32;

    fn on_prepare(&self, conn: &Connection) {
        self.0.send((conn.id(), "prepare"));
        let told = self.0.clone();
        let added = conn.on_close(move |conn| told.send((conn.id(), "close")));
        assert!(added.is_ok());
    }

    fn on_connect(&self, calls: &mut u32, io: &mut Io<'_>) -> Result<Context, BoxError> {
        assert_eq!(std::mem::replace(calls, 1), 0, "a state of its own");
        let id = io.connection().id();
        self.0.send((id, "connect"));
        Ok(Context(id))
    }

    fn on_request(&self, context: &Context, calls: &mut u32, io: &mut Io<'_>) -> Result<(), BoxError> {
        *calls += 1;
        assert_eq!(*calls, 2, "one request each");
        assert_eq!(context.0, io.connection().id());
        self.0.send((context.0, "request"));
        echo(io);
        Ok(())
    }

    fn on_disconnect(&self, context: &Context, conn: &Connection) {
        assert_eq!(context.0, conn.id());
        self.0.send((context.0, "disconnect"));
    }
}

fn b06_each_callback_comes_once_and_with_the_context_of_on_connect(place: Place) {
    const CLIENTS: u64 = 40;
    let (sender, told) = queue();
    let serving = place.serve(place.builder().pollers(2).handler(Telling(sender)));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let peers: Vec<_> = (0..CLIENTS / 2).map(|_| serving.client()).collect();
            std::thread::spawn(move || peers.iter().for_each(|peer| ping(peer, b"request")))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    let mut all_told: Vec<_> = (0..5 * CLIENTS).map(|_| told.next()).collect();
    serving.end();
    assert!(told.is_empty(), "more than once");
    // In order for each connection.
    all_told.sort_by_key(|(id, _)| *id);
    let expected = ["prepare", "connect", "request", "disconnect", "close"];
    let all: Vec<_> = (0..CLIENTS).flat_map(|id| expected.map(|callback| (id, callback))).collect();
    assert_eq!(all_told, all);
}

fn b07_on_connect_plays_ping_pong_and_on_request_gets_the_rest(place: Place) {
    const GAMES: u32 = 1024;
    let (told, requests) = queue();
    let connect = |io: &mut Io<'_>| -> Result<u32, BoxError> {
        for game in 0..GAMES {
            let ball = io.reader().next(4)?;
            assert_eq!(&ball[..], &game.to_be_bytes());
            let writer = io.writer();
            writer.write(&ball);
            writer.write(b"pong");
            writer.flush()?;
        }
        Ok(GAMES)
    };
    let handler = Callbacks::new(connect).on_request(move |games, io| {
        assert_eq!(*games, GAMES, "OnConnect is over");
        told.send(io.data().to_vec());
        echo(io);
    });
    let serving = place.serve(place.builder().handler(handler));
    let peer = serving.client();
    for game in 0..GAMES {
        write(&peer, &game.to_be_bytes());
        assert_eq!(read(&peer, 8), [&game.to_be_bytes()[..], b"pong"].concat());
    }
    assert!(requests.is_empty(), "OnRequest got some of it");
    ping(&peer, b"request");
    assert_eq!(requests.next(), b"request");
    drop(peer);
    serving.end();
}

fn b07_what_on_connect_writes_needs_no_request(place: Place) {
    let handler = Callbacks::new(|io| {
        io.write(b"welcome");
        Ok(())
    });
    let serving = place.serve(place.builder().handler(handler));
    assert_eq!(read(&serving.client(), 7), b"welcome");
    serving.end();
}

/// How OnDisconnect cancels OnRequest.
type Cancel = (Sender<()>, Receiver<()>);

/// A handler whose OnRequest blocks until OnDisconnect cancels it, and what is told.
fn cancelled() -> (Callbacks<Cancel>, Receiver<&'static str>) {
    let (sender, told) = queue();
    let (in_request, in_disconnect) = (sender.clone(), sender.clone());
    let connect = move |io: &mut Io<'_>| {
        let told = sender.clone();
        assert!(io.connection().on_close(move |_| told.send("close")).is_ok());
        Ok(queue::<()>())
    };
    let handler = Callbacks::new(connect)
        .on_request(move |(_, cancel), io| {
            io.consume(usize::MAX);
            in_request.send("request");
            cancel.next();
            in_request.send("cancelled");
        })
        .on_disconnect(move |(cancel, _), _| {
            in_disconnect.send("disconnect");
            cancel.send(());
        });
    (handler, told)
}

fn b08_on_disconnect_cancels_a_request_that_is_blocked(place: Place) {
    let (handler, told) = cancelled();
    let serving = place.serve(place.builder().handler(handler));
    for half in [false, true] {
        let mut peer = serving.client();
        write(&peer, b"request");
        assert_eq!(told.next(), "request");
        if half {
            peer.shutdown(Shutdown::Write).expect("a shutdown");
        } else {
            drop(peer.try_clone().expect("another fd"));
            drop(std::mem::replace(&mut peer, serving.client()));
        }
        assert_eq!([told.next(), told.next(), told.next()], ["disconnect", "cancelled", "close"]);
        if !half {
            drop(peer);
            assert_eq!([told.next(), told.next()], ["disconnect", "close"]);
        }
    }
    serving.end();
}

fn b08_on_disconnect_comes_while_a_request_waits_for_bytes(place: Place) {
    let (sender, told) = queue();
    let in_request = sender.clone();
    let handler = Callbacks::new(|_| Ok(()))
        .on_request(move |(), io| {
            let begun = io.reader().next(4).expect("they are there");
            in_request.send("request");
            assert_eq!(begun, "half");
            match io.reader().next(4) {
                Err(Error::Eof { .. } | Error::Closed { .. }) => in_request.send("no more"),
                other => panic!("{other:?}"),
            }
        })
        .on_disconnect(move |(), _| sender.send("disconnect"));
    let serving = place.serve(place.builder().handler(handler));
    let peer = serving.client();
    write(&peer, b"half");
    assert_eq!(told.next(), "request");
    drop(peer);
    let mut both = [told.next(), told.next()];
    // On a pool they are told by two threads.
    both.sort_unstable();
    assert_eq!(both, ["disconnect", "no more"]);
    serving.end();
}

fn b08_a_close_during_on_connect_is_told_after_it(place: Place) {
    let (sender, told) = queue();
    let (prepares, disconnects) = (sender.clone(), sender.clone());
    let (go, gate) = queue::<()>();
    let connect = move |io: &mut Io<'_>| {
        sender.send("connect");
        let conn = io.connection();
        gate.next();
        wait_until("the peer's close is seen", || !conn.is_active());
        sender.send("connected");
        Ok(())
    };
    let handler = Callbacks::new(connect)
        .on_prepare(move |conn| {
            prepares.send("prepare");
            let told = prepares.clone();
            assert!(conn.on_close(move |_| told.send("close")).is_ok());
        })
        .on_disconnect(move |(), _| disconnects.send("disconnect"));
    let serving = place.serve(place.builder().handler(handler));
    for _ in 0..5 {
        let peer = serving.client();
        assert_eq!([told.next(), told.next()], ["prepare", "connect"]);
        drop(peer);
        go.send(());
        assert_eq!([told.next(), told.next(), told.next()], ["connected", "disconnect", "close"]);
    }
    serving.end();
    assert!(told.is_empty(), "each once");
}

fn b09_every_byte_of_clients_that_send_and_close_is_handled(place: Place) {
    const CLIENTS: usize = 100;
    let handled = Arc::new(AtomicU64::new(0));
    let (closed, ends) = queue();
    let count = handled.clone();
    let handler = Callbacks::new(move |io: &mut Io<'_>| {
        let closed = closed.clone();
        assert!(io.connection().on_close(move |_| closed.send(())).is_ok());
        Ok(())
    });
    let handler = handler.on_request(move |(), io| {
        assert!(io.data().iter().all(|&byte| byte == io.data()[0]), "bytes of another connection");
        count.fetch_add(io.consume(usize::MAX) as u64, Ordering::Relaxed);
    });
    let serving = place.serve(place.builder().pollers(2).handler(handler));
    let mut sent = 0;
    for client in 0..CLIENTS {
        let size = 1 + client * 700;
        write(&serving.client(), &vec![client as u8; size]);
        sent += size as u64;
    }
    (0..CLIENTS).for_each(|_| ends.next());
    assert_eq!(handled.load(Ordering::Relaxed), sent);
    serving.end();
}

fn b09_short_connections_to_two_servers_never_mix(place: Place) {
    const EACH: usize = if cfg!(tsan) { 40 } else { 200 };
    let servers = [1, 2].map(|tag: u8| {
        let (handler, _) = on_request(move |io: &mut Io<'_>| {
            assert!(io.data().iter().all(|&byte| byte == tag), "bytes of another server");
            echo(io);
        });
        Arc::new(place.serve(place.builder().pollers(2).handler(handler)))
    });
    let threads: Vec<_> = [1_u8, 2, 1, 2]
        .iter()
        .map(|&tag| {
            let serving = servers[usize::from(tag) - 1].clone();
            std::thread::spawn(move || (0..EACH).for_each(|_| ping(&serving.client(), &[tag; 100])))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    for serving in &servers {
        serving.end();
        let stats = serving.server.stats();
        assert_eq!((stats.accepted, stats.panics), (2 * EACH as u64, 0));
    }
}
