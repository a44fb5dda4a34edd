//! The reading side of a connection, as its handler, or whoever reads outside handlers, sees it.
//!
//! A [`Reader`] belongs to the owner of the serial section (S1, S3). Its bytes are, in this order, the view of
//! the block that the polling thread has just read into, the owner's chunks, and what is still in the inbox.
//! What is there is given without a copy where that is possible; what is not there is waited for.
//!
//! Not here: how bytes get here (`buffer::input`), and how a thread waits (`blocking`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::io::{self, BufRead, Read};

use bytes::{Buf, Bytes, BytesMut};

use crate::buffer::input::Own;
use crate::buffer::view::View;
use crate::connection::Connection;
use crate::connection::blocking;
use crate::connection::step::Local;
use crate::error::{Error, Result};

/// Small results are copied, so that they do not keep a whole block alive.
const COPIED: usize = 4096;

/// No memory holds more: a call that wants more would wait for ever.
const MOST: usize = isize::MAX as usize;

/// The unread bytes of one connection, and those that will come.
///
/// Inside a handler it is [`Io::reader`](crate::Io::reader); outside, [`Connection::reader`]. Calls that want
/// more than is there block the calling thread until it is, up to the connection's read timeout and deadline
/// ([`Connection::set_read_timeout`]). On a polling thread somebody else polls meanwhile.
///
/// ```
/// use pollproof::{Io, Server};
///
/// /// Frames of four bytes length and as many bytes: each is answered with its checksum.
/// fn frames(io: &mut Io<'_>) -> pollproof::Result<()> {
///     while let Some(&[a, b, c, d]) = io.data().first_chunk() {
///         let length = u32::from_be_bytes([a, b, c, d]) as usize;
///         let (reader, writer) = io.split();
///         reader.skip(4)?;
///         let sum = reader.next(length)?.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
///         writer.write(&[sum]);
///     }
///     Ok(())
/// }
/// let server = Server::builder().on_request(frames).bind("127.0.0.1:0")?;
/// # Ok::<(), pollproof::Error>(())
/// ```
///
/// A reader is used where it is: it is unsized, so that nobody can swap it with another one, and carry the right to a
/// connection's bytes away from whoever lends it. (U7)
///
/// ```compile_fail,E0277
/// fn handler(io: &mut pollproof::Io<'_>, other: &mut pollproof::ConnectionReader<'_>) {
///     std::mem::swap(io.reader(), &mut **other);
/// }
/// ```
pub struct Reader<'a, Place: ?Sized = [()]> {
    pub(crate) conn: &'a Connection,
    pub(crate) local: Option<&'a Local>,
    own: &'a mut Own,
    /// What the polling thread has just read, if it is not among the chunks.
    pub(crate) view: View<'a>,
    /// How much of the chunks [`consume_front`](Self::consume_front) has taken.
    used: Cell<usize>,
    /// The chunks in one run, once somebody asked for that.
    joined: OnceCell<BytesMut>,
    /// Nothing, of a size that is not known outside.
    _place: Place,
}

/// A reader as its owner has it: a handler's `Io`, or a guard.
pub(crate) type OwnedReader<'a> = Reader<'a, [(); 0]>;

impl<'a> OwnedReader<'a> {
    #[inline(always)]
    pub(crate) fn new(conn: &'a Connection, local: Option<&'a Local>, own: &'a mut Own, view: View<'a>) -> Self {
        Self { conn, local, own, view, used: Cell::new(0), joined: OnceCell::new(), _place: [] }
    }
}

impl<Place: ?Sized> Reader<'_, Place> {
    /// Everything that was read and not consumed, contiguous. Does not wait; copies only where it lies in
    /// several pieces.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// let complete = io.reader().data().ends_with(b"\n");
    /// # }
    /// ```
    #[inline]
    pub fn data(&self) -> &[u8] {
        match self.view.rest() {
            [] => self.queued(),
            rest => rest,
        }
    }

    #[inline(never)]
    fn queued(&self) -> &[u8] {
        let (chunks, used) = (&self.own.chunks, self.used.get());
        if self.joined.get().is_none() && chunks.front().len() == chunks.len() {
            return &chunks.front()[used..];
        }
        let join = || {
            // Room for more: if this is half a packet, the next part joins it without a copy of this one.
            let mut joined = BytesMut::with_capacity(chunks.len() + chunks.len() / 2);
            chunks.runs().for_each(|run| joined.extend_from_slice(run));
            joined
        };
        &self.joined.get_or_init(join)[used..]
    }

    /// `bytes` without a copy, if they are a large part of what is queued.
    pub(crate) fn queued_part(&self, bytes: &[u8]) -> Option<Bytes> {
        self.own.chunks.part(bytes)
    }

    /// Consumes the first `count` bytes of [`data`](Self::data), or all of it.
    #[inline]
    pub(crate) fn consume_front(&self, count: usize) -> usize {
        if self.view.is_some() {
            return self.view.consume(count);
        }
        let count = count.min(self.len());
        self.used.set(self.used.get() + count);
        count
    }

    /// How many bytes were read and not consumed, in bytes. Does not wait.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// if io.reader().len() < 4 {
    ///     return;
    /// }
    /// # }
    /// ```
    #[inline]
    pub fn len(&self) -> usize {
        match self.view.rest() {
            [] => self.own.chunks.len() - self.used.get(),
            rest => rest.len(),
        }
    }

    /// Whether nothing is there.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// assert!(!io.reader().is_empty());
    /// # }
    /// ```
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Applies what was consumed and gives up the joined copy, or makes it the chunks.
    fn settle(&mut self) {
        if self.view.is_some() {
            return;
        }
        if let Some(joined) = self.joined.take() {
            self.own.chunks.replace(joined);
        }
        let used = self.used.take();
        self.own.chunks.skip(used);
        self.consumed(used);
    }

    #[inline(always)]
    fn consumed(&mut self, count: usize) {
        self.own.consumed += count as u64;
        self.conn.conn().input.publish(self.own.consumed);
    }

    /// The view becomes chunks: the block is about to be read into.
    #[cold]
    #[inline(never)]
    fn spill(&mut self) {
        let used = self.view.used();
        if !self.view.rest().is_empty() {
            self.own.chunks.push(self.view.keep_rest());
        }
        self.view.end();
        self.view = View::none();
        self.consumed(used);
        self.settle();
    }

    /// Sees to it that `count` bytes are there.
    #[inline]
    fn want(&mut self, count: usize, call: &'static str) -> Result<()> {
        if count <= self.len() { Ok(()) } else { self.wait(count, call) }
    }

    #[cold]
    fn wait(&mut self, count: usize, call: &'static str) -> Result<()> {
        if count > MOST {
            let connection = self.conn.id();
            return Err(Error::TooLarge { call, connection, size: count, limit: MOST });
        }
        self.spill();
        blocking::readable(self.conn, self.local, self.own, count, call)
    }

    /// The next `count` bytes, which stay. Waits until they are there.
    ///
    /// # Errors
    ///
    /// [`Error::Eof`] when the peer stops before, [`Error::Closed`] when the connection is closed,
    /// [`Error::Timeout`] when the time is up, [`Error::TooLarge`] when no memory holds so many bytes. What is there stays
    /// there.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) -> pollproof::Result<()> {
    /// let version = io.reader().peek(1)?[0];
    /// # Ok(()) }
    /// ```
    pub fn peek(&mut self, count: usize) -> Result<&[u8]> {
        self.want(count, "peek")?;
        if !self.view.is_some() {
            self.settle();
            return Ok(self.own.chunks.peek(count).unwrap_or_default());
        }
        Ok(&self.data()[..count])
    }

    /// Consumes the next `count` bytes. Waits until they are there.
    ///
    /// # Errors
    ///
    /// Those of [`peek`](Self::peek); nothing is consumed then.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) -> pollproof::Result<()> {
    /// io.reader().skip(2)?;
    /// # Ok(()) }
    /// ```
    pub fn skip(&mut self, count: usize) -> Result<()> {
        self.want(count, "skip")?;
        self.consume_front(count);
        self.settle();
        Ok(())
    }

    /// Consumes the next `count` bytes and returns them. Waits until they are there. A large piece of what the
    /// polling thread read is not copied but keeps its block alive; a small one is copied.
    ///
    /// # Errors
    ///
    /// Those of [`peek`](Self::peek); nothing is consumed then.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) -> pollproof::Result<()> {
    /// let body = io.reader().next(1024)?;
    /// # Ok(()) }
    /// ```
    #[allow(clippy::should_implement_trait, reason = "the published name; it takes a count")]
    pub fn next(&mut self, count: usize) -> Result<Bytes> {
        self.want(count, "next")?;
        if count < COPIED && self.view.is_some() {
            let bytes = Bytes::copy_from_slice(&self.data()[..count]);
            self.consume_front(count);
            return Ok(bytes);
        }
        Ok(self.cut(count))
    }

    /// As [`next`](Self::next), never copying what lies in one piece: the result shares memory with the
    /// connection's block, and keeps it alive.
    ///
    /// # Errors
    ///
    /// Those of [`peek`](Self::peek); nothing is consumed then.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) -> pollproof::Result<()> {
    /// let length = io.reader().len();
    /// let everything = io.reader().slice(length)?;
    /// io.writer().append(everything);
    /// # Ok(()) }
    /// ```
    pub fn slice(&mut self, count: usize) -> Result<Bytes> {
        self.want(count, "slice")?;
        Ok(self.cut(count))
    }

    /// Consumes `count` bytes that are there.
    fn cut(&mut self, count: usize) -> Bytes {
        if self.view.is_some() {
            return self.view.share(count);
        }
        self.settle();
        let bytes = self.own.chunks.take(count).unwrap_or_default();
        self.consumed(count);
        bytes
    }

    /// Consumes everything up to and with the first `delimiter`, and returns it. Waits until it is there. At
    /// the end of the stream the rest comes without a delimiter, and after that [`Error::Eof`].
    ///
    /// # Errors
    ///
    /// Those of [`peek`](Self::peek); nothing is consumed then.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) -> pollproof::Result<()> {
    /// let line = io.reader().until(b'\n')?;
    /// # Ok(()) }
    /// ```
    pub fn until(&mut self, delimiter: u8) -> Result<Bytes> {
        let mut looked = 0;
        loop {
            let found = if self.view.is_some() {
                memchr::memchr(delimiter, &self.data()[looked..]).map(|at| looked + at)
            } else {
                self.settle();
                self.own.chunks.find(delimiter, looked)
            };
            if let Some(at) = found {
                return self.next(at + 1);
            }
            looked = self.len();
            match self.want(looked + 1, "until") {
                Err(Error::Eof { .. }) if !self.is_empty() => return self.next(self.len()),
                other => other?,
            }
        }
    }

    /// Gives back the memory of what was consumed, as far as nothing else keeps it. What is unread stays. A
    /// connection does so by itself when it is idle.
    ///
    /// ```
    /// # fn handler(io: &mut pollproof::Io<'_>) {
    /// io.reader().release();
    /// # }
    /// ```
    pub fn release(&mut self) {
        self.settle();
        self.own.chunks.shrink();
    }

    /// The handler, or the reader outside one, is through. It is not used any more.
    #[inline(always)]
    pub(crate) fn finish(&mut self) {
        // A view that is there is not empty.
        if self.view.used() == 0 || !self.view.rest().is_empty() {
            return self.spill();
        }
        // There is no joined copy besides a view.
        self.view.end();
        self.consumed(self.view.used());
    }
}

impl<Place: ?Sized> Read for Reader<'_, Place> {
    /// Waits until at least one byte is there; 0 at the end of the stream.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(into.len());
        into[..count].copy_from_slice(&available[..count]);
        self.consume_front(count);
        Ok(count)
    }
}

impl<Place: ?Sized> BufRead for Reader<'_, Place> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.want(1, "read") {
            Ok(()) => {
                self.settle();
                Ok(Buf::chunk(&*self))
            }
            Err(Error::Eof { .. }) => Ok(&[]),
            Err(error) => Err(error.into()),
        }
    }

    fn consume(&mut self, count: usize) {
        self.consume_front(count);
        self.settle();
    }
}

/// What is there at present; never waits.
impl<Place: ?Sized> Buf for Reader<'_, Place> {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        if self.view.is_some() || self.joined.get().is_some() || self.used.get() > 0 {
            return self.data();
        }
        self.own.chunks.front()
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.len(), "advance: {count} bytes of {}", self.len());
        self.consume_front(count);
        self.settle();
    }
}

impl<Place: ?Sized> fmt::Debug for Reader<'_, Place> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("connection", &self.conn.id()).field("len", &self.len()).finish()
    }
}
