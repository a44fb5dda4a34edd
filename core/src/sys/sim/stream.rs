//! Stream sockets, as TCP has them.
//!
//! - What one end has sent is in the other end's queue at once. The queue has room for a few bytes; a write takes what
//!   fits, or says `EAGAIN`. Only then is there an edge when room comes (`SOCK_NOSPACE`).
//! - A close sends FIN; if bytes were unread it sends RST. A write to an end that is closed is taken, and answered
//!   by RST.
//! - After RST the bytes that came before it can be read, then the error once, then the end of the stream. The error
//!   is `ECONNRESET`, or `EPIPE` where the peer had sent FIN before.
//! - `poll` says `IN` when there are bytes or there is an end; `RDHUP` after FIN; `HUP` when both directions are over;
//!   `ERR` while an error waits to be read; `OUT` when there is room or nothing can be sent any more.

use std::collections::VecDeque;

use nix::errno::Errno;
use rustix::event::epoll::EventFlags;

use super::SimFd;
use crate::sys::Result;
use crate::sys::sim::report::count;
use crate::sys::sim::state::{File, Kind, State};

/// One end.
pub(super) struct Stream {
    pub(super) other: File,
    /// What came and was not read.
    queue: VecDeque<u8>,
    /// How much may be there.
    room: usize,
    /// FIN came.
    fin: bool,
    shut_read: bool,
    shut_write: bool,
    /// RST came.
    reset: bool,
    error: Option<Errno>,
    /// A write has found no room.
    no_space: bool,
}

impl Stream {
    pub(super) fn new(other: File, room: usize) -> Self {
        Self {
            other,
            queue: VecDeque::new(),
            room,
            fin: false,
            shut_read: false,
            shut_write: false,
            reset: false,
            error: None,
            no_space: false,
        }
    }
}

impl State {
    fn stream(&mut self, file: File) -> Option<&mut Stream> {
        match &mut self.files[file.0] {
            Kind::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    /// How many bytes `stream` can send.
    fn room(&self, stream: &Stream) -> usize {
        match &self.files[stream.other.0] {
            Kind::Stream(other) => other.room.saturating_sub(other.queue.len()),
            // Taken, and thrown away there.
            _ => usize::MAX,
        }
    }

    /// What poll says of a stream.
    pub(super) fn polled(&self, stream: &Stream) -> EventFlags {
        let ends = stream.fin || stream.shut_read || stream.reset;
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, ends || !stream.queue.is_empty());
        flags.set(EventFlags::RDHUP, ends);
        flags.set(EventFlags::HUP, stream.reset || ends && stream.shut_write);
        flags.set(EventFlags::ERR, stream.error.is_some());
        flags.set(EventFlags::OUT, stream.reset || stream.shut_write || self.room(stream) > 0);
        flags
    }

    pub(super) fn is_readable(&self, file: File) -> bool {
        self.poll(file).intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR)
    }

    pub(super) fn is_writable(&self, file: File) -> bool {
        self.poll(file).intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR)
    }

    pub(super) fn read(&mut self, fd: &SimFd, into: &mut [u8]) -> Result<usize> {
        self.check("recv", fd)?;
        self.faults.interrupted()?;
        let most = self.faults.short_read(into.len());
        self.take(fd.file, &mut into[..most])
    }

    pub(super) fn take(&mut self, file: File, into: &mut [u8]) -> Result<usize> {
        let Some(stream) = self.stream(file) else { return Err(Errno::EBADF) };
        let count = stream.queue.len().min(into.len());
        if count == 0 {
            return match stream.error.take() {
                Some(errno) => Err(errno),
                None if stream.fin || stream.shut_read || stream.reset => Ok(0),
                None => Err(Errno::EAGAIN),
            };
        }
        let other = stream.other;
        stream.queue.drain(..count).zip(into).for_each(|(byte, place)| *place = byte);
        self.changes += 1;
        if let Some(sender) = self.stream(other)
            && std::mem::take(&mut sender.no_space)
        {
            self.changed(other);
        }
        Ok(count)
    }

    pub(super) fn write(&mut self, fd: &SimFd, from: &[u8]) -> Result<usize> {
        self.check("send", fd)?;
        self.faults.interrupted()?;
        let most = self.faults.short_write(from.len());
        let sent = self.put(fd.file, &from[..most]);
        if sent == Ok(most) && most < from.len() {
            // The kernel had room for no more at that moment, and says when it has.
            count("short write");
            self.changed(fd.file);
        }
        sent
    }

    pub(super) fn put(&mut self, file: File, from: &[u8]) -> Result<usize> {
        let Some(stream) = self.stream(file) else { return Err(Errno::EBADF) };
        if let Some(errno) = stream.error.take() {
            count("write after RST");
            return Err(errno);
        }
        if stream.shut_write || stream.reset {
            return Err(Errno::EPIPE);
        }
        let other = stream.other;
        let Some(receiver) = self.stream(other) else {
            self.reset(file);
            return Ok(from.len());
        };
        if receiver.shut_read {
            return Ok(from.len());
        }
        let sent = receiver.room.saturating_sub(receiver.queue.len()).min(from.len());
        receiver.queue.extend(&from[..sent]);
        if sent > 0 {
            self.changed(other);
        }
        if sent < from.len() {
            count("socket full");
            if let Some(stream) = self.stream(file) {
                stream.no_space = true;
            }
            if sent == 0 {
                return Err(Errno::EAGAIN);
            }
        }
        Ok(sent)
    }

    pub(super) fn shutdown(&mut self, fd: &SimFd, both: bool) -> Result<()> {
        self.check("shutdown", fd)?;
        self.shut(fd.file, both)
    }

    pub(super) fn shut(&mut self, file: File, both: bool) -> Result<()> {
        let Some(stream) = self.stream(file) else { return Err(Errno::EBADF) };
        if stream.reset {
            return Err(Errno::ENOTCONN);
        }
        stream.shut_read |= both;
        stream.shut_write = true;
        let other = stream.other;
        self.changed(file);
        self.finished(other);
        Ok(())
    }

    /// FIN comes.
    fn finished(&mut self, file: File) {
        if let Some(stream) = self.stream(file)
            && !stream.reset
        {
            stream.fin = true;
            self.changed(file);
        }
    }

    /// RST comes.
    fn reset(&mut self, file: File) {
        if let Some(stream) = self.stream(file)
            && !std::mem::replace(&mut stream.reset, true)
        {
            count("RST");
            stream.error = Some(if stream.fin { Errno::EPIPE } else { Errno::ECONNRESET });
            self.changed(file);
        }
    }

    /// An end is closed: what its other end hears of it.
    pub(super) fn ended(&mut self, stream: &Stream, reset: bool) {
        if reset || !stream.queue.is_empty() {
            self.reset(stream.other);
        } else {
            self.finished(stream.other);
        }
    }
}
