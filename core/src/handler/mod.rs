//! What users write: the handler of a server's or a dialer's connections.
//!
//! [`Handler`] is the trait, [`OnRequest`] one closure, [`Callbacks`] several. Not here: what calls them, under which bit
//! (`connection::service`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

mod callbacks;
mod serving;

pub use callbacks::Callbacks;

use crate::connection::Connection;
use crate::connection::io::Io;
use crate::outcome::{BoxError, Outcome};

/// A server's callbacks. What may overlap is shared (`&`), what is serial is exclusive (`&mut`).
///
/// As a rule they run on polling threads: a callback that blocks delays the other connections of its poller
/// for a few milliseconds, until another thread has taken over ([`Builder::takeover`]). What a
/// connection's end still has to do may run on whichever thread was the last to use it, inside a
/// [`Connection::send`], `close` or `shutdown` that was called outside callbacks. Callbacks never run inside one another:
/// what one of them brings about for another connection runs after it, on that connection's polling thread (U2). Only
/// OnPrepare and OnConnect of a connection that is dialed run inside the call. A panic or an error in any of them closes
/// its connection and nothing else, and so does a panic in the drop of a context, a state, an error or a handler (P1,
/// U1).
///
/// [`Builder::takeover`]: crate::Builder::takeover
///
/// ```
/// use pollproof::{BoxError, Connection, Handler, Io, Server};
///
/// struct Greeter;
///
/// impl Handler for Greeter {
///     type Context = String;
///     type State = usize;
///
///     fn on_connect(&self, _calls: &mut usize, io: &mut Io<'_>) -> Result<String, BoxError> {
///         io.write(b"hello\n");
///         Ok(io.connection().peer().to_string())
///     }
///
///     fn on_request(&self, peer: &String, calls: &mut usize, io: &mut Io<'_>) -> Result<(), BoxError> {
///         *calls += 1;
///         io.write(format!("{calls} from {peer}\n").as_bytes());
///         io.consume(io.data().len());
///         Ok(())
///     }
/// }
///
/// let server = Server::builder().handler(Greeter).bind("127.0.0.1:0")?;
/// # Ok::<(), pollproof::Error>(())
/// ```
pub trait Handler: Send + Sync + 'static {
    /// What OnConnect makes for its connection. Shared, because OnDisconnect may run while OnRequest does.
    /// Dropped after the close callbacks, before the fd is closed; it may keep a handle of its own connection (U4).
    type Context: Send + Sync + 'static;

    /// What OnConnect and OnRequest have to themselves: they never overlap (S1). Dropped with the context.
    type State: Default + Send + 'static;

    /// OnPrepare: before the fd is registered, so before any event. May close. Once per connection, on the
    /// accepting or dialing thread. (S2)
    fn on_prepare(&self, _conn: &Connection) {}

    /// OnConnect: once per connection, before any OnRequest; skipped when OnPrepare closed. May read (what comes
    /// meanwhile is its to read), write, close and add close callbacks; what it wrote is sent when it returns.
    /// On the accepting or dialing thread, or where the [`Runner`](crate::Runner) runs it. (H1, H2)
    ///
    /// # Errors
    ///
    /// Closes the connection, after what was written is sent as far as the socket takes it. There is no
    /// context then, so that OnDisconnect does not run.
    fn on_connect(&self, state: &mut Self::State, io: &mut Io<'_>) -> Result<Self::Context, BoxError>;

    /// OnRequest: there is something to read. Never twice at the same time for one connection (S1). Called
    /// again while it leaves something that it has consumed a part of; a call that consumed nothing is
    /// repeated when there is more than it has seen, and once more when the peer stops (N4). Whatever it
    /// wrote is sent when it returns, in one system call.
    ///
    /// # Errors
    ///
    /// Closes the connection, after what was written is sent as far as the socket takes it.
    fn on_request(&self, context: &Self::Context, state: &mut Self::State, io: &mut Io<'_>) -> Result<(), BoxError>;

    /// OnDisconnect: the peer closed or half-closed first, or somebody closed during OnConnect. At most
    /// once, after OnConnect and before the close callbacks; may run while OnRequest does, so that it can
    /// cancel it (H1, H4), but on another thread: the two may share a lock (U3). Not called when OnConnect failed: there is
    /// no context then.
    fn on_disconnect(&self, _context: &Self::Context, _conn: &Connection) {}
}

/// A handler that is only an OnRequest; see [`Builder::on_request`](crate::Builder::on_request).
///
/// ```
/// use pollproof::{Builder, Io, OnRequest, Server};
///
/// fn echo(io: &mut Io<'_>) {
///     io.write(io.data());
///     io.consume(io.data().len());
/// }
///
/// let builder: Builder<OnRequest<fn(&mut Io<'_>)>> = Server::builder().on_request(echo);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct OnRequest<F>(pub(crate) F);

impl<R: Outcome, F: Fn(&mut Io<'_>) -> R + Send + Sync + 'static> Handler for OnRequest<F> {
    type Context = ();
    type State = ();

    fn on_connect(&self, (): &mut (), _io: &mut Io<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    #[inline]
    fn on_request(&self, (): &(), (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        (self.0)(io).outcome()
    }
}
