//! What the socket tests share: a server whose events can be waited for, clients, and the echo example.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod crowd;
pub mod dialing;
pub mod example;
pub mod needs;
pub mod paced;
mod plain;
pub mod tool;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

pub use plain::*;
use pollproof::{BoxError, Builder, Connection, Handler, Io, Server};

/// Long enough that only a hang takes it.
pub const LONG: Duration = Duration::from_secs(20);

/// What happened on a server, as its callbacks told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Prepare(u64),
    Connect(u64),
    Request(u64, usize),
    Disconnect(u64),
    Close(u64),
    Error(String),
}

/// Receives events, each with a time limit.
pub struct Events(Receiver<Event>);

impl Events {
    pub fn next(&self) -> Event {
        self.0.recv_timeout(LONG).expect("an event")
    }

    /// The events up to and with the first that `last` accepts.
    pub fn until(&self, last: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut all = Vec::new();
        while !all.last().is_some_and(&last) {
            all.push(self.next());
        }
        all
    }

    /// Every event, once nobody is there to send one.
    pub fn rest(&self) -> Vec<Event> {
        let mut all = Vec::new();
        loop {
            match self.0.recv_timeout(LONG) {
                Ok(event) => all.push(event),
                Err(RecvTimeoutError::Disconnected) => return all,
                Err(RecvTimeoutError::Timeout) => panic!("somebody still holds the sender after {all:?}"),
            }
        }
    }
}

/// A handler that echoes and tells of each of its callbacks; `step` runs inside each, after the telling.
pub struct Telling<S> {
    events: Sender<Event>,
    step: S,
}

/// What [`Telling`] calls inside its callbacks.
pub trait Step: Send + Sync + 'static {
    fn prepare(&self, _: &Connection) {}
    fn connect(&self, _: &Connection) {}
    fn request(&self, io: &mut Io<'_>) {
        echo(io);
    }
    fn disconnect(&self, _: &Connection) {}
}

impl Step for () {}

impl<S: Step> Handler for Telling<S> {
    type Context = u64;
    type State = ();

    fn on_prepare(&self, conn: &Connection) {
        self.tell(Event::Prepare(conn.id()));
        let events = self.events.clone();
        let added = conn.on_close(move |conn| drop(events.send(Event::Close(conn.id()))));
        assert!(added.is_ok());
        self.step.prepare(conn);
    }

    fn on_connect(&self, (): &mut (), io: &mut Io<'_>) -> Result<u64, BoxError> {
        self.tell(Event::Connect(io.connection().id()));
        self.step.connect(io.connection());
        Ok(io.connection().id())
    }

    fn on_request(&self, id: &u64, (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        assert_eq!(*id, io.connection().id(), "the context of this connection");
        self.tell(Event::Request(*id, io.data().len()));
        self.step.request(io);
        Ok(())
    }

    fn on_disconnect(&self, id: &u64, conn: &Connection) {
        assert_eq!(*id, conn.id(), "the context of this connection");
        self.tell(Event::Disconnect(*id));
        self.step.disconnect(conn);
    }
}

impl<S> Telling<S> {
    fn tell(&self, event: Event) {
        drop(self.events.send(event));
    }
}

pub fn echo(io: &mut Io<'_>) {
    io.write(io.data());
    io.consume(io.data().len());
}

/// A running server on a free port, and its events.
pub fn telling<S: Step>(pollers: usize, step: S) -> (Server, Events) {
    telling_on("127.0.0.1:0", Server::builder().pollers(pollers), step)
}

pub fn telling_on<S: Step>(address: &str, builder: Builder, step: S) -> (Server, Events) {
    let (sender, receiver) = channel();
    let errors = sender.clone();
    let server = builder
        .on_error(move |error| drop(errors.send(Event::Error(error.to_string()))))
        .handler(Telling { events: sender, step })
        .bind(address)
        .expect("a free port");
    server.spawn().expect("threads");
    (server, Events(receiver))
}

/// A client of `server`.
pub fn client(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.local_addr().tcp().expect("TCP")).expect("a connection");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    stream.set_nodelay(true).expect("nodelay");
    stream
}

/// Sends `bytes` and reads as many back.
pub fn ping(mut stream: impl Read + Write, bytes: &[u8]) {
    stream.write_all(bytes).expect("a write");
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).expect("an answer");
    assert!(back == bytes, "the answer differs");
}

/// Reads to the end of the stream.
pub fn to_end(stream: &mut impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("the end of the stream");
    all
}

/// Shuts down, and expects that nothing had to be cut and nothing is left.
pub fn end(server: &Server) {
    let ended = server.shutdown(LONG).expect("a shutdown");
    assert_eq!((ended.cut, ended.left), (0, 0), "{ended:?}");
    assert_eq!(server.stats().open, 0);
}

/// Echoes, and calls its function when a client connects.
pub struct Connecting<F>(pub F);

impl<F: Fn(&Connection) + Send + Sync + 'static> Handler for Connecting<F> {
    type Context = ();
    type State = ();

    fn on_connect(&self, (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        (self.0)(io.connection());
        Ok(())
    }

    fn on_request(&self, (): &(), (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        echo(io);
        Ok(())
    }
}
