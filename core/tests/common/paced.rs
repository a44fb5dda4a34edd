//! A handler that waits for the output of another connection.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};

use pollproof::{Connection, Server};

use super::{Connecting, LONG, wait_until};

/// Bytes that wait to be sent: more than the sockets take.
pub const MUCH: usize = 16 << 20;

/// A server, and its connections as they are made.
pub fn connecting() -> (Server, Receiver<Connection>) {
    let (sender, conns) = channel();
    let tell = move |conn: &Connection| sender.send(conn.clone()).expect("the test waits");
    let server = Server::builder().handler(Connecting(tell)).bind("127.0.0.1:0").expect("a port");
    server.spawn().expect("threads");
    (server, conns)
}

/// Has the handler of `source` wait for the output of `sink`, whose peer does not read: one request of `peer` is
/// answered, and the next one is read. Each call is told.
pub fn hold_up(source: &Connection, peer: &mut TcpStream, sink: &Connection) -> Receiver<()> {
    let (sender, calls) = channel();
    let other = sink.clone();
    source.set_on_request(move |io| {
        io.consume(usize::MAX);
        io.pace_by(&other);
        sender.send(()).expect("the test waits");
    });
    sink.send(&vec![7; MUCH]).expect("queued");
    let before = source.bytes_read();
    // Who is not told yet whom to wait for is called at once.
    peer.write_all(b"1").expect("a write");
    calls.recv_timeout(LONG).expect("a call");
    peer.write_all(b"2").expect("a write");
    wait_until("it is not read", || source.bytes_read() == before + 2);
    calls
}
