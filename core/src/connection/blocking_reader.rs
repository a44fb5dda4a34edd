//! A connection outside its handler: reading and writing that waits, the limits of waiting, and handlers that are
//! set later.
//!
//! Not here: what a handler sees (`io`), and the calls that never wait (`connection`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::buffer::view::View;
use crate::connection::Connection;
use crate::connection::door;
use crate::connection::io::Io;
use crate::connection::reader::{OwnedReader, Reader};
use crate::connection::step::{State, Step};
use crate::connection::whereabouts;
use crate::connection::writer::Writer;
use crate::error::{Error, Result};
use crate::outcome::Outcome;
use crate::protocol::lifecycle;
use crate::protocol::word::{FINAL, HANDLER, SHUTDOWN, TASK, USER};
use crate::sync::atomic::Ordering;
use crate::sync::time::Instant;
use crate::sync::{Arc, thread};

/// The reading side of a connection that has no handler, as long as this lives. See [`Connection::reader`].
///
/// ```
/// use std::time::Duration;
///
/// fn ask(conn: &pollproof::Connection) -> pollproof::Result<bytes::Bytes> {
///     conn.set_read_timeout(Some(Duration::from_secs(1)));
///     conn.send(b"PING\r\n")?;
///     conn.reader()?.until(b'\n')
/// }
/// ```
pub struct ConnectionReader<'a> {
    reader: OwnedReader<'a>,
}

impl<'a> Deref for ConnectionReader<'a> {
    type Target = Reader<'a>;

    fn deref(&self) -> &Reader<'a> {
        &self.reader
    }
}

impl DerefMut for ConnectionReader<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.reader
    }
}

impl Drop for ConnectionReader<'_> {
    fn drop(&mut self) {
        self.reader.finish();
        let conn = self.reader.conn;
        // Ordering: Release, partner `reader`: the next one finds the section given back, or about to be.
        conn.conn().reader.store(false, Ordering::Release);
        let _step = whereabouts::take_step();
        lifecycle::release(&Step::new(conn, &State::new()));
    }
}

impl fmt::Debug for ConnectionReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reader.fmt(f)
    }
}

impl Connection {
    /// Reads outside handlers, on the calling thread: one reader at a time, and only while the connection has no
    /// OnRequest (S3). What arrives is read ahead by the poller, up to a limit. Inside a callback too, of whatever
    /// connection: a polling thread that waits hands its loop over first, or reads the socket itself (K1, U6). The reading
    /// side is given back when the guard is dropped; one that is forgotten keeps it for ever.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] when somebody else reads, a handler is set, or this is the connection's own OnDisconnect;
    /// [`Error::Closed`] when it was closed on this side.
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection) -> pollproof::Result<()> {
    /// let mut reader = conn.reader()?;
    /// let greeting = reader.until(b'\n')?;
    /// # Ok(()) }
    /// ```
    pub fn reader(&self) -> Result<ConnectionReader<'_>> {
        let busy = || Err(Error::Busy { call: "reader", connection: self.id() });
        let conn = self.conn();
        // Ordering: AcqRel, partner: the Release of the guard's drop.
        if conn.reader.swap(true, Ordering::AcqRel) {
            return busy();
        }
        let state = State::new();
        let step = Step::new(self, &state);
        // Ordering: Release, partner: the swap above.
        let give_up = || conn.reader.store(false, Ordering::Release);
        loop {
            let found = conn.word.look();
            if found.any(HANDLER) {
                give_up();
                return busy();
            }
            // Once it is closed here nothing is read any more, and its section may wait for this very thread. So may that of a
            // connection whose shutdown only has its end to wait for: nobody else owns it then. (U6)
            if found.any(USER | FINAL) || found.any(TASK) && found.any(SHUTDOWN) && found.closing() {
                give_up();
                return Err(Error::Closed { call: "reader", connection: self.id() });
            }
            if lifecycle::acquire(&step) {
                break;
            }
            // Without a handler, the section is owned for the length of a poller's step, or of OnDisconnect: of that it
            // would be this call that it waits for. (U6)
            if whereabouts::in_callback_of(conn) {
                give_up();
                return busy();
            }
            thread::yield_now();
        }
        // Safety: the section is this thread's until the guard is dropped, and it calls no handler meanwhile.
        let own = unsafe { conn.input.own() };
        // Safety: as above.
        unsafe { conn.input.collect(own) };
        Ok(ConnectionReader { reader: OwnedReader::new(self, None, own, View::none()) })
    }

    /// Gathers output outside handlers; [`Writer::flush`] sends it and waits until the kernel has taken it. Any
    /// thread but a polling one; several writers may be at work, and one of them may wait.
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection) -> pollproof::Result<()> {
    /// let mut writer = conn.writer();
    /// writer.write(b"GET / HTTP/1.0\r\n\r\n");
    /// writer.flush()?;
    /// # Ok(()) }
    /// ```
    pub fn writer(&self) -> Writer<'_> {
        Writer::new(self, !whereabouts::polls())
    }

    /// How long each read may wait; `None`, as at first, for ever. Holds from the next call on.
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection) {
    /// conn.set_read_timeout(Some(std::time::Duration::from_millis(500)));
    /// # }
    /// ```
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.conn().cold.change_limits(|read, _| read.timeout = timeout);
    }

    /// Until when reads may wait, all of them together; past it, a read that would wait fails at once. `None`, as
    /// at first, for ever.
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection) {
    /// conn.set_read_deadline(Some(std::time::Instant::now() + std::time::Duration::from_secs(5)));
    /// # }
    /// ```
    pub fn set_read_deadline(&self, deadline: Option<Instant>) {
        self.conn().cold.change_limits(|read, _| read.deadline = deadline);
    }

    /// How long each flush may wait; `None`, as at first, for ever.
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection) {
    /// conn.set_write_timeout(Some(std::time::Duration::from_millis(500)));
    /// # }
    /// ```
    pub fn set_write_timeout(&self, timeout: Option<Duration>) {
        self.conn().cold.change_limits(|_, write| write.timeout = timeout);
    }

    /// Until when flushes may wait, all of them together. `None`, as at first, for ever.
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection) {
    /// conn.set_write_deadline(Some(std::time::Instant::now() + std::time::Duration::from_secs(5)));
    /// # }
    /// ```
    pub fn set_write_deadline(&self, deadline: Option<Instant>) {
        self.conn().cold.change_limits(|_, write| write.deadline = deadline);
    }

    /// Sets or replaces OnRequest. It takes effect before the next call: bytes that come after this returns are the new
    /// one's, but for those that a call of the old one waits for. If there is something to read and nobody handles it,
    /// it is called at once, on the calling thread; inside a callback, soon after on the connection's polling thread (U2).
    /// Any thread, also inside the handler that it replaces. Once the connection is over, `handler` is dropped at once.
    /// (R1, R2, U4)
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection) {
    /// let mut lines = 0;
    /// conn.set_on_request(move |io: &mut pollproof::Io<'_>| {
    ///     lines += io.data().iter().filter(|&&byte| byte == b'\n').count();
    ///     io.consume(io.data().len());
    /// });
    /// # }
    /// ```
    pub fn set_on_request<R: Outcome>(&self, mut handler: impl FnMut(&mut Io<'_>) -> R + Send + 'static) {
        let replaced = self.conn().slot.put(Box::new(move |io| handler(io).outcome()));
        let under_way = whereabouts::take_step();
        lifecycle::handler_set(&Step::new(self, &State::new()));
        drop(under_way);
        door::discard(self, "drop of a handler", replaced);
    }

    /// Sets or replaces OnDisconnect. It takes effect if the peer's close comes later. Any thread. Once the connection is
    /// over, `handler` is dropped at once. (R3, U4)
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection) {
    /// conn.set_on_disconnect(|conn| println!("{} is leaving", conn.peer()));
    /// # }
    /// ```
    pub fn set_on_disconnect(&self, handler: impl Fn(&Connection) + Send + Sync + 'static) {
        let replaced = self.conn().disconnect.set(Arc::new(handler));
        door::discard(self, "drop of on_disconnect", replaced);
    }

    /// Output that is queued and that the kernel has not taken, in bytes. What others send meanwhile may be
    /// missed.
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection) {
    /// if conn.backlog() > 1 << 20 {
    ///     // It does not read what it is sent.
    ///     conn.close();
    /// }
    /// # }
    /// ```
    pub fn backlog(&self) -> u64 {
        self.conn().output.backlog()
    }
}
