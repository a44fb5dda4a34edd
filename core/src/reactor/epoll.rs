//! One epoll with its wake-up and its listener: everything of a loop that outlives the lead of one thread.
//!
//! Registering, changing and removing a connection's fd are calls that any thread may make while the
//! poller waits; who may make them is the protocol's business (D1, I1). What the leading thread does with it is in
//! `event_loop`.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::time::Duration;

use super::accept::Acceptor;
use super::registration::{Handles, Registry, Token};
use super::sys::{Events, Interest, Kernel, Result, Sys};
use crate::runner::Task;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::sync::time::Instant;
use crate::sync::{Mutex, lock};

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

/// A poller, as other threads see it.
pub(crate) struct Poller {
    sys: Kernel,
    epoll: <Kernel as Sys>::Epoll,
    wake: <Kernel as Sys>::Wake,
    /// The connections that live here.
    pub(crate) registry: Registry,
    /// Events that came for a registration which was over.
    stale: AtomicU64,
    /// The listener, if this loop accepts. Locked to take connections off it, never while callbacks run.
    pub(crate) acceptor: Mutex<Option<Acceptor>>,
    /// Sections that used up their budget; none wait once the loop is over. (F2)
    queue: Mutex<Option<VecDeque<Task>>>,
    /// What the leading thread is to look at in its next turn: `QUEUED`, `OVER`.
    asks: AtomicU32,
    stop: AtomicBool,
    stop_accepting: AtomicBool,
}

impl Poller {
    pub(crate) fn new() -> Result<Self> {
        let sys = Kernel::default();
        let (epoll, wake) = (sys.epoll()?, sys.wake()?);
        sys.add_wake(&epoll, &wake, WAKE)?;
        Ok(Self {
            sys,
            epoll,
            wake,
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

    pub(crate) fn add(&self, fd: &Fd, interest: Interest, token: u64) -> Result<()> {
        self.sys.add(&self.epoll, fd, interest, token)
    }

    pub(crate) fn modify(&self, fd: &Fd, interest: Interest, token: u64) -> Result<()> {
        self.sys.modify(&self.epoll, fd, interest, token)
    }

    pub(crate) fn delete(&self, fd: &Fd) -> Result<()> {
        self.sys.delete(&self.epoll, fd)
    }

    pub(crate) fn listen(&self, listener: &Listener) -> Result<()> {
        self.sys.add_listener(&self.epoll, listener, LISTENER)
    }

    pub(crate) fn unlisten(&self, listener: &Listener) -> Result<()> {
        self.sys.delete_listener(&self.epoll, listener)
    }

    #[inline]
    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> Result<()> {
        self.sys.wait(&self.epoll, events, timeout)
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

    /// Puts a section behind everything that this poller has to do; `elsewhere`: and wakes it. Runs it here if
    /// the loop is over. (F2)
    pub(crate) fn queue(&self, task: Task, elsewhere: bool) -> Result<()> {
        let mut queue = lock(&self.queue);
        match &mut *queue {
            Some(waiting) => {
                waiting.push_back(task);
                // Ordering: Release, partner `asks`.
                self.asks.fetch_or(QUEUED, Ordering::Release);
            }
            None => {
                drop(queue);
                task.run();
                return Ok(());
            }
        }
        drop(queue);
        if elsewhere { self.wake() } else { Ok(()) }
    }

    /// Whether there is anything but events to look at.
    #[inline]
    pub(crate) fn asks(&self) -> bool {
        // Ordering: Acquire, partner `queue`. Who queues elsewhere wakes this poller after it.
        self.asks.load(Ordering::Acquire) != 0
    }

    /// Whether sections wait.
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
    pub(crate) fn give_back(&self, handles: &mut Handles) {
        // Ordering: Relaxed, as in `forget`. Cleared first: what is over from here on asks again.
        if self.asks.fetch_and(!OVER, Ordering::Relaxed) & OVER != 0 {
            self.registry.give_back(handles);
        }
    }

    /// The section that has waited longest.
    pub(crate) fn next_queued(&self) -> Option<Task> {
        let mut queue = lock(&self.queue);
        let next = queue.as_mut().and_then(VecDeque::pop_front);
        if next.is_none() {
            // Ordering: Relaxed: under the lock, under which nobody has pushed since.
            self.asks.fetch_and(!QUEUED, Ordering::Relaxed);
        }
        next
    }

    /// No section waits here any more: those that do are returned.
    pub(crate) fn end_queue(&self) -> VecDeque<Task> {
        lock(&self.queue).take().unwrap_or_default()
    }

    /// Ends the wait that the poller is in, or its next one.
    pub(crate) fn wake(&self) -> Result<()> {
        self.sys.signal(&self.wake)
    }

    /// Waits until one of `pollers` has an event, without taking it. Whether there is one.
    pub(crate) fn doze(pollers: &[Self], timeout: Duration) -> Result<bool> {
        let epolls: Vec<_> = pollers.iter().map(|poller| &poller.epoll).collect();
        Kernel::default().doze(&epolls, timeout)
    }

    /// Whether accepting pauses, and until when at most.
    pub(crate) fn accepting_pauses(&self) -> Option<Option<Instant>> {
        lock(&self.acceptor).as_ref().and_then(Acceptor::pauses)
    }

    /// Closes the listener; whether there was one.
    pub(crate) fn end_accepting(&self) -> bool {
        let acceptor = lock(&self.acceptor).take();
        acceptor.is_some()
    }

    pub(crate) fn awake(&self) -> Result<()> {
        self.sys.clear(&self.wake)
    }

    /// Ends the loop, after the batch that its thread has in hand.
    pub(crate) fn stop(&self) -> Result<()> {
        // Ordering: Release, partner `stopping`; the wake-up that follows makes it look.
        self.stop.store(true, Ordering::Release);
        self.sys.signal(&self.wake)
    }

    pub(crate) fn stopping(&self) -> bool {
        // Ordering: Acquire, partner `stop`.
        self.stop.load(Ordering::Acquire)
    }

    /// Has the listener of this poller closed by its leading thread.
    pub(crate) fn stop_accepting(&self) -> Result<()> {
        // Ordering: Release, partner `accepting_stops`; the wake-up that follows makes it look.
        self.stop_accepting.store(true, Ordering::Release);
        self.sys.signal(&self.wake)
    }

    pub(crate) fn accepting_stops(&self) -> bool {
        // Ordering: Acquire, partner `stop_accepting`.
        self.stop_accepting.load(Ordering::Acquire)
    }
}
