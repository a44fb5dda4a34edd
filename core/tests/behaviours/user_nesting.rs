//! No user code begins inside user code: what falls due there is done later, on a stack of its own.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use pollproof::sync::{Arc, Mutex, lock};
use pollproof::{BoxError, Callbacks, Connection, Dialer, Handler, Io};

use crate::queue::{Receiver, Sender, queue};
use crate::support::*;
use crate::users::*;

tests! {
    u2_close_callbacks_that_close_others_never_nest: ALL;
    u2_handlers_that_relieve_each_other_in_a_ring_never_nest: [Unix];
    u2_whatever_users_call_inside_their_code_begins_no_other: ALL;
    u2_errors_and_hooks_that_a_foreign_thread_drops_begin_no_other: [Inline, Alone];
    u3_on_disconnect_never_runs_inside_its_own_on_request: ALL;
}

/// Where a chain begins to close.
#[derive(Clone, Copy, Debug)]
enum From {
    Outside,
    Request,
    Shutdown,
}

/// A server that polls on a thread with a small stack.
fn on_small(place: Place, handler: impl Handler) -> (Serving, std::thread::JoinHandle<()>) {
    let builder = if place == Inline { place.builder() } else { place.builder().takeover(None) };
    let serving = place.bind(builder.handler(handler));
    let server = serving.server.clone();
    let polls = on_small_stack(move || server.run().expect("it serves"));
    (serving, polls)
}

/// SPEC: U2: each in the next one's, from whatever thread the first comes.
fn u2_close_callbacks_that_close_others_never_nest(place: Place) {
    more_fds();
    for from in [From::Outside, From::Request, From::Shutdown] {
        let (sender, conns) = queue();
        let handler = Callbacks::new(move |io: &mut Io<'_>| {
            sender.send(io.connection().clone());
            Ok(())
        });
        let handler = handler.on_request(|(), io| {
            io.consume(usize::MAX);
            io.connection().close();
        });
        let (serving, polls) = on_small(place, handler);
        let peers: Vec<_> = (0..CHAIN).map(|_| serving.client()).collect();
        let chain: Vec<Connection> = (0..CHAIN).map(|_| conns.next()).collect();
        let (depth, closed) = (Depth::default(), Count::default());
        for pair in chain.windows(2) {
            let (next, depth, one) = (pair[1].clone(), depth.clone(), closed.one());
            let closes = move |_: &Connection| {
                depth.inside(|| next.close());
                drop(one);
            };
            assert!(pair[0].on_close(closes).is_ok());
        }
        match from {
            From::Outside => {
                let first = chain[0].clone();
                on_small_stack(move || first.close()).join().expect("no panic");
            }
            // Some are gone before theirs comes.
            From::Request => peers.iter().for_each(|mut peer| drop(peer.write_all(b"x"))),
            From::Shutdown => {
                let server = serving.server.clone();
                let ends = on_small_stack(move || server.shutdown(Duration::ZERO).expect("a shutdown").left);
                assert_eq!(ends.join().expect("no panic"), 0);
            }
        }
        wait_until("all are closed", || closed.now() == 0 && serving.server.stats().open == 0);
        serving.end();
        polls.join().expect("no panic");
        assert_eq!(depth.deepest(), 1, "{from:?}");
    }
}

/// SPEC: U2, O6: each waits for the next one's output, and closes when that is over.
fn u2_handlers_that_relieve_each_other_in_a_ring_never_nest(place: Place) {
    const RING: usize = CHAIN;
    more_fds();
    let ring = Arc::new(Mutex::new(Vec::<Connection>::new()));
    let depth = Depth::default();
    let (sender, conns) = queue();
    let handler = Callbacks::new(move |io: &mut Io<'_>| {
        sender.send(io.connection().clone());
        Ok(())
    });
    let (all, deep, (sender, paced)) = (ring.clone(), depth.clone(), queue());
    let handler = handler.on_request(move |(), io: &mut Io<'_>| {
        deep.inside(|| {
            let conn = io.connection();
            if io.data() != b"pace" {
                return conn.close();
            }
            io.consume(usize::MAX);
            let next = {
                let all = lock(&all);
                let at = all.iter().position(|other| other.id() == conn.id()).expect("it is there");
                all[(at + 1) % all.len()].clone()
            };
            io.pace_by(&next);
            sender.send(());
        });
    });
    let builder = place.builder().takeover(None);
    let serving = place.bind(builder.send_buffer(4096).water_marks(0, 1).handler(handler));
    let server = serving.server.clone();
    let polls = on_small_stack(move || server.run().expect("it serves"));
    let peers: Vec<_> = (0..RING).map(|_| serving.client()).collect();
    let all: Vec<Connection> = (0..RING).map(|_| conns.next()).collect();
    *lock(&ring) = all.clone();
    for peer in &peers {
        write(peer, b"pace");
        paced.next();
    }
    // More than the sockets take, and the peers read nothing.
    for conn in &all {
        while conn.backlog() < 1 << 14 {
            conn.send(&[7; 8192]).expect("it is queued");
        }
    }
    peers.iter().for_each(|peer| write(peer, b"close"));
    wait_until("all is read", || all.iter().all(|conn| conn.bytes_read() == 9));
    std::thread::sleep(Duration::from_millis(50));
    assert!(all.iter().all(Connection::is_active), "they wait");
    all[RING / 2].close();
    wait_until("all are closed", || serving.server.stats().open == 0);
    lock(&ring).clear();
    serving.end();
    polls.join().expect("no panic");
    assert_eq!(depth.deepest(), 1);
}

/// Calls that make sections of other connections fall due; each in the depth that it is told of.
#[derive(Clone)]
struct Acts {
    depth: Depth,
    victims: Receiver<Connection>,
    told: Sender<&'static str>,
}

impl Acts {
    /// As a callback of this name does.
    fn act(&self, name: &'static str) {
        self.depth.inside(|| {
            let Some(conn) = self.victims.within(Duration::ZERO) else { return };
            let depth = self.depth.clone();
            // There is something to read.
            conn.set_on_request(move |io: &mut Io<'_>| {
                depth.inside(|| io.consume(usize::MAX));
                io.connection().shutdown();
            });
            let Some(conn) = self.victims.within(Duration::ZERO) else { return };
            conn.close();
            self.told.send(name);
        });
    }

    fn drops(&self, name: &'static str) -> OnDrop<impl FnMut() + Send + Sync + 'static> {
        let acts = self.clone();
        OnDrop(move || acts.act(name))
    }
}

/// Has every callback, and every drop of a value of a user's, act.
struct Acting(Acts);

impl Handler for Acting {
    type Context = Box<dyn Send + Sync>;
    type State = ();

    fn on_prepare(&self, conn: &Connection) {
        self.0.act("on_prepare");
        let acts = self.0.clone();
        assert!(conn.on_close(move |_| acts.act("close callback")).is_ok());
    }

    fn on_connect(&self, (): &mut (), _: &mut Io<'_>) -> Result<Self::Context, BoxError> {
        self.0.act("on_connect");
        Ok(Box::new(self.0.drops("context")))
    }

    fn on_request(&self, _: &Self::Context, (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        self.0.act("on_request");
        let conn = io.connection();
        for _ in 0..2 {
            let (request, disconnect) = (self.0.drops("handler"), self.0.drops("on_disconnect"));
            conn.set_on_request(move |io: &mut Io<'_>| {
                let _ = &request;
                io.consume(usize::MAX);
            });
            conn.set_on_disconnect(move |_| {
                let _ = &disconnect;
            });
        }
        io.writer().append(lent(8, self.0.drops("a few bytes")));
        io.writer().append(lent(8192, self.0.drops("bytes")));
        io.connection().set_on_disconnect({
            let acts = self.0.clone();
            move |_| acts.act("on_disconnect is called")
        });
        if io.data() == b"fail" {
            return Err(Box::new(Failing(Box::new(self.0.drops("error")))));
        }
        io.consume(usize::MAX);
        Ok(())
    }
}

struct Failing(#[allow(dead_code, reason = "it is dropped")] Box<dyn Send + Sync>);

impl std::fmt::Debug for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it fails")
    }
}

impl std::fmt::Display for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it fails")
    }
}

impl std::error::Error for Failing {}

/// Connections of a dialer that have something to read and no handler, each with a close callback; and their peers.
fn victims(place: Place, depth: &Depth, count: usize) -> (Dialer, Receiver<Connection>, Serving, Receiver<()>) {
    let greets = Callbacks::new(|io: &mut Io<'_>| {
        io.write(b"greeting");
        Ok(())
    });
    let peers = place.serve(place.builder().handler(greets));
    let address = peers.server.local_addr().to_string();
    let dialer = Dialer::builder().pollers(2).build().expect("threads");
    let ((sender, conns), (over, overs)) = (queue(), queue());
    for _ in 0..count {
        let conn = dialer.connect(&address, LONG).expect("a connection");
        let (depth, over) = (depth.clone(), over.clone());
        assert!(conn.on_close(move |_| depth.inside(|| over.send(()))).is_ok());
        wait_until("it is greeted", || conn.bytes_read() == 8);
        sender.send(conn);
    }
    (dialer, conns, peers, overs)
}

/// SPEC: U2.
fn u2_whatever_users_call_inside_their_code_begins_no_other(place: Place) {
    const VICTIMS: usize = 200;
    let depth = Depth::default();
    let (dialer, conns, peers, overs) = victims(place, &depth, VICTIMS);
    let (told, acted) = queue();
    let acts = Acts { depth: depth.clone(), victims: conns, told };
    let (hook, drops) = (acts.clone(), acts.drops("hook"));
    let builder = place.builder().on_error(move |_| {
        let _ = &drops;
        hook.act("hook is called");
    });
    let serving = place.serve(builder.handler(Acting(acts.clone())));
    let address = serving.server.local_addr().to_string();
    for request in [b"good", b"fail"] {
        let peer = serving.client();
        write(&peer, request);
        assert_eq!(read(&peer, 8200), [7; 8200]);
        peer.shutdown(Shutdown::Write).expect("a shutdown");
        gone(&peer);
    }
    // The same in the calls of a thread that the library knows nothing of.
    let own = serving.server.dialer();
    let conn = own.dial(&address, LONG, Acting(acts.clone())).expect("a connection");
    conn.detach({
        let acts = acts.clone();
        move |_| acts.act("detach callback")
    })
    .expect("the first to ask");
    wait_until("it is over", || serving.server.stats().open == 0);
    serving.end();
    drop(serving);
    drop(acts);
    let mut all = Vec::new();
    while let Some(name) = acted.within(LONG) {
        all.push(name);
    }
    all.sort_unstable();
    all.dedup();
    let expected = [
        "a few bytes",
        "bytes",
        "close callback",
        "context",
        "detach callback",
        "error",
        "handler",
        "hook",
        "hook is called",
        "on_connect",
        "on_disconnect",
        "on_disconnect is called",
        "on_prepare",
        "on_request",
    ];
    assert_eq!(all, expected);
    // What was never read keeps it from being idle.
    dialer.shutdown(Duration::ZERO).expect("a shutdown");
    peers.end();
    (0..VICTIMS).for_each(|_| overs.next());
    assert_eq!(depth.deepest(), 1);
}

/// SPEC: U2: an error of a dial, and what a server has that never ran.
fn u2_errors_and_hooks_that_a_foreign_thread_drops_begin_no_other(place: Place) {
    let depth = Depth::default();
    let (dialer, conns, peers, overs) = victims(place, &depth, 6);
    let (told, acted) = queue();
    let acts = Acts { depth: depth.clone(), victims: conns, told };
    let drops = acts.drops("hook");
    let builder = place.builder().on_error(move |_| {
        let _ = &drops;
    });
    drop(builder.on_request(echo).bind("127.0.0.1:0").expect("a free port"));
    assert_eq!(acted.next(), "hook");
    let drops = acts.clone();
    let fails = Callbacks::new(move |_: &mut Io<'_>| -> Result<(), BoxError> {
        Err(Box::new(Failing(Box::new(drops.drops("error")))))
    });
    let address = peers.server.local_addr().to_string();
    assert!(dialer.dial(&address, LONG, fails).map_or(true, |conn| !conn.is_active()));
    assert_eq!(acted.next(), "error");
    dialer.shutdown(Duration::ZERO).expect("a shutdown");
    peers.end();
    (0..6).for_each(|_| overs.next());
    assert_eq!(depth.deepest(), 1);
}

/// SPEC: U3: what they share is locked in both.
fn u3_on_disconnect_never_runs_inside_its_own_on_request(place: Place) {
    let (sender, told) = queue();
    let also = sender.clone();
    let handler = Callbacks::new(|_| Ok(Mutex::new(0_u32)))
        .on_request(move |calls: &Mutex<u32>, io: &mut Io<'_>| {
            let mut calls = lock(calls);
            std::thread::sleep(Duration::from_millis(5));
            let _ = io.reader().next(10).map(drop);
            *calls += 1;
            sender.send("request");
        })
        .on_disconnect(move |calls, _: &Connection| {
            *lock(calls) += 1;
            also.send("disconnect");
        });
    let serving = place.serve(place.builder().handler(handler));
    for _ in 0..20 {
        let peer = serving.client();
        write(&peer, b"12345");
        drop(peer);
        while told.next() != "disconnect" {}
    }
    serving.end();
}
