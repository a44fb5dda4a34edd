//! A handler that is made of closures.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use super::Handler;
use crate::connection::Connection;
use crate::connection::io::Io;
use crate::outcome::{BoxError, Outcome};

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
