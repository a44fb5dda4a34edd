//! What OnConnect and OnRequest work on: the bytes that are there, those that will come, and the reply.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use std::cell::OnceCell;
use std::fmt;

use crate::buffer::input::Own;
use crate::buffer::view::View;
use crate::connection::Connection;
use crate::connection::reader::{OwnedReader, Reader};
use crate::connection::step::Local;
use crate::connection::writer::Writer;

/// One connection, as its handler sees it.
///
/// The short way is [`data`](Self::data), [`consume`](Self::consume) and [`write`](Self::write), which never
/// wait. The long way is [`reader`](Self::reader) and [`writer`](Self::writer), which wait for what is not there
/// yet, and plug into everything that takes `std::io` or `bytes` traits.
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
    pub(crate) reader: OwnedReader<'a>,
    /// There once something is to be gathered. Before that the reply is at most one piece of the reader's view, which
    /// is sent without a copy.
    writer: OnceCell<Writer<'a>>,
    last: bool,
}

/// What a handler wrote.
pub(crate) enum Reply<'i, 'a> {
    None,
    /// One piece of the view.
    Whole(&'i [u8]),
    Gathered(&'i mut Writer<'a>),
}

impl<'a> Io<'a> {
    /// For the owner of the section, with a view of the polling thread's block. `last`: nothing more will come.
    #[inline(always)]
    pub(crate) fn new(
        conn: &'a Connection,
        local: Option<&'a Local>,
        own: &'a mut Own,
        view: View<'a>,
        last: bool,
    ) -> Self {
        Self { reader: OwnedReader::new(conn, local, own, view), writer: OnceCell::new(), last }
    }

    /// Everything that was read and not consumed, contiguous. Does not wait; empty once all of it is consumed.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// let Some(&[a, b, c, d]) = io.data().first_chunk() else { return };
    /// let length = u32::from_be_bytes([a, b, c, d]);
    /// # }
    /// ```
    #[inline]
    pub fn data(&self) -> &[u8] {
        self.reader.data()
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
        self.reader.consume_front(count)
    }

    /// Adds `bytes` to the reply. It is sent when the handler returns, in one system call; what the socket
    /// does not take is queued and follows as the peer reads. A reply to a connection that is closed by
    /// then is dropped, and so is that of a call which panics.
    ///
    /// Bytes are copied, unless they are a part of [`data`](Self::data) and the only write: then they are
    /// sent from where they were read to. On a runner's thread so are 16 KiB or more of what was read at once.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// io.write(io.data());
    /// # }
    /// ```
    #[inline]
    pub fn write(&self, bytes: &[u8]) {
        if self.writer.get().is_some() || !self.reader.view.mark(bytes) {
            self.gather(bytes);
        }
    }

    #[inline(never)]
    fn gather(&self, bytes: &[u8]) {
        match self.reader.queued_part(bytes) {
            Some(part) => self.copy_whole().append(part),
            None => self.copy_whole().write(bytes),
        }
    }

    /// The reply is no longer one piece of the view.
    fn copy_whole(&self) -> &Writer<'a> {
        let writer = self.writer.get_or_init(|| Writer::of_handler(self.reader.conn, self.reader.local));
        let piece = self.reader.view.take_piece();
        if !piece.is_empty() {
            writer.write(piece);
        }
        writer
    }

    /// Both sides, to wait for more or to gather.
    fn sides(&mut self) -> (&mut OwnedReader<'a>, &mut Writer<'a>) {
        self.copy_whole();
        let Self { reader, writer, .. } = self;
        let (conn, local) = (reader.conn, reader.local);
        writer.get_or_init(|| Writer::of_handler(conn, local));
        match writer.get_mut() {
            Some(writer) => (reader, writer),
            None => unreachable!("it was made just now"),
        }
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
    pub fn connection(&self) -> &'a Connection {
        self.reader.conn
    }

    /// The reading side, which can wait for more.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) -> pollproof::Result<()> {
    /// let header = io.reader().next(4)?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn reader(&mut self) -> &mut Reader<'a> {
        self.sides().0
    }

    /// The writing side. What it gathers is sent when the handler returns; [`Writer::flush`] sends it at once.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// io.writer().append(bytes::Bytes::from_static(b"no copy of this"));
    /// # }
    /// ```
    #[inline]
    pub fn writer(&mut self) -> &mut Writer<'a> {
        self.sides().1
    }

    /// Both sides at once.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) -> std::io::Result<()> {
    /// let (reader, writer) = io.split();
    /// std::io::copy(reader, writer)?;
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn split(&mut self) -> (&mut Reader<'a>, &mut Writer<'a>) {
        let (reader, writer) = self.sides();
        (reader, writer)
    }

    /// The reply.
    #[inline(always)]
    pub(crate) fn take_reply(&mut self) -> Reply<'_, 'a> {
        match self.reader.view.piece() {
            [] => self.writer.get_mut().map_or(Reply::None, Reply::Gathered),
            piece => Reply::Whole(piece),
        }
    }

    /// What was gathered is dropped, or was sent.
    pub(crate) fn finish_writer(&mut self) {
        if let Some(mut writer) = self.writer.take() {
            writer.finish();
        }
    }
}

impl fmt::Debug for Io<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("connection", &self.connection().id()).field("unread", &self.reader.len()).finish()
    }
}
