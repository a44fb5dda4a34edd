//! Building a server: its settings, its handler, and the address that it listens on.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use std::fmt;

use crate::connection::io::Io;
use crate::connection::limits::limit_settings;
use crate::connection::service::Factory;
use crate::connection::settings::{Settings, common_settings};
use crate::error::{Result, impossible};
use crate::handler::{Handler, OnRequest};
use crate::outcome::Outcome;
use crate::protocol::gate::Gate;
use crate::reactor::accept::Listening;
use crate::server::Server;
use crate::sync::Arc;
use crate::sys::options::ListenOptions;
use crate::sys::{Kernel, Sys};

/// How to make a server; from [`Server::builder`].
///
/// ```
/// use pollproof::{Io, Server};
///
/// let server = Server::builder()
///     .pollers(2)
///     .on_error(|error| eprintln!("{error}"))
///     .on_request(|io: &mut Io<'_>| {
///         io.write(io.data());
///         io.consume(io.data().len());
///     })
///     .bind("127.0.0.1:0")?;
/// # Ok::<(), pollproof::Error>(())
/// ```
#[must_use]
pub struct Builder<H = ()> {
    settings: Settings,
    backlog: i32,
    reuse_port: bool,
    max_connections: usize,
    handler: H,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::default(),
            backlog: crate::sys::options::LONGEST_BACKLOG,
            reuse_port: false,
            max_connections: Gate::MOST as usize,
            handler: (),
        }
    }
}

impl<H> Builder<H> {
    common_settings!("pollproof::Server::builder");
    limit_settings!("pollproof::Server::builder");

    /// How many connections the kernel keeps for the server until they are accepted; a client that finds the
    /// queue full is kept waiting. 4096 by default; the kernel has a limit of its own
    /// (`net.core.somaxconn`), and zero is room for one.
    ///
    /// ```
    /// # let builder =
    /// pollproof::Server::builder().backlog(16)
    /// # ;
    /// ```
    pub fn backlog(mut self, connections: i32) -> Self {
        self.backlog = connections;
        self
    }

    /// Whether several servers of this user may listen on the same port (`SO_REUSEPORT`): the kernel spreads
    /// the connections over those that asked for it. Not by default; not for Unix sockets.
    ///
    /// ```
    /// # let builder =
    /// pollproof::Server::builder().reuse_port(true)
    /// # ;
    /// ```
    pub fn reuse_port(mut self, on: bool) -> Self {
        self.reuse_port = on;
        self
    }

    /// How many accepted connections there may be at a time. At the limit accepting pauses, and goes on as soon
    /// as one of them ends; meanwhile clients wait in the kernel's queue ([`backlog`](Self::backlog)), none is
    /// refused. Connections that the server dialed do not count. 2147483647 by default. (Q1, Q2)
    ///
    /// ```
    /// # let builder =
    /// pollproof::Server::builder().max_connections(10_000)
    /// # ;
    /// ```
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    fn with<N>(self, handler: N) -> Builder<N> {
        let Self { settings, backlog, reuse_port, max_connections, .. } = self;
        Builder { settings, backlog, reuse_port, max_connections, handler }
    }

    /// The callbacks.
    ///
    /// ```
    /// # use pollproof::{BoxError, Handler, Io, Server};
    /// struct Discard;
    ///
    /// impl Handler for Discard {
    ///     type Context = ();
    ///     type State = ();
    ///     fn on_connect(&self, (): &mut (), _: &mut Io<'_>) -> Result<(), BoxError> {
    ///         Ok(())
    ///     }
    ///     fn on_request(&self, (): &(), (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
    ///         io.consume(io.data().len());
    ///         Ok(())
    ///     }
    /// }
    /// let server = Server::builder().handler(Discard).bind("127.0.0.1:0")?;
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn handler<N: Handler>(self, handler: N) -> Builder<N> {
        self.with(handler)
    }

    /// Only an OnRequest.
    ///
    /// ```
    /// # use pollproof::{Io, Server};
    /// let server = Server::builder()
    ///     .on_request(|io: &mut Io<'_>| {
    ///         io.consume(io.data().len());
    ///     })
    ///     .bind("127.0.0.1:0")?;
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn on_request<R: Outcome, F: Fn(&mut Io<'_>) -> R + Send + Sync + 'static>(
        self,
        handler: F,
    ) -> Builder<OnRequest<F>> {
        self.with(OnRequest(handler))
    }
}

impl<H: Handler> Builder<H> {
    /// Listens on `address`: `host:port`, or `unix:` and a path. A port of 0 is chosen by the kernel; a Unix
    /// socket that nobody listens on any more is replaced. Resolves names, so it may block. Clients can
    /// connect from here on; they are served once the server runs.
    ///
    /// # Errors
    ///
    /// [`Error::Address`](crate::Error::Address) when that is no address,
    /// [`Error::Setting`](crate::Error::Setting) when a setting has a value that cannot be,
    /// [`Error::Server`](crate::Error::Server) when the kernel refuses.
    ///
    /// ```
    /// # let handler = |_: &mut pollproof::Io<'_>| {};
    /// let server = pollproof::Server::builder().on_request(handler).bind("127.0.0.1:0")?;
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn bind(self, address: &str) -> Result<Server> {
        self.settings.check()?;
        if self.backlog < 0 {
            return Err(impossible("backlog", self.backlog, "a queue cannot be shorter than empty"));
        }
        let limit = match u32::try_from(self.max_connections) {
            Ok(limit @ 1..=Gate::MOST) => limit,
            _ => return Err(impossible("max_connections", self.max_connections, "it must be 1 to 2147483647")),
        };
        let options =
            ListenOptions { backlog: self.backlog, reuse_port: self.reuse_port, sockets: self.settings.sockets };
        let (listener, local) = Kernel::default().listen(address, &options)?;
        let factory: Box<dyn Factory> = Box::new(Arc::new(self.handler));
        let listening = Listening { listener, limit, factory };
        Ok(Server::bound(self.settings.shared(Some(listening))?, local))
    }
}

impl<H> fmt::Debug for Builder<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("settings", &self.settings)
            .field("backlog", &self.backlog)
            .field("reuse_port", &self.reuse_port)
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}
