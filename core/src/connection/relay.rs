//! A connection that passes on what another one reads: whose output paces its handler, and who ends what.
//!
//! For proxies, relays, and whatever else writes to one connection what it reads from another. Not here: the limits
//! of a single connection (`limits`), and who may do what when (`protocol`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

use crate::connection::Connection;
use crate::connection::io::Io;
use crate::connection::state::Conn;
use crate::connection::step::{State, Step};
use crate::connection::whereabouts;
use crate::error::{Error, Result};
use crate::protocol::output::{self, Refused};
use crate::protocol::word::{EOF, PEER};
use crate::sync::atomic::Ordering;
use crate::sync::thread;

impl Io<'_> {
    /// From now on the handler waits for the output of `other`, and no longer for this connection's own: above
    /// the high-water mark of `other` it is not called, and no more is read than
    /// [`read_ahead`](crate::Builder::read_ahead); when `other` has drained to its low-water mark, it goes on. So a
    /// peer that reads slowly slows the one whose bytes are passed on to it, and no thread waits. When either of
    /// the two is closed it is called as ever. The connection itself as `other` takes this back. (O6)
    ///
    /// ```
    /// # fn on_connect(io: &mut pollproof::Io<'_>, upstream: &pollproof::Connection) {
    /// // OnRequest sends to `upstream` what it reads.
    /// io.pace_by(upstream);
    /// # }
    /// ```
    pub fn pace_by(&mut self, other: &Connection) {
        let conn = self.connection();
        let paced_by = (!conn.is(other)).then(|| other.clone());
        // Safety: TASK: an Io is only where a handler runs, and the protocol looks at this only between calls.
        let old = unsafe { conn.conn().paced_by.with_mut(|old| std::mem::replace(old, paced_by)) };
        drop(old);
    }

    /// More output will come than the answer to what was read, be it from elsewhere: the end of the peer's stream
    /// does not end the connection, and neither does a graceful shutdown. It is over when its own output has been
    /// ended too, by [`Connection::end_output`], or when it is closed. The handler is told of the end of the stream
    /// by a call with [`is_last`](Self::is_last), also if nothing is left unread. (E4)
    ///
    /// ```
    /// # fn on_connect(io: &mut pollproof::Io<'_>) {
    /// io.keep_open();
    /// # }
    /// ```
    pub fn keep_open(&mut self) {
        // Safety: as in `pace_by`.
        unsafe { self.connection().conn().keeps_open.with_mut(|keeps_open| *keeps_open = true) }
    }
}

impl Connection {
    /// Ends the output: what was sent before goes out, then the peer is told that nothing more will come
    /// (`shutdown` of the writing side). It can still send, and is read as ever. Once its peer has ended its own
    /// stream too, and what that brought is handled, the connection is over. Does not wait. (E5)
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the connection takes no output any more, be it because it is closed or because its
    /// output was ended before.
    ///
    /// ```
    /// # fn f(conn: &pollproof::Connection) -> pollproof::Result<()> {
    /// conn.send(b"that was all\n")?;
    /// conn.end_output()?;
    /// assert!(conn.send(b"?").is_err());
    /// # Ok(()) }
    /// ```
    pub fn end_output(&self) -> Result<()> {
        // Ordering: Relaxed, partner `is_ended`: the consumer looks after the transition that says so.
        self.conn().ended.store(true, Ordering::Relaxed);
        let _step = whereabouts::take_step();
        let state = State::new();
        let step = Step::new(self, &state);
        loop {
            match output::end(&step) {
                Ok(()) => return Ok(()),
                Err(Refused::Closed) => return Err(Error::Closed { call: "end_output", connection: self.id() }),
                // A flush of another thread is between two of its steps, as in `blocking::flush`.
                Err(Refused::ConcurrentAccess) => thread::yield_now(),
            }
        }
    }

    /// Whether the peer went away before both streams had ended: a read or a write failed, most often because it
    /// has reset the connection. Inside OnDisconnect, the last OnRequest and the close callbacks, this tells an end
    /// that the peer meant from one that cut something off.
    ///
    /// ```
    /// # fn on_disconnect(conn: &pollproof::Connection) {
    /// if conn.is_broken() {
    ///     println!("{} went away in the middle of it", conn.peer());
    /// }
    /// # }
    /// ```
    pub fn is_broken(&self) -> bool {
        let conn = self.conn();
        // First: it finds the transition that told of the peer's close, and what was before that.
        let found = conn.word.look();
        // Ordering: Relaxed, partner `breaks`: ordered by the word.
        let broken = conn.broken.load(Ordering::Relaxed);
        let all_sent = conn.is_ended() && conn.output.is_settled();
        broken || found.has(EOF | PEER) && !all_sent
    }

    /// Whether so much output is on its way that who passes bytes on to it is to wait. (O6)
    #[cold]
    pub(crate) fn is_high(&self) -> bool {
        self.conn().output.backlog() >= self.conn().server.limits.high_water
    }

    /// `other` waits for this one's output to drain; whether somebody will say so. (O6)
    pub(crate) fn awaited_by(&self, other: &Connection) -> bool {
        self.conn().cold.add_awaiting(other);
        let waits = output::await_drain(&Step::new(self, &State::new()));
        if !waits {
            // Closed, and maybe over: nobody would take it off the list.
            self.conn().cold.remove_awaiting(other);
        }
        waits
    }
}

impl Conn {
    /// A read or write failed. Under `READING` or `OUT`.
    #[cold]
    pub(crate) fn breaks(&self) {
        // Ordering: Relaxed, partner `is_broken`: before the transition that tells of the peer's close.
        self.broken.store(true, Ordering::Relaxed);
    }

    /// Whether its user has ended the output, or tried to.
    pub(crate) fn is_ended(&self) -> bool {
        // Ordering: Relaxed, partner `end_output`.
        self.ended.load(Ordering::Relaxed)
    }
}
