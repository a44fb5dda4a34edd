//! What a server does with its connections: the handler, and what it is given.
//!
//! [`Handler`] is the user's side. [`Service`] is the reactor's side of it: one connection's handler and
//! context behind one pointer, so that nothing below needs to know their types.

use std::cell::{Cell, RefCell};
use std::fmt;

use crate::buffer::block::Gather;
use crate::connection::Connection;
use crate::reactor::held::Held;
use crate::sync::Arc;

/// A server's callbacks. As a rule they run on polling threads, where one that blocks holds up every
/// connection of its poller; what a connection's end still has to do may run on whichever thread was the
/// last to use it, inside a [`Connection::send`], `close` or `shutdown`. A panic in any of them closes its
/// connection and nothing else (P1).
///
/// ```
/// use pollproof::{Connection, Handler, Io, Server};
///
/// struct Greeter;
///
/// impl Handler for Greeter {
///     type Context = String;
///
///     fn on_connect(&self, conn: &Connection) -> String {
///         conn.send(b"hello\n").ok();
///         format!("{}", conn.peer())
///     }
///
///     fn on_request(&self, peer: &String, io: &mut Io<'_>) {
///         io.write(peer.as_bytes());
///         io.consume(io.data().len());
///     }
/// }
///
/// let server = Server::builder().handler(Greeter).bind("127.0.0.1:0")?;
/// # Ok::<(), pollproof::Error>(())
/// ```
pub trait Handler: Send + Sync + 'static {
    /// What OnConnect makes for its connection. Shared, because OnDisconnect may run while OnRequest does.
    /// Dropped after the close callbacks, before the fd is closed.
    type Context: Send + Sync + 'static;

    /// OnPrepare: before the fd is registered, so before any event. May close. Once per connection, on the
    /// accepting thread. (S2)
    fn on_prepare(&self, _conn: &Connection) {}

    /// OnConnect: once per connection, before any OnRequest; skipped when OnPrepare closed. May send, close
    /// and add close callbacks. On the accepting thread. (H1, H2)
    fn on_connect(&self, conn: &Connection) -> Self::Context;

    /// OnRequest: there is something to read. Never twice at the same time for one connection (S1). Called
    /// again while it leaves something that it has consumed a part of; a call that consumed nothing is
    /// repeated when there is more than it has seen, and once more when the peer stops (N4). Whatever it
    /// wrote is sent when it returns, in one system call.
    fn on_request(&self, context: &Self::Context, io: &mut Io<'_>);

    /// OnDisconnect: the peer closed or half-closed first, or somebody closed during OnConnect. At most
    /// once, after OnConnect and before the close callbacks; may run while OnRequest does, so that it can
    /// cancel it (H1, H4). Not called when OnConnect panicked: there is no context then.
    fn on_disconnect(&self, _context: &Self::Context, _conn: &Connection) {}
}

/// A handler that is only an OnRequest; see [`Builder::on_request`](crate::Builder::on_request).
#[derive(Clone, Copy, Debug)]
pub struct OnRequest<F>(pub(crate) F);

impl<F: Fn(&mut Io<'_>) + Send + Sync + 'static> Handler for OnRequest<F> {
    type Context = ();

    fn on_connect(&self, _conn: &Connection) {}

    #[inline]
    fn on_request(&self, (): &(), io: &mut Io<'_>) {
        (self.0)(io);
    }
}

/// What OnRequest works on: the bytes that are there, and the reply.
///
/// ```
/// use pollproof::Io;
///
/// /// Answers each complete line, and leaves half a line for the next call.
/// fn lines(io: &mut Io<'_>) {
///     while let Some(end) = io.data().iter().position(|&byte| byte == b'\n') {
///         io.write(b"got: ");
///         io.write(&io.data()[..=end]);
///         io.consume(end + 1);
///     }
/// }
/// let server = pollproof::Server::builder().on_request(lines).bind("127.0.0.1:0")?;
/// # Ok::<(), pollproof::Error>(())
/// ```
pub struct Io<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) data: &'a [u8],
    pub(crate) consumed: Cell<usize>,
    /// The part of `data` that is the reply so far: written without a copy.
    pub(crate) whole: Cell<(usize, usize)>,
    /// The reply, once it is anything else.
    pub(crate) reply: &'a RefCell<Gather>,
    pub(crate) last: bool,
}

impl Io<'_> {
    /// Everything that was read and not consumed, contiguous. Does not block or copy; empty once all of it
    /// is consumed.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// let Some(&[a, b, c, d]) = io.data().first_chunk() else { return };
    /// let length = u32::from_be_bytes([a, b, c, d]);
    /// # }
    /// ```
    #[inline]
    pub fn data(&self) -> &[u8] {
        &self.data[self.consumed.get()..]
    }

    /// Consumes the first `count` bytes of [`data`](Self::data), or all of it if that is less; returns how
    /// many. What is not consumed is there again at the next call. (N4)
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// assert_eq!(io.consume(usize::MAX), io.data().len());
    /// # }
    /// ```
    #[inline]
    pub fn consume(&self, count: usize) -> usize {
        let count = count.min(self.data.len() - self.consumed.get());
        self.consumed.set(self.consumed.get() + count);
        count
    }

    /// Adds `bytes` to the reply. It is sent when OnRequest returns, in one system call; what the socket
    /// does not take is queued and follows as the peer reads. A reply to a connection that is closed by
    /// then is dropped, and so is that of a call which panics.
    ///
    /// Bytes are copied, unless they are a part of [`data`](Self::data) and the only write: then they are
    /// sent from where they were read to.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// io.write(io.data());
    /// # }
    /// ```
    #[inline]
    pub fn write(&self, bytes: &[u8]) {
        let mut reply = self.reply.borrow_mut();
        let whole = self.whole.take();
        if whole.1 == 0 && reply.bytes().is_empty() {
            let offset = (bytes.as_ptr() as usize).wrapping_sub(self.data.as_ptr() as usize);
            if offset < self.data.len() && bytes.len() <= self.data.len() - offset {
                self.whole.set((offset, bytes.len()));
                return;
            }
        }
        reply.push(&self.data[whole.0..whole.0 + whole.1]);
        reply.push(bytes);
    }

    /// Whether nothing more will come: the peer has stopped sending. What is left unread after a call that
    /// was told so is dropped. (N4)
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// if io.is_last() && !io.data().ends_with(b"\n") {
    ///     io.write(b"that was half a line\n");
    /// }
    /// # }
    /// ```
    #[inline]
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// The connection: to close it, to keep a handle of it, to know who it is.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// io.write(format!("hello {}\n", io.connection().peer()).as_bytes());
    /// io.connection().shutdown();
    /// # }
    /// ```
    #[inline]
    pub fn connection(&self) -> &Connection {
        self.conn
    }
}

impl fmt::Debug for Io<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("connection", &self.conn.id()).field("unread", &self.data().len()).finish()
    }
}

/// Makes the [`Service`] of each connection.
pub(crate) trait Factory: Send + Sync {
    fn make(&self) -> Box<dyn Service>;
}

impl<H: Handler> Factory for Arc<H> {
    fn make(&self) -> Box<dyn Service> {
        Box::new(Serving { handler: self.clone(), context: Held::new(None) })
    }
}

/// One connection's handler and context.
///
/// Each method is called as the method of the same name in
/// [`Effects`](crate::protocol::effects::Effects) is.
pub(crate) trait Service: Send + Sync {
    fn on_prepare(&self, conn: &Connection);

    /// # Safety
    ///
    /// Under `TASK`, before `CONNECTING` is cleared.
    unsafe fn on_connect(&self, conn: &Connection);

    /// # Safety
    ///
    /// Under `TASK`, after OnConnect.
    unsafe fn on_request(&self, io: &mut Io<'_>);

    /// # Safety
    ///
    /// Under a hold, or under `TASK`; after OnConnect.
    unsafe fn on_disconnect(&self, conn: &Connection);

    /// Drops the context.
    ///
    /// # Safety
    ///
    /// Under `TASK`, after `FINAL`.
    unsafe fn forget(&self);
}

struct Serving<H: Handler> {
    handler: Arc<H>,
    /// Written under `CONNECTING` and at the end, shared between.
    context: Held<Option<H::Context>>,
}

impl<H: Handler> Service for Serving<H> {
    fn on_prepare(&self, conn: &Connection) {
        self.handler.on_prepare(conn);
    }

    unsafe fn on_connect(&self, conn: &Connection) {
        let made = self.handler.on_connect(conn);
        // Safety: while CONNECTING is set nobody else reads the context (H1); its end publishes it.
        unsafe { self.context.with_mut(|context| *context = Some(made)) };
    }

    #[inline]
    unsafe fn on_request(&self, io: &mut Io<'_>) {
        // Safety: OnConnect is over, and the end waits for TASK, which the caller owns (H1, C4).
        unsafe {
            self.context.with(|context| {
                if let Some(context) = context {
                    self.handler.on_request(context, io);
                }
            });
        }
    }

    unsafe fn on_disconnect(&self, conn: &Connection) {
        // Safety: OnConnect is over, and the end waits for the caller's hold (H1, H4).
        unsafe {
            self.context.with(|context| {
                if let Some(context) = context {
                    self.handler.on_disconnect(context, conn);
                }
            });
        }
    }

    unsafe fn forget(&self) {
        // Safety: the close is committed, so no callback runs and none begins (C4). Dropped outside the
        // access: it may own a handle of this connection.
        drop(unsafe { self.context.with_mut(Option::take) });
    }
}
