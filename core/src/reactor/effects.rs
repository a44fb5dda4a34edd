//! The protocol's effects on a real connection: what its steps do to fd, buffers and callbacks.
//!
//! An [`Fx`] is one party's view of one connection for the length of one step. The poller's has the
//! thread's own block in it; other threads' have none, and none of them reads.
//!
//! Every `unsafe` here rests on the bit under which the protocol calls the method; the trait's
//! documentation says which, and the scenarios check it.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::errno::Errno;

use super::sys::{Interest, Sys};
use crate::buffer::block::{Block, Gather};
use crate::connection::{Conn, Connection, Detached};
use crate::error::Error;
use crate::handler::Io;
use crate::protocol::effects::{Effects, Input, Ran, Sent};
use crate::protocol::output::{self, Refused};
use crate::protocol::process::{Progress, Unread};
use crate::protocol::transitions::Word;
use crate::protocol::trigger::Trigger;
use crate::protocol::word::{ARMED, CLOSING, FRESH, PENDING, Snapshot};
use crate::protocol::interest;
use crate::runner::{Inline, Runner};
use crate::sync::{lock, thread};

/// Memory of a polling thread.
pub(crate) struct Local {
    /// Where it reads to.
    block: RefCell<Box<Block>>,
    /// Where the reply of the handler that it runs is gathered.
    reply: RefCell<Gather>,
}

impl Local {
    pub(crate) fn new() -> Self {
        Self { block: RefCell::new(Block::new()), reply: RefCell::new(Gather::with_block()) }
    }
}

/// One party's view of a connection, for one step.
pub(crate) struct Fx<'a> {
    /// The handle, for callbacks.
    handle: &'a Connection,
    conn: &'a Conn,
    /// Set on polling threads.
    local: Option<&'a Local>,
    /// How much of the thread's block is unread input of this connection; under `TASK`.
    view: Cell<usize>,
    /// The bytes of this flush; under `FLUSHING`.
    out: &'a [u8],
    /// A write failed in this step.
    failed: Cell<bool>,
}

impl<'a> Fx<'a> {
    /// On the polling thread that `local` belongs to.
    #[inline]
    pub(crate) fn polling(handle: &'a Connection, local: &'a Local) -> Self {
        Self { handle, conn: handle.conn(), local: Some(local), view: Cell::new(0), out: &[], failed: Cell::new(false) }
    }

    /// On any thread, to flush `out`.
    #[inline]
    pub(crate) fn flushing(handle: &'a Connection, out: &'a [u8]) -> Self {
        Self { handle, conn: handle.conn(), local: None, view: Cell::new(0), out, failed: Cell::new(false) }
    }

    /// On any thread.
    pub(crate) fn new(handle: &'a Connection) -> Self {
        Self::flushing(handle, &[])
    }

    /// Whether a write failed in this step.
    pub(crate) fn failed(&self) -> bool {
        self.failed.get()
    }

    /// Makes a system call on the fd.
    ///
    /// # Safety
    ///
    /// Under `TASK` or a hold: the fd is closed by the owner of `TASK` when there is no hold (H3, C5).
    #[inline]
    unsafe fn fd<T>(
        &self,
        call: impl FnOnce(&<super::sys::Kernel as Sys>::Fd) -> super::sys::Result<T>,
    ) -> super::sys::Result<T> {
        // Safety: the only writer is `finish`, by the caller's promise not now.
        unsafe { self.conn.fd.with(|fd| fd.as_ref().map_or(Err(Errno::EBADF), call)) }
    }

    /// Reports a system call that should not have failed.
    fn report(&self, call: &'static str, errno: Errno) {
        let connection = self.handle.id();
        self.conn.server.report(&Error::Connection { call, connection, source: errno.into() });
    }

    /// Calls user code; a panic ends here.
    #[inline]
    fn guarded(&self, callback: &'static str, call: impl FnOnce()) -> Ran {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(()) => Ran::Done,
            Err(payload) => self.panicked(callback, payload),
        }
    }

    #[cold]
    fn panicked(&self, callback: &'static str, payload: Box<dyn std::any::Any + Send>) -> Ran {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "?".to_owned());
        // A payload's own drop may panic as well.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(again);
        }
        self.conn.server.report(&Error::Panicked { callback, connection: self.handle.id(), message });
        Ran::Panicked
    }

    /// Moves the view into the connection: the section is about to do something else than call the handler.
    ///
    /// # Safety
    ///
    /// Under `TASK`.
    #[cold]
    unsafe fn spill(&self) {
        let (Some(local), count) = (self.local, self.view.take()) else { return };
        // Safety: TASK, by the caller's promise.
        unsafe { self.conn.input.keep(0, &local.block.borrow().bytes()[..count]) };
    }

    /// Runs the handler on `data` and sends what it wrote, once. Returns how it ended and how much it
    /// consumed.
    #[inline]
    fn call_handler(&self, data: &[u8], reply: &RefCell<Gather>, last: bool) -> (Ran, usize) {
        let (consumed, whole) = (Cell::new(0), Cell::new((0, 0)));
        let mut io = Io { conn: self.handle, data, consumed, whole, reply, last };
        // Safety: OnRequest is called under TASK (S1).
        let ran = self.guarded("on_request", || unsafe { self.conn.service.on_request(&mut io) });
        let (consumed, (start, len)) = (io.consumed.get(), io.whole.get());
        if len > 0 {
            if ran == Ran::Done {
                self.flush_reply(&data[start..start + len]);
            }
            return (ran, consumed);
        }
        let mut reply = reply.borrow_mut();
        if !reply.bytes().is_empty() {
            if ran == Ran::Done {
                self.flush_reply(reply.bytes());
            }
            reply.clear();
        }
        (ran, consumed)
    }

    /// Sends what a handler wrote. (O1, O2)
    #[inline]
    fn flush_reply(&self, bytes: &[u8]) {
        let fx = Fx::flushing(self.handle, bytes);
        loop {
            match output::flush(&fx) {
                Ok(()) => return output::end_flush(&fx),
                // Nobody will read it.
                Err(Refused::Closed) => return,
                // A `Connection::send` of another thread is between two of its steps; none of them waits
                // for anything, and it runs no callback before it is through.
                Err(Refused::ConcurrentAccess) => thread::yield_now(),
            }
        }
    }
}

impl Effects for Fx<'_> {
    #[inline]
    fn word(&self) -> &Word {
        &self.conn.word
    }

    #[inline]
    fn run_task(&self, at: Snapshot) {
        // The bytes in the block are this thread's only until the section is released. A section that
        // begins with anything but the handler may be released before it calls it.
        if self.view.get() > 0 && at.any(PENDING | FRESH | CLOSING) {
            // Safety: TASK came with the call.
            unsafe { self.spill() };
        }
        Inline.run(self, at);
    }

    fn on_prepare(&self) -> Ran {
        self.guarded("on_prepare", || self.conn.service.on_prepare(self.handle))
    }

    fn register(&self) -> bool {
        let (poller, token) = (self.conn.poller(), self.conn.token);
        // Safety: TASK.
        if let Err(errno) = unsafe { self.fd(|fd| poller.add(fd, Interest::READABLE, token.0)) } {
            self.report("epoll_ctl", errno);
            return false;
        }
        // Output that OnPrepare left parked could not say so before the fd was there.
        if self.conn.word.look().any(ARMED) {
            interest::mask_after_eof(self);
        }
        true
    }

    fn on_connect(&self) -> Ran {
        // Safety: TASK, and CONNECTING is set.
        self.guarded("on_connect", || unsafe { self.conn.service.on_connect(self.handle) })
    }

    #[inline]
    fn unread(&self) -> Option<Unread> {
        // Safety: TASK.
        Some(unsafe { self.conn.input.unread() })
    }

    #[inline]
    fn progress<R>(&self, f: impl FnOnce(&mut Progress) -> R) -> R {
        // Safety: TASK; the protocol's closures are its own.
        unsafe { self.conn.input.progress(f) }
    }

    #[inline]
    fn on_request(&self, last: bool) -> Ran {
        let elsewhere;
        let reply = match self.local {
            Some(local) => &local.reply,
            None => {
                elsewhere = RefCell::new(Gather::without_block());
                &elsewhere
            }
        };
        match (self.local, self.view.take()) {
            (Some(local), count @ 1..) => {
                let block = local.block.borrow();
                let view = &block.bytes()[..count];
                let (ran, consumed) = self.call_handler(view, reply, last);
                // Safety: TASK.
                unsafe { self.conn.input.keep(consumed, &view[consumed..]) };
                ran
            }
            // Safety: TASK, until this returns.
            _ => unsafe { self.conn.input.take(|data| self.call_handler(data, reply, last)) },
        }
    }

    fn install_handler(&self) {}

    fn input_empty(&self) -> bool {
        // Safety: TASK.
        unsafe { self.conn.input.is_drained() }
    }

    fn run_close_callbacks(&self) {
        self.conn.close_list.run(|callback| self.guarded("close callback", || callback(self.handle)));
    }

    fn finish(&self, hand_back: bool) {
        let conn = self.conn;
        debug_assert_eq!(self.view.get(), 0, "the handler had it, or it was spilled");
        // Safety: TASK for ever, after FINAL (C4): nobody else uses what is freed here.
        let (unread, unsent, fd) = unsafe {
            let _ = self.guarded("drop of the context", || conn.service.forget());
            (conn.input.free(), conn.output.free(), conn.fd.with_mut(Option::take))
        };
        let back = if hand_back { lock(&conn.detached).take() } else { None };
        match (back, fd) {
            (Some(callback), Some(fd)) => {
                let _ = self.guarded("detach callback", || callback(Detached { fd, unread, unsent }));
            }
            (_, fd) => drop(fd),
        }
        conn.poller().registry.remove(conn.token);
        conn.server.one_less();
    }

    #[inline]
    fn read(&self, owner: bool) -> Input {
        // Only polling threads read.
        let Some(local) = self.local else { return Input::Empty };
        let mut block = local.block.borrow_mut();
        let input = &self.conn.input;
        // Safety: READING is a hold.
        let count = match unsafe { self.fd(|fd| self.conn.poller().sys().read(fd, block.bytes_mut())) } {
            Ok(0) => return Input::Eof,
            Ok(count) => count,
            Err(Errno::EAGAIN) => return Input::Empty,
            Err(_) => return Input::Gone,
        };
        // Safety: `owner` says that TASK is held too.
        if owner && unsafe { input.is_drained() } {
            input.count(count);
            self.view.set(count);
        } else {
            input.deliver(&block.bytes()[..count]);
        }
        Input::Data
    }

    fn on_disconnect(&self) -> Ran {
        // Safety: a hold or TASK, after OnConnect (H1, H4).
        self.guarded("on_disconnect", || unsafe { self.conn.service.on_disconnect(self.handle) })
    }

    fn deregister(&self) {
        // Safety: a hold or TASK (D1).
        if let Err(errno) = unsafe { self.fd(|fd| self.conn.poller().delete(fd)) } {
            self.report("epoll_ctl", errno);
        }
    }

    fn append(&self) {
        self.conn.output.append(self.out);
    }

    #[inline]
    fn send(&self, direct: bool) -> Sent {
        let own = if direct { self.out } else { &[] };
        let sys = self.conn.poller().sys();
        let write = |bytes: &[u8]| {
            // Safety: OUT is a hold.
            match unsafe { self.fd(|fd| sys.write(fd, bytes)) } {
                Ok(count) => Some(count),
                Err(Errno::EAGAIN) => Some(0),
                Err(_) => {
                    self.failed.set(true);
                    // Only the holder of READING reports the peer's close: this makes the poller see it.
                    // Safety: OUT is a hold. An error means that it is shut down already.
                    let _ = unsafe { self.fd(|fd| sys.shutdown(fd)) };
                    None
                }
            }
        };
        // Safety: OUT.
        unsafe { self.conn.output.send(own, write) }
    }

    fn discard(&self) {
        // Safety: OUT.
        drop(unsafe { self.conn.output.free() });
    }

    fn shares_epoll(&self) -> bool {
        true
    }

    fn set_interest(&self, readable: bool, writable: bool, edge: bool) {
        let wanted = Interest { readable, writable, edge };
        let (poller, token) = (self.conn.poller(), self.conn.token);
        // Safety: MOD, which is a hold as well.
        unsafe {
            self.conn.mask.with_mut(|mask| {
                if *mask != wanted {
                    match self.fd(|fd| poller.modify(fd, wanted, token.0)) {
                        Ok(()) => *mask = wanted,
                        // Not added yet, or removed just now: whoever adds it looks again.
                        Err(Errno::ENOENT) => {}
                        Err(errno) => self.report("epoll_ctl", errno),
                    }
                }
            });
        }
    }

    fn read_trigger(&self) -> &Trigger {
        &self.conn.read_trigger
    }

    fn write_trigger(&self) -> &Trigger {
        &self.conn.write_trigger
    }

    fn produced(&self) -> u64 {
        self.conn.input.produced()
    }

    fn sent(&self) -> u64 {
        self.conn.output.sent()
    }
}
