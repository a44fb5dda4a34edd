//! What a server does with its connections: the handler.
//!
//! [`Handler`] is the user's side, [`Callbacks`] the same made of closures. [`Service`] is the reactor's side of
//! it: one connection's handler, context and state behind one pointer, so that nothing below needs to know
//! their types.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

use crate::connection::Connection;
use crate::connection::io::Io;
use crate::sync::Arc;
use crate::sync::bit_cell::{Exclusive, Held};

/// What a callback may fail with: any error. Its connection is closed, and the error is told to
/// [`Builder::on_error`](crate::Builder::on_error).
///
/// ```
/// fn on_request(io: &mut pollproof::Io<'_>) -> Result<(), pollproof::BoxError> {
///     let text = std::str::from_utf8(io.data())?;
///     Err(format!("nobody understands {text}").into())
/// }
/// ```
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

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

/// What a closure may return: nothing, or a result whose error closes the connection.
///
/// ```
/// let server = pollproof::Server::builder()
///     .on_request(|io: &mut pollproof::Io<'_>| -> Result<(), std::num::ParseIntError> {
///         let text = String::from_utf8_lossy(io.data()).into_owned();
///         io.consume(text.len());
///         let number: u64 = text.trim().parse()?;
///         io.write(format!("{}\n", number + 1).as_bytes());
///         Ok(())
///     })
///     .bind("127.0.0.1:0")?;
/// # Ok::<(), pollproof::Error>(())
/// ```
pub trait Outcome {
    /// As a result.
    ///
    /// # Errors
    ///
    /// What the callback failed with.
    fn outcome(self) -> Result<(), BoxError>;
}

impl Outcome for () {
    #[inline(always)]
    fn outcome(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError>> Outcome for Result<(), E> {
    #[inline(always)]
    fn outcome(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
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

type Prepare = Box<dyn Fn(&Connection) + Send + Sync>;
type Connect<C> = Box<dyn Fn(&mut Io<'_>) -> Result<C, BoxError> + Send + Sync>;
type Request<C> = Box<dyn Fn(&C, &mut Io<'_>) -> Result<(), BoxError> + Send + Sync>;
type Disconnect<C> = Box<dyn Fn(&C, &Connection) + Send + Sync>;

/// A handler made of closures, with what OnConnect makes as their context.
///
/// ```
/// use pollproof::{Callbacks, Server};
///
/// let callbacks = Callbacks::new(|io| Ok(io.connection().id()))
///     .on_request(|id, io| {
///         io.write(format!("you are {id}\n").as_bytes());
///         io.consume(io.data().len());
///     })
///     .on_disconnect(|id, _conn| println!("{id} is leaving"));
/// let server = Server::builder().handler(callbacks).bind("127.0.0.1:0")?;
/// # Ok::<(), pollproof::Error>(())
/// ```
pub struct Callbacks<C> {
    prepare: Option<Prepare>,
    connect: Connect<C>,
    request: Option<Request<C>>,
    disconnect: Option<Disconnect<C>>,
}

impl<C: Send + Sync + 'static> Callbacks<C> {
    /// A handler whose OnConnect is `connect`.
    ///
    /// ```
    /// # let callbacks: pollproof::Callbacks<()> =
    /// pollproof::Callbacks::new(|_io| Ok(()))
    /// # ;
    /// ```
    pub fn new(connect: impl Fn(&mut Io<'_>) -> Result<C, BoxError> + Send + Sync + 'static) -> Self {
        Self { prepare: None, connect: Box::new(connect), request: None, disconnect: None }
    }

    /// Sets OnPrepare.
    ///
    /// ```
    /// # let callbacks: pollproof::Callbacks<()> =
    /// pollproof::Callbacks::new(|_io| Ok(())).on_prepare(|conn| println!("{} is here", conn.peer()))
    /// # ;
    /// ```
    #[must_use]
    pub fn on_prepare(mut self, prepare: impl Fn(&Connection) + Send + Sync + 'static) -> Self {
        self.prepare = Some(Box::new(prepare));
        self
    }

    /// Sets OnRequest. Without one, what the peer sends stays unread, up to a limit.
    ///
    /// ```
    /// # let callbacks: pollproof::Callbacks<()> =
    /// pollproof::Callbacks::new(|_io| Ok(())).on_request(|(), io| io.write(b"hello\n"))
    /// # ;
    /// ```
    #[must_use]
    pub fn on_request<R: Outcome>(mut self, request: impl Fn(&C, &mut Io<'_>) -> R + Send + Sync + 'static) -> Self {
        self.request = Some(Box::new(move |context, io| request(context, io).outcome()));
        self
    }

    /// Sets OnDisconnect.
    ///
    /// ```
    /// # let callbacks: pollproof::Callbacks<()> =
    /// pollproof::Callbacks::new(|_io| Ok(())).on_disconnect(|(), conn| println!("{} leaves", conn.id()))
    /// # ;
    /// ```
    #[must_use]
    pub fn on_disconnect(mut self, disconnect: impl Fn(&C, &Connection) + Send + Sync + 'static) -> Self {
        self.disconnect = Some(Box::new(disconnect));
        self
    }
}

impl<C: Send + Sync + 'static> Handler for Callbacks<C> {
    type Context = C;
    type State = ();

    fn on_prepare(&self, conn: &Connection) {
        if let Some(prepare) = &self.prepare {
            prepare(conn);
        }
    }

    fn on_connect(&self, (): &mut (), io: &mut Io<'_>) -> Result<C, BoxError> {
        (self.connect)(io)
    }

    fn on_request(&self, context: &C, (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        self.request.as_ref().map_or(Ok(()), |request| request(context, io))
    }

    fn on_disconnect(&self, context: &C, conn: &Connection) {
        if let Some(disconnect) = &self.disconnect {
            disconnect(context, conn);
        }
    }
}

impl<C> std::fmt::Debug for Callbacks<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callbacks").finish_non_exhaustive()
    }
}

/// Makes the [`Service`] of each connection.
pub(crate) trait Factory: Send + Sync {
    fn make(&self) -> Box<dyn Service>;
}

impl<H: Handler> Factory for Arc<H> {
    fn make(&self) -> Box<dyn Service> {
        Box::new(Serving {
            handler: Held::new(Some(self.clone())),
            context: Held::new(None),
            state: Held::new(Exclusive::new(None)),
        })
    }
}

/// One connection's handler, context and state.
///
/// Each method is called as the method of the same name in
/// [`Effects`](crate::protocol::effects::Effects) is.
pub(crate) trait Service: Send + Sync {
    /// Whether there is an OnConnect or OnRequest. (C6)
    fn serves(&self) -> bool {
        true
    }

    /// # Safety
    ///
    /// Under `TASK`, before anything else.
    unsafe fn on_prepare(&self, conn: &Connection);

    /// # Safety
    ///
    /// Under `TASK`, before `CONNECTING` is cleared.
    unsafe fn on_connect(&self, io: &mut Io<'_>) -> Result<(), BoxError>;

    /// # Safety
    ///
    /// Under `TASK`, after OnConnect.
    unsafe fn on_request(&self, io: &mut Io<'_>) -> Result<(), BoxError>;

    /// # Safety
    ///
    /// Under a hold, or under `TASK`; after OnConnect.
    unsafe fn on_disconnect(&self, conn: &Connection);

    /// Drops the context, the state and the handler, each by a call of `each`, which is given its name. Nothing else is
    /// called after that.
    ///
    /// # Safety
    ///
    /// Under `TASK`, after `FINAL`, once.
    unsafe fn forget(&self, each: &mut dyn FnMut(&'static str, &mut dyn FnMut()));
}

/// A connection that was dialed without a handler.
pub(crate) struct Unserved;

impl Service for Unserved {
    fn serves(&self) -> bool {
        false
    }

    unsafe fn on_prepare(&self, _: &Connection) {}

    unsafe fn on_connect(&self, _: &mut Io<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    unsafe fn on_request(&self, _: &mut Io<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    unsafe fn on_disconnect(&self, _: &Connection) {}

    unsafe fn forget(&self, _: &mut dyn FnMut(&'static str, &mut dyn FnMut())) {}
}

struct Serving<H: Handler> {
    /// There until the end, which takes it: a handler may keep a handle of its connection. (U4)
    handler: Held<Option<Arc<H>>>,
    /// Written under `CONNECTING` and at the end, shared between.
    context: Held<Option<H::Context>>,
    /// Under `TASK`.
    state: Held<Exclusive<Option<H::State>>>,
}

impl<H: Handler> Serving<H> {
    /// The handler.
    ///
    /// # Safety
    ///
    /// Under `TASK` or a hold, before `FINAL`.
    #[inline(always)]
    unsafe fn handler(&self) -> &H {
        // Safety: the only writer is `forget`, after FINAL: by the caller's promise not now, nor as long as it uses this.
        unsafe {
            let handler = self.handler.with(std::ptr::from_ref);
            debug_assert!((*handler).is_some(), "it is over");
            (*handler).as_ref().unwrap_unchecked()
        }
    }
}

impl<H: Handler> Service for Serving<H> {
    unsafe fn on_prepare(&self, conn: &Connection) {
        // Safety: by the caller's promise.
        unsafe { self.handler() }.on_prepare(conn);
    }

    unsafe fn on_connect(&self, io: &mut Io<'_>) -> Result<(), BoxError> {
        // Safety: TASK, and nobody but OnRequest, which waits for OnConnect, has the state (S1).
        let state = unsafe { self.state.get() }.get_mut().insert(H::State::default());
        // Safety: TASK, before the end.
        let made = unsafe { self.handler() }.on_connect(state, io)?;
        // Safety: while CONNECTING is set nobody else reads the context (H1); its end publishes it.
        unsafe { self.context.with_mut(|context| *context = Some(made)) };
        Ok(())
    }

    #[inline]
    unsafe fn on_request(&self, io: &mut Io<'_>) -> Result<(), BoxError> {
        // Safety: OnConnect is over, and the end waits for TASK, which the caller owns (H1, C4); the state is
        // the owner's alone (S1).
        unsafe {
            self.context.with(|context| match (context, self.state.get().get_mut()) {
                (Some(context), Some(state)) => self.handler().on_request(context, state, io),
                _ => Ok(()),
            })
        }
    }

    unsafe fn on_disconnect(&self, conn: &Connection) {
        // Safety: OnConnect is over, and the end waits for the caller's hold (H1, H4).
        unsafe {
            self.context.with(|context| {
                if let Some(context) = context {
                    self.handler().on_disconnect(context, conn);
                }
            });
        }
    }

    unsafe fn forget(&self, each: &mut dyn FnMut(&'static str, &mut dyn FnMut())) {
        // Safety: the close is committed, so no callback runs and none begins (C4). Dropped outside the
        // access: they may own a handle of this connection.
        let (mut context, mut state, mut handler) = unsafe {
            (
                self.context.with_mut(Option::take),
                self.state.get().get_mut().take(),
                self.handler.with_mut(Option::take),
            )
        };
        each("drop of the context", &mut || drop(context.take()));
        each("drop of the state", &mut || drop(state.take()));
        each("drop of the handler", &mut || drop(handler.take()));
    }
}
