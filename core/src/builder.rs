//! Building a server: its settings, its handler, and the address that it listens on.

#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};

use nix::sys::socket::{self, Backlog, sockopt};

use crate::addr::Addr;
use crate::error::{Error, Result};
use crate::handler::{Handler, Io, OnRequest};
use crate::reactor::epoll::Poller;
use crate::reactor::sys::NixListener;
use crate::reactor::threads::Threads;
use crate::server::Server;
use crate::shared::{Hook, Shared};
use crate::sync::Arc;

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
    pollers: usize,
    takeover: Option<Duration>,
    max_threads: usize,
    nodelay: bool,
    hook: Option<Hook>,
    handler: H,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            pollers: 1,
            takeover: Some(Duration::from_millis(5)),
            max_threads: 512,
            nodelay: true,
            hook: None,
            handler: (),
        }
    }
}

impl<H> Builder<H> {
    /// How many polling threads. One by default; zero counts as one.
    ///
    /// ```
    /// # let builder =
    /// pollproof::Server::builder().pollers(2)
    /// # ;
    /// ```
    pub fn pollers(mut self, count: usize) -> Self {
        self.pollers = count.max(1);
        self
    }

    /// After how long a handler that has not returned loses its polling thread: another thread takes the other
    /// connections over, so that one slow handler holds up none but its own. `None` leaves them waiting. 5 ms by
    /// default, and at least 1 ms: a thread that is merely preempted looks stuck as well. It costs a watchdog
    /// thread, and no system call per request. (K1)
    ///
    /// ```
    /// # let builder =
    /// pollproof::Server::builder().takeover(Some(std::time::Duration::from_millis(20)))
    /// # ;
    /// ```
    pub fn takeover(mut self, after: Option<Duration>) -> Self {
        self.takeover = after;
        self
    }

    /// How many threads may run callbacks, polling ones and those that [`takeover`](Self::takeover) adds
    /// together. Once so many handlers block that none is left, the rest waits for one of them. 512 by default;
    /// the polling threads are started in any case. (K5)
    ///
    /// ```
    /// # let builder =
    /// pollproof::Server::builder().max_threads(64)
    /// # ;
    /// ```
    pub fn max_threads(mut self, count: usize) -> Self {
        self.max_threads = count;
        self
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`). They are by default.
    ///
    /// ```
    /// # let builder =
    /// pollproof::Server::builder().nodelay(false)
    /// # ;
    /// ```
    pub fn nodelay(mut self, on: bool) -> Self {
        self.nodelay = on;
        self
    }

    /// Who hears of panics in callbacks and of the kernel's refusals. Called on the thread where it
    /// happens, while the connection that it is about is in the middle of something: note it and return.
    /// Without it they are not reported, beyond what the panic hook of the process prints.
    ///
    /// ```
    /// # let builder =
    /// pollproof::Server::builder().on_error(|error| eprintln!("{error}"))
    /// # ;
    /// ```
    pub fn on_error(mut self, hook: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    fn with<N>(self, handler: N) -> Builder<N> {
        let Self { pollers, takeover, max_threads, nodelay, hook, .. } = self;
        Builder { pollers, takeover, max_threads, nodelay, hook, handler }
    }

    /// The callbacks.
    ///
    /// ```
    /// # use pollproof::{Connection, Handler, Io, Server};
    /// struct Discard;
    ///
    /// impl Handler for Discard {
    ///     type Context = ();
    ///     fn on_connect(&self, _: &Connection) {}
    ///     fn on_request(&self, _: &(), io: &mut Io<'_>) {
    ///         io.consume(io.data().len());
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
    pub fn on_request<F: Fn(&mut Io<'_>) + Send + Sync + 'static>(self, handler: F) -> Builder<OnRequest<F>> {
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
    /// [`Error::Address`] when that is no address, [`Error::Server`] when the kernel refuses.
    ///
    /// ```
    /// # let handler = |_: &mut pollproof::Io<'_>| {};
    /// let server = pollproof::Server::builder().on_request(handler).bind("127.0.0.1:0")?;
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn bind(self, address: &str) -> Result<Server> {
        let failed = |call| move |source: std::io::Error| Error::Server { call, source };
        let (listener, local) = match address.strip_prefix("unix:") {
            Some(path) => listen_unix(path)?,
            None => listen_tcp(address, self.nodelay)?,
        };
        let pollers = (0..self.pollers).map(|_| Poller::new()).collect::<std::result::Result<Vec<_>, _>>();
        let pollers = pollers.map_err(|errno| failed("epoll_create1")(errno.into()))?;
        let threads = Threads::new(self.pollers, self.takeover, self.max_threads);
        let shared = Shared::new(pollers, threads, Box::new(Arc::new(self.handler)), self.hook, listener);
        Ok(Server::bound(shared, local))
    }
}

fn listen_tcp(address: &str, nodelay: bool) -> Result<(NixListener, Addr)> {
    let failed = |call| move |source: std::io::Error| Error::Server { call, source };
    let listener = TcpListener::bind(address).map_err(|source| match source.kind() {
        std::io::ErrorKind::InvalidInput => Error::Address { address: address.to_owned(), source },
        _ => Error::Server { call: "bind", source },
    })?;
    listener.set_nonblocking(true).map_err(failed("ioctl"))?;
    // std's queue is short for a burst of connections; a second listen(2) only changes its length.
    socket::listen(&listener, Backlog::MAXCONN).map_err(|errno| failed("listen")(errno.into()))?;
    // Inherited by the sockets that it accepts.
    socket::setsockopt(&listener, sockopt::TcpNoDelay, &nodelay)
        .map_err(|errno| failed("setsockopt")(errno.into()))?;
    let local = listener.local_addr().map_err(failed("getsockname"))?;
    Ok((NixListener::Tcp(listener), Addr::Tcp(local)))
}

fn listen_unix(path: &str) -> Result<(NixListener, Addr)> {
    let failed = |call| move |source: std::io::Error| Error::Server { call, source };
    if path.is_empty() {
        let source = std::io::Error::from(std::io::ErrorKind::InvalidInput);
        return Err(Error::Address { address: "unix:".to_owned(), source });
    }
    let bound = UnixListener::bind(path).or_else(|error| {
        let left_behind = error.kind() == std::io::ErrorKind::AddrInUse
            && UnixStream::connect(path).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
        if !left_behind {
            return Err(error);
        }
        std::fs::remove_file(path)?;
        UnixListener::bind(path)
    });
    let listener = bound.map_err(failed("bind"))?;
    listener.set_nonblocking(true).map_err(failed("ioctl"))?;
    socket::listen(&listener, Backlog::MAXCONN).map_err(|errno| failed("listen")(errno.into()))?;
    Ok((NixListener::Unix(listener, path.into()), Addr::Unix(path.into())))
}

impl<H> fmt::Debug for Builder<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("pollers", &self.pollers)
            .field("takeover", &self.takeover)
            .field("max_threads", &self.max_threads)
            .field("nodelay", &self.nodelay)
            .finish_non_exhaustive()
    }
}

