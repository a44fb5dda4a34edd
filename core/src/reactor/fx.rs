//! One party's view of one connection, for the length of one step.
//!
//! An [`Fx`] is what the protocol's steps are given. The poller's has the thread's own block in it; other threads'
//! have none, and none of them reads. Here is what every effect needs: the fd, guarded user code, the handler's
//! call. Not here: the effects (`effects`).
//!
//! Every `unsafe` here rests on the bit under which the protocol calls; the documentation of
//! [`Effects`](crate::protocol::effects::Effects) says which, and the scenarios check it.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use nix::errno::Errno;

use super::sys::Sys;
use super::threads;
use crate::buffer::block::SIZE;
use crate::buffer::gather::Gather;
use crate::buffer::view::{self, OwnBlock, View};
use crate::connection::{Conn, Connection};
use crate::error::Error;
use crate::handler::BoxError;
use crate::io::{Io, Reply};
use crate::protocol::effects::{Effects as _, Ran};
use crate::protocol::process;
use crate::protocol::word::Snapshot;
use crate::runner::Task;
use crate::{waiting, writer};

/// Memory of a polling thread.
pub(crate) struct Local {
    /// Where it reads to.
    pub(super) block: OwnBlock,
    /// Where the reply of the handler that it runs is gathered; away while a handler runs.
    pub(crate) reply: Cell<Option<Box<Gather>>>,
}

impl Local {
    pub(crate) fn new() -> Self {
        Self { block: OwnBlock::new(), reply: Cell::new(Some(Box::new(Gather::with_block()))) }
    }
}

/// What changes in the course of one step.
#[derive(Default)]
pub(crate) struct State {
    /// How much of the thread's block is unread input of this connection; under `TASK`.
    pub(super) view: Cell<u32>,
    /// How many bytes the last read took.
    pub(super) took: Cell<u32>,
    /// A write failed in this step.
    pub(super) failed: Cell<bool>,
    /// How many times the drain of this step might have been passed on.
    pub(super) calls: Cell<u32>,
    /// The runner has brought this step to its thread already.
    on_runner: bool,
}

impl State {
    /// Whether the last read of this step filled the thread's whole block, so that there is more, most likely.
    #[inline(always)]
    pub(super) fn filled(&self) -> bool {
        self.took.get() == SIZE as u32
    }

    /// At the beginning of a step.
    #[inline]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// At the beginning of a step on a thread to which the runner has brought it.
    pub(crate) fn on_runner() -> Self {
        Self { on_runner: true, ..Self::default() }
    }
}

/// One party's view of a connection, for one step; `out` is what it flushes.
///
/// What changes is behind a reference, so that the compiler knows of all the rest that it does not.
#[derive(Clone, Copy)]
pub(crate) struct Fx<'a, O = ()> {
    /// The handle, for callbacks.
    pub(crate) handle: &'a Connection,
    pub(super) conn: &'a Conn,
    /// Set on polling threads.
    pub(super) local: Option<&'a Local>,
    pub(super) state: &'a State,
    /// Under `FLUSHING`.
    pub(crate) out: O,
}

impl<'a> Fx<'a> {
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
    pub(super) fn run_elsewhere(&self, at: Snapshot) {
        if self.state.view.get() > 0 {
            // Safety: TASK came with the call.
            unsafe { self.spill() };
        }
        match &self.conn.server.runner {
            Some(runner) if !self.state.on_runner => runner.run(Task::new(self.handle.clone(), at)),
            _ => process::run(self, at),
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

impl<'a, O> Fx<'a, O> {
    /// The same party, to flush `out`.
    #[inline(always)]
    pub(crate) fn flushing<P>(&self, out: P) -> Fx<'a, P> {
        let Self { handle, conn, local, state, .. } = *self;
        Fx { handle, conn, local, state, out }
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
    pub(super) unsafe fn fd<T>(
        &self,
        call: impl FnOnce(&<super::sys::Kernel as Sys>::Fd) -> super::sys::Result<T>,
    ) -> super::sys::Result<T> {
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
    pub(super) unsafe fn held_fd<T>(&self, call: impl FnOnce(&<super::sys::Kernel as Sys>::Fd) -> T) -> T {
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
        // Safety: TASK, by the contract of `waiting::readable`.
        unsafe { self.fd(|fd| self.conn.server.sys.wait_readable(fd, at_most)) }.unwrap_or(true)
    }

    /// Called on a polling thread that is about to sleep: whether another thread polls in its place.
    pub(crate) fn somebody_else_polls(&self) -> bool {
        threads::hand_over_before_blocking()
    }

    /// Reports a system call that should not have failed.
    pub(super) fn report(&self, call: &'static str, errno: Errno) {
        let connection = self.handle.id();
        self.conn.server.report(&Error::Connection { call, connection, source: errno.into() });
    }

    /// Calls user code; a panic or an error ends here.
    #[inline]
    pub(super) fn guarded(&self, callback: &'static str, call: impl FnOnce() -> Result<(), BoxError>) -> Ran {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(Ok(())) => Ran::Done,
            Ok(Err(source)) => self.failed_with(callback, source),
            Err(payload) => self.panicked(callback, payload),
        }
    }

    #[cold]
    fn failed_with(&self, callback: &'static str, source: BoxError) -> Ran {
        self.conn.server.report(&Error::Handler { callback, connection: self.handle.id(), source });
        Ran::Panicked
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
    pub(super) unsafe fn spill(&self) {
        let (Some(local), count) = (self.local, self.state.view.take() as usize) else { return };
        // Safety: TASK, by the caller's promise; and no handler runs, so there is no view.
        unsafe { self.conn.input.own().chunks.push(view::keep(local.block.block(), 0..count)) };
    }

    /// Runs a handler that reads and writes, and sends what it wrote, once.
    #[inline(always)]
    pub(super) fn serve(
        &self,
        callback: &'static str,
        last: bool,
        call: impl FnOnce(&mut Io<'_>) -> Result<(), BoxError>,
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
        match catch_unwind(AssertUnwindSafe(|| call(&mut io))) {
            Ok(Ok(())) => {
                self.reply(&mut io);
                io.reader.finish();
                Ran::Done
            }
            // A copy, as in `Effects::apart`.
            Ok(Err(source)) => self.flushing(()).served_badly(callback, Ok(source), &mut io),
            Err(payload) => self.flushing(()).served_badly(callback, Err(payload), &mut io),
        }
    }

    /// Sends what the handler wrote.
    #[inline(always)]
    fn reply(&self, io: &mut Io<'_>) {
        // Nobody reads it where this fails.
        match io.reply() {
            Reply::None => {}
            Reply::Whole(run) => waiting::reply(&self.flushing(run)),
            Reply::Gathered(writer) => {
                writer.reply();
                io.finish_writer();
            }
        }
    }

    /// A handler returned an error or panicked. What it wrote before an error is sent.
    #[cold]
    #[inline(never)]
    fn served_badly(&self, callback: &'static str, how: std::thread::Result<BoxError>, io: &mut Io<'_>) -> Ran {
        let ran = match how {
            Ok(source) => {
                let ran = self.failed_with(callback, source);
                self.reply(io);
                ran
            }
            Err(payload) => {
                io.finish_writer();
                self.panicked(callback, payload)
            }
        };
        io.reader.finish();
        ran
    }
}
