//! The writing side of a connection: output is gathered here and sent by one system call.
//!
//! Not here: who sends (`protocol::output`), and what the kernel did not take (`buffer::output`).

use std::cell::RefCell;
use std::fmt;
use std::io;

use bytes::buf::UninitSlice;
use bytes::{BufMut, Bytes};

use crate::buffer::gather::Gather;
use crate::buffer::output::Batch;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::waiting;

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
    gather: RefCell<Box<Gather>>,
    /// A flush may wait for the peer: never on a polling thread.
    waits: bool,
}

impl<'a> Writer<'a> {
    #[inline]
    pub(crate) fn new(conn: &'a Connection, gather: Box<Gather>, waits: bool) -> Self {
        Self { conn, gather: RefCell::new(gather), waits }
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
        self.gather.borrow_mut().write(bytes);
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
        self.gather.borrow_mut().append(bytes);
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
        self.gather.get_mut().malloc(count)
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
        self.gather.get_mut().ack(count).map_err(|error| Error::TooLarge {
            call: "ack",
            connection: self.conn.id(),
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
        self.gather.borrow().len()
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

    /// Sends what is gathered. On a polling thread it never waits: what the kernel does not take is queued, and
    /// sent as the peer reads. On any other thread it returns when the kernel has taken all of it, up to the
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
        let gather = self.gather.get_mut();
        if gather.is_empty() && !self.waits {
            return Ok(());
        }
        let flushed = waiting::flush(self.conn, Batch::Gathered(gather));
        gather.clear();
        let target = flushed.ok_or(Error::Closed { call: "flush", connection: self.conn.id() })?;
        if self.waits { waiting::sent(self.conn, target, "flush") } else { Ok(()) }
    }

    /// The memory that it gathered in.
    #[inline]
    pub(crate) fn into_gather(self) -> Box<Gather> {
        self.gather.into_inner()
    }

    /// What was gathered, for who sends it.
    #[inline]
    pub(crate) fn gather(&mut self) -> &mut Gather {
        self.gather.get_mut()
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
        self.gather.get_mut().advance(count);
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        UninitSlice::new(self.gather.get_mut().spare())
    }
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("connection", &self.conn.id()).field("len", &self.len()).finish()
    }
}
