//! One epoll with its wake-up and its listener: everything of a loop that outlives the lead of one thread.
//!
//! Registering, changing and removing a connection's fd are calls that any thread may make while the
//! poller waits; who may make them is the protocol's business (D1, I1). What the leading thread does with it is in
//! `event_loop`.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::time::Duration;

use crate::sys::Errno;

use super::accept::Acceptor;
use super::host::Host;
use crate::reactor::registry::{Handles, Registry, Token};
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::sync::time::Instant;
use crate::sync::{Arc, Mutex, lock};
use crate::sys::{Events, Interest, Kernel, Result, Sys};

type Fd = <Kernel as Sys>::Fd;
type Listener = <Kernel as Sys>::Listener;

/// The token of the wake-up. No registration has it: a generation never reaches `u32::MAX`.
pub(crate) const WAKE: u64 = u64::MAX;
/// The token of the listener.
pub(crate) const LISTENER: u64 = u64::MAX - 1;

/// Sections wait.
const QUEUED: u32 = 1;
/// There are handles to give back.
const OVER: u32 = 2;
/// The leading thread has deferred something until its user code has returned.
const SWEEPS: u32 = 4;

/// What a loop has of the kernel: its epoll, and what ends a wait there.
pub(crate) struct Fds {
    epoll: <Kernel as Sys>::Epoll,
    wake: <Kernel as Sys>::Wake,
}

/// A poller, as other threads see it.
pub(crate) struct Poller<H: Host> {
    sys: Kernel,
    /// Until the server is over, whoever still has a handle of it. (U4)
    fds: Mutex<Option<Arc<Fds>>>,
    /// The connections that live here.
    pub(crate) registry: Registry<H::Source>,
    /// Events that came for a registration which was over.
    stale: AtomicU64,
    /// The listener, if this loop accepts. Locked to take connections off it, never while callbacks run.
    pub(crate) acceptor: Mutex<Option<Acceptor<H>>>,
    /// What was left to this loop; nothing once the loop is over. (F2, U2)
    queue: Mutex<Option<VecDeque<H::Duty>>>,
    /// What the leading thread is to look at in its next turn: `QUEUED`, `OVER`, `SWEEPS`.
    asks: AtomicU32,
    stop: AtomicBool,
    stop_accepting: AtomicBool,
}

impl<H: Host> Poller<H> {
    pub(crate) fn new() -> Result<Self> {
        let sys = Kernel::default();
        let (epoll, wake) = (sys.epoll()?, sys.wake()?);
        sys.add_wake(&epoll, &wake, WAKE)?;
        Ok(Self {
            sys,
            fds: Mutex::new(Some(Arc::new(Fds { epoll, wake }))),
            registry: Registry::default(),
            stale: AtomicU64::new(0),
            acceptor: Mutex::new(None),
            queue: Mutex::new(Some(VecDeque::new())),
            asks: AtomicU32::new(0),
            stop: AtomicBool::new(false),
            stop_accepting: AtomicBool::new(false),
        })
    }

    pub(crate) fn sys(&self) -> &Kernel {
        &self.sys
    }

    /// What the loop has of the kernel, until [`release`](Self::release).
    pub(crate) fn fds(&self) -> Option<Arc<Fds>> {
        lock(&self.fds).clone()
    }

    /// The server is over: gives back what the loop has of the kernel, when nobody uses it any more. (U4)
    pub(crate) fn release(&self) {
        let fds = lock(&self.fds).take();
        drop(fds);
    }

    /// Makes a call on the epoll. Once it was given back, nothing is registered in it.
    fn on_epoll(&self, call: impl FnOnce(&<Kernel as Sys>::Epoll) -> Result<()>) -> Result<()> {
        lock(&self.fds).as_ref().map_or(Err(Errno::EBADF), |fds| call(&fds.epoll))
    }

    pub(crate) fn add(&self, fd: &Fd, interest: Interest, token: u64) -> Result<()> {
        self.on_epoll(|epoll| self.sys.add(epoll, fd, interest, token))
    }

    pub(crate) fn modify(&self, fd: &Fd, interest: Interest, token: u64) -> Result<()> {
        self.on_epoll(|epoll| self.sys.modify(epoll, fd, interest, token))
    }

    pub(crate) fn delete(&self, fd: &Fd) -> Result<()> {
        self.on_epoll(|epoll| self.sys.delete(epoll, fd))
    }

    pub(crate) fn listen(&self, listener: &Listener) -> Result<()> {
        self.on_epoll(|epoll| self.sys.add_listener(epoll, listener, LISTENER))
    }

    pub(crate) fn unlisten(&self, listener: &Listener) -> Result<()> {
        self.on_epoll(|epoll| self.sys.delete_listener(epoll, listener))
    }

    #[inline]
    pub(crate) fn wait(&self, fds: &Fds, events: &mut Events, timeout: Option<Duration>) -> Result<()> {
        self.sys.wait(&fds.epoll, events, timeout)
    }

    /// An event came for a registration that is over.
    #[cold]
    pub(crate) fn count_stale(&self) {
        // Ordering: Relaxed: a count for reports.
        self.stale.fetch_add(1, Ordering::Relaxed);
    }

    /// How many did.
    pub(crate) fn stale(&self) -> u64 {
        // Ordering: Relaxed, as in `count_stale`.
        self.stale.load(Ordering::Relaxed)
    }

    /// Puts something behind everything that this poller has to do; `elsewhere`: and wakes it, with that result. It comes
    /// back if the loop is over. (F2, U2)
    pub(crate) fn queue(&self, duty: H::Duty, elsewhere: bool) -> std::result::Result<Result<()>, H::Duty> {
        let mut queue = lock(&self.queue);
        let Some(waiting) = &mut *queue else { return Err(duty) };
        waiting.push_back(duty);
        // Ordering: Release, partner `asks`.
        self.asks.fetch_or(QUEUED, Ordering::Release);
        drop(queue);
        Ok(if elsewhere { self.wake() } else { Ok(()) })
    }

    /// The leading thread has deferred something. Called by that thread.
    pub(crate) fn ask_to_sweep(&self) {
        // Ordering: Relaxed: the thread's own.
        self.asks.fetch_or(SWEEPS, Ordering::Relaxed);
    }

    /// Whether the leading thread has, once.
    pub(crate) fn sweeps(&self) -> bool {
        // Ordering: Relaxed, as in `ask_to_sweep`.
        self.asks.fetch_and(!SWEEPS, Ordering::Relaxed) & SWEEPS != 0
    }

    /// Whether there is anything but events to look at.
    #[inline]
    pub(crate) fn asks(&self) -> bool {
        // Ordering: Acquire, partner `queue`. Who queues elsewhere wakes this poller after it.
        self.asks.load(Ordering::Acquire) != 0
    }

    /// Whether something waits that was left to this loop.
    pub(crate) fn queued(&self) -> bool {
        // Ordering: Acquire, as in `asks`.
        self.asks.load(Ordering::Acquire) & QUEUED != 0
    }

    /// The registration of `token` is over. `elsewhere`: by a thread that does not poll here; then the one that does is
    /// woken, or it would keep its handle for as long as nothing happens. Once, however many come before it looks. (C5)
    pub(crate) fn forget(&self, token: Token, elsewhere: bool) -> Result<()> {
        // Ordering: Relaxed, partner `asks`: what it says is in the registry, under a lock, and the wake-up comes after.
        let first = self.registry.remove(token) && self.asks.fetch_or(OVER, Ordering::Relaxed) & OVER == 0;
        if first && elsewhere { self.wake() } else { Ok(()) }
    }

    /// Gives back handles of connections that are over. Called by the leading thread.
    pub(crate) fn give_back(&self, handles: &mut Handles<H::Source>) {
        // Ordering: Relaxed, as in `forget`. Cleared first: what is over from here on asks again.
        if self.asks.fetch_and(!OVER, Ordering::Relaxed) & OVER != 0 {
            self.registry.give_back(handles);
        }
    }

    /// What has waited longest of that.
    pub(crate) fn next_queued(&self) -> Option<H::Duty> {
        let mut queue = lock(&self.queue);
        let next = queue.as_mut().and_then(VecDeque::pop_front);
        if next.is_none() {
            // Ordering: Relaxed: under the lock, under which nobody has pushed since.
            self.asks.fetch_and(!QUEUED, Ordering::Relaxed);
        }
        next
    }

    /// Nothing waits here any more: what does is returned.
    pub(crate) fn end_queue(&self) -> VecDeque<H::Duty> {
        lock(&self.queue).take().unwrap_or_default()
    }

    /// Ends the wait that the poller is in, or its next one.
    pub(crate) fn wake(&self) -> Result<()> {
        // Whose fds were given back waits no more.
        lock(&self.fds).as_ref().map_or(Ok(()), |fds| self.sys.signal(&fds.wake))
    }

    /// Waits until one of `pollers` has an event, without taking it. Whether there is one.
    pub(crate) fn doze(pollers: &[Self], timeout: Duration) -> Result<bool> {
        let fds: Vec<_> = pollers.iter().filter_map(Self::fds).collect();
        let epolls: Vec<_> = fds.iter().map(|fds| &fds.epoll).collect();
        Kernel::default().doze(&epolls, timeout)
    }

    /// Whether accepting pauses, and until when at most.
    pub(crate) fn accepting_pauses(&self) -> Option<Option<Instant>> {
        lock(&self.acceptor).as_ref().and_then(Acceptor::pauses)
    }

    /// Takes the listener, to be closed where no lock is held: a handler goes with it. (U4)
    pub(crate) fn end_accepting(&self) -> Option<Acceptor<H>> {
        lock(&self.acceptor).take()
    }

    pub(crate) fn awake(&self) -> Result<()> {
        lock(&self.fds).as_ref().map_or(Ok(()), |fds| self.sys.clear(&fds.wake))
    }

    /// Ends the loop, after the batch that its thread has in hand.
    pub(crate) fn stop(&self) -> Result<()> {
        // Ordering: Release, partner `stopping`; the wake-up that follows makes it look.
        self.stop.store(true, Ordering::Release);
        self.wake()
    }

    pub(crate) fn stopping(&self) -> bool {
        // Ordering: Acquire, partner `stop`.
        self.stop.load(Ordering::Acquire)
    }

    /// Has the listener of this poller closed by its leading thread.
    pub(crate) fn stop_accepting(&self) -> Result<()> {
        // Ordering: Release, partner `accepting_stops`; the wake-up that follows makes it look.
        self.stop_accepting.store(true, Ordering::Release);
        self.wake()
    }

    pub(crate) fn accepting_stops(&self) -> bool {
        // Ordering: Acquire, partner `stop_accepting`.
        self.stop_accepting.load(Ordering::Acquire)
    }
}
