//! One connection: the handle that users keep, and what is behind it.
//!
//! [`Connection`] is a cheap clone. Everything on it may be called from any thread and inside any callback;
//! what waits says so. What a call may do is decided by the connection's word; this module only holds the
//! pieces together.
//!
//! | module | what it is |
//! | --- | --- |
//! | `settings`, `limits` | what a server or dialer is made with, as far as its connections need it |
//! | `shared` | what the connections and threads of one server share: pollers, counters, runner, who hears of errors |
//! | `state` | what is behind a handle: every cell, and the bit that guards it |
//! | `events` | what an event of a loop means to a connection: the host of the reactor |
//! | `step` | one party, one connection, one step: the protocol's effects on the fd, buffers and callbacks |
//! | `door` | the one way into user code, and `service`, what is called there |
//! | `whereabouts` | where a thread is: for whom it polls, whose code it is inside |
//! | `task`, `duty` | what is run elsewhere: a section on its way to a runner; what is left to a home loop |
//! | `io`, [`reader`], [`writer`] | what is lent to a handler |
//! | `blocking`, `blocking_reader` | calls that wait, and reading outside handlers |
//! | `relay` | a handler that waits for another connection's output |
//! | `cold_parts`, `lazy_trigger` | what few connections ever need, behind a pointer |
//! | `trace` | what happens, as events of the `tracing` crate |

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

pub(crate) mod blocking;
pub(crate) mod blocking_reader;
mod cold_parts;
pub(crate) mod door;
pub(crate) mod duty;
pub(crate) mod events;
pub(crate) mod io;
mod lazy_trigger;
pub(crate) mod limits;
pub(crate) mod reader;
mod relay;
#[cfg(doctest)]
mod rights;
pub(crate) mod service;
pub(crate) mod settings;
pub(crate) mod shared;
pub(crate) mod state;
pub(crate) mod step;
pub(crate) mod task;
pub(crate) mod trace;
pub(crate) mod whereabouts;
pub(crate) mod writer;

use std::fmt;
#[cfg(not(sim))]
use std::os::fd::OwnedFd;

use crate::addr::Addr;
use crate::buffer::output::Batch;
use crate::connection::io::Io;
use crate::connection::service::Service;
use crate::connection::shared::{Place, Shared};
use crate::connection::state::Conn;
use crate::connection::step::{State, Step};
use crate::error::{Error, Result};
use crate::outcome::BoxError;
use crate::protocol::lifecycle;
use crate::protocol::word::{CONNECTING, DET, Snapshot};
use crate::reactor::registry::Token;
use crate::sync::Arc;
use crate::sys::{Kernel, Sys};

/// A callback that runs once, when its connection is over; see [`Connection::on_close`].
///
/// ```
/// use pollproof::{CloseCallback, Connection};
///
/// let mut later: Vec<CloseCallback> = Vec::new();
/// later.push(Box::new(|conn: &Connection| println!("{} is over", conn.id())));
/// ```
pub type CloseCallback = Box<dyn FnOnce(&Connection) + Send>;

/// An OnRequest that was set on its connection.
pub(crate) type Request = Box<dyn FnMut(&mut Io<'_>) -> std::result::Result<(), BoxError> + Send>;

/// An OnDisconnect that was set on its connection.
pub(crate) type Disconnect = Arc<dyn Fn(&Connection) + Send + Sync>;

/// A handle of one connection. Clones are handles of the same one; keeping one after the connection is
/// over keeps a little memory and nothing else.
///
/// Every call may be made from any thread and inside any callback, of this connection or of another one. None of those
/// here waits for another thread.
///
/// Outside callbacks, [`send`](Self::send), [`close`](Self::close), [`shutdown`](Self::shutdown) and
/// [`detach`](Self::detach) may run callbacks of this connection before they return, when they are the last to use it:
/// call them without holding a lock that a callback takes. Inside a callback, or the drop of a value that one was given,
/// they never do: callbacks do not run inside one another. What falls due there runs soon after, on the polling thread
/// of the connection that it is for (U2).
///
/// ```
/// use pollproof::{Io, Server};
///
/// let server = Server::builder()
///     .on_request(|io: &mut Io<'_>| {
///         let conn = io.connection().clone();
///         std::thread::spawn(move || conn.send(b"from another thread\n"));
///         io.consume(io.data().len());
///     })
///     .bind("127.0.0.1:0")?;
/// # Ok::<(), pollproof::Error>(())
/// ```
#[derive(Clone)]
pub struct Connection(Arc<Conn>);

/// What a detached connection leaves: the fd, and the bytes on this side of it.
///
/// ```
/// # use pollproof::{Connection, Detached};
/// # fn upgrade(conn: &Connection) {
/// conn.detach(|Detached { fd, unread, .. }| {
///     let stream = std::net::TcpStream::from(fd);
///     // It is non-blocking, out of epoll, and `unread` comes before what it will yield.
///     println!("{stream:?} with {} bytes read ahead", unread.len());
/// })
/// .ok();
/// # }
/// ```
#[derive(Debug)]
pub struct Detached {
    /// The socket, out of epoll and still non-blocking.
    #[cfg(not(sim))]
    pub fd: OwnedFd,
    /// The socket of the simulated kernel.
    #[cfg(sim)]
    pub fd: crate::sys::sim::SimFd,
    /// Bytes that were read and that no handler consumed.
    pub unread: Vec<u8>,
    /// Bytes that were sent and that the kernel has not taken.
    pub unsent: Vec<u8>,
}

impl Connection {
    /// What one connection takes besides its handler and its buffers, in bytes. For measurements.
    #[doc(hidden)]
    pub const SIZE: usize = size_of::<Conn>();

    /// A connection that is born owned: the caller holds `TASK` until OnConnect is over. (S2)
    pub(crate) fn new(
        server: Arc<Shared>,
        place: Place,
        token: Token,
        fd: <Kernel as Sys>::Fd,
        peer: Addr,
        service: Box<dyn Service>,
    ) -> Self {
        Self(Arc::new(Conn::new(server, place, token, fd, peer, service)))
    }

    #[inline(always)]
    pub(crate) fn conn(&self) -> &Conn {
        &self.0
    }

    /// A number that no other connection of its server or dialer has or had.
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection) {
    /// println!("connection {}", conn.id());
    /// # }
    /// ```
    pub fn id(&self) -> u64 {
        self.0.place.id
    }

    /// Whether both are handles of the same connection.
    pub(crate) fn is(&self, other: &Connection) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether its fd is not in epoll yet.
    pub(crate) fn is_unregistered(&self) -> bool {
        self.0.word.look().has(CONNECTING | DET)
    }

    /// The peer's address, as accept found it, or as it was dialed.
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection) {
    /// println!("from {}", conn.peer());
    /// # }
    /// ```
    pub fn peer(&self) -> &Addr {
        &self.0.peer
    }

    /// Whether nobody has closed it, from either side, and the peer has not stopped sending. A moment
    /// later it may be otherwise.
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection) {
    /// if conn.is_active() { /* ... */ }
    /// # }
    /// ```
    pub fn is_active(&self) -> bool {
        !self.0.word.look().closing()
    }

    /// Bytes that were read from the peer so far.
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection) {
    /// println!("{} in, {} out", conn.bytes_read(), conn.bytes_sent());
    /// # }
    /// ```
    pub fn bytes_read(&self) -> u64 {
        self.0.input.produced()
    }

    /// Bytes that the kernel took so far.
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection) {
    /// println!("{} in, {} out", conn.bytes_read(), conn.bytes_sent());
    /// # }
    /// ```
    pub fn bytes_sent(&self) -> u64 {
        self.0.output.sent()
    }

    /// Closes it. The drain stops: OnRequest is not called again, unread and queued bytes are dropped. The
    /// close callbacks run, and the fd is closed, when nobody uses the connection any more; if nobody does
    /// now, before this returns, or, inside a callback, soon after on the connection's polling thread (U2). Any number of
    /// times. (C1, S4)
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// if io.data().len() > 1 << 20 {
    ///     io.connection().close();
    /// }
    /// # }
    /// ```
    pub fn close(&self) {
        let _step = whereabouts::take_step();
        let _ = lifecycle::close(&Step::new(self, &State::new()));
    }

    /// Closes it gracefully: at once if it is idle, else when it has drained, answered and flushed. Half a
    /// request keeps it open. Any number of times. (G1, G2)
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// io.write(b"goodbye\n");
    /// io.consume(io.data().len());
    /// io.connection().shutdown(); // after the goodbye is sent
    /// # }
    /// ```
    pub fn shutdown(&self) {
        let _step = whereabouts::take_step();
        lifecycle::shutdown(&Step::new(self, &State::new()));
    }

    /// Sends `bytes`, after whatever was sent before. Does not wait for the peer: what the socket does not take is
    /// queued and follows as the peer reads. The queue has no limit; [`backlog`](Self::backlog) says how long it
    /// is. Inside OnRequest this sends at once, ahead of the reply that is being gathered. Several threads may send
    /// at a time. (O1, O2)
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the connection is closed or takes no more output. `Ok` says that the bytes are
    /// queued, not that they arrived.
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection) -> pollproof::Result<()> {
    /// conn.send(b"event\n")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn send(&self, bytes: &[u8]) -> Result<()> {
        match blocking::flush(self, Batch::Run(bytes)) {
            Some(_) => Ok(()),
            None => Err(Error::Closed { call: "send", connection: self.id() }),
        }
    }

    /// Adds a close callback. They run when the connection is over, newest first, each once, on whichever
    /// thread ends it, and never inside another callback; before the fd is closed. One that panics is reported and does not
    /// stop the others. (C2, C3, P3, U2)
    ///
    /// # Errors
    ///
    /// The callback comes back, and will not run, when the callbacks have begun to run.
    ///
    /// ```
    /// # fn on_connect(conn: &pollproof::Connection) {
    /// let since = std::time::Instant::now();
    /// let added = conn.on_close(move |conn| println!("{} was here for {:?}", conn.peer(), since.elapsed()));
    /// if let Err(callback) = added {
    ///     callback(conn);
    /// }
    /// # }
    /// ```
    pub fn on_close(
        &self,
        callback: impl FnOnce(&Connection) + Send + 'static,
    ) -> std::result::Result<(), CloseCallback> {
        self.0.close_list.push(Box::new(callback))
    }

    /// Closes the connection without closing its fd: `callback` gets it, out of epoll, after the close
    /// callbacks, on whichever thread ends the connection. Like [`close`](Self::close) it stops the drain. A
    /// reply that OnRequest has gathered and not sent is dropped; send it first. (D3)
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when it is too late, or somebody else has asked before: `callback` is dropped.
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection, keep: std::sync::mpsc::Sender<std::os::fd::OwnedFd>) {
    /// conn.detach(move |detached| drop(keep.send(detached.fd))).ok();
    /// # }
    /// ```
    pub fn detach(&self, callback: impl FnOnce(Detached) + Send + 'static) -> Result<()> {
        let refused = || Err(Error::Closed { call: "detach", connection: self.id() });
        // In place before the word says so: the end may come on another thread at once. A callback that is refused is
        // dropped without the lock.
        if let Err(callback) = self.0.cold.set_detached(Box::new(callback)) {
            door::discard(self, "drop of a detach callback", callback);
            return refused();
        }
        let _step = whereabouts::take_step();
        if lifecycle::detach(&Step::new(self, &State::new())) {
            return Ok(());
        }
        door::discard(self, "drop of a detach callback", self.0.cold.take_detached());
        refused()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word: Snapshot = self.0.word.look();
        f.debug_struct("Connection")
            .field("id", &self.0.place.id)
            .field("peer", &self.0.peer)
            .field("word", &word)
            .finish()
    }
}
