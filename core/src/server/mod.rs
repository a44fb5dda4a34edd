//! Servers: running one, and ending it gracefully.
//!
//! A server is one listener and a number of polling threads. Its connections end by themselves; a
//! shutdown stops accepting, asks each connection to end when it has answered (G1), waits, and cuts what
//! is left when the time is up.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

pub(crate) mod builder;
pub(crate) mod dialer;
#[cfg(all(test, not(any(loom, shuttle))))]
mod whole;

use std::fmt;
use std::time::Duration;

use crate::addr::Addr;
use crate::connection::Connection;
use crate::connection::blocking;
use crate::connection::door;
use crate::connection::io::Io;
use crate::connection::shared::Shared;
use crate::connection::whereabouts;
use crate::error::{Error, Result};
use crate::outcome::Outcome;
use crate::protocol::takeover::Lead;
use crate::reactor::accept::Acceptor;
use crate::reactor::event_loop;
use crate::server::builder::Builder;
use crate::server::dialer::Dialer;
use crate::stats::Stats;
use crate::sync::time::Instant;
use crate::sync::{Arc, lock, thread};

/// How long a shutdown waits, past its deadline, for callbacks that are running.
const GRACE: Duration = Duration::from_secs(1);

/// A handle of a server. Clones are handles of the same one. Dropping the last one does not stop it:
/// [`shutdown`](Self::shutdown) does.
///
/// ```
/// use std::io::{Read, Write};
/// use std::time::Duration;
/// use pollproof::{Io, Server};
///
/// let server = Server::builder()
///     .on_request(|io: &mut Io<'_>| {
///         io.write(io.data());
///         io.consume(io.data().len());
///     })
///     .bind("127.0.0.1:0")?;
/// server.spawn()?;
///
/// let mut client = std::net::TcpStream::connect(server.local_addr().tcp().unwrap()).unwrap();
/// client.write_all(b"hello").unwrap();
/// let mut answer = [0; 5];
/// client.read_exact(&mut answer).unwrap();
/// assert_eq!(&answer, b"hello");
///
/// let ended = server.shutdown(Duration::from_secs(1))?;
/// assert_eq!((ended.cut, ended.left), (0, 0));
/// # Ok::<(), pollproof::Error>(())
/// ```
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    local: Arc<Addr>,
}

/// How a shutdown went.
///
/// ```
/// # let server = pollproof::Server::builder().on_request(|_: &mut pollproof::Io<'_>| {}).bind("127.0.0.1:0")?;
/// let ended = server.shutdown(std::time::Duration::ZERO)?;
/// assert_eq!(ended, pollproof::Shutdown::default());
/// # Ok::<(), pollproof::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// Connections that were still busy at the deadline and were closed.
    pub cut: u64,
    /// Connections that are still there, because one of their callbacks has not returned.
    pub left: u64,
}

impl Server {
    /// A server that is bound to `local` and does not run yet.
    pub(crate) fn bound(shared: Shared, local: Addr) -> Self {
        Self { shared: Arc::new(shared), local: Arc::new(local) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Begins to build a server.
    ///
    /// ```
    /// # let builder =
    /// pollproof::Server::builder()
    /// # ;
    /// ```
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Where it listens; with the port that the kernel chose.
    ///
    /// ```
    /// # let server = pollproof::Server::builder().on_request(|_: &mut pollproof::Io<'_>| {}).bind("127.0.0.1:0")?;
    /// println!("listening on {}", server.local_addr());
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn local_addr(&self) -> &Addr {
        &self.local
    }

    /// A dialer whose connections live on the polling threads of this server, beside those that it accepts: for
    /// proxies and the like. Its [`shutdown`](Dialer::shutdown) is the server's.
    ///
    /// ```
    /// # let server = pollproof::Server::builder().on_request(|_: &mut pollproof::Io<'_>| {}).bind("127.0.0.1:0")?;
    /// let dialer = server.dialer();
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn dialer(&self) -> Dialer {
        Dialer::of(self.clone())
    }

    /// Counts, at this moment.
    ///
    /// ```
    /// # let server = pollproof::Server::builder().on_request(|_: &mut pollproof::Io<'_>| {}).bind("127.0.0.1:0")?;
    /// println!("{:?}", server.stats());
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Starts the polling threads and returns. A second call does nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] when the kernel refuses; the server is then shut down.
    ///
    /// ```
    /// # let server = pollproof::Server::builder().on_request(|_: &mut pollproof::Io<'_>| {}).bind("127.0.0.1:0")?;
    /// server.spawn()?;
    /// # server.shutdown(std::time::Duration::ZERO)?;
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn spawn(&self) -> Result<()> {
        self.shut_down_if_failed(self.start(None))
    }

    fn shut_down_if_failed(&self, started: Result<()>) -> Result<()> {
        if started.is_err() {
            self.shutdown(Duration::ZERO)?;
        }
        started
    }

    /// Starts the polling threads, if they were not. `here`: the caller leads the first loop; its lead is left there.
    fn start(&self, mut here: Option<&mut Option<Arc<Lead>>>) -> Result<()> {
        let mut state = lock(&self.shared.state);
        if std::mem::replace(&mut state.started, true) {
            return Ok(());
        }
        let failed = |call| move |source: std::io::Error| Error::Server { call, source };
        let shared = &self.shared;
        let listener = state.listener.take();
        let acceptor = listener.map(|listener| Acceptor::new(listener, &shared.pollers[0])).transpose();
        let acceptor = acceptor.map_err(|errno| failed("epoll_ctl")(errno.into()))?;
        let listens = acceptor.is_some();
        *lock(&shared.pollers[0].acceptor) = acceptor;
        for home in 0..shared.pollers.len() {
            match here.take() {
                Some(lead) => *lead = Some(shared.threads.enlist(home)),
                None => shared.threads.start(shared, home).map_err(failed("clone"))?,
            }
            state.listening |= listens;
            state.running.push(home);
        }
        shared.threads.watch(shared).map_err(failed("clone"))
    }

    /// Serves, and blocks until somebody has shut the server down. The calling thread is one of the polling threads and
    /// runs callbacks, so a server with one poller and without [`takeover`](Builder::takeover) starts no thread at
    /// all: where nothing else does, the kernel's own work for each call is a little less. If the server was
    /// [spawned](Self::spawn), or the caller polls for another one, it waits only.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn), and [`Error::OnPoller`] inside a callback.
    ///
    /// ```no_run
    /// # let server = pollproof::Server::builder().on_request(|_: &mut pollproof::Io<'_>| {}).bind("127.0.0.1:0")?;
    /// server.run()?;
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn run(&self) -> Result<()> {
        self.not_inside("run")?;
        let mut here = None;
        let started = self.start((!whereabouts::inside()).then_some(&mut here));
        if let Some(lead) = here {
            if started.is_err() {
                self.shared.pollers[0].stop().map_err(eventfd)?;
            }
            self.shared.threads.lead(&self.shared, lead);
        }
        self.shut_down_if_failed(started)?;
        blocking::hand_over_before_blocking();
        self.shared.wait_until(None, |state| state.running.is_empty());
        Ok(())
    }

    /// Waiting for the server inside a callback of it would be waiting for the caller. (U6)
    fn not_inside(&self, call: &'static str) -> Result<()> {
        if whereabouts::called_by(&self.shared) { Err(Error::OnPoller { call }) } else { Ok(()) }
    }

    /// Shuts the server down: stops accepting, closes idle connections, waits up to `deadline` for busy
    /// ones to answer, closes what is left, and ends the polling threads. Blocks until then, and up to a
    /// second longer for callbacks that do not return. Any thread that is not inside a callback of this server, any
    /// number of times, also at the same time; [`begin_shutdown`](Self::begin_shutdown) is for callbacks. The address can
    /// be bound again when it returns. (G1, G2, U6)
    ///
    /// # Errors
    ///
    /// [`Error::OnPoller`] inside a callback of this server, on whatever thread; [`Error::Server`] when the kernel
    /// refuses.
    ///
    /// ```
    /// # let server = pollproof::Server::builder().on_request(|_: &mut pollproof::Io<'_>| {}).bind("127.0.0.1:0")?;
    /// # server.spawn()?;
    /// let ended = server.shutdown(std::time::Duration::from_secs(5))?;
    /// println!("{} connections had to be cut", ended.cut);
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn shutdown(&self, deadline: Duration) -> Result<Shutdown> {
        self.not_inside("shutdown")?;
        let until = Instant::now().checked_add(deadline);
        let led = self.stop_accepting()?;
        blocking::hand_over_before_blocking();
        self.finish(until, led)
    }

    /// Begins a [`shutdown`](Self::shutdown) and returns at once; a thread of its own goes on with it. May be called
    /// anywhere, in every callback of this server too, any number of times. A shutdown that is to wait until the server
    /// is over may follow, from outside.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] when the kernel refuses. Nothing is accepted any more then, and `shutdown` still works.
    ///
    /// ```
    /// # let server = pollproof::Server::builder().on_request(|_: &mut pollproof::Io<'_>| {}).bind("127.0.0.1:0")?;
    /// # server.spawn()?;
    /// server.begin_shutdown(std::time::Duration::from_secs(5))?;
    /// # server.shutdown(std::time::Duration::from_secs(5))?;
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn begin_shutdown(&self, deadline: Duration) -> Result<()> {
        let until = Instant::now().checked_add(deadline);
        let led = self.stop_accepting()?;
        let server = self.clone();
        let goes_on = move || {
            if let Err(error) = server.finish(until, led) {
                server.shared.report(error);
            }
        };
        let thread = thread::Builder::new().name("shutdown".to_owned()).spawn(goes_on);
        thread.map(drop).map_err(|source| Error::Server { call: "clone", source })
    }

    /// The first steps of a shutdown, which wait for nothing. Whether threads lead the loops.
    fn stop_accepting(&self) -> Result<bool> {
        let shared = &self.shared;
        let (listening, led) = {
            let mut state = lock(&shared.state);
            let led = std::mem::replace(&mut state.started, true);
            state.ending = true;
            (state.listener.take(), led)
        };
        door::discard_of(shared, "drop of a handler", listening);
        shared.pollers[0].stop_accepting().map_err(eventfd)?;
        // At once, because the accepting thread may be in a callback; and again for what it accepted last.
        shared.connections().iter().for_each(Connection::shutdown);
        Ok(led)
    }

    /// Ends the loops that no thread has ever led: here, or, since that runs callbacks, on a thread of its own if this one
    /// is inside user code. (U2)
    fn end_unled(&self) -> Result<()> {
        let shared = self.shared.clone();
        let end = move || (0..shared.pollers.len()).for_each(|home| event_loop::end_unled(&shared, home));
        if !whereabouts::inside() {
            end();
            return Ok(());
        }
        let thread = thread::Builder::new().name("shutdown".to_owned()).spawn(end);
        thread.map(drop).map_err(|source| Error::Server { call: "clone", source })
    }

    /// The others: waits for busy connections, closes the rest, and ends the threads. `led`: there may be some.
    fn finish(&self, until: Option<Instant>, led: bool) -> Result<Shutdown> {
        let shared = &self.shared;
        shared.wait_until(until, |state| !state.listening);
        shared.connections().iter().for_each(Connection::shutdown);
        if !led {
            self.end_unled()?;
        }
        let drained = shared.wait_until(until, |_| shared.open() == 0);
        let mut ended = Shutdown::default();
        if !drained {
            let rest = shared.connections();
            ended.cut = rest.len() as u64;
            rest.iter().for_each(Connection::close);
        }
        for poller in &shared.pollers {
            poller.stop().map_err(eventfd)?;
        }
        let grace = Instant::now() + GRACE;
        // A thread that a callback keeps ends when that returns; it is joined by the next shutdown, if there is one.
        shared.wait_until(Some(grace), |state| state.running.is_empty() && shared.threads.alive() == 0);
        shared.threads.join::<Shared>();
        shared.wait_until(Some(grace), |_| shared.open() == 0);
        ended.left = shared.open();
        shared.release_if_over();
        Ok(ended)
    }
}

fn eventfd(errno: crate::sys::Errno) -> Error {
    Error::Server { call: "eventfd write", source: errno.into() }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("local_addr", &self.local).field("stats", &self.stats()).finish()
    }
}

/// Serves `address` with one polling thread and one callback, until the process ends.
///
/// # Errors
///
/// Those of [`Builder::bind`] and [`Server::spawn`].
///
/// ```no_run
/// pollproof::serve("127.0.0.1:7000", |io| {
///     io.write(io.data());
///     io.consume(io.data().len());
/// })?;
/// # Ok::<(), pollproof::Error>(())
/// ```
pub fn serve<R: Outcome>(address: &str, handler: impl Fn(&mut Io<'_>) -> R + Send + Sync + 'static) -> Result<()> {
    Server::builder().on_request(handler).bind(address)?.run()
}
