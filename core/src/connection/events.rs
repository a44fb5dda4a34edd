//! What an event of a loop means to a connection: the host of the reactor, as the crate has it.
//!
//! Level-triggered, one read per event; again while reads fill the whole block, for a turn; up to the end of the stream
//! when epoll says that it ends. What a report means for a connection is decided in `protocol`; this module only turns
//! epoll's flags into the protocol's steps.
//!
//! Not here: how events come (`reactor`), and what a step does to the connection (`step`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use super::duty::Duty;
use super::service;
use super::shared::Shared;
use super::step::{Local, State, Step};
use super::task::Task;
use super::{Connection, door, trace, whereabouts};
use crate::addr::Addr;
use crate::error::Error;
use crate::protocol::effects::Effects;
use crate::protocol::gate::Gate;
use crate::protocol::lifecycle::{self, Reading};
use crate::protocol::takeover::Lead;
use crate::protocol::{interest, output};
use crate::reactor::host::{Host, Notice, Source};
use crate::reactor::poller::Poller;
use crate::reactor::registry::Token;
use crate::reactor::threads::Threads;
use crate::sync::time::Instant;
use crate::sync::{Arc, lock};
use crate::sys::options::SocketOptions;
use crate::sys::{Kernel, Ready, Sys};

/// How many times in a row one event's connection is read from again, each time because the read before filled the
/// thread's whole block: 1 MiB in all. (F1)
pub(crate) const TURN: usize = 15;

impl Source for Connection {
    #[inline(always)]
    fn token(&self) -> Token {
        self.conn().token
    }
}

impl Host for Shared {
    type Source = Connection;
    type Local = Local;
    type Duty = Duty;
    type Factory = Box<dyn service::Factory>;

    #[inline(always)]
    fn pollers(&self) -> &[Poller<Self>] {
        &self.pollers
    }

    fn threads(&self) -> &Threads {
        &self.threads
    }

    fn gate(&self) -> &Gate {
        &self.gate
    }

    fn sockets(&self) -> &SocketOptions {
        &self.sockets
    }

    #[inline(always)]
    fn event(conn: &Connection, ready: Ready, local: &Local) {
        dispatch(conn, ready, local);
    }

    fn late_writable(conn: &Connection, local: &Local) {
        output::writable(&Step::polling(conn, local, &State::new()));
    }

    fn fulfil(duty: Duty, local: Option<&Local>) {
        duty.fulfil(local);
    }

    fn sweep(local: Option<&Local>) {
        whereabouts::sweep(local);
    }

    fn close(conn: &Connection, local: Option<&Local>) {
        match local {
            Some(local) => {
                let _ = lifecycle::close(&Step::polling(conn, local, &State::new()));
            }
            None => conn.close(),
        }
    }

    fn admit(self: &Arc<Self>, factory: &Self::Factory, fd: <Kernel as Sys>::Fd, peer: Addr) -> Connection {
        let place = self.accepted();
        let service = factory.make();
        let make = |token| Connection::new(self.clone(), place, token, fd, peer, service);
        self.pollers[place.home()].registry.insert(make)
    }

    fn welcome(&self, conn: &Connection, local: &Local) {
        trace::accept(conn.id(), conn.peer(), conn.conn().place.home());
        let state = State::new();
        let step = Step::polling(conn, local, &state);
        let _ = lifecycle::register(&step);
        if self.has_runner {
            door::run_on_runner(Task::connect(conn.clone()));
        } else {
            lifecycle::connect(&step);
            trace::connect(conn.id());
        }
    }

    fn discard(self: &Arc<Self>, factory: Self::Factory) {
        door::discard_of(self, "drop of a handler", factory);
    }

    fn accepting_ended(&self) {
        lock(&self.state).listening = false;
        self.changed.notify_all();
    }

    fn loop_ended(self: &Arc<Self>, home: usize) {
        // Two threads may say so, the second late. With the last loop, the threads end.
        let mut state = lock(&self.state);
        state.running.retain(|running| *running != home);
        let last = state.running.is_empty();
        if home == 0 {
            state.listening = false;
        }
        drop(state);
        if last {
            self.threads.close();
        }
        self.changed.notify_all();
        self.release_if_over();
    }

    fn notice(&self, notice: Notice<'_>) {
        match notice {
            Notice::Pauses => drop(self.counters.accept_pauses.add(1)),
            Notice::Full(limit) => trace::full(limit),
            Notice::OutOfFds(error) => trace::out_of_fds(error),
            Notice::Takeover(home) => trace::takeover(home),
        }
    }

    fn report(&self, error: Error) {
        Self::report(self, error);
    }

    fn report_from_anywhere(self: &Arc<Self>, home: usize, error: Error) {
        // A thread that leads is inside a handler here; the watchdog is not.
        Duty::report(self, home, whereabouts::led().is_some(), error);
    }

    fn take_post(self: &Arc<Self>) {
        whereabouts::take_post(self.clone());
    }

    fn set_lead(lead: Option<Arc<Lead>>) {
        whereabouts::set_lead(lead);
    }

    fn leave_post() {
        whereabouts::leave_post();
    }

    fn end_thread() {
        whereabouts::end();
    }

    fn thread_ends() -> bool {
        whereabouts::ends()
    }

    fn one_thread_less(&self) {
        drop(lock(&self.state));
        self.changed.notify_all();
    }

    fn over_by(&self, deadline: Instant) -> bool {
        self.wait_until(Some(deadline), |state| state.running.is_empty())
    }
}

/// One connection's events.
#[inline(always)]
fn dispatch(conn: &Connection, ready: Ready, local: &Local) {
    let state = State::new();
    let step = Step::polling(conn, local, &state);
    if !ready.is_data() {
        return step.apart(|step| dispatch_other(step, ready));
    }
    let reading = lifecycle::readable(&step, false);
    if reading != Reading::Data || state.filled() {
        step.apart(|step| read_on(step, ready, reading));
    }
}

/// Events other than that there is something to read.
#[cold]
#[inline(never)]
fn dispatch_other(step: &Step<'_>, ready: Ready) {
    // Writable, and nobody is parked: the connection was closed meanwhile, which the reader's step finds.
    let stray = ready.writable() && !output::writable(step);
    if ready.readable() || stray {
        read_on(step, ready, read_again(step, ready));
    }
}

/// What follows a read that found `reading`.
#[cold]
#[inline(never)]
fn read_on(step: &Step<'_>, ready: Ready, mut reading: Reading) {
    let mut more = TURN;
    loop {
        match reading {
            // What the peer sent before it stopped is bounded by the socket's buffer.
            Reading::Data if ready.ends() => {}
            // There is more, most likely: while its memory is in the processor's cache it costs less.
            Reading::Data if more > 0 && step.state.filled() => more -= 1,
            Reading::Data | Reading::Nothing | Reading::Closed => return,
            Reading::Eof => return interest::refresh(step),
        }
        reading = read_again(step, ready);
    }
}

#[inline(never)]
fn read_again(step: &Step<'_>, ready: Ready) -> Reading {
    lifecycle::readable(step, ready.hung_up())
}
