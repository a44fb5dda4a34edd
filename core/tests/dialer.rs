//! Dialers: whose threads they use, and how they end.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::OnceLock;
use std::sync::mpsc::channel;

use common::dialing::{Client, Telling, alone, fds};
use common::{Event, LONG, client, echo, end, ping, telling, to_end, wait_until};
use pollproof::{BoxError, Connection, Dialer, Error, Handler, Io, Server};

#[test]
fn a_shutdown_ends_what_was_dialed_and_refuses_more() {
    let _alone = alone();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let before = fds();
    let dialer = Dialer::builder().pollers(2).build().expect("threads");
    let (sender, told) = channel();
    let dial = || dialer.dial(&address, LONG, Telling(sender.clone()));
    let conns: Vec<_> = (0..3).map(|_| dial().expect("a connection")).collect();
    let mut peers: Vec<_> = conns.iter().map(|_| listener.accept().expect("a connection").0).collect();
    // Half a request: it is waited for.
    peers[0].write_all(b"req").expect("a write");
    let begun = ["prepare", "connect"].repeat(3);
    assert_eq!(
        (0..7).map(|_| told.recv_timeout(LONG).expect("a callback")).collect::<Vec<_>>(),
        [&begun[..], &["half"]].concat()
    );
    let handle = dialer.clone();
    let ends = std::thread::spawn(move || handle.shutdown(LONG));
    assert_eq!((to_end(&mut peers[1]), to_end(&mut peers[2])), (vec![], vec![]));
    let late = dial();
    assert!(matches!(late, Err(Error::ShutDown { call: "dial" })), "{late:?}");
    peers[0].write_all(b"uest").expect("a write");
    assert_eq!(to_end(&mut peers[0]), b"request");
    let ended = ends.join().expect("no panic").expect("a shutdown");
    assert_eq!((ended.cut, ended.left), (0, 0));
    assert!(matches!(dial(), Err(Error::ShutDown { call: "dial" })));
    drop((peers, conns, dialer));
    // Those that were refused are in the listener's queue.
    assert_eq!(fds(), before);
}

/// A proxy: OnConnect dials the upstream, and each side forwards to the other.
struct Proxy {
    upstream: String,
    dialer: &'static OnceLock<Dialer>,
}

impl Handler for Proxy {
    type Context = Option<Connection>;
    type State = ();

    fn on_connect(&self, (): &mut (), io: &mut Io<'_>) -> Result<Option<Connection>, BoxError> {
        let conn = io.connection();
        let dialer = self.dialer.get().expect("set before it ran");
        let upstream = dialer.dial(&self.upstream, LONG, Back(conn.clone()));
        Ok(upstream.map_err(|_| conn.close()).ok())
    }

    fn on_request(&self, upstream: &Option<Connection>, (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        if let Some(upstream) = upstream {
            drop(upstream.send(io.data()));
        }
        io.consume(io.data().len());
        Ok(())
    }

    fn on_disconnect(&self, upstream: &Option<Connection>, _: &Connection) {
        upstream.iter().for_each(Connection::close);
    }
}

/// What comes from the upstream goes to the client.
struct Back(Connection);

impl Handler for Back {
    type Context = ();
    type State = ();

    fn on_connect(&self, (): &mut (), _: &mut Io<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    fn on_request(&self, (): &(), (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        drop(self.0.send(io.data()));
        io.consume(io.data().len());
        Ok(())
    }

    fn on_disconnect(&self, (): &(), _: &Connection) {
        self.0.close();
    }
}

#[test]
fn a_servers_dialer_shares_its_threads_and_its_shutdown() {
    let _alone = alone();
    let (upstream, events) = telling(1, ());
    let dialer: &'static OnceLock<Dialer> = Box::leak(Box::new(OnceLock::new()));
    let handler = Proxy { upstream: upstream.local_addr().to_string(), dialer };
    let before = fds();
    let proxy = Server::builder().max_connections(2).handler(handler).bind("127.0.0.1:0").expect("a port");
    dialer.set(proxy.dialer()).expect("once");
    proxy.spawn().expect("a thread");
    let mut clients = [client(&proxy), client(&proxy)];
    for client in &mut clients {
        ping(client, b"through the proxy");
    }
    // The dialed ones do not count as accepted, nor against the limit.
    let stats = proxy.stats();
    assert_eq!((stats.accepted, stats.dialed, stats.open), (2, 2, 4));
    let [first, mut second] = clients;
    drop(first);
    events.until(|event| *event == Event::Close(0));
    // One accepted connection has ended, and one dialed one: that is room for one, not for two.
    let mut third = client(&proxy);
    ping(&mut third, b"through the proxy");
    wait_until("there is room for two", || proxy.stats().accept_pauses >= 2);
    drop(third);
    let ended = dialer.get().expect("set").shutdown(LONG).expect("a shutdown");
    assert_eq!((ended.cut, ended.left), (0, 0));
    assert_eq!(to_end(&mut second), b"", "the server is shut down");
    assert_eq!(proxy.stats().open, 0);
    assert!(TcpStream::connect(proxy.local_addr().tcp().expect("TCP")).is_err());
    drop((second, proxy));
    end(&upstream);
    // The dialer is kept for ever, with its epoll and eventfd; the upstream's threads have ended.
    assert!(fds() <= before + 2, "{} fds more", fds() - before);
}

#[test]
fn dials_from_many_threads_against_a_shutdown_leave_nothing() {
    let _alone = alone();
    let server = Server::builder().pollers(2).on_request(echo).bind("127.0.0.1:0").expect("a port");
    server.spawn().expect("threads");
    let address = server.local_addr().to_string();
    let before = fds();
    for _ in 0..20 {
        let dialer = Dialer::builder().pollers(2).build().expect("threads");
        let (sender, answers) = channel();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (dialer, address, sender) = (&dialer, &address, sender.clone());
                scope.spawn(move || {
                    loop {
                        match dialer.dial(address, LONG, Client(sender.clone())) {
                            Ok(_) => {}
                            Err(Error::ShutDown { .. }) => return,
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            }
            answers.recv_timeout(LONG).expect("an answer");
            let ended = dialer.shutdown(LONG).expect("a shutdown");
            assert_eq!((ended.cut, ended.left), (0, 0));
        });
        assert_eq!(dialer.stats().open, 0);
    }
    end(&server);
    drop(server);
    assert!(fds() <= before, "{} fds are left", fds() - before);
}
