//! Where the tests run, and who talks to whom in them.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use pollproof::{Builder, Callbacks, Connection, Dialer, Handler, Io, Runner, Server};
use socket2::{Domain, SockAddr, Socket, Type};
use tempfile::TempDir;

pub use plain::*;

use crate::queue::{Receiver, queue};

#[path = "../common/plain.rs"]
mod plain;

/// Long enough that only a hang takes it.
pub const LONG: Duration = Duration::from_secs(if cfg!(tsan) { 120 } else { 20 });

/// A test: its name, where it runs, and what it does.
pub type Case = (&'static str, &'static [Place], fn(Place));

/// Where handlers run, and over which sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// TCP, on the polling thread.
    Inline,
    /// A Unix socket, on the polling thread.
    Unix,
    /// TCP, on the polling thread, which nobody takes over.
    Alone,
    /// TCP, on a pool.
    Pool,
}

pub use Place::{Alone, Inline, Pool, Unix};

/// Everywhere.
pub const ALL: [Place; 4] = [Inline, Unix, Alone, Pool];

impl Place {
    /// A server's settings for this place.
    pub fn builder(self) -> Builder {
        let builder = Server::builder();
        match self {
            Inline | Unix => builder,
            Alone => builder.takeover(None),
            Pool => builder.runner(pool(4)),
        }
    }

    /// A running server with `builder`'s settings.
    pub fn serve<H: Handler>(self, builder: Builder<H>) -> Serving {
        let serving = self.bind(builder);
        serving.server.spawn().expect("threads");
        serving
    }

    /// One that does not run yet.
    pub fn bind<H: Handler>(self, builder: Builder<H>) -> Serving {
        let folder = (self == Unix).then(folder);
        let address = match &folder {
            Some(folder) => format!("unix:{}", folder.path().join("socket").display()),
            None => "127.0.0.1:0".to_owned(),
        };
        let server = builder.bind(&address).expect("a free address");
        Serving { server, _folder: folder }
    }

    /// A connection that a dialer has made, without a handler, and its peer. Their sockets hold little.
    pub fn dialed(self) -> Dialed {
        let folder = folder();
        let (domain, address) = match self {
            Unix => (Domain::UNIX, SockAddr::unix(folder.path().join("socket")).expect("a path")),
            _ => (Domain::IPV4, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()),
        };
        let listener = Socket::new(domain, Type::STREAM, None).expect("a socket");
        listener.set_recv_buffer_size(32 * 1024).expect("a size");
        listener.bind(&address).expect("a free address");
        listener.listen(1).expect("it listens");
        let local = listener.local_addr().expect("its address");
        let path = local.as_pathname().map(std::path::Path::to_owned);
        let address = match (&path, local.as_socket()) {
            (Some(path), _) => format!("unix:{}", path.display()),
            (None, address) => address.expect("an address").to_string(),
        };
        let builder = Dialer::builder().send_buffer(32 * 1024);
        let builder = match self {
            Inline | Unix => builder,
            Alone => builder.takeover(None),
            Pool => builder.runner(pool(4)),
        };
        let dialer = builder.build().expect("threads");
        let conn = dialer.connect(&address, LONG).expect("a connection");
        let peer = in_time(listener.accept().expect("it is there").0);
        Dialed { dialer, conn, peer }
    }
}

/// For the path of a Unix socket: a process that was killed may have left its own behind, and another may have its id.
fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A pool.
pub fn pool(threads: usize) -> impl Runner {
    pollproof::Pool::new(threads).expect("threads")
}

fn in_time(socket: Socket) -> Socket {
    socket.set_read_timeout(Some(LONG)).expect("a timeout");
    socket
}

/// A running server.
pub struct Serving {
    pub server: Server,
    _folder: Option<TempDir>,
}

impl Serving {
    /// A client.
    pub fn client(&self) -> Socket {
        let address = self.server.local_addr();
        let (domain, address) = match address.tcp() {
            Some(address) => (Domain::IPV4, SockAddr::from(address)),
            None => {
                let path = address.to_string();
                let path = path.strip_prefix("unix:").expect("the other kind");
                (Domain::UNIX, SockAddr::unix(path).expect("its path"))
            }
        };
        let socket = Socket::new(domain, Type::STREAM, None).expect("a socket");
        socket.connect(&address).expect("a connection");
        if domain == Domain::IPV4 {
            socket.set_tcp_nodelay(true).expect("nodelay");
        }
        in_time(socket)
    }

    /// Shuts down; nothing had to be cut and nothing is left.
    pub fn end(&self) {
        let ended = self.server.shutdown(LONG).expect("a shutdown");
        assert_eq!((ended.cut, ended.left), (0, 0), "{ended:?}");
        assert_eq!(self.server.stats().open, 0);
    }
}

/// A dialed connection and its peer.
pub struct Dialed {
    pub dialer: Dialer,
    pub conn: Connection,
    pub peer: Socket,
}

impl Dialed {
    /// Closes it; nothing is left.
    pub fn end(self) {
        self.conn.close();
        let ended = self.dialer.shutdown(LONG).expect("a shutdown");
        assert_eq!((ended.cut, ended.left), (0, 0), "{ended:?}");
    }
}

/// A handler that is `request`, and where its connections come as they connect.
pub fn on_request<R: pollproof::Outcome>(
    request: impl Fn(&mut Io<'_>) -> R + Send + Sync + 'static,
) -> (Callbacks<()>, Receiver<Connection>) {
    let (sender, conns) = queue();
    let connect = move |io: &mut Io<'_>| {
        sender.send(io.connection().clone());
        Ok(())
    };
    (Callbacks::new(connect).on_request(move |(), io| request(io)), conns)
}

pub fn echo(io: &mut Io<'_>) {
    io.write(io.data());
    io.consume(io.data().len());
}

/// Sends `bytes`.
pub fn write(mut stream: &Socket, bytes: &[u8]) {
    stream.write_all(bytes).expect("a write");
}

/// Sends `bytes` and reads as many back.
pub fn ping(stream: &Socket, bytes: &[u8]) {
    write(stream, bytes);
    assert!(read(stream, bytes.len()) == bytes, "the answer differs");
}

/// Reads so many bytes.
pub fn read(mut stream: &Socket, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).expect("an answer");
    bytes
}

/// Reads to the end of the stream.
pub fn to_end(mut stream: &Socket) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("the end of the stream");
    all
}
