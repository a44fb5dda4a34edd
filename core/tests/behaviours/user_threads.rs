//! A thread knows where it is: several servers and dialers in one process, in any combination of who calls whom, and
//! at a thread's very end.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use std::cell::RefCell;
use std::time::Duration;

use pollproof::sync::atomic::{AtomicUsize, Ordering};
use pollproof::sync::{Arc, Mutex, lock};
use pollproof::{Builder, Callbacks, Connection, Dialer, Error, Io, Server};

use crate::queue::{Receiver, Sender, queue};
use crate::support::*;
use crate::users::*;

tests! {
    u5_servers_and_dialers_call_each_other_in_every_combination: ALL;
    u5_a_section_goes_on_whichever_server_its_thread_polls_for: ALL;
    u5_the_end_of_a_thread_may_use_connections_dialers_and_servers: *AT_THE_END;
    u5_a_polling_thread_may_shut_its_server_down_at_its_very_end: [Inline, Unix, Alone];
    u5_two_servers_that_shut_each_other_down_both_end: ALL;
}

/// ThreadSanitizer does not see how the `std` that is installed hands the result of a thread over which is at its very end.
const AT_THE_END: &[Place] = if cfg!(tsan) { &[Pool] } else { &ALL };

/// The kinds of server that one may be.
const KINDS: [Place; 3] = [Inline, Alone, Pool];

fn builder(kind: Place, pollers: usize) -> Builder {
    kind.builder().pollers(pollers).budget(3)
}

/// SPEC: U5: a client, a proxy, and a server behind it. The proxy passes lines on by each of these ways.
fn u5_servers_and_dialers_call_each_other_in_every_combination(place: Place) {
    const LINES: usize = 50;
    for other in KINDS {
        for own in [false, true] {
            let behind = other.serve(builder(other, 2).on_request(echo));
            let address = behind.server.local_addr().to_string();
            let dialer = other.serve(builder(other, 1).on_request(echo));
            let later = Arc::new(Mutex::new(None::<Dialer>));
            let found = later.clone();
            // What comes from behind is handled on the dialer's threads, and sent by those to the client; what comes from
            // the client the other way round.
            let connect = move |io: &mut Io<'_>| {
                let client = io.connection().clone();
                let dialer = lock(&found).clone().expect("it is there");
                let back = Callbacks::new(|_: &mut Io<'_>| Ok(())).on_request(move |(), io: &mut Io<'_>| {
                    let Some(end) = io.data().iter().position(|&byte| byte == b'\n') else { return };
                    let _ = client.send(&io.data()[..=end]);
                    io.consume(end + 1);
                });
                Ok(dialer.dial(&address, LONG, back)?)
            };
            let handler = Callbacks::new(connect).on_request(|up: &Connection, io: &mut Io<'_>| {
                let Some(end) = io.data().iter().position(|&byte| byte == b'\n') else { return Ok(()) };
                up.send(&io.data()[..=end])?;
                io.consume(end + 1);
                Ok::<_, Error>(())
            });
            let handler = handler.on_disconnect(|up, _| up.close());
            let proxy = place.bind(builder(place, 1).handler(handler));
            *lock(&later) = Some(if own { proxy.server.dialer() } else { dialer.server.dialer() });
            proxy.server.spawn().expect("threads");
            let lines = b"line\n".repeat(LINES);
            let peers: Vec<_> = (0..4).map(|_| proxy.client()).collect();
            peers.iter().for_each(|peer| write(peer, &lines));
            peers.iter().for_each(|peer| assert_eq!(read(peer, lines.len()), lines));
            drop(peers);
            lock(&later).take();
            proxy.end();
            dialer.end();
            behind.end();
        }
    }
}

/// SPEC: U5, F2: many turns for what was read ahead, begun on a thread of another server.
fn u5_a_section_goes_on_whichever_server_its_thread_polls_for(place: Place) {
    const EVENTS: usize = 500;
    let Dialed { dialer, conn: up, peer } = place.dialed();
    write(&peer, &b"event\n".repeat(EVENTS));
    wait_until("all is read ahead", || up.bytes_read() == 6 * EVENTS as u64);
    let conn = up.clone();
    let subscribe = move |io: &mut Io<'_>| {
        let client = io.connection().clone();
        up.set_on_request(move |io: &mut Io<'_>| {
            let Some(end) = io.data().iter().position(|&byte| byte == b'\n') else { return };
            client.send(&io.data()[..=end]).expect("it is open");
            io.consume(end + 1);
        });
        Ok(())
    };
    let serving = place.serve(place.builder().handler(Callbacks::new(subscribe)));
    let client = serving.client();
    read(&client, 6 * EVENTS);
    conn.close();
    dialer.shutdown(LONG).expect("a shutdown");
    drop(client);
    serving.end();
}

type Last = Box<dyn FnMut()>;

std::thread_local! {
    /// What a thread does at its end.
    static LAST: RefCell<Option<OnDrop<Last>>> = const { RefCell::new(None) };
}

/// Has the calling thread do this at its very end.
fn at_the_end(act: impl FnMut() + 'static) {
    LAST.with(|last| {
        last.borrow_mut().get_or_insert_with(|| OnDrop(Box::new(act)));
    });
}

/// A dialed connection with data that nobody has read.
fn with_data(place: Place, address: &str) -> (Dialer, Connection) {
    let dialer = if place == Alone { Dialer::builder().takeover(None) } else { Dialer::builder() };
    let dialer = dialer.build().expect("a thread");
    let conn = dialer.connect(address, LONG).expect("a connection");
    wait_until("it is greeted", || conn.bytes_read() == 8);
    (dialer, conn)
}

/// Everything that a connection or dialer has, at a thread's end.
fn use_all(dialer: &Dialer, conn: &Connection, address: &str, depth: &Depth) {
    assert!(conn.reader().is_ok_and(|mut reader| reader.peek(8).is_ok()));
    let mut writer = conn.writer();
    writer.write(b"from the end");
    writer.flush().expect("it is open");
    let deep = depth.clone();
    conn.set_on_request(move |io: &mut Io<'_>| {
        deep.inside(|| io.consume(usize::MAX));
        io.write(b"answer");
    });
    let handler = Callbacks::new(|io: &mut Io<'_>| {
        io.write(b"welcome");
        Ok(())
    });
    let dialed = dialer.dial(address, LONG, handler.on_request(|(), io| echo(io))).expect("a connection");
    let deep = depth.clone();
    assert!(dialed.on_close(move |_| deep.inside(|| ())).is_ok());
    dialed.close();
    let deep = depth.clone();
    conn.set_on_disconnect(move |conn| deep.inside(|| conn.close()));
}

/// SPEC: U5: of a thread that the library knows nothing of, of a polling one, and of one of a pool.
fn u5_the_end_of_a_thread_may_use_connections_dialers_and_servers(place: Place) {
    let depth = Depth::default();
    let greets = Callbacks::new(|io: &mut Io<'_>| {
        io.write(b"greeting");
        Ok(())
    });
    let upstream = place.serve(place.builder().handler(greets.on_request(|(), io| echo(io))));
    let address = upstream.server.local_addr().to_string();
    let other = Inline.serve(Inline.builder().on_request(echo));
    let (sender, ended) = queue();
    let registers = {
        let (address, server, depth) = (address, other.server.clone(), depth.clone());
        move || {
            let (dialer, conn) = with_data(place, &address);
            let (address, server, depth, sender) = (address.clone(), server.clone(), depth.clone(), sender.clone());
            at_the_end(move || {
                use_all(&dialer, &conn, &address, &depth);
                conn.close();
                let left = dialer.shutdown(LONG).map(|ended| ended.left);
                server.shutdown(LONG).expect("a shutdown");
                sender.send(left);
            });
        }
    };
    // One that has run handlers has more to lose at its end; what it has done first is lost last.
    let runs = registers.clone();
    let thread = std::thread::spawn(move || {
        runs();
        let (dialer, conn) = with_data(place, &upstream.server.local_addr().to_string());
        conn.set_on_request(echo);
        dialer.shutdown(LONG).expect("a shutdown");
        upstream
    });
    let upstream = thread.join().expect("no panic");
    assert!(matches!(ended.next(), Ok(0)));
    let serving = place.serve(place.builder().on_request(move |io: &mut Io<'_>| {
        registers();
        echo(io);
    }));
    ping(&serving.client(), b"hello");
    serving.end();
    drop(serving);
    assert!(matches!(ended.next(), Ok(0)));
    assert_eq!(depth.deepest(), 1);
    upstream.end();
}

/// SPEC: U5, U6: two threads, neither of which waits for the other's end.
fn u5_a_polling_thread_may_shut_its_server_down_at_its_very_end(place: Place) {
    let (sender, ended) = queue();
    let later = Arc::new(Mutex::new(None::<Server>));
    let found = later.clone();
    let serving = place.bind(place.builder().pollers(2).on_request(move |io: &mut Io<'_>| {
        let (server, sender) = (lock(&found).clone().expect("it is there"), sender.clone());
        at_the_end(move || sender.send(server.shutdown(LONG).map(|ended| ended.left)));
        echo(io);
    }));
    *lock(&later) = Some(serving.server.clone());
    serving.server.spawn().expect("threads");
    let peers: Vec<_> = (0..4).map(|_| serving.client()).collect();
    peers.iter().for_each(|peer| ping(peer, b"hello"));
    drop(peers);
    lock(&later).take();
    // Nobody waits for their end but they themselves.
    serving.server.begin_shutdown(LONG).expect("a thread");
    assert!(matches!(ended.next(), Ok(0)));
    assert!(matches!(ended.next(), Ok(0)));
    serving.end();
}

/// A server whose requests shut down the one that comes.
fn shuts_down(place: Place, called: Arc<AtomicUsize>, told: Sender<bool>) -> (Serving, Arc<Mutex<Option<Server>>>) {
    let later = Arc::new(Mutex::new(None::<Server>));
    let found = later.clone();
    let serving = place.serve(place.builder().on_request(move |io: &mut Io<'_>| {
        let other = lock(&found).clone().expect("it is there");
        io.consume(usize::MAX);
        called.fetch_add(1, Ordering::AcqRel);
        wait_until("both are called", || called.load(Ordering::Acquire) == 2);
        told.send(other.shutdown(Duration::from_millis(100)).is_ok());
    }));
    (serving, later)
}

/// SPEC: U5, U6: each waits for the other as long as it was told, and no longer.
fn u5_two_servers_that_shut_each_other_down_both_end(place: Place) {
    let (sender, told): (_, Receiver<bool>) = queue();
    let called = Arc::new(AtomicUsize::new(0));
    let (one, of_one) = shuts_down(place, called.clone(), sender.clone());
    let (two, of_two) = shuts_down(place, called, sender);
    *lock(&of_one) = Some(two.server.clone());
    *lock(&of_two) = Some(one.server.clone());
    let peers = [one.client(), two.client()];
    peers.iter().for_each(|peer| write(peer, b"x"));
    assert!(told.next() && told.next());
    peers.iter().for_each(gone);
    for serving in [one, two] {
        assert_eq!(serving.server.shutdown(LONG).expect("a shutdown").left, 0);
    }
    lock(&of_one).take();
    lock(&of_two).take();
}
