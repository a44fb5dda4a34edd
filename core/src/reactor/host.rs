//! What a reactor knows of whom it works for: as much as it calls, and nothing of a connection.
//!
//! Generic, so that each call is the host's own function, known when this is compiled. The host of the crate is what the
//! connections of one server or dialer share (`connection::shared`); what an event means to a connection is decided there
//! and below (`connection::events`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use super::poller::Poller;
use super::registry::Token;
use super::threads::Threads;
use crate::addr::Addr;
use crate::error::Error;
use crate::protocol::gate::Gate;
use crate::protocol::takeover::Lead;
use crate::sync::Arc;
use crate::sync::time::Instant;
use crate::sys::options::SocketOptions;
use crate::sys::{Kernel, Ready, Sys};

/// What a loop polls: a handle, which a registry and the threads that poll keep.
pub(crate) trait Source: Clone {
    /// What names its registration.
    fn token(&self) -> Token;
}

/// Something that the reactor does and that its host may count or tell.
pub(crate) enum Notice<'a> {
    /// Accepting pauses.
    Pauses,
    /// That is because there are as many connections as there may be.
    Full(u32),
    /// That is because there is no file descriptor left.
    OutOfFds(&'a std::io::Error),
    /// A spare thread took over this loop.
    Takeover(usize),
}

/// Whom a reactor works for.
pub(crate) trait Host: Sized + Send + Sync + 'static {
    /// What its loops poll.
    type Source: Source;
    /// What a polling thread has for itself.
    type Local: Default;
    /// What other threads leave to a loop.
    type Duty;
    /// What makes a source of a socket that was accepted.
    type Factory;

    // What a reactor is made of.

    /// The loops.
    fn pollers(&self) -> &[Poller<Self>];

    /// The threads that lead them.
    fn threads(&self) -> &Threads;

    /// Whether there is room for another accepted connection.
    fn gate(&self) -> &Gate;

    /// What is set on sockets that are accepted.
    fn sockets(&self) -> &SocketOptions;

    // What happens to sources. On the thread that leads their loop, or has just been deposed.

    /// An event of a source.
    fn event(source: &Self::Source, ready: Ready, local: &Self::Local);

    /// A deposed thread has in hand that a source is writable, which is not reported again. (K3, K6)
    fn late_writable(source: &Self::Source, local: &Self::Local);

    /// Does what was left to a loop, outside all user code; `local` is the thread's own if it polls. (U2)
    fn fulfil(duty: Self::Duty, local: Option<&Self::Local>);

    /// Does what the calling thread has deferred until its user code has returned. (U2)
    fn sweep(local: Option<&Self::Local>);

    /// Closes a source, outside all user code.
    fn close(source: &Self::Source, local: Option<&Self::Local>);

    // Accepting.

    /// A source of a socket that was accepted, registered with its loop.
    fn admit(self: &Arc<Self>, factory: &Self::Factory, fd: <Kernel as Sys>::Fd, peer: Addr) -> Self::Source;

    /// The first steps of a source that was admitted. Under no lock. (S2, H1)
    fn welcome(&self, source: &Self::Source, local: &Self::Local);

    /// Drops what made sources: a value of a user's. Under no lock. (U4)
    fn discard(self: &Arc<Self>, factory: Self::Factory);

    // What it is told. Under no lock.

    /// The listener is closed.
    fn accepting_ended(&self);

    /// A loop is over.
    fn loop_ended(self: &Arc<Self>, home: usize);

    /// Something happened that may be counted or told.
    fn notice(&self, notice: Notice<'_>);

    /// Something went wrong, outside all user code.
    fn report(&self, error: Error);

    /// Something went wrong that the calling thread may have found inside user code. (U2)
    fn report_from_anywhere(self: &Arc<Self>, home: usize, error: Error);

    // Threads.

    /// The calling thread polls for this host from here on, and leads nothing yet. (U5)
    fn take_post(self: &Arc<Self>);

    /// The loop that the calling thread leads from here on, if any. (U5)
    fn set_lead(lead: Option<Arc<Lead>>);

    /// The calling thread does not poll any more; it is counted out when this returns. (U5)
    fn leave_post();

    /// The calling thread was one of the host's and ends. (U6)
    fn end_thread();

    /// Whether the calling thread was a host's, and ends. (U6)
    fn thread_ends() -> bool;

    /// There is one thread less.
    fn one_thread_less(&self);

    /// Waits until every loop is over, or until `deadline`; whether they are.
    fn over_by(&self, deadline: Instant) -> bool;
}
