//! What a user gave is dropped once, when it is not needed any more: under no lock, and a panic in it harms nobody.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use pollproof::sync::Arc;
use pollproof::sync::atomic::{AtomicUsize, Ordering};
use pollproof::{BoxError, Callbacks, Connection, Dialer, Error, Handler, Io, Server};

use crate::queue::{Sender, queue};
use crate::support::*;
use crate::users::*;

tests! {
    u1_a_panic_in_the_drop_of_what_was_set_ends_its_connection_only: ALL;
    u1_a_panic_in_the_drop_of_context_state_or_handler_harms_nobody: ALL;
    u1_a_panic_in_the_drop_of_what_a_server_has_harms_nobody: ALL;
    u1_a_server_that_never_ran_may_be_dropped_with_everything_that_panics: [Inline, Pool];
    u1_a_handler_that_was_never_used_is_dropped_outside_its_caller: [Inline];
    u4_what_replaces_itself_as_it_is_dropped_takes_no_lock: ALL;
    u4_an_ended_connection_keeps_nothing_of_its_users: ALL;
    u4_what_is_set_after_the_end_is_dropped_at_once: ALL;
    u4_whatever_holds_its_own_connection_or_server_is_dropped_with_it: ALL;
}

/// Runs `first` as the OnRequest of a first connection: that is ended, and all of `what` is told of it.
fn ends_one(place: Place, what: &[&str], first: fn(&mut Io<'_>)) {
    let (builder, panics) = telling(place.builder());
    let serving = spoiled(place, builder, first);
    let bad = serving.client();
    write(&bad, b"bad");
    gone(&bad);
    for what in what {
        assert_eq!(panics.next(), (*what, 0));
    }
    all_is_well(&serving);
    assert!(panics.is_empty(), "once");
}

/// Sets a handler that panics when it is dropped.
fn set_bomb(conn: &Connection) {
    let bomb = Bomb;
    conn.set_on_request(move |_| {
        let _ = &bomb;
    });
}

/// As [`set_bomb`], for OnDisconnect.
fn set_disconnect_bomb(conn: &Connection) {
    let bomb = Bomb;
    conn.set_on_disconnect(move |_| {
        let _ = &bomb;
    });
}

/// SPEC: U1.
fn u1_a_panic_in_the_drop_of_what_was_set_ends_its_connection_only(place: Place) {
    // Freed at the end.
    ends_one(place, &["drop of a handler", "drop of on_disconnect"], |io| {
        set_bomb(io.connection());
        set_disconnect_bomb(io.connection());
        io.connection().close();
    });
    // Replaced before it was installed, and after.
    ends_one(place, &["drop of a handler"], |io| {
        set_bomb(io.connection());
        io.connection().set_on_request(echo);
    });
    ends_one(place, &["drop of a handler"], |io| {
        let bomb = Bomb;
        io.connection().set_on_request(move |io: &mut Io<'_>| {
            let _ = &bomb;
            io.consume(usize::MAX);
            io.connection().set_on_request(echo);
            // It is installed before the next call, or the end.
            io.connection().set_on_disconnect(|_| ());
        });
    });
    ends_one(place, &["drop of on_disconnect"], |io| {
        set_disconnect_bomb(io.connection());
        io.connection().set_on_disconnect(|_| ());
    });
    // Refused.
    ends_one(place, &["drop of a detach callback"], |io| {
        let bomb = Bomb;
        let conn = io.connection();
        conn.detach(|detached| drop(detached.fd)).expect("the first to ask");
        let again = conn.detach(move |_| {
            let _ = &bomb;
        });
        assert!(matches!(again, Err(Error::Closed { .. })));
    });
}

/// Panics when it is dropped, once it is armed.
#[derive(Default)]
struct Armed(#[allow(dead_code, reason = "it is dropped")] Option<Bomb>);

/// Everything of it that this names panics when it is dropped.
struct Parts {
    context: bool,
    state: bool,
    _handler: Option<Bomb>,
}

impl Handler for Parts {
    type Context = Armed;
    type State = Armed;

    fn on_connect(&self, state: &mut Armed, io: &mut Io<'_>) -> Result<Armed, BoxError> {
        let first = io.connection().id() == 0;
        *state = Armed((self.state && first).then(|| Bomb));
        Ok(Armed((self.context && first).then(|| Bomb)))
    }

    fn on_request(&self, _: &Armed, _: &mut Armed, io: &mut Io<'_>) -> Result<(), BoxError> {
        echo(io);
        Ok(())
    }
}

/// SPEC: U1.
fn u1_a_panic_in_the_drop_of_context_state_or_handler_harms_nobody(place: Place) {
    for (context, state) in [(true, false), (false, true), (true, true)] {
        let (builder, panics) = telling(place.builder());
        let serving = place.serve(builder.handler(Parts { context, state, _handler: None }));
        ping(&serving.client(), b"bad");
        if context {
            assert_eq!(panics.next(), ("drop of the context", 0));
        }
        if state {
            assert_eq!(panics.next(), ("drop of the state", 0));
        }
        all_is_well(&serving);
    }
    // A dialed connection has its handler alone.
    let serving = place.serve(place.builder().on_request(echo));
    let (sender, panics) = queue();
    let dialer = Dialer::builder().on_error(move |error| sender.send(error.to_string())).build().expect("a thread");
    let all = Parts { context: true, state: true, _handler: Some(Bomb) };
    let conn = dialer.dial(&serving.server.local_addr().to_string(), LONG, all).expect("a connection");
    conn.close();
    for what in ["context", "state", "handler"] {
        assert!(panics.next().contains(what), "{what}");
    }
    assert_eq!(dialer.shutdown(LONG).expect("a shutdown").left, 0);
    serving.end();
}

/// A runner that panics when it is dropped.
struct Runs(pollproof::Pool, #[allow(dead_code, reason = "it is dropped")] Bomb);

impl pollproof::Runner for Runs {
    fn run(&self, task: pollproof::Task) {
        self.0.run(task);
    }
}

/// A server whose handler, hook and runner panic when they are dropped.
fn bombs(place: Place) -> pollproof::Builder<impl Handler> {
    let (hook, handler) = (Bomb, Bomb);
    let builder = place.builder().on_error(move |_| {
        let _ = &hook;
    });
    let builder =
        if place == Pool { builder.runner(Runs(pollproof::Pool::new(2).expect("threads"), Bomb)) } else { builder };
    builder.on_request(move |io: &mut Io<'_>| {
        let _ = &handler;
        echo(io);
    })
}

/// SPEC: U1.
fn u1_a_panic_in_the_drop_of_what_a_server_has_harms_nobody(place: Place) {
    let serving = place.serve(bombs(place));
    ping(&serving.client(), b"good");
    serving.end();
    // Not even whoever has the last handle.
    drop(serving);
}

/// SPEC: U1.
fn u1_a_server_that_never_ran_may_be_dropped_with_everything_that_panics(place: Place) {
    let server = bombs(place).bind("127.0.0.1:0").expect("a free port");
    drop(server);
    let server = bombs(place).bind("127.0.0.1:0").expect("a free port");
    server.shutdown(LONG).expect("a shutdown");
    drop(server);
}

/// SPEC: U1.
fn u1_a_handler_that_was_never_used_is_dropped_outside_its_caller(_: Place) {
    let (sender, panics) = queue();
    let dialer = Dialer::builder().on_error(move |error| sender.send(error.to_string())).build().expect("a thread");
    let unused = || Parts { context: false, state: false, _handler: Some(Bomb) };
    assert!(dialer.dial("127.0.0.1:1", LONG, unused()).is_err(), "nobody listens there");
    assert!(panics.next().contains("handler"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address").to_string();
    dialer.begin_shutdown(LONG).expect("a shutdown begins");
    assert!(matches!(dialer.dial(&address, LONG, unused()), Err(Error::ShutDown { .. })));
    dialer.shutdown(LONG).expect("a shutdown");
}

/// Sets an OnDisconnect and an OnRequest whose drops set the next, so many times.
fn set_again(conn: &Connection, times: usize, told: &Sender<usize>) {
    let again = |set: fn(&Connection, usize, &Sender<usize>)| {
        let (conn, told) = (conn.clone(), told.clone());
        OnDrop(move || {
            told.send(times);
            if times > 0 {
                set(&conn, times - 1, &told);
            }
        })
    };
    let (disconnect, request) = (again(set_again), again(|_, _, _| ()));
    conn.set_on_disconnect(move |_| {
        let _ = &disconnect;
    });
    conn.set_on_request(move |io: &mut Io<'_>| {
        let _ = &request;
        echo(io);
    });
}

/// SPEC: U4: the slot is open while the old one is dropped.
fn u4_what_replaces_itself_as_it_is_dropped_takes_no_lock(place: Place) {
    const TIMES: usize = 20;
    let (sender, told) = queue();
    let serving = spoiled(place, place.builder(), move |io| {
        set_again(io.connection(), TIMES, &sender);
        io.connection().set_on_disconnect(|_| ());
        echo(io);
    });
    let peer = serving.client();
    ping(&peer, b"first");
    ping(&peer, b"second");
    drop(peer);
    // Both of each round.
    let mut all: Vec<usize> = (0..2 * TIMES + 2).map(|_| told.next()).collect();
    all.sort_unstable();
    assert_eq!(all, (0..=TIMES).flat_map(|round| [round; 2]).collect::<Vec<_>>());
    all_is_well(&serving);
}

/// Gives `conn` one of `count` in every place that takes something. Six in all.
fn give_everything(conn: &Connection, count: &Count) {
    let [request, waiting, disconnect, close, back, bytes] = std::array::from_fn(|_| count.one());
    conn.set_on_request(move |io: &mut Io<'_>| {
        let _ = &request;
        io.consume(usize::MAX);
    });
    conn.set_on_disconnect(move |_| {
        let _ = &disconnect;
    });
    let _ = conn.on_close(move |_| drop(close));
    let mut writer = conn.writer();
    writer.append(lent(1 << 20, bytes));
    let _ = writer.flush();
    let _ = conn.detach(move |_| drop(back));
    conn.set_on_request(move |_| {
        let _ = &waiting;
    });
}

/// SPEC: U4: the handle is kept.
fn u4_an_ended_connection_keeps_nothing_of_its_users(place: Place) {
    let count = Count::default();
    let (sender, conns) = queue();
    let given = count.clone();
    let serving = spoiled(place, place.builder(), move |io| {
        give_everything(io.connection(), &given);
        sender.send(io.connection().clone());
    });
    let bad = serving.client();
    write(&bad, b"bad");
    let conn = conns.next();
    wait_until("everything is dropped", || count.now() == 0);
    // What comes later goes at once.
    give_everything(&conn, &count);
    wait_until("everything is dropped again", || count.now() == 0);
    serving.end();
    give_everything(&conn, &count);
    assert_eq!(count.now(), 0);
}

/// SPEC: U4.
fn u4_what_is_set_after_the_end_is_dropped_at_once(place: Place) {
    let dialed = place.dialed();
    let conn = dialed.conn.clone();
    conn.close();
    wait_until("it is over", || dialed.dialer.stats().open == 0);
    let count = Count::default();
    let ones = [count.one(), count.one(), count.one(), count.one()];
    let [request, disconnect, close, back] = ones;
    conn.set_on_request(move |_| {
        let _ = &request;
    });
    assert_eq!(count.now(), 3);
    conn.set_on_disconnect(move |_| {
        let _ = &disconnect;
    });
    assert_eq!(count.now(), 2);
    drop(conn.on_close(move |_| drop(close)).expect_err("it comes back"));
    assert_eq!(count.now(), 1);
    assert!(conn.detach(move |_| drop(back)).is_err());
    assert_eq!(count.now(), 0);
    // One that panics does not reach the caller.
    set_bomb(&conn);
    set_disconnect_bomb(&conn);
    let bomb = Bomb;
    let late = conn.detach(move |_| {
        let _ = &bomb;
    });
    assert!(late.is_err());
    dialed.end();
}

/// What a cycle is made of.
struct Cycle {
    _one: Counted,
    _conn: Connection,
    _server: Option<Server>,
    _dialer: Dialer,
}

/// Where a handler finds its server, which is there only later.
type Later = pollproof::sync::Mutex<Option<Server>>;

/// SPEC: U4.
fn u4_whatever_holds_its_own_connection_or_server_is_dropped_with_it(place: Place) {
    let count = Count::default();
    let later = Arc::new(Later::new(None));
    let dialer = Dialer::builder().build().expect("a thread");
    let closed = Arc::new(AtomicUsize::new(0));
    let make = {
        let (count, later, dialer) = (count.clone(), later.clone(), dialer.clone());
        move |conn: &Connection| Cycle {
            _one: count.one(),
            _conn: conn.clone(),
            _server: pollproof::sync::lock(&later).clone(),
            _dialer: dialer.clone(),
        }
    };
    let (cycle, hooks, closes) = (make.clone(), (count.one(), later.clone()), closed.clone());
    let handler = Callbacks::new(move |io: &mut Io<'_>| {
        let conn = io.connection();
        let [request, disconnect, close] = std::array::from_fn(|_| make(conn));
        conn.set_on_request(move |io: &mut Io<'_>| {
            let _ = &request;
            echo(io);
        });
        conn.set_on_disconnect(move |_| {
            let _ = &disconnect;
        });
        let closes = closes.clone();
        let added = conn.on_close(move |_| {
            drop(close);
            closes.fetch_add(1, Ordering::Relaxed);
        });
        assert!(added.is_ok());
        Ok(cycle(conn))
    });
    let builder = place.builder().on_error(move |_| {
        let _ = &hooks;
    });
    let serving = place.serve(builder.handler(handler));
    *pollproof::sync::lock(&later) = Some(serving.server.clone());
    let peers: Vec<_> = (0..10).map(|_| serving.client()).collect();
    peers.iter().for_each(|peer| ping(peer, b"hello"));
    assert_eq!(count.now(), 10 * 4 + 1);
    drop(peers);
    wait_until("all have closed", || closed.load(Ordering::Relaxed) == 10);
    wait_until("only the hook is left", || count.now() == 1);
    serving.end();
    assert_eq!(count.now(), 0, "the hook has gone with its server, whose handles are kept");
    dialer.shutdown(LONG).expect("a shutdown");
}
