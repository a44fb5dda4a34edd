//! Whole connections over TCP on polling threads, each with as few bytes as show what it is about: for Miri, which runs the
//! reactor that ships, its cells and its blocks included. `cargo xtask test --only miri`.
//!
//! Miri has no listening socket as a server opens one, so the server here has none: a connection is accepted by the test
//! and joins as one that was dialed. Not here: what is promised to a user (`core/tests/`).

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::time::Duration;

use bytes::BufMut as _;

use crate::Callbacks;
use crate::Io;
use crate::OnRequest;
use crate::Pool;
use crate::Server;
use crate::addr::Addr;
use crate::connection::Connection;
use crate::connection::service::{Factory, Service, Unserved};
use crate::connection::settings::Settings;
use crate::connection::step::{State, Step};
use crate::handler::Handler;
use crate::protocol::lifecycle;
use crate::sync::Arc;

const PATIENCE: Duration = Duration::from_secs(20);

/// The watchdog would find that whatever Miri runs takes too long, and has a system call of its own that Miri has not. A
/// handler that waits gives its loop away by itself.
fn settings() -> Settings {
    Settings { takeover: Some(Some(PATIENCE)), ..Settings::default() }
}

fn running(settings: Settings) -> Server {
    let server = Server::bound(settings.shared(None).expect("settings"), Addr::Unnamed);
    server.spawn().expect("threads");
    server
}

fn join(server: &Server, service: Box<dyn Service>) -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let peer = TcpStream::connect(listener.local_addr().expect("an address")).expect("a peer");
    let (ours, _) = listener.accept().expect("a connection");
    ours.set_nonblocking(true).expect("non-blocking");
    let conn = server.shared().dialed(ours.into(), Addr::Unnamed, service).ok().expect("no shutdown");
    assert!(lifecycle::register(&Step::new(&conn, &State::new())));
    lifecycle::connect(&Step::new(&conn, &State::new()));
    (conn, peer)
}

fn served(server: &Server, handler: impl Handler) -> (Connection, TcpStream) {
    join(server, Arc::new(handler).make())
}

fn echo(io: &mut Io<'_>) {
    io.write(io.data());
    io.consume(io.data().len());
}

fn ask(peer: &mut TcpStream, question: &[u8]) -> Vec<u8> {
    peer.write_all(question).expect("a write");
    let mut answer = vec![0; question.len()];
    peer.read_exact(&mut answer).expect("an answer");
    answer
}

fn end(server: &Server) {
    assert_eq!(server.shutdown(PATIENCE).expect("an end").left, 0);
}

/// The context and the state, what OnConnect writes, and the end of the peer's stream.
#[test]
fn a_connection_from_its_first_callback_to_its_last() {
    let server = running(settings());
    let (sender, ended) = channel();
    let callbacks = Callbacks::new(|io| {
        io.write(b"hi");
        Ok(String::from("context"))
    });
    let callbacks = callbacks
        .on_request(|context: &String, io: &mut Io<'_>| {
            assert_eq!(context, "context");
            echo(io);
        })
        .on_disconnect(move |context, _| drop(sender.send(context.clone())));
    let (_conn, mut peer) = served(&server, callbacks);
    let mut greeting = [0; 2];
    peer.read_exact(&mut greeting).expect("a greeting");
    assert_eq!((&greeting, ask(&mut peer, b"one"), ask(&mut peer, b"two")), (b"hi", b"one".to_vec(), b"two".to_vec()));
    peer.shutdown(Shutdown::Write).expect("an end");
    assert_eq!(peer.read_to_end(&mut Vec::new()).expect("an end"), 0);
    assert_eq!(ended.recv_timeout(PATIENCE).as_deref(), Ok("context"));
    end(&server);
}

/// A view does not go with a section that another thread runs.
#[test]
fn a_pool_is_given_what_the_polling_thread_has_read() {
    let runner: Arc<dyn crate::Runner> = Arc::new(Pool::new(2).expect("threads"));
    let server = running(Settings { runner: Some(runner), ..settings() });
    let (conn, mut peer) = served(&server, OnRequest(echo));
    assert_eq!((ask(&mut peer, b"one"), ask(&mut peer, b"two")), (b"one".to_vec(), b"two".to_vec()));
    conn.close();
    end(&server);
}

/// The read trigger is made by the handler that waits; what it takes out outlives the block.
#[test]
fn a_handler_waits_for_the_rest_and_keeps_slices() {
    let server = running(settings());
    let (sender, kept) = channel();
    let (conn, mut peer) = served(
        &server,
        OnRequest(move |io: &mut Io<'_>| {
            let first = io.reader().slice(2).expect("it is there");
            let rest = io.reader().next(4).expect("it comes");
            io.writer().put_slice(&rest);
            drop(sender.send((first, rest)));
        }),
    );
    peer.write_all(b"abc").expect("a write");
    peer.write_all(b"def").expect("a write");
    let mut answer = [0; 4];
    peer.read_exact(&mut answer).expect("an answer");
    peer.write_all(b"ghijkl").expect("a write");
    let [one, two] = [(); 2].map(|()| kept.recv_timeout(PATIENCE).expect("slices"));
    assert_eq!((&one.0[..], &one.1[..], &two.0[..], &two.1[..]), (&b"ab"[..], &b"cdef"[..], &b"gh"[..], &b"ijkl"[..]));
    conn.close();
    end(&server);
}

/// The section is owned by a thread that runs no handler, then by a handler that is set, and replaced.
#[test]
fn a_reader_outside_gives_way_to_a_handler_and_that_to_another() {
    let server = running(settings());
    let (conn, mut peer) = join(&server, Box::new(Unserved));
    peer.write_all(b"line\n").expect("a write");
    assert_eq!(&conn.reader().expect("nobody else reads").until(b'\n').expect("a line")[..], b"line\n");
    let mut writer = conn.writer();
    writer.write(b"out");
    writer.flush().expect("it is open");
    let mut out = [0; 3];
    peer.read_exact(&mut out).expect("output");
    conn.set_on_request(echo);
    assert_eq!(ask(&mut peer, b"echo"), b"echo");
    conn.set_on_request(|io: &mut Io<'_>| {
        let data: Vec<u8> = io.data().iter().rev().copied().collect();
        io.consume(data.len());
        io.write(&data);
    });
    assert_eq!(ask(&mut peer, b"echo"), b"ohce");
    conn.close();
    end(&server);
}

/// Who flushes and who sends are different threads; each block is in the stream once.
#[test]
fn two_threads_send_at_once() {
    let server = running(settings());
    let (conn, mut peer) = served(&server, OnRequest(echo));
    let senders = [b'a', b'b'].map(|letter| {
        let conn = conn.clone();
        std::thread::spawn(move || (0..3).for_each(|_| conn.send(&[letter; 4]).expect("it is open")))
    });
    let mut all = [0; 24];
    peer.read_exact(&mut all).expect("output");
    assert!(all.chunks(4).all(|four| four.iter().all(|byte| *byte == four[0])), "{all:?}");
    senders.into_iter().for_each(|sender| sender.join().expect("no panic"));
    conn.close();
    end(&server);
}

/// One connection's handler sends to the other, paced by it, and both stay open until their output is ended.
#[test]
fn a_relay_passes_bytes_and_the_end_on() {
    let server = running(settings());
    let (to, mut far) = served(
        &server,
        Callbacks::new(|io| {
            io.keep_open();
            Ok(())
        }),
    );
    let other = to.clone();
    let (_from, mut near) = served(
        &server,
        OnRequest(move |io: &mut Io<'_>| {
            io.pace_by(&other);
            drop(other.send(io.data()));
            io.consume(io.data().len());
        }),
    );
    near.write_all(b"through").expect("a write");
    let mut through = [0; 7];
    far.read_exact(&mut through).expect("what was passed on");
    to.end_output().expect("it is open");
    assert_eq!((&through, far.read_to_end(&mut Vec::new()).expect("an end")), (b"through", 0));
    drop((near, far));
    end(&server);
}

/// What is handed back is read by nobody else any more; close callbacks run once.
#[test]
fn a_detach_hands_back_the_fd_and_what_is_unread() {
    let server = running(settings());
    let (conn, mut peer) = served(
        &server,
        OnRequest(|io: &mut Io<'_>| {
            io.write(b"x");
        }),
    );
    peer.write_all(b"left").expect("a write");
    peer.read_exact(&mut [0]).expect("an answer");
    let (sender, detached) = channel();
    conn.on_close(|_| ()).ok().expect("it is open");
    conn.detach(move |detached| drop(sender.send(detached))).expect("the first to ask");
    let detached = detached.recv_timeout(PATIENCE).expect("the fd");
    assert_eq!(detached.unread, b"left");
    drop(detached);
    assert_eq!(peer.read_to_end(&mut Vec::new()).expect("an end"), 0);
    end(&server);
}
