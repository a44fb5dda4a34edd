//! Dialing: what comes of it, what is left when nothing comes, and the life of a dialed connection.
//!
//! Behaviour 13 of the published library's tests: a dial with a timeout is a success or a timeout, and nothing
//! leaks.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use common::dialing::{Client, Telling, alone, dialer, fds, over};
use common::{Connecting, LONG, echo, end, ping, to_end};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::pthread::{pthread_kill, pthread_self};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::socket::{Backlog, getsockopt, listen, sockopt};
use pollproof::{BoxError, Connection, Detached, Dialer, Error, Handler, Io, Server};

/// Long enough to be sure that nobody answers.
const SHORT: Duration = Duration::from_millis(60);

#[test]
fn a_dialed_connection_talks() {
    let _alone = alone();
    let before = fds();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    for address in ["127.0.0.1:0".to_owned(), format!("unix:{}", path.display())] {
        let server = Server::builder().on_request(echo).bind(&address).expect("an address");
        server.spawn().expect("a thread");
        let dialer = dialer();
        let (sender, answers) = channel();
        let address = server.local_addr().to_string();
        let conn = dialer.dial(&address, LONG, Client(sender)).expect("a connection");
        assert_eq!(conn.peer(), server.local_addr());
        assert_eq!(answers.recv_timeout(LONG).expect("an answer"), b"request");
        assert_eq!((dialer.stats().dialed, dialer.stats().accepted, dialer.stats().open), (1, 0, 1));
        conn.close();
        over(&dialer);
        end(&server);
        drop((conn, dialer, server));
        assert_eq!(fds(), before, "{address}");
    }
}

#[test]
fn a_name_is_dialed() {
    let _alone = alone();
    let server = Server::builder().on_request(echo).bind("127.0.0.1:0").expect("a port");
    server.spawn().expect("a thread");
    let dialer = dialer();
    let (sender, answers) = channel();
    let address = format!("localhost:{}", server.local_addr().tcp().expect("TCP").port());
    let _conn = dialer.dial(&address, LONG, Client(sender)).expect("a connection");
    assert_eq!(answers.recv_timeout(LONG).expect("an answer"), b"request");
    over(&dialer);
    end(&server);
}

#[test]
fn a_dialed_connection_has_each_callback_once() {
    let _alone = alone();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let dialer = dialer();
    let (sender, told) = channel();
    let caller = std::thread::current().id();
    let conn = dialer.dial(&address, LONG, Telling(sender)).expect("a connection");
    // OnPrepare and OnConnect ran before it returned, so on this thread.
    assert_eq!(
        (std::thread::current().id(), told.try_iter().collect::<Vec<_>>()),
        (caller, vec!["prepare", "connect"])
    );
    let (mut peer, _) = listener.accept().expect("the connection");
    peer.set_read_timeout(Some(LONG)).expect("a timeout");
    ping(&mut peer, b"request");
    assert_eq!(told.recv_timeout(LONG), Ok("request"));
    drop(peer);
    drop(conn);
    assert_eq!(told.iter().collect::<Vec<_>>(), ["disconnect", "close"]);
    over(&dialer);
}

#[test]
fn a_dial_that_is_refused_says_so_and_leaves_nothing() {
    let _alone = alone();
    let dialer = dialer();
    let before = fds();
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    drop(UnixListener::bind(&path).expect("a path"));
    let left_behind = format!("unix:{}", path.display());
    let cases = [
        (gone.as_str(), ErrorKind::ConnectionRefused),
        (left_behind.as_str(), ErrorKind::ConnectionRefused),
        ("unix:/nowhere/at/all", ErrorKind::NotFound),
    ];
    for (address, kind) in cases {
        let (sender, told) = channel();
        let error = dialer.dial(address, LONG, Telling(sender)).expect_err("nobody is there");
        assert!(
            matches!(&error, Error::Dial { address: given, source } if given == address && source.kind() == kind),
            "{error:?}"
        );
        assert_eq!(std::io::Error::from(error).kind(), kind);
        assert_eq!(told.iter().count(), 0, "there never was a connection");
    }
    for address in ["", "unix:", "unix:with\0zero", "127.0.0.1", "127.0.0.1:x"] {
        let error = dialer.dial(address, LONG, Connecting(|_: &Connection| ())).expect_err("no address");
        assert!(matches!(&error, Error::Address { call: "dial", address: given, .. } if given == address), "{error:?}");
    }
    assert_eq!((fds(), dialer.stats().open), (before, 0));
    over(&dialer);
}

/// A dial of `address`, where nobody answers: a timeout, in time, with nothing left of it.
fn times_out(dialer: &Dialer, address: &str) {
    let before = fds();
    for timeout in [SHORT, Duration::ZERO] {
        let (sender, told) = channel();
        let begun = Instant::now();
        let error = dialer.dial(address, timeout, Telling(sender)).expect_err("nobody accepts");
        let took = begun.elapsed();
        assert!(
            matches!(&error, Error::DialTimeout { address: given, timeout: of } if given == address && *of == timeout),
            "{error:?}"
        );
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // A millisecond early is poll(2)'s grain.
        assert!(took + Duration::from_millis(1) >= timeout && took < timeout + LONG, "after {took:?}");
        assert_eq!(told.iter().count(), 0, "there never was a connection");
    }
    assert_eq!((fds(), dialer.stats().open), (before, 0));
}

#[test]
fn a_dial_that_nobody_answers_times_out_and_leaves_nothing() {
    let _alone = alone();
    let dialer = dialer();
    // A queue for one, and one in it: the kernel drops what else comes.
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    listen(&tcp, Backlog::new(0).expect("a length")).expect("a shorter queue");
    let address = tcp.local_addr().expect("its address");
    let _first = TcpStream::connect(address).expect("a connection");
    times_out(&dialer, &address.to_string());

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let unix = UnixListener::bind(&path).expect("a path");
    listen(&unix, Backlog::new(0).expect("a length")).expect("a shorter queue");
    let _first = UnixStream::connect(&path).expect("a connection");
    times_out(&dialer, &format!("unix:{}", path.display()));
    over(&dialer);
}

/// A signal ends a connect(2) that waits, and it waits on.
#[test]
fn a_dial_that_signals_interrupt_takes_its_time() {
    extern "C" fn nothing(_: i32) {}
    let _alone = alone();
    // Safety: the handler does nothing.
    unsafe { signal(Signal::SIGUSR1, SigHandler::Handler(nothing)) }.expect("a handler");
    let dialer = dialer();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let unix = UnixListener::bind(&path).expect("a path");
    listen(&unix, Backlog::new(0).expect("a length")).expect("a shorter queue");
    let _first = UnixStream::connect(&path).expect("a connection");
    let dialing = pthread_self();
    std::thread::scope(|scope| {
        let (over, goes_on) = channel::<()>();
        let every = Duration::from_millis(1);
        scope.spawn(move || {
            while goes_on.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                pthread_kill(dialing, Signal::SIGUSR1).expect("the thread is there");
            }
        });
        times_out(&dialer, &format!("unix:{}", path.display()));
        drop(over);
    });
    over(&dialer);
}

#[test]
fn options_are_set_on_dialed_sockets() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let unix = format!("unix:{}", path.display());
    for address in ["127.0.0.1:0", &unix] {
        let server = Server::builder().on_request(echo).bind(address).expect("an address");
        server.spawn().expect("a thread");
        let builder = Dialer::builder().nodelay(false).keepalive(Some(LONG)).recv_buffer(70_000).send_buffer(50_000);
        let dialer = builder.build().expect("a thread");
        let (sender, fds) = channel();
        let address = server.local_addr().to_string();
        let conn = dialer.dial(&address, LONG, Connecting(|_: &Connection| ())).expect("a connection");
        conn.detach(move |Detached { fd, .. }| drop(sender.send(fd))).expect("the first to ask");
        let fd = fds.recv_timeout(LONG).expect("the fd");
        assert_eq!((getsockopt(&fd, sockopt::RcvBuf), getsockopt(&fd, sockopt::SndBuf)), (Ok(140_000), Ok(100_000)));
        let timeout = getsockopt(&fd, sockopt::SendTimeout).expect("a time");
        assert_eq!(timeout, nix::sys::time::TimeVal::new(0, 0), "a write waits for nothing");
        if server.local_addr().tcp().is_some() {
            assert_eq!(getsockopt(&fd, sockopt::TcpNoDelay), Ok(false));
            assert_eq!(
                (getsockopt(&fd, sockopt::KeepAlive), getsockopt(&fd, sockopt::TcpKeepIdle)),
                (Ok(true), Ok(20))
            );
        }
        let flags = fcntl(&fd, FcntlArg::F_GETFL).map(OFlag::from_bits_retain).expect("flags");
        assert!(flags.contains(OFlag::O_NONBLOCK), "it would block its poller");
        let flags = fcntl(&fd, FcntlArg::F_GETFD).map(FdFlag::from_bits_retain).expect("flags");
        assert!(flags.contains(FdFlag::FD_CLOEXEC), "children would have it");
        drop(fd);
        over(&dialer);
        end(&server);
    }
    let refused = Dialer::builder().send_buffer(0).build();
    assert!(matches!(refused, Err(Error::Setting { setting: "send_buffer", .. })), "{refused:?}");
}

#[test]
fn a_connection_that_on_prepare_closes_is_over_when_dial_returns() {
    struct Refusing(Sender<&'static str>);
    impl Handler for Refusing {
        type Context = ();
        type State = ();
        fn on_prepare(&self, conn: &Connection) {
            let told = self.0.clone();
            assert!(conn.on_close(move |_| told.send("close").unwrap_or(())).is_ok());
            conn.close();
        }
        fn on_connect(&self, (): &mut (), _: &mut Io<'_>) -> Result<(), BoxError> {
            let _ = self.0.send("connect");
            Ok(())
        }
        fn on_request(&self, (): &(), (): &mut (), _: &mut Io<'_>) -> Result<(), BoxError> {
            Ok(())
        }
    }
    let _alone = alone();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let dialer = dialer();
    let before = fds();
    let (sender, told) = channel();
    let dialed = dialer.dial(&address, LONG, Refusing(sender));
    assert!(matches!(dialed, Err(Error::Closed { call: "dial", connection: 0 })), "{dialed:?}");
    assert_eq!(told.iter().collect::<Vec<_>>(), ["close"]);
    assert_eq!((fds(), dialer.stats().open, dialer.stats().dialed), (before, 0, 1));
    assert_eq!(to_end(&mut listener.accept().expect("the connection").0), b"");
    over(&dialer);
}
