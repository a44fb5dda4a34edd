//! The protocol's effects on a real connection: what its steps do to fd, buffers and callbacks.
//!
//! Every `unsafe` here rests on the bit under which the protocol calls the method; the trait's
//! documentation says which, and the scenarios check it. Not here: what an effect is given (`step`).

use crate::sys::Errno;

use crate::buffer::view;
use crate::connection::Detached;
use crate::connection::door;
use crate::connection::duty::Duty;
use crate::connection::step::sending::{Out, Writing};
use crate::connection::step::{How, State, Step};
use crate::connection::task::Task;
use crate::connection::trace;
use crate::connection::whereabouts;
use crate::protocol::effects::{Effects, Input, Left, Ran, Sent};
use crate::protocol::process;
use crate::protocol::progress::{Progress, Unread};
use crate::protocol::transitions::Word;
use crate::protocol::trigger::Trigger;
use crate::protocol::word::{ARMED, CLOSING, FRESH, PENDING, Snapshot};
use crate::protocol::{interest, output};
use crate::sys::{Interest, Sys};

impl<O: Out> Effects for Step<'_, O> {
    #[inline]
    fn word(&self) -> &Word {
        &self.conn.word
    }

    #[inline(always)]
    fn apart<R>(&self, unusual: impl FnOnce(&Self) -> R) -> R {
        let copy = *self;
        unusual(&copy)
    }

    fn run_task(&self, at: Snapshot) {
        self.flushing(()).run_elsewhere(at);
    }

    #[inline(always)]
    fn run_read(&self, at: Snapshot) {
        // The bytes in the block are this thread's only until the section is released. A section that
        // begins with anything but the handler may be released before it calls it.
        if !at.any(PENDING | FRESH | CLOSING) && !self.conn.server.has_runner {
            process::run(self, at);
        } else {
            self.apart(|step| step.run_task(at));
        }
    }

    fn on_prepare(&self) -> Ran {
        // Safety: TASK, and nothing came before.
        unsafe { door::on_prepare(self.handle) }
    }

    fn register(&self) -> bool {
        let (poller, token) = (self.conn.poller(), self.conn.token);
        // Safety: TASK.
        if let Err(errno) = unsafe { self.fd(|fd| poller.add(fd, Interest::READABLE, token.0)) } {
            let error = self.refused("epoll_ctl", errno);
            Duty::report(&self.conn.server, self.conn.place.home(), self.is_nested(), error);
            return false;
        }
        // Output that OnPrepare left parked could not say so before the fd was there.
        if self.conn.word.look().any(ARMED) {
            interest::refresh(self);
        }
        true
    }

    fn on_connect(&self) -> Ran {
        // Safety: TASK, and CONNECTING is set.
        self.call_handler("on_connect", false, |io| unsafe { door::on_connect(self.handle, io) })
    }

    #[inline]
    fn unread(&self) -> Option<Unread> {
        // Safety: TASK.
        unsafe {
            let attended = self.conn.serves || self.conn.request.get().get_mut().is_some();
            attended.then(|| self.conn.input.unread())
        }
    }

    #[inline]
    fn progress<R>(&self, f: impl FnOnce(&mut Progress) -> R) -> R {
        // Safety: TASK; the protocol's closures are its own.
        unsafe { self.conn.input.progress(f) }
    }

    #[inline(always)]
    fn on_request(&self, last: bool) -> Ran {
        // Safety: TASK.
        trace::request(self.conn.place.id, || unsafe { self.conn.input.unread() });
        self.conn.server.counters.request(self.conn.place.home());
        // Safety: OnRequest is called under TASK (S1), and a replacement waits in its slot until it is over (R1).
        self.call_handler("on_request", last, |io| unsafe { door::on_request(self.handle, io) })
    }

    #[cold]
    #[inline(never)]
    fn install_handler(&self) -> bool {
        let waiting = self.conn.slot.take();
        let installs = waiting.is_some();
        if let Some(request) = waiting {
            // Safety: TASK, between two calls (R1).
            let old = unsafe { self.conn.request.get() }.get_mut().replace(request);
            door::discard(self.handle, "drop of a handler", old);
        }
        installs
    }

    #[inline]
    fn input_full(&self) -> bool {
        self.conn.input.about() >= self.conn.server.limits.read_ahead
    }

    #[inline]
    fn output_high(&self) -> bool {
        // Safety: TASK.
        unsafe {
            self.conn.paced_by.with(|other| match other {
                None => {
                    !self.conn.output.is_settled() && self.conn.output.backlog() >= self.conn.server.limits.high_water
                }
                Some(other) => other.is_high(),
            })
        }
    }

    fn output_low(&self) -> bool {
        self.conn.output.backlog() <= self.conn.server.limits.low_water
    }

    fn await_other(&self) -> Option<bool> {
        // Safety: TASK.
        unsafe { self.conn.paced_by.with(|other| other.as_ref().map(|other| other.awaited_by(self.handle))) }
    }

    fn keeps_open(&self) -> bool {
        // Safety: TASK.
        unsafe { self.conn.keeps_open.with(|keeps_open| *keeps_open) }
    }

    fn end_output(&self) {
        if self.conn.is_ended() {
            // Safety: OUT is a hold. An error means that it is shut down already.
            let _ = unsafe { self.fd(|fd| self.conn.server.sys.end_output(fd)) };
        }
    }

    fn relieve_others(&self) {
        for other in self.handle.conn().cold.take_awaiting() {
            output::relieve(&Step::new(&other, &State::new()));
        }
    }

    fn keep_unread(&self) {
        if self.state.view.get() > 0 {
            // Safety: TASK.
            unsafe { self.spill() };
        }
    }

    fn pass_on(&self, _at: Snapshot) -> bool {
        self.state.calls.set(self.state.calls.get() + 1);
        if self.state.calls.get() < self.conn.server.limits.budget {
            return false;
        }
        self.state.calls.set(0);
        self.keep_unread();
        let task = Task::resumed(self.handle.clone());
        if self.state.how == How::OnPool {
            // Nothing of a user's is below on this thread's stack.
            door::run_on_runner(task);
        } else {
            Duty::Section(task).leave_home(self.handle);
        }
        true
    }

    fn leave_section(&self) -> bool {
        if !self.state.nested.get() {
            return false;
        }
        self.keep_unread();
        Duty::Section(Task::resumed(self.handle.clone())).leave_home(self.handle);
        true
    }

    fn leave_disconnect(&self, left: Left) -> bool {
        // Where nobody is to be called, nothing has to wait for the home loop. (U6)
        let leaves = self.is_nested() && (self.conn.serves || self.conn.disconnect.is_set());
        if leaves {
            Duty::Disconnect(self.handle.clone(), left).leave_home(self.handle);
        }
        leaves
    }

    fn input_empty(&self) -> bool {
        // Safety: TASK.
        unsafe { self.conn.input.is_drained() }
    }

    fn run_close_callbacks(&self) {
        self.conn.close_list.run(|callback| door::close_callback(self.handle, callback));
    }

    fn finish(&self, hand_back: bool) {
        let conn = self.conn;
        debug_assert_eq!(self.state.view.get(), 0, "the handler had it, or it was spilled");
        // Safety: TASK for ever, after FINAL (C4): nobody else uses what is freed here.
        let (unread, unsent, fd) = unsafe {
            door::forget(self.handle);
            drop(conn.paced_by.with_mut(Option::take));
            (conn.input.free(), conn.output.free(), conn.fd.with_mut(Option::take))
        };
        let lost = unsent;
        let unsent = if hand_back { lost.to_vec() } else { Vec::new() };
        door::discard_each(self.handle, "drop of lent bytes", lost.into_runs());
        match (conn.cold.end(), fd) {
            (Some(callback), Some(fd)) if hand_back => {
                door::hand_back(self.handle, callback, Detached { fd, unread, unsent });
            }
            (callback, fd) => {
                drop(fd);
                door::discard(self.handle, "drop of a detach callback", callback);
            }
        }
        let elsewhere = !whereabouts::leads(&conn.server, conn.place.home());
        if let Err(errno) = conn.poller().forget(conn.token, elsewhere) {
            self.report("eventfd write", errno);
        }
        trace::close(conn.place.id, conn.word.look());
        conn.server.one_less(conn.place);
    }

    #[inline(always)]
    fn read(&self, owner: bool) -> Input {
        // Only polling threads read.
        let Some(local) = self.local else { return Input::Empty };
        // Safety: a polling thread reads when none of its handlers runs, so there is no view.
        let block = unsafe { local.block.block() };
        let inbox = &self.conn.input;
        // Safety: READING is a hold, and was taken of a connection that did not end.
        let count = match unsafe { self.held_fd(|fd| self.conn.server.sys.read(fd, block.spare())) } {
            Ok(0) if self.conn.server.limits.close_on_eof => return Input::Gone,
            Ok(0) => return Input::Eof,
            Ok(count) => count,
            Err(Errno::EAGAIN) => return Input::Empty,
            Err(_) => {
                self.conn.breaks();
                return Input::Gone;
            }
        };
        self.state.took.set(count as u32);
        self.conn.server.counters.read(self.conn.place.home(), count);
        // Safety: `owner` says that TASK is held too.
        if owner && unsafe { inbox.is_drained() } {
            inbox.count(count);
            self.state.view.set(count as u32);
        } else {
            // Safety: READING.
            unsafe { inbox.deliver(view::keep(block, 0..count)) };
        }
        Input::Data
    }

    fn on_disconnect(&self) -> Ran {
        if self.is_nested() {
            // There was none when it fell due; one that is set since then is for a close that comes later. (R3)
            return Ran::Done;
        }
        // Safety: a hold or TASK, after OnConnect (H1, H4).
        unsafe { door::on_disconnect(self.handle) }
    }

    fn deregister(&self) {
        // Safety: a hold or TASK (D1).
        if let Err(errno) = unsafe { self.fd(|fd| self.conn.poller().delete(fd)) } {
            self.report("epoll_ctl", errno);
        }
    }

    fn append(&self) {
        // Safety: FLUSHING.
        unsafe { self.out.append(&self.conn.output) };
    }

    #[inline(always)]
    fn send(&self, direct: bool) -> Sent {
        // Safety: OUT, and FLUSHING if it is direct.
        unsafe { self.out.send(&self.conn.output, direct, Writing(*self)) }
    }

    fn discard(&self) {
        // Safety: OUT.
        let lost = unsafe { self.conn.output.free() }.into_runs();
        self.spent(lost);
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
        // Safety: the protocol asks for it to wait under TASK, or when it has found WAITR (T1).
        unsafe { self.conn.read_trigger.get() }
    }

    fn write_trigger(&self) -> &Trigger {
        // Safety: the protocol asks for it to wait under SYNC, or when it has found WAITW (T1).
        unsafe { self.conn.write_trigger.get() }
    }

    fn produced(&self) -> u64 {
        self.conn.input.produced()
    }

    fn sent(&self) -> u64 {
        self.conn.output.sent()
    }
}
