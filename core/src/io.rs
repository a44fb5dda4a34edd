//! What OnConnect and OnRequest work on: the bytes that are there, those that will come, and the reply.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;

use crate::buffer::input::Own;
use crate::buffer::output::Batch;
use crate::connection::Connection;
use crate::reactor::fx::Local;
use crate::reader::Reader;
use crate::writer::Writer;

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
    pub(crate) reader: Reader<'a>,
    pub(crate) writer: Writer<'a>,
    /// Where the part of the reader's view begins that is the reply so far: sent without a copy.
    whole: Cell<usize>,
    /// Its length; 0 if there is no reply so far, [`GATHERED`] if it is in the writer.
    whole_len: Cell<usize>,
    last: bool,
}

/// The reply is in the writer, or was.
const GATHERED: usize = usize::MAX;

impl<'a> Io<'a> {
    /// For the owner of the section, with a view of the polling thread's block. `last`: nothing more will come.
    #[inline(always)]
    pub(crate) fn new(
        conn: &'a Connection,
        local: Option<&'a Local>,
        own: &'a mut Own,
        view_len: usize,
        last: bool,
    ) -> Self {
        Self {
            reader: Reader::new(conn, local, own, view_len),
            writer: Writer::of_handler(conn, local),
            whole: Cell::new(0),
            whole_len: Cell::new(0),
            last,
        }
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
    /// sent from where they were read to.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// io.write(io.data());
    /// # }
    /// ```
    #[inline]
    pub fn write(&self, bytes: &[u8]) {
        let view = self.reader.view();
        let offset = (bytes.as_ptr() as usize).wrapping_sub(view.as_ptr() as usize);
        // A part of the view begins no later than at `most`.
        match view.len().checked_sub(bytes.len()) {
            Some(most) if offset <= most && self.whole_len.get() == 0 => {
                self.whole.set(offset);
                self.whole_len.set(bytes.len());
            }
            _ => self.gather(bytes),
        }
    }

    #[inline(never)]
    fn gather(&self, bytes: &[u8]) {
        self.copy_whole();
        self.writer.write(bytes);
    }

    /// The reply is no longer one piece of the view.
    #[inline]
    fn copy_whole(&self) {
        let (start, len) = (self.whole.get(), self.whole_len.replace(GATHERED));
        if len != 0 && len != GATHERED {
            self.writer.write(&self.reader.view()[start..start + len]);
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
        self.copy_whole();
        &mut self.reader
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
        self.copy_whole();
        &mut self.writer
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
        self.copy_whole();
        (&mut self.reader, &mut self.writer)
    }

    /// The reply, if it is one piece of the view.
    #[inline(always)]
    pub(crate) fn whole(&self) -> Option<&[u8]> {
        let (start, len) = (self.whole.get(), self.whole_len.get());
        if len == 0 || len == GATHERED { None } else { self.reader.view().get(start..start + len) }
    }

    /// The reply, if there is one that was gathered.
    #[inline]
    pub(crate) fn gathered(&mut self) -> Option<Batch<'_>> {
        self.writer.gathered().map(Batch::Gathered)
    }

    /// The handler is through, and its reply was sent.
    #[inline(always)]
    pub(crate) fn finish(&mut self) {
        self.reader.finish();
        self.writer.finish();
    }
}

impl fmt::Debug for Io<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("connection", &self.connection().id()).field("unread", &self.reader.len()).finish()
    }
}
