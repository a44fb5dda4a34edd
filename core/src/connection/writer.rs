//! The writing side of a connection: output is gathered here and sent by one system call.
//!
//! Not here: who sends (`protocol::output`), and what the kernel did not take (`buffer::output`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;

use bytes::buf::UninitSlice;
use bytes::{BufMut, Bytes};

use crate::buffer::gather::Gather;
use crate::buffer::output::Batch;
use crate::connection::Connection;
use crate::connection::blocking;
use crate::connection::door;
use crate::connection::step::Local;
use crate::connection::whereabouts;
use crate::error::{Error, Result};
use crate::sync::thread_local;

thread_local! {
    /// Where a thread that does not poll gathers the reply of the handler that it runs; away while one uses it.
    static REPLY: Cell<Option<Box<Gather>>> = Cell::new(Some(Box::new(Gather::with_block())));
}

/// A thread that does not poll is about to run a handler: its memory is made with the first, whether that writes or
/// not, so that what the thread takes does not depend on it.
pub(crate) fn prepare() {
    let _ = REPLY.try_with(|_| ());
}

/// Output of one connection, gathered and then flushed.
///
/// Inside a handler it is [`Io::writer`](crate::Io::writer), flushed when the handler returns; outside,
/// [`Connection::writer`], flushed by [`flush`](Self::flush). What is not flushed when it is dropped is gone.
///
/// ```
/// # fn handler(io: &mut pollproof::Io<'_>) -> pollproof::Result<()> {
/// let writer = io.writer();
/// writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
/// writer.append(bytes::Bytes::from_static(b"hello"));
/// # Ok(()) }
/// ```
pub struct Writer<'a> {
    conn: &'a Connection,
    /// Set on polling threads.
    local: Option<&'a Local>,
    /// Where output is gathered, once there is some.
    gather: RefCell<Option<Box<Gather>>>,
    /// A flush may wait for the peer: never on a polling thread.
    waits: bool,
}

impl<'a> Writer<'a> {
    /// For a handler: it gathers in its thread's memory, as soon as it writes.
    #[inline(always)]
    pub(crate) fn of_handler(conn: &'a Connection, local: Option<&'a Local>) -> Self {
        Self { conn, local, gather: RefCell::new(None), waits: local.is_none() && !whereabouts::polls() }
    }

    /// For everybody else: it has memory of its own.
    pub(crate) fn new(conn: &'a Connection, waits: bool) -> Self {
        Self { conn, local: None, gather: RefCell::new(Some(Box::new(Gather::without_block()))), waits }
    }

    /// The memory that the handler of a thread gathers in. Inside another handler that may be in use.
    #[inline]
    fn memory(local: Option<&Local>) -> Box<Gather> {
        let kept = match local {
            Some(local) => local.reply.take(),
            None => REPLY.try_with(Cell::take).ok().flatten(),
        };
        kept.unwrap_or_else(|| Box::new(Gather::without_block()))
    }

    #[inline]
    fn gather(&mut self) -> &mut Gather {
        let local = self.local;
        self.gather.get_mut().get_or_insert_with(|| Self::memory(local))
    }

    /// Adds `bytes`, copying them.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// io.writer().write(b"+PONG\r\n");
    /// # }
    /// ```
    #[inline]
    pub fn write(&self, bytes: &[u8]) {
        self.gather.borrow_mut().get_or_insert_with(|| Self::memory(self.local)).write(bytes);
    }

    /// Adds `bytes` without copying them, unless they are so few that a copy costs less.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// io.writer().append(bytes::Bytes::from_static(b"a page that many connections share"));
    /// # }
    /// ```
    #[inline]
    pub fn append(&self, bytes: Bytes) {
        let copied = self.gather.borrow_mut().get_or_insert_with(|| Self::memory(self.local)).append(bytes);
        if let Some(bytes) = copied {
            door::discard(self.conn, "drop of lent bytes", bytes);
        }
    }

    /// Room for `count` bytes, to be filled in place. [`ack`](Self::ack) says how many of them are output. What is
    /// there before is earlier output of this thread, perhaps another connection's: fill what you acknowledge.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) -> pollproof::Result<()> {
    /// let writer = io.writer();
    /// writer.malloc(16)[..3].copy_from_slice(b"abc");
    /// writer.ack(3)?;
    /// # Ok(()) }
    /// ```
    pub fn malloc(&mut self, count: usize) -> &mut [u8] {
        self.gather().malloc(count)
    }

    /// The first `count` bytes of the last [`malloc`](Self::malloc) are output.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] when there were fewer, or something was written between; nothing is added then.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// assert!(io.writer().ack(1).is_err());
    /// # }
    /// ```
    pub fn ack(&mut self, count: usize) -> Result<()> {
        let conn = self.conn;
        self.gather().ack(count).map_err(|error| Error::TooLarge {
            call: "ack",
            connection: conn.id(),
            size: error.acknowledged,
            limit: error.offered,
        })
    }

    /// How much is gathered and not flushed, in bytes.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// assert_eq!(io.writer().len(), 0);
    /// # }
    /// ```
    #[inline]
    pub fn len(&self) -> usize {
        self.gather.borrow().as_ref().map_or(0, |gather| gather.len())
    }

    /// Whether nothing is gathered.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// assert!(io.writer().is_empty());
    /// # }
    /// ```
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends what is gathered. On a polling thread, and in OnPrepare, it never waits: what the kernel does not take is
    /// queued, and sent as the peer reads. On any other thread it returns when the kernel has taken all of it, up to the
    /// connection's write timeout and deadline ([`Connection::set_write_timeout`]). A flush that gives up has
    /// queued its bytes all the same; they are sent once (O4).
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the connection takes no output, or loses it; [`Error::Timeout`];
    /// [`Error::ConcurrentAccess`] when another flush waits (the bytes are queued then).
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection) -> pollproof::Result<()> {
    /// let mut writer = conn.writer();
    /// writer.write(b"an event\n");
    /// writer.flush()?;
    /// # Ok(()) }
    /// ```
    pub fn flush(&mut self) -> Result<()> {
        let (conn, waits) = (self.conn, self.waits);
        let gather = self.gather();
        if gather.is_empty() && !waits {
            return Ok(());
        }
        let flushed = blocking::flush(conn, Batch::Gathered(gather));
        door::discard_each(conn, "drop of lent bytes", gather.clear());
        let target = flushed.ok_or(Error::Closed { call: "flush", connection: self.conn.id() })?;
        // Before the ADD nobody but this thread could go on with what the kernel has not taken. (U6)
        let waits = self.waits && !self.conn.is_unregistered();
        if waits { blocking::sent(self.conn, target, "flush") } else { Ok(()) }
    }

    /// Sends what is gathered, when the handler is through. Who wrote it does not ask what became of it.
    pub(crate) fn send_reply(&mut self) {
        if let Some(gather) = self.gather.get_mut()
            && !gather.is_empty()
        {
            let _ = blocking::flush_reply(self.conn, Batch::Gathered(gather));
        }
    }

    /// The handler is through: its thread's memory goes back.
    pub(crate) fn finish(&mut self) {
        if let Some(mut gather) = self.gather.get_mut().take() {
            let spent = gather.clear();
            match self.local {
                Some(local) => local.reply.set(Some(gather)),
                // At its very end a thread keeps none.
                None => drop(REPLY.try_with(|reply| reply.set(Some(gather)))),
            }
            if !spent.is_empty() {
                door::discard_each(self.conn, "drop of lent bytes", spent);
            }
        }
    }
}

/// What was not flushed is dropped as what was is. (U1)
impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if let Some(mut gather) = self.gather.get_mut().take() {
            door::discard_each(self.conn, "drop of lent bytes", gather.clear());
        }
    }
}

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Writer::write(self, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(Writer::flush(self)?)
    }
}

// Safety: `chunk_mut` gives memory that is initialised and exclusively borrowed, and `advance_mut` accepts no
// more than the last of it offered: more panics, as the trait allows.
unsafe impl BufMut for Writer<'_> {
    fn remaining_mut(&self) -> usize {
        usize::MAX - self.len()
    }

    unsafe fn advance_mut(&mut self, count: usize) {
        self.gather().advance(count);
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        UninitSlice::new(self.gather().spare())
    }
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("connection", &self.conn.id()).field("len", &self.len()).finish()
    }
}
