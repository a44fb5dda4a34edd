//! Requests over real sockets: bytes in, bytes out, in order and whole.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use common::{Event, LONG, Step, client, end, ping, telling, telling_on, to_end};
use pollproof::{Connection, Error, Io, Pool, Server};

#[test]
fn echoes_on_several_connections_and_pollers() {
    for pollers in [1, 2] {
        let (server, events) = telling(pollers, ());
        let mut clients: Vec<_> = (0..6).map(|_| client(&server)).collect();
        for round in 0..20_usize {
            for (index, client) in clients.iter_mut().enumerate() {
                ping(client, &common::pattern(1 + round * 1000, index as u64));
            }
        }
        drop(clients);
        end(&server);
        drop(server);
        let closed = events.rest().into_iter().filter(|event| matches!(event, Event::Close(_))).count();
        assert_eq!(closed, 6);
    }
}

/// Much of it is sent from where it was read to, and the connection may be closed and that read into again by then.
#[test]
fn a_pool_echoes_large_messages_in_whole_and_in_parts() {
    let handler = |io: &mut Io<'_>| {
        let data = io.data();
        let half = data.len() / 2;
        io.write(&data[..half]);
        io.write(&data[half..]);
        io.consume(data.len());
        if data.ends_with(b"end") {
            io.connection().shutdown();
        }
    };
    let server = Server::builder().runner(Pool::new(2).expect("threads")).on_request(handler);
    let server = server.bind("127.0.0.1:0").expect("a port");
    server.spawn().expect("threads");
    let clients: Vec<_> = (0..3).map(|_| client(&server)).collect();
    for (seed, mut client) in clients.into_iter().enumerate() {
        let mut message = common::pattern(1 << 20, seed as u64);
        ping(&mut client, &message[..100_000]);
        ping(&mut client, &message[100_000..133_000]);
        message.extend_from_slice(b"end");
        let mut reads = client.try_clone().expect("a handle");
        let reader = std::thread::spawn(move || to_end(&mut reads));
        client.write_all(&message).expect("a write");
        assert!(reader.join().expect("a reader") == message);
    }
    end(&server);
}

#[test]
fn a_half_closing_client_gets_its_answer() {
    let (server, events) = telling(1, ());
    let message = common::pattern(1 << 20, 3);
    let mut stream = client(&server);
    stream.write_all(&message).expect("a write");
    stream.shutdown(Shutdown::Write).expect("a shutdown");
    assert!(to_end(&mut stream) == message);
    let seen = events.until(|event| *event == Event::Close(0));
    assert_eq!(seen.iter().filter(|event| **event == Event::Disconnect(0)).count(), 1, "{seen:?}");
    end(&server);
}

#[test]
fn unix_sockets_work_and_their_path_can_be_bound_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let address = format!("unix:{}", path.display());
    // Left behind by a process that crashed.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a path"));
    for _ in 0..2 {
        let (server, events) = telling_on(&address, Server::builder(), ());
        assert_eq!(server.local_addr().to_string(), address);
        let busy = Server::builder().on_request(common::echo).bind(&address);
        assert!(matches!(busy, Err(Error::Server { call: "bind", .. })), "{busy:?}");
        let mut stream = UnixStream::connect(&path).expect("a connection");
        stream.set_read_timeout(Some(LONG)).expect("a timeout");
        ping(&mut stream, &common::pattern(300_000, 1)[..100]);
        stream.write_all(b"and the rest").expect("a write");
        stream.shutdown(Shutdown::Write).expect("a shutdown");
        assert_eq!(to_end(&mut stream), b"and the rest");
        events.until(|event| *event == Event::Close(0));
        end(&server);
        assert!(!path.exists(), "the path is removed");
    }
}

/// Counts its calls; consumes nothing until `want` bytes are there.
struct Packets {
    want: usize,
    calls: Arc<AtomicU64>,
}

impl Step for Packets {
    fn request(&self, io: &mut Io<'_>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        while io.data().len() >= self.want {
            io.write(&io.data()[..self.want]);
            assert_eq!(io.consume(self.want), self.want);
        }
        if io.is_last() {
            io.write(b"!");
        }
    }
}

#[test]
fn half_a_packet_is_kept_and_calls_are_bounded() {
    let calls = Arc::new(AtomicU64::new(0));
    let (server, events) = telling(1, Packets { want: 1000, calls: calls.clone() });
    let message = common::pattern(10_500, 9);
    let mut stream = client(&server);
    assert_eq!((events.next(), events.next()), (Event::Prepare(0), Event::Connect(0)));
    let (mut back, mut unread) = (Vec::new(), 0);
    for piece in message.chunks(300) {
        // Each piece is one read and one call; one more for what a call left of a packet.
        stream.write_all(piece).expect("a write");
        unread += piece.len();
        assert_eq!(events.next(), Event::Request(0, unread));
        if unread >= 1000 {
            unread -= 1000;
            if unread > 0 {
                assert_eq!(events.next(), Event::Request(0, unread));
            }
            let mut packet = vec![0; 1000];
            stream.read_exact(&mut packet).expect("a packet");
            back.extend(packet);
        }
    }
    stream.shutdown(Shutdown::Write).expect("a shutdown");
    assert_eq!(to_end(&mut stream), b"!", "told once that this was all");
    assert!(back == message[..10_000]);
    let last = [Event::Disconnect(0), Event::Request(0, 500), Event::Close(0)];
    assert_eq!(events.until(|event| *event == Event::Close(0)), last);
    assert_eq!(calls.load(Ordering::Relaxed), 35 + 7 + 1);
    end(&server);
}

/// Consumes one byte a call.
struct Crumbs;

impl Step for Crumbs {
    fn request(&self, io: &mut Io<'_>) {
        io.write(&io.data()[..1]);
        io.consume(1);
    }
}

#[test]
fn a_handler_that_leaves_something_is_called_again() {
    let (server, _events) = telling(1, Crumbs);
    ping(client(&server), &common::pattern(5000, 5));
    end(&server);
}

/// Puts its reply together from several pieces.
struct Pieces;

impl Step for Pieces {
    fn request(&self, io: &mut Io<'_>) {
        io.write(b"");
        io.write(&io.data()[1..]);
        io.write(b" and ");
        io.write(&io.data()[..1]);
        io.write(io.data());
        assert!(io.data() != b"panic", "on purpose");
        io.consume(io.data().len());
    }
}

#[test]
fn replies_are_put_together_in_order_and_never_mixed() {
    let (server, events) = telling(1, Pieces);
    for _ in 0..3 {
        let mut lost = client(&server);
        lost.write_all(b"panic").expect("a write");
        assert_eq!(to_end(&mut lost), b"", "the reply of a call that panicked");
        let mut stream = client(&server);
        stream.write_all(b"abc").expect("a write");
        let mut reply = [0; 11];
        stream.read_exact(&mut reply).expect("a reply");
        assert_eq!(&reply, b"bc and aabc");
    }
    end(&server);
    drop(server);
    assert_eq!(events.rest().iter().filter(|event| matches!(event, Event::Error(_))).count(), 3);
}

/// Writes a part of what it got, and nothing else.
struct Part;

impl Step for Part {
    fn request(&self, io: &mut Io<'_>) {
        io.write(&io.data()[2..5]);
        io.consume(io.data().len());
    }
}

#[test]
fn a_reply_that_is_a_part_of_the_request_is_that_part() {
    let (server, _events) = telling(1, Part);
    let mut stream = client(&server);
    for _ in 0..3 {
        stream.write_all(b"abcdefg").expect("a write");
        let mut reply = [0; 3];
        stream.read_exact(&mut reply).expect("a reply");
        assert_eq!(&reply, b"cde");
    }
    end(&server);
}

/// Sends in OnConnect, and on a thread of its own at each request.
struct Sender;

impl Step for Sender {
    fn connect(&self, conn: &Connection) {
        conn.send(b"welcome").expect("a send");
    }

    fn request(&self, io: &mut Io<'_>) {
        let (conn, data) = (io.connection().clone(), io.data().to_vec());
        io.consume(data.len());
        std::thread::spawn(move || conn.send(&data).expect("a send"));
    }
}

#[test]
fn on_connect_and_other_threads_may_send() {
    let (server, _events) = telling(2, Sender);
    let mut stream = client(&server);
    let mut welcome = [0; 7];
    stream.read_exact(&mut welcome).expect("bytes without a request");
    assert_eq!(&welcome, b"welcome");
    ping(&mut stream, &common::pattern(60_000, 2));
    end(&server);
}

#[test]
fn many_senders_lose_nothing_that_was_accepted() {
    const SENDERS: u8 = 4;
    const EACH: usize = 400;
    let (sender, conns) = channel::<Connection>();
    let server = Server::builder()
        .on_request(move |io: &mut Io<'_>| {
            // The reply competes with the senders.
            common::echo(io);
            sender.send(io.connection().clone()).expect("the test waits");
        })
        .bind("127.0.0.1:0")
        .expect("a port");
    server.spawn().expect("a thread");
    let mut stream = client(&server);
    ping(&mut stream, b"go");
    let conn = conns.recv_timeout(LONG).expect("the connection");
    let threads: Vec<_> = (0..SENDERS)
        .map(|tag| {
            let conn = conn.clone();
            std::thread::spawn(move || {
                for _ in 0..EACH {
                    loop {
                        match conn.send(&[tag; 1000]) {
                            Ok(()) => break,
                            Err(Error::ConcurrentAccess { call: "send", .. }) => std::thread::yield_now(),
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            })
        })
        .collect();
    for _ in 0..EACH {
        stream.write_all(&[SENDERS]).expect("a write");
    }
    stream.shutdown(Shutdown::Write).expect("a shutdown");
    let mut counts = [0; SENDERS as usize + 1];
    let mut all = vec![0; EACH * (SENDERS as usize * 1000 + 1)];
    // The peer's close lets what was sent before it out; what comes after it may be refused.
    let failed = threads.into_iter().any(|thread| thread.join().is_err());
    if !failed {
        stream.read_exact(&mut all).expect("everything");
        all.iter().for_each(|&tag| counts[tag as usize] += 1);
        assert_eq!(counts, [EACH * 1000, EACH * 1000, EACH * 1000, EACH * 1000, EACH]);
    }
    drop((stream, conn, conns));
    end(&server);
}

/// Sends more than a socket takes before the fd is registered.
struct Early(Vec<u8>);

impl Step for Early {
    fn prepare(&self, conn: &Connection) {
        conn.send(&self.0).expect("a send");
    }
}

#[test]
fn on_prepare_may_send_more_than_the_socket_takes() {
    let banner = common::pattern(8 << 20, 8);
    let (server, _events) = telling(2, Early(banner.clone()));
    let mut stream = client(&server);
    let mut all = vec![0; banner.len()];
    stream.read_exact(&mut all).expect("all of it");
    assert!(all == banner);
    end(&server);
}

/// Blocks OnConnect until it is let go.
struct Gate(Mutex<Receiver<()>>);

impl Step for Gate {
    fn connect(&self, conn: &Connection) {
        if conn.id() == 1 {
            self.0.lock().expect("whole").recv_timeout(LONG).expect("the test lets it go");
        }
    }
}

#[test]
fn a_peer_that_sends_and_closes_during_on_connect_is_served() {
    // The second connection lives on the second poller, while the first runs its OnConnect.
    let (go, gate) = channel();
    let (server, events) = telling(2, Gate(Mutex::new(gate)));
    let mut first = client(&server);
    ping(&mut first, b"first");
    let mut stream = client(&server);
    events.until(|event| *event == Event::Connect(1));
    let message = common::pattern(200_000, 4);
    stream.write_all(&message).expect("a write");
    stream.shutdown(Shutdown::Write).expect("a shutdown");
    go.send(()).expect("it waits");
    assert!(to_end(&mut stream) == message);
    let seen = events.until(|event| *event == Event::Close(1));
    let requested: usize =
        seen.iter().map(|event| if let Event::Request(1, unread) = event { *unread } else { 0 }).sum();
    assert_eq!(requested, message.len(), "{seen:?}");
    assert_eq!(seen.iter().filter(|event| **event == Event::Disconnect(1)).count(), 1, "{seen:?}");
    drop((stream, first));
    end(&server);
}

#[test]
fn two_servers_never_mix_their_short_connections() {
    let serve = |tag: u8| {
        let reply = move |io: &mut Io<'_>| {
            assert!(io.data().iter().all(|&byte| byte == tag), "bytes of another server");
            common::echo(io);
        };
        let errors = Arc::new(AtomicU64::new(0));
        let seen = errors.clone();
        let server = Server::builder().on_error(move |_| {
            seen.fetch_add(1, Ordering::Relaxed);
        });
        let server = server.pollers(2).on_request(reply).bind("127.0.0.1:0").expect("a port");
        server.spawn().expect("threads");
        (server, errors)
    };
    let servers = [serve(1), serve(2)];
    std::thread::scope(|scope| {
        for (index, (server, _)) in servers.iter().enumerate() {
            for _ in 0..2 {
                scope.spawn(move || (0..500).for_each(|_| ping(client(server), &[index as u8 + 1; 100])));
            }
        }
    });
    for (server, errors) in &servers {
        end(server);
        assert_eq!((server.stats().accepted, errors.load(Ordering::Relaxed)), (1000, 0));
    }
}
