//! What a step sends: nothing of its own, one run, or what was gathered; and the write itself.
//!
//! Each kind of flush is a type, so that the one of a reply, which is one run as a rule, costs no more than its system
//! call. Not here: who sends, and when (`protocol::output`), and what is left (`buffer::output`).
//!
//! Every `unsafe` here rests on the bit under which the protocol calls the effect.

use std::cell::RefCell;
use std::io::IoSlice;

use crate::sys::Errno;
use bytes::Bytes;

use crate::buffer::output::{Batch, Output, Write};
use crate::connection::duty::Duty;
use crate::connection::step::Step;
use crate::protocol::effects::{Effects, Sent};
use crate::protocol::word::MASKED;
use crate::sys::Sys;

/// One attempt to write to the fd.
pub(crate) struct Writing<'a, O>(pub(crate) Step<'a, O>);

impl<O: Out> Writing<'_, O> {
    #[inline(always)]
    fn write(&self, bytes: &[u8]) -> crate::sys::Result<usize> {
        // Safety: OUT is a hold, and was taken of a connection that did not end.
        unsafe { self.0.held_fd(|fd| self.0.conn.server.sys.write(fd, bytes)) }
    }

    #[inline(always)]
    fn wrote(&self, result: crate::sys::Result<usize>) -> Option<usize> {
        match result {
            Ok(count) => {
                self.0.conn.server.counters.written(self.0.conn.place.home(), count);
                Some(count)
            }
            Err(errno) => self.0.apart(|step| step.write_failed(errno)),
        }
    }
}

impl<O> Step<'_, O> {
    /// Output is sent or lost: it is dropped later, for a bit is held here. (U4)
    #[cold]
    pub(super) fn spent(&self, runs: Vec<Bytes>) {
        if !runs.is_empty() {
            Duty::Drop(self.handle.clone(), runs).leave_home(self.handle);
        }
    }

    /// A write failed, or the socket is full.
    #[cold]
    #[inline(never)]
    fn write_failed(&self, errno: Errno) -> Option<usize> {
        if errno == Errno::EAGAIN {
            return Some(0);
        }
        self.state.failed.set(true);
        self.conn.breaks();
        // Only the holder of READING reports the peer's close: this makes the poller see it.
        // Safety: OUT is a hold. An error means that it is shut down already.
        let _ = unsafe { self.fd(|fd| self.conn.server.sys.shutdown(fd)) };
        None
    }
}

impl<O: Out> Write for Writing<'_, O> {
    #[inline(always)]
    fn run(&mut self, bytes: &[u8]) -> Option<usize> {
        self.wrote(self.write(bytes))
    }

    #[inline(always)]
    fn all(&mut self, bytes: &[u8]) -> Result<(), Option<usize>> {
        match self.write(bytes) {
            Ok(count) if count == bytes.len() => {
                self.0.conn.server.counters.written(self.0.conn.place.home(), count);
                Ok(())
            }
            other => Err(self.wrote(other)),
        }
    }

    fn runs(&mut self, runs: &[IoSlice<'_>]) -> Option<usize> {
        // Safety: OUT is a hold.
        self.wrote(unsafe { self.0.fd(|fd| self.0.conn.server.sys.write_vectored(fd, runs)) })
    }

    /// A masked fd is edge-triggered, and there is no edge as long as the socket takes everything. Who masks it after
    /// this look does so with a MOD, which makes one. (K6)
    fn may_rest(&self) -> bool {
        !self.0.conn.word.look().any(MASKED)
    }

    fn spent(&mut self, runs: Vec<Bytes>) {
        self.0.spent(runs);
    }
}

/// The bytes of a flush.
///
/// Both methods are called under the bits of the effect of the same name.
pub(crate) trait Out: Copy {
    /// # Safety
    ///
    /// Under `FLUSHING`.
    unsafe fn append(&self, output: &Output);

    /// # Safety
    ///
    /// Under `OUT`, and `FLUSHING` if it is direct.
    unsafe fn send(&self, output: &Output, direct: bool, write: impl Write) -> Sent;
}

/// A step that flushes nothing of its own.
impl Out for () {
    unsafe fn append(&self, _: &Output) {}

    unsafe fn send(&self, output: &Output, _: bool, write: impl Write) -> Sent {
        // Safety: by the caller's promise.
        unsafe { output.send(None, write) }
    }
}

/// One run, sent from where it is.
impl Out for &[u8] {
    unsafe fn append(&self, output: &Output) {
        // Safety: by the caller's promise.
        unsafe { output.append(&mut Batch::Run(self)) }
    }

    #[inline(always)]
    unsafe fn send(&self, output: &Output, direct: bool, write: impl Write) -> Sent {
        // Safety: by the caller's promise.
        unsafe { if direct { output.send_run(self, write) } else { output.send(None, write) } }
    }
}

impl Out for &RefCell<Option<Batch<'_>>> {
    unsafe fn append(&self, output: &Output) {
        if let Some(batch) = self.borrow_mut().as_mut() {
            // Safety: by the caller's promise.
            unsafe { output.append(batch) };
        }
    }

    unsafe fn send(&self, output: &Output, direct: bool, write: impl Write) -> Sent {
        let batch = if direct { self.take() } else { None };
        // Safety: by the caller's promise.
        unsafe { output.send(batch, write) }
    }
}
