//! What a server can be told: each option is set on real sockets, or seen in what they do.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use common::example::{Example, assert_clean};
use common::{Connecting, LONG, client, echo, end, ping, wait_until};
use nix::sys::socket::{getsockopt, sockopt};
use pollproof::{Balance, BoxError, Builder, Connection, Detached, Error, Handler, Io, Pool, Server};

const LOCAL: &str = "127.0.0.1:0";

/// The fd that a server which `builder` makes got for its first client, and that client.
fn accepted(builder: Builder, address: &str) -> (std::os::fd::OwnedFd, Box<dyn Send>) {
    let (sender, fds) = channel();
    let detach = move |conn: &Connection| {
        let sender = sender.clone();
        conn.detach(move |Detached { fd, .. }| drop(sender.send(fd))).expect("the first to ask");
    };
    let server = builder.handler(Connecting(detach)).bind(address).expect("an address");
    server.spawn().expect("a thread");
    let client: Box<dyn Send> = match address.strip_prefix("unix:") {
        Some(path) => Box::new(UnixStream::connect(path).expect("a connection")),
        None => Box::new(client(&server)),
    };
    let fd = fds.recv_timeout(LONG).expect("the fd");
    end(&server);
    (fd, client)
}

#[test]
fn options_are_set_on_accepted_tcp_sockets() {
    let idle = Duration::from_millis(41_500);
    let (fd, _client) =
        accepted(Server::builder().nodelay(true).keepalive(Some(idle)).recv_buffer(70_000).send_buffer(50_000), LOCAL);
    assert_eq!(getsockopt(&fd, sockopt::TcpNoDelay), Ok(true));
    assert_eq!((getsockopt(&fd, sockopt::KeepAlive), getsockopt(&fd, sockopt::TcpKeepIdle)), (Ok(true), Ok(42)));
    // Linux doubles both.
    assert_eq!((getsockopt(&fd, sockopt::RcvBuf), getsockopt(&fd, sockopt::SndBuf)), (Ok(140_000), Ok(100_000)));

    let (fd, _client) = accepted(Server::builder().nodelay(false).keepalive(None), LOCAL);
    assert_eq!(getsockopt(&fd, sockopt::TcpNoDelay), Ok(false));
    assert_eq!(getsockopt(&fd, sockopt::KeepAlive), Ok(false));
}

#[test]
fn buffers_are_set_on_accepted_unix_sockets() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let builder = Server::builder().keepalive(Some(LONG)).recv_buffer(70_000).send_buffer(50_000);
    let (fd, _client) = accepted(builder, &format!("unix:{}", path.display()));
    assert_eq!((getsockopt(&fd, sockopt::RcvBuf), getsockopt(&fd, sockopt::SndBuf)), (Ok(140_000), Ok(100_000)));
    assert!(!path.exists(), "the socket's file is gone with the server");
}

#[test]
fn the_backlog_is_as_long_as_it_was_asked_to_be() {
    let connects = |server: &Server| {
        let address = server.local_addr().tcp().expect("TCP");
        let streams: Vec<_> =
            (0..8).map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(100))).collect();
        let late = |stream: &&std::io::Result<TcpStream>| match stream {
            Ok(_) => false,
            Err(error) => error.kind() == ErrorKind::TimedOut,
        };
        (streams.iter().filter(|stream| stream.is_ok()).count(), streams.iter().filter(late).count())
    };
    // Nobody accepts: what connects is in the queue. One more than asked for, on Linux.
    let short = Server::builder().backlog(2).on_request(echo).bind(LOCAL).expect("a port");
    assert_eq!(connects(&short), (3, 5));
    let long = Server::builder().on_request(echo).bind(LOCAL).expect("a port");
    assert_eq!(connects(&long), (8, 0));
}

#[test]
fn servers_share_a_port_if_all_of_them_ask_for_it() {
    let builder = || Server::builder().reuse_port(true).on_request(echo);
    let first = builder().bind(LOCAL).expect("a port");
    let address = first.local_addr().to_string();
    let alone = Server::builder().on_request(echo).bind(&address);
    assert!(matches!(&alone, Err(Error::Server { call: "bind", source }) if source.kind() == ErrorKind::AddrInUse));
    let second = builder().bind(&address).expect("the same port");
    let servers = [first, second];
    servers.iter().for_each(|server| server.spawn().expect("a thread"));
    // The kernel spreads by a hash of the client's port: a miss of 1 in 2^200.
    let mut tries = 0..200;
    while servers.iter().any(|server| server.stats().accepted == 0) {
        tries.next().expect("both get connections");
        ping(client(&servers[0]), b"one of them");
    }
    servers.iter().for_each(end);
}

#[test]
fn at_the_limit_clients_wait_until_a_connection_ends() {
    // The first and the accepting poller are the same: the end of the second connection is another thread's.
    let server = Server::builder().pollers(2).max_connections(2).on_request(echo).bind(LOCAL).expect("a port");
    server.spawn().expect("threads");
    let mut clients: Vec<_> = (0..4).map(|_| client(&server)).collect();
    ping(&mut clients[0], b"in");
    ping(&mut clients[1], b"in");
    wait_until("it never pauses", || server.stats().accept_pauses == 1);
    for round in 1..=2 {
        // Those that wait are connected, and may send; they are the next, each as soon as one leaves.
        assert_eq!((server.stats().open, server.stats().accepted), (2, 1 + round));
        drop(clients.remove(0));
        ping(&mut clients[1], b"my turn");
        wait_until("it never pauses again", || server.stats().accept_pauses == 1 + round);
    }
    assert_eq!(server.stats().accepted, 4);
    clients.clear();
    // Below the limit the listener is in epoll again: nothing else tells of a client.
    for _ in 0..3 {
        wait_until("they do not end", || server.stats().open == 0);
        ping(client(&server), b"again");
    }
    end(&server);
}

#[test]
fn a_crowd_never_exceeds_the_limit() {
    const LIMIT: usize = 3;
    const CLIENTS: usize = 120;
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (open.clone(), most.clone());
    let connect = move |conn: &Connection| {
        let now = counts.0.fetch_add(1, Ordering::SeqCst) + 1;
        counts.1.fetch_max(now, Ordering::SeqCst);
        let open = counts.0.clone();
        let added = conn.on_close(move |_| {
            open.fetch_sub(1, Ordering::SeqCst);
        });
        assert!(added.is_ok());
    };
    let builder = Server::builder().pollers(2).max_connections(LIMIT);
    let server = builder.handler(Connecting(connect)).bind(LOCAL).expect("a port");
    server.spawn().expect("threads");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..CLIENTS / 8).for_each(|_| ping(client(&server), &[1; 1000])));
        }
    });
    end(&server);
    assert_eq!((most.load(Ordering::SeqCst), open.load(Ordering::SeqCst)), (LIMIT, 0));
    assert_eq!(server.stats().accepted, CLIENTS as u64);
}

/// Echoes, and tells at its OnDisconnect which polling thread a connection lives on.
struct Leaving(Sender<usize>);

impl Handler for Leaving {
    type Context = ();
    type State = ();

    fn on_connect(&self, (): &mut (), _: &mut Io<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    fn on_request(&self, (): &(), (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        echo(io);
        Ok(())
    }

    fn on_disconnect(&self, (): &(), _: &Connection) {
        let thread = std::thread::current();
        let index = thread.name().and_then(|name| name.strip_prefix("poller ")).and_then(|index| index.parse().ok());
        self.0.send(index.expect("a polling thread")).expect("the test waits");
    }
}

/// A server with three pollers, and a number of clients in the order in which it accepted them.
struct Balanced(Server, Receiver<usize>);

impl Balanced {
    fn new(balance: Balance) -> Self {
        let (sender, told) = channel();
        // On a busy machine a spare thread would stand in for one of them, under a name of its own.
        let builder = Server::builder().pollers(3).balance(balance).takeover(None);
        let server = builder.handler(Leaving(sender)).bind(LOCAL).expect("a port");
        server.spawn().expect("threads");
        Self(server, told)
    }

    fn clients(&self, count: usize) -> Vec<TcpStream> {
        let connected = |_| {
            let mut client = client(&self.0);
            // Its OnConnect is over, so its poller is who sees it leave.
            ping(&mut client, b"hello");
            client
        };
        (0..count).map(connected).collect()
    }

    /// Has them leave one by one, and returns which poller each lived on.
    fn leave(&self, clients: impl IntoIterator<Item = TcpStream>) -> Vec<usize> {
        let leave = |client| {
            let open = self.0.stats().open;
            drop(client);
            let poller = self.1.recv_timeout(LONG).expect("its OnDisconnect");
            wait_until("it does not end", || self.0.stats().open < open);
            poller
        };
        clients.into_iter().map(leave).collect()
    }
}

#[test]
fn connections_go_round_in_turn() {
    let server = Balanced::new(Balance::RoundRobin);
    assert_eq!(server.leave(server.clients(6)), [0, 1, 2, 0, 1, 2]);
    assert_eq!(server.leave(server.clients(2)), [0, 1]);
    end(&server.0);
}

#[test]
fn connections_go_to_the_least_loaded() {
    let server = Balanced::new(Balance::LeastLoaded);
    let mut clients = server.clients(6);
    // Both of one poller leave: the next two are its.
    let two = [clients.remove(4), clients.remove(1)];
    assert_eq!(server.leave(two), [1, 1]);
    clients.extend(server.clients(3));
    assert_eq!(server.leave(clients), [0, 2, 0, 2, 1, 1, 0]);
    end(&server.0);
}

#[test]
fn connections_go_anywhere_at_random() {
    let server = Balanced::new(Balance::Random);
    let pollers = server.leave(server.clients(60));
    // Missing one of three in 60 is a chance of 1 in 10^10, and so are turns that are taken all the time.
    assert_eq!(pollers.iter().collect::<HashSet<_>>().len(), 3, "{pollers:?}");
    assert!(pollers.windows(3).any(|three| three.iter().collect::<HashSet<_>>().len() < 3), "{pollers:?}");
    end(&server.0);
}

#[test]
fn with_a_pool_handlers_run_on_its_threads() {
    let (sender, names) = channel();
    let handler = move |io: &mut Io<'_>| {
        let name = std::thread::current().name().map(str::to_owned);
        sender.send(name.unwrap_or_default()).expect("the test waits");
        echo(io);
    };
    let server = Server::builder().runner(Pool::new(2).expect("threads")).on_request(handler);
    let server = server.bind(LOCAL).expect("a port");
    server.spawn().expect("a thread");
    let mut stream = client(&server);
    // The first may come along with OnConnect.
    for _ in 0..5 {
        ping(&mut stream, b"request");
        let name = names.recv_timeout(LONG).expect("its name");
        assert!(name.starts_with("handler "), "it ran on {name}");
    }
    drop(stream);
    end(&server);
}

#[test]
fn values_that_cannot_be_are_refused() {
    let big = usize::MAX;
    let builders: [(&str, Builder); 9] = [
        ("backlog", Server::builder().backlog(-1)),
        ("keepalive", Server::builder().keepalive(Some(Duration::ZERO))),
        ("keepalive", Server::builder().keepalive(Some(Duration::MAX))),
        ("recv_buffer", Server::builder().recv_buffer(0)),
        ("recv_buffer", Server::builder().recv_buffer(big)),
        ("send_buffer", Server::builder().send_buffer(0)),
        ("send_buffer", Server::builder().send_buffer(big)),
        ("max_connections", Server::builder().max_connections(0)),
        ("max_connections", Server::builder().max_connections(big)),
    ];
    for (name, builder) in builders {
        let bound = builder.on_request(echo).bind(LOCAL);
        assert!(matches!(&bound, Err(Error::Setting { setting, .. }) if *setting == name), "{name}: {bound:?}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let address = format!("unix:{}", folder.path().join("socket").display());
    let bound = Server::builder().reuse_port(true).on_request(echo).bind(&address);
    assert!(matches!(bound, Err(Error::Setting { setting: "reuse_port", .. })), "{bound:?}");
}

#[test]
fn out_of_fds_again_and_again_it_recovers_each_time() {
    const FDS: usize = 24;
    // Half of the connections end on the thread that accepts, and half on the other one, which must wake it.
    let example = Example::with_fds(2, FDS);
    // So many connections have room.
    let room = FDS - std::fs::read_dir(format!("/proc/{}/fd", example.pid())).expect("its fds").count();
    for round in 0..3_u8 {
        let mut clients: Vec<_> =
            (0..2 * FDS).map(|_| TcpStream::connect(&example.address).expect("a connection")).collect();
        for client in &mut clients {
            client.set_read_timeout(Some(LONG)).expect("a timeout");
        }
        // Oldest first, as they are accepted: each that leaves lets one in that waits.
        let mut waits = Vec::new();
        while clients.len() > 1 {
            ping(&mut clients[0], &[round; 100]);
            clients.remove(0);
            let begun = Instant::now();
            if clients.len() >= room {
                ping(&mut clients[room - 1], b"at last");
                waits.push(begun.elapsed());
            }
        }
        waits.sort();
        // The pause is 20 ms; who waits for its end waits for most of it.
        let most = waits[waits.len() * 3 / 4];
        assert!(most < Duration::from_millis(10), "an end does not wake the acceptor: {most:?}");
        clients.drain(..).for_each(|client| ping(client, b"the last"));
    }
    let mut counts = example.end();
    let episodes = counts.insert("errors".to_owned(), 0).expect("errors");
    assert!(episodes >= 3, "it was not out of fds each time: {episodes}");
    assert_clean(&counts, 3 * 2 * FDS as i64);
}
