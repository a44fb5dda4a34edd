//! One party's view of one connection, for the length of one step.
//!
//! A [`Step`] is what the protocol's steps are given. The poller's has the thread's own block in it; other threads'
//! have none, and none of them reads. Here is what every effect needs: the fd, guarded user code, the handler's
//! call. Not here: the effects (`effects`).
//!
//! Every `unsafe` here rests on the bit under which the protocol calls; the documentation of
//! [`Effects`](crate::protocol::effects::Effects) says which, and the scenarios check it.

mod effects;
pub(crate) mod sending;
#[cfg(test)]
pub(crate) mod tests;

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::time::Duration;

use crate::sys::Errno;

use crate::buffer::block::SIZE;
use crate::buffer::gather::Gather;
use crate::buffer::view::{self, OwnBlock, View};
use crate::connection::Connection;
use crate::connection::blocking;
use crate::connection::door::{self, Failed};
use crate::connection::duty::Duty;
use crate::connection::io::{Io, Reply};
use crate::connection::state::Conn;
use crate::connection::task::Task;
use crate::connection::whereabouts::{self, What};
use crate::connection::writer;
use crate::error::Error;
use crate::protocol::effects::{Effects as _, Ran};
use crate::protocol::process;
use crate::protocol::word::{ARMED, HANDLER, Snapshot};
use crate::sys::Sys;

/// Memory of a polling thread.
pub(crate) struct Local {
    /// Where it reads to.
    pub(crate) block: OwnBlock,
    /// Where the reply of the handler that it runs is gathered; away while a handler runs.
    pub(crate) reply: Cell<Option<Box<Gather>>>,
}

impl Default for Local {
    fn default() -> Self {
        Self { block: OwnBlock::new(), reply: Cell::new(Some(Box::new(Gather::with_block()))) }
    }
}

impl Local {
    /// For a polling thread that waits for a connection inside user code, where its own may be in use.
    pub(crate) fn to_wait() -> Self {
        Self { block: OwnBlock::new(), reply: Cell::new(None) }
    }
}

/// How a step came to its thread: who runs a section that falls due in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum How {
    /// By a call, which user code may have made; or by an event.
    #[default]
    Called,
    /// The thread has it to run.
    Running,
    /// A runner of the user's has brought it.
    OnRunner,
    /// A thread of a [`Pool`](crate::Pool) has taken it.
    OnPool,
}

/// What changes in the course of one step.
#[derive(Default)]
pub(crate) struct State {
    /// How much of the thread's block is unread input of this connection; under `TASK`.
    pub(crate) view: Cell<u32>,
    /// How many bytes the last read took.
    pub(crate) took: Cell<u32>,
    /// A write failed in this step.
    pub(crate) failed: Cell<bool>,
    /// How many times the drain of this step might have been passed on.
    pub(crate) calls: Cell<u32>,
    pub(crate) how: How,
    /// No callback may begin in this step: its thread is inside user code. (U2)
    pub(crate) nested: Cell<bool>,
}

impl State {
    /// Whether the last read of this step filled the thread's whole block, so that there is more, most likely.
    #[inline(always)]
    pub(crate) fn filled(&self) -> bool {
        self.took.get() == SIZE as u32
    }

    /// At the beginning of a step.
    #[inline]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// At the beginning of a step that came in this way.
    pub(crate) fn by(how: How) -> Self {
        Self { how, ..Self::default() }
    }

    /// At the beginning of a step that its thread has to run, whatever else it is inside.
    pub(crate) fn running() -> Self {
        Self::by(How::Running)
    }

    /// At the beginning of a step inside user code.
    pub(crate) fn nested() -> Self {
        Self { nested: Cell::new(true), ..Self::default() }
    }
}

/// One party's view of a connection, for one step; `out` is what it flushes.
///
/// What changes is behind a reference, so that the compiler knows of all the rest that it does not.
#[derive(Clone, Copy)]
pub(crate) struct Step<'a, O = ()> {
    /// The handle, for callbacks.
    pub(crate) handle: &'a Connection,
    pub(crate) conn: &'a Conn,
    /// Set on polling threads.
    pub(crate) local: Option<&'a Local>,
    pub(crate) state: &'a State,
    /// Under `FLUSHING`.
    pub(crate) out: O,
}

impl<'a> Step<'a> {
    /// On the polling thread that `local` belongs to.
    #[inline(always)]
    pub(crate) fn polling(handle: &'a Connection, local: &'a Local, state: &'a State) -> Self {
        Self { local: Some(local), ..Self::new(handle, state) }
    }

    /// On any thread.
    #[inline(always)]
    pub(crate) fn new(handle: &'a Connection, state: &'a State) -> Self {
        Self { handle, conn: handle.conn(), local: None, state, out: () }
    }

    /// Runs the section where the runner says, without a view. Called with `TASK`, which travels on.
    #[cold]
    #[inline(never)]
    pub(crate) fn run_elsewhere(&self, at: Snapshot) {
        if self.state.view.get() > 0 {
            // Safety: TASK came with the call.
            unsafe { self.spill() };
        }
        match self.state.how {
            How::Called if self.local.is_none() || self.state.nested.get() => self.run_called(at),
            How::Called if at.any(HANDLER) && self.conn.server.has_runner => {
                door::run_on_runner(Task::new(self.handle.clone(), at));
            }
            _ => process::run(self, at),
        }
    }

    /// Runs a section that fell due in a call: at once, unless the call was made inside user code. Then it is left to the
    /// home loop, or done here as far as it runs no callback. (U2, U6)
    fn run_called(&self, at: Snapshot) {
        let (attended, server) = (at.any(HANDLER), &self.conn.server);
        if self.is_nested() {
            if attended {
                return Duty::Section(Task::new(self.handle.clone(), at)).leave_home(self.handle);
            }
            let before = self.state.nested.replace(true);
            process::run(self, at);
            self.state.nested.set(before);
        } else if attended && server.has_runner {
            door::run_on_runner(Task::new(self.handle.clone(), at));
        } else {
            let _entered = whereabouts::enter(What::Section, server, Some(self.conn));
            process::run(self, at);
        }
    }

    /// Collects what others have read. It may have come after a handler that is not installed. (R1)
    ///
    /// # Safety
    ///
    /// Under `TASK`.
    #[cold]
    #[inline(never)]
    unsafe fn collect_others(self) {
        // Safety: by the caller's promise.
        unsafe { self.conn.input.collect(self.conn.input.own()) };
        let _ = self.install_handler();
    }
}

impl<'a, O> Step<'a, O> {
    /// The same party, to flush `out`.
    #[inline(always)]
    pub(crate) fn flushing<P>(&self, out: P) -> Step<'a, P> {
        let Self { handle, conn, local, state, .. } = *self;
        Step { handle, conn, local, state, out }
    }

    /// Whether a write failed in this step.
    pub(crate) fn failed(&self) -> bool {
        self.state.failed.get()
    }

    /// Makes a system call on the fd.
    ///
    /// # Safety
    ///
    /// Under `TASK` or a hold: the fd is closed by the owner of `TASK` when there is no hold (H3, C5).
    #[inline(always)]
    pub(crate) unsafe fn fd<T>(
        &self,
        call: impl FnOnce(&<crate::sys::Kernel as Sys>::Fd) -> crate::sys::Result<T>,
    ) -> crate::sys::Result<T> {
        // Safety: the only writer is `finish`, by the caller's promise not now.
        unsafe {
            self.conn.fd.with(|fd| match fd {
                Some(fd) => call(fd),
                None => Err(Errno::EBADF),
            })
        }
    }

    /// As [`fd`](Self::fd), where it cannot be missing.
    ///
    /// # Safety
    ///
    /// Under a hold that was taken before `FINAL`: nobody takes the fd away until it is given back (H3, C5).
    #[inline(always)]
    pub(crate) unsafe fn held_fd<T>(&self, call: impl FnOnce(&<crate::sys::Kernel as Sys>::Fd) -> T) -> T {
        // Safety: it is there from birth until `finish`, which by the caller's promise is not before this ends.
        unsafe {
            self.conn.fd.with(|fd| {
                debug_assert!(fd.is_some(), "{} without its fd", self.conn.word.look());
                call(fd.as_ref().unwrap_unchecked())
            })
        }
    }

    /// Waits until the fd is readable; whether it is. Called by the owner of the section.
    pub(crate) fn wait_readable(&self, at_most: Duration) -> bool {
        // Safety: TASK, by the contract of `blocking::readable`.
        unsafe { self.fd(|fd| self.conn.server.sys.wait_readable(fd, at_most)) }.unwrap_or(true)
    }

    /// Whether output waits until the fd is writable.
    pub(crate) fn has_parked(&self) -> bool {
        self.conn.word.look().any(ARMED)
    }

    /// Called on a polling thread that is about to sleep: whether another thread polls in its place.
    pub(crate) fn somebody_else_polls(&self) -> bool {
        blocking::hand_over_before_blocking()
    }

    /// Reports a system call that should not have failed: later, for a bit may be held here. (U4)
    pub(crate) fn report(&self, call: &'static str, errno: Errno) {
        Duty::Report(self.conn.server.clone(), self.refused(call, errno)).leave_home(self.handle);
    }

    pub(crate) fn refused(&self, call: &'static str, errno: Errno) -> Error {
        Error::Connection { call, connection: self.handle.id(), source: errno.into() }
    }

    /// Whether this step's thread is inside user code, so that no other may begin. (U2)
    pub(crate) fn is_nested(&self) -> bool {
        let called = self.local.is_none() && self.state.how == How::Called;
        self.state.nested.get() || called && whereabouts::inside()
    }

    /// Moves the view into the connection: the section is about to do something else than call the handler.
    ///
    /// # Safety
    ///
    /// Under `TASK`.
    #[cold]
    pub(crate) unsafe fn spill(&self) {
        let (Some(local), count) = (self.local, self.state.view.take() as usize) else { return };
        // Safety: TASK, by the caller's promise; and no handler runs, so there is no view.
        unsafe { self.conn.input.own().chunks.push(view::keep(local.block.block(), 0..count)) };
    }

    /// Runs a handler that reads and writes, and sends what it wrote, once.
    #[inline(always)]
    pub(crate) fn call_handler(
        &self,
        callback: &'static str,
        last: bool,
        call: impl FnOnce(&mut Io<'_>) -> Result<(), Failed>,
    ) -> Ran {
        let view = self.state.view.take() as usize;
        if view == 0 {
            // Safety: TASK.
            unsafe { self.flushing(()).collect_others() };
        }
        // Safety: called under TASK, and until the handler returns nobody else on this thread comes here: the
        // protocol looks at the input before and after, not during its call.
        let own = unsafe { self.conn.input.own() };
        if self.local.is_none() {
            writer::prepare();
        }
        // Its end gives back everything that it owns.
        let view = match self.local {
            // Safety: this thread runs one handler at a time, and reads again when that has returned. So much was read.
            Some(local) if view > 0 => unsafe { local.block.view(view) },
            _ => View::none(),
        };
        let mut io = ManuallyDrop::new(Io::new(self.handle, self.local, own, view, last));
        match call(&mut io) {
            Ok(()) => {
                self.send_reply(&mut io);
                io.reader.finish();
                Ran::Done
            }
            // A copy, as in `Effects::apart`.
            Err(how) => self.flushing(()).handler_failed(callback, how, &mut io),
        }
    }

    /// Sends what the handler wrote.
    #[inline(always)]
    fn send_reply(&self, io: &mut Io<'_>) {
        // Nobody reads it where this fails.
        match io.take_reply() {
            Reply::None => {}
            Reply::Whole(run) => blocking::send_reply(&self.flushing(run)),
            Reply::Gathered(writer) => {
                writer.send_reply();
                io.finish_writer();
            }
        }
    }

    /// A handler returned an error or panicked. What it wrote before an error is sent.
    #[cold]
    #[inline(never)]
    fn handler_failed(&self, callback: &'static str, how: Failed, io: &mut Io<'_>) -> Ran {
        let ran = match how {
            Failed::With(_) => {
                let ran = door::failed(self.handle, callback, how);
                self.send_reply(io);
                ran
            }
            Failed::Panicked(_) => {
                io.finish_writer();
                door::failed(self.handle, callback, how)
            }
        };
        io.reader.finish();
        ran
    }
}
