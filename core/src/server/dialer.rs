//! Dialing: connections to others, with the same life as accepted ones.
//!
//! A dialer is a handle of polling threads: its own, or those of a server. The calling thread connects and
//! runs OnPrepare and OnConnect, as the accepting thread does for a server (S2); from there on the
//! connection is its poller's.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use crate::addr::Addr;
use crate::connection::Connection;
use crate::connection::door;
use crate::connection::limits::limit_settings;
use crate::connection::service::{Factory, Service, Unserved};
use crate::connection::settings::{Settings, common_settings};
use crate::connection::step::{State, Step};
use crate::connection::trace;
use crate::connection::whereabouts;
use crate::error::{Error, Result};
use crate::handler::Handler;
use crate::protocol::lifecycle;
use crate::server::{Server, Shutdown};
use crate::stats::Stats;
use crate::sync::Arc;
use crate::sys::Sys;

/// Dials. Clones are handles of the same polling threads. Dropping the last one does not end them:
/// [`shutdown`](Self::shutdown) does.
///
/// ```
/// use std::time::Duration;
/// use pollproof::{Callbacks, Dialer, Io, Server};
///
/// let server = Server::builder().on_request(|io: &mut Io<'_>| {
///     io.write(io.data());
///     io.consume(io.data().len());
/// }).bind("127.0.0.1:0")?;
/// server.spawn()?;
///
/// // Says hello, and tells of the answer.
/// let (sender, answers) = std::sync::mpsc::channel();
/// let client = Callbacks::new(|io| Ok(io.write(b"hello"))).on_request(move |(), io| {
///     sender.send(io.data().to_vec()).ok();
///     io.consume(io.data().len());
/// });
///
/// let dialer = Dialer::builder().build()?;
/// let address = server.local_addr().to_string();
/// let conn = dialer.dial(&address, Duration::from_secs(1), client)?;
/// assert_eq!(answers.recv().unwrap(), b"hello");
/// conn.close();
/// dialer.shutdown(Duration::from_secs(1))?;
/// # server.shutdown(Duration::from_secs(1))?;
/// # Ok::<(), pollproof::Error>(())
/// ```
#[derive(Clone)]
pub struct Dialer {
    server: Server,
}

impl Dialer {
    /// Begins to build a dialer with polling threads of its own. One that shares a server's threads comes from
    /// [`Server::dialer`].
    ///
    /// ```
    /// # let builder =
    /// pollproof::Dialer::builder()
    /// # ;
    /// ```
    pub fn builder() -> DialerBuilder {
        DialerBuilder { settings: Settings::default() }
    }

    pub(crate) fn of(server: Server) -> Self {
        Self { server }
    }

    /// Connects to `address` (`host:port`, or `unix:` and a path) and gives the connection `handler`, whose
    /// callbacks are called as those of a server's handler are; OnPrepare and OnConnect on this thread, before
    /// this returns, also inside another callback; every other one outside (U2).
    ///
    /// Any thread, also inside a callback. Blocks until the connection is there, for at most `timeout`: on a
    /// polling thread that holds up the other connections of that poller, until a spare thread has taken over
    /// ([`Builder::takeover`](crate::Builder::takeover)). Each address that a name stands for is
    /// tried in turn, with an even share of the time that is left. Looking a name up is the system's business
    /// and may take longer than `timeout`; use addresses where that matters.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] when that is no address, [`Error::Dial`] when nobody could be reached there,
    /// [`Error::DialTimeout`] when nobody answered in time, [`Error::ShutDown`] after
    /// [`shutdown`](Self::shutdown). [`Error::Closed`] when the connection was made and OnPrepare closed it, or
    /// the kernel would not poll it, which `on_error` heard of; it is over then, its close callbacks
    /// included, or, if this was called inside a callback, about to be over. In every case nothing is left of it.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # let dialer = pollproof::Dialer::builder().build()?;
    /// let client = pollproof::Callbacks::new(|_io| Ok(())).on_request(|(), io| {
    ///     println!("{} bytes", io.consume(usize::MAX));
    /// });
    /// let conn = dialer.dial("127.0.0.1:7000", Duration::from_secs(1), client)?;
    /// conn.send(b"hello")?;
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn dial(&self, address: &str, timeout: Duration, handler: impl Handler) -> Result<Connection> {
        let handler = Arc::new(handler);
        let dialed = self.open(address, timeout, handler.make());
        // The last one, if the connection is over.
        door::discard_of(self.server.shared(), "drop of the handler", handler);
        dialed
    }

    /// Connects as [`dial`](Self::dial) does, without a handler: the connection is read by
    /// [`Connection::reader`] and written by [`Connection::writer`], and handlers can be set later
    /// ([`Connection::set_on_request`]). Until then a peer's close leaves it to be closed by
    /// [`Connection::close`]. (C6)
    ///
    /// # Errors
    ///
    /// Those of [`dial`](Self::dial).
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # let dialer = pollproof::Dialer::builder().build()?;
    /// let conn = dialer.connect("127.0.0.1:7000", Duration::from_secs(1))?;
    /// conn.send(b"PING\r\n")?;
    /// let pong = conn.reader()?.until(b'\n')?;
    /// conn.close();
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn connect(&self, address: &str, timeout: Duration) -> Result<Connection> {
        self.open(address, timeout, Box::new(Unserved))
    }

    /// Dials, whatever serves the connection.
    fn open(&self, address: &str, timeout: Duration, service: Box<dyn Service>) -> Result<Connection> {
        let shared = self.server.shared();
        let unused = |service, error| {
            door::discard_of(shared, "drop of the handler", service);
            Err(error)
        };
        let (fd, peer) = match shared.sys.connect(address, timeout, &shared.sockets) {
            Ok(connected) => connected,
            Err(error) => return unused(service, error),
        };
        let conn = match shared.dialed(fd, peer, service) {
            Ok(conn) => conn,
            Err(service) => return unused(service, Error::ShutDown { call: "dial" }),
        };
        let _step = whereabouts::take_step();
        let state = State::new();
        let step = Step::new(&conn, &state);
        let registered = lifecycle::register(&step);
        lifecycle::connect(&step);
        trace::connect(conn.id());
        if registered { Ok(conn) } else { Err(Error::Closed { call: "dial", connection: conn.id() }) }
    }

    /// Counts, at this moment; those of a server's dialer are the server's.
    ///
    /// ```
    /// # let dialer = pollproof::Dialer::builder().build()?;
    /// assert_eq!(dialer.stats().dialed, 0);
    /// # dialer.shutdown(std::time::Duration::ZERO)?;
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn stats(&self) -> Stats {
        self.server.stats()
    }

    /// Closes the connections gracefully and ends the polling threads, as [`Server::shutdown`] does and with
    /// its errors; nothing can be dialed from its beginning on. For a server's dialer this *is* the server's
    /// shutdown.
    ///
    /// # Errors
    ///
    /// [`Error::OnPoller`] inside a callback of its connections, [`Error::Server`] when the kernel refuses.
    ///
    /// ```
    /// # let dialer = pollproof::Dialer::builder().build()?;
    /// let ended = dialer.shutdown(std::time::Duration::from_secs(5))?;
    /// assert_eq!((ended.cut, ended.left), (0, 0));
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn shutdown(&self, deadline: Duration) -> Result<Shutdown> {
        self.server.shutdown(deadline)
    }

    /// Begins a [`shutdown`](Self::shutdown) and returns at once, as [`Server::begin_shutdown`] does and with its errors.
    /// May be called anywhere, in every callback too.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] when the kernel refuses.
    ///
    /// ```
    /// # let dialer = pollproof::Dialer::builder().build()?;
    /// dialer.begin_shutdown(std::time::Duration::from_secs(5))?;
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn begin_shutdown(&self, deadline: Duration) -> Result<()> {
        self.server.begin_shutdown(deadline)
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// How to make a dialer with polling threads of its own; from [`Dialer::builder`].
///
/// ```
/// use pollproof::Dialer;
///
/// let dialer = Dialer::builder().pollers(2).on_error(|error| eprintln!("{error}")).build()?;
/// # dialer.shutdown(std::time::Duration::ZERO)?;
/// # Ok::<(), pollproof::Error>(())
/// ```
#[must_use]
#[derive(Debug)]
pub struct DialerBuilder {
    settings: Settings,
}

impl DialerBuilder {
    common_settings!("pollproof::Dialer::builder");
    limit_settings!("pollproof::Dialer::builder");

    /// Starts the polling threads.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when a setting has a value that cannot be, [`Error::Server`] when the kernel refuses.
    ///
    /// ```
    /// let dialer = pollproof::Dialer::builder().build()?;
    /// # dialer.shutdown(std::time::Duration::ZERO)?;
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn build(self) -> Result<Dialer> {
        self.settings.check()?;
        let server = Server::bound(self.settings.shared(None)?, Addr::Unnamed);
        server.spawn()?;
        Ok(Dialer { server })
    }
}
