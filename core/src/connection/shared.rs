//! What the threads and connections of one server or dialer share: its pollers, and how far it is.
//!
//! Not here: the steps of starting and shutting down (`server`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

use crate::addr::Addr;
use crate::connection::Connection;
use crate::connection::door;
use crate::connection::limits::Limits;
use crate::connection::service::{Factory, Service};
use crate::connection::settings::Settings;
use crate::connection::task::Runner;
use crate::connection::trace;
use crate::error::Error;
use crate::protocol::gate::Gate;
use crate::reactor::accept::Listening;
use crate::reactor::balance::Balance;
use crate::reactor::poller::Poller;
use crate::reactor::threads::Threads;
use crate::stats::{Counters, Stats};
use crate::sync::bit_cell::Held;
use crate::sync::time::Instant;
use crate::sync::{Arc, Condvar, Mutex, lock};
use crate::sys::options::SocketOptions;
use crate::sys::{Kernel, Sys};

pub(crate) type Hook = Box<dyn Fn(&Error) + Send + Sync>;

/// What the threads and connections of a server or dialer share.
pub(crate) struct Shared {
    pub(crate) sys: Kernel,
    pub(crate) pollers: Vec<Poller<Self>>,
    pub(crate) sockets: SocketOptions,
    pub(crate) counters: Counters,
    /// Whether there is room for another accepted connection.
    pub(crate) gate: Gate,
    balance: Balance,
    pub(crate) limits: Limits,
    /// Sections run where a runner says, and not on the polling threads.
    pub(crate) has_runner: bool,
    /// The runner, until the server is over: see [`runner`](Self::runner).
    runner: Held<Option<Arc<dyn Runner>>>,
    pub(crate) threads: Threads,
    /// Who hears of errors, until the server is over.
    hook: Mutex<Option<Arc<Hook>>>,
    pub(crate) state: Mutex<State>,
    pub(crate) changed: Condvar,
}

/// Which connection, and where: what is known of one before it is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) id: u64,
    /// Its poller.
    home: u32,
    /// Not accepted, so not counted by the gate.
    pub(crate) dialed: bool,
}

impl Place {
    /// Its poller.
    #[inline]
    pub(crate) fn home(self) -> usize {
        self.home as usize
    }
}

/// Where a server is in its life.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) listener: Option<Listening<Box<dyn Factory>>>,
    pub(crate) listening: bool,
    pub(crate) started: bool,
    /// A shutdown has begun: nothing is dialed any more.
    pub(crate) ending: bool,
    /// What the server had is given back.
    released: bool,
    /// Loops that were started and are not over.
    pub(crate) running: Vec<usize>,
}

impl Shared {
    /// Of a server that listens and does not run yet, or of a dialer.
    pub(crate) fn new(
        pollers: Vec<Poller<Self>>,
        settings: Settings,
        listener: Option<Listening<Box<dyn Factory>>>,
    ) -> Self {
        let threads = Threads::new(pollers.len(), settings.takeover(), settings.max_threads);
        Self {
            sys: *pollers[0].sys(),
            counters: Counters::new(pollers.len()),
            pollers,
            sockets: settings.sockets,
            gate: Gate::new(),
            balance: settings.balance,
            hook: Mutex::new(settings.hook.map(Arc::new)),
            state: Mutex::new(State { listener, ..State::default() }),
            limits: settings.limits,
            has_runner: settings.runner.is_some(),
            runner: Held::new(settings.runner),
            threads,
            changed: Condvar::new(),
        }
    }

    /// Counts it and tells the hook. Called under no lock, and no bit but `TASK`. (U4)
    pub(crate) fn report(&self, error: Error) {
        match &error {
            Error::Panicked { callback, connection, message } => {
                self.counters.panics.add(1);
                trace::panic(*connection, callback, message);
            }
            Error::Handler { callback, connection, source } => {
                self.counters.handler_errors.add(1);
                trace::handler_error(*connection, callback, &**source);
            }
            _ => {}
        }
        let hook = lock(&self.hook).clone();
        if let Some(hook) = hook {
            door::tell(self, &**hook, &error);
            door::discard_hook(self, hook);
        }
        door::told(self, error);
    }

    /// The runner, if there is one. A handle of its own: what it runs may be the end of the server.
    ///
    /// # Safety
    ///
    /// A connection of this server is not over until this returns.
    pub(crate) unsafe fn runner(&self) -> Option<Arc<dyn Runner>> {
        // Safety: the only writer is `release_if_over`, when no connection is left and none can begin.
        unsafe { self.runner.with(Option::clone) }
    }

    /// If the server is over, whoever still has a handle of it: gives back its fds, the runner and what else its user
    /// gave it. Called when a loop or a connection has ended. (U4)
    pub(crate) fn release_if_over(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        let over = state.ending && state.running.is_empty() && self.open() == 0;
        if !over || std::mem::replace(&mut state.released, true) {
            return;
        }
        drop(state);
        self.pollers.iter().for_each(Poller::release);
        // Safety: no connection is left, and none can begin; this comes once.
        let runner = unsafe { self.runner.with_mut(Option::take) };
        door::discard_of(self, "drop of the runner", runner);
        let hook = lock(&self.hook).take();
        if let Some(hook) = hook {
            door::discard_hook(self, hook);
        }
    }

    /// A connection was accepted: which it is, and where it will live.
    pub(crate) fn accepted(&self) -> Place {
        self.counters.accepted.add(1);
        self.place(false)
    }

    fn place(&self, dialed: bool) -> Place {
        let id = self.counters.connections.add(1);
        let home = self.balance.pick(id, self.pollers.len(), |index| self.counters.open_on(index));
        self.counters.opened(home);
        Place { id, home: home as u32, dialed }
    }

    /// A dialed connection in its place, unless a shutdown has begun: then its service comes back. (S2)
    pub(crate) fn dialed(
        self: &Arc<Self>,
        fd: <Kernel as Sys>::Fd,
        peer: Addr,
        service: Box<dyn Service>,
    ) -> std::result::Result<Connection, Box<dyn Service>> {
        // The lock is held until the connection is in the registry, so that a shutdown either refuses it or
        // finds it there.
        let state = lock(&self.state);
        if state.ending {
            return Err(service);
        }
        self.counters.dialed.add(1);
        let place = self.place(true);
        let registry = &self.pollers[place.home()].registry;
        let conn = registry.insert(|token| Connection::new(self.clone(), place, token, fd, peer, service));
        drop(state);
        trace::dial(place.id, conn.peer(), place.home());
        Ok(conn)
    }

    /// A connection is over: its fd is closed and its slot is free. (Q1)
    pub(crate) fn one_less(self: &Arc<Self>, place: Place) {
        let wakes = if place.dialed { self.gate.wake() } else { self.gate.leave() };
        if wakes && let Err(errno) = self.pollers[0].wake() {
            self.report(Error::Server { call: "eventfd write", source: errno.into() });
        }
        // Nobody waits for that but a shutdown, which says so before it looks: threads are not woken for nothing.
        if self.counters.closed(place.home()) && lock(&self.state).ending {
            self.changed.notify_all();
            self.release_if_over();
        }
    }

    pub(crate) fn open(&self) -> u64 {
        self.counters.open()
    }

    pub(crate) fn stats(&self) -> Stats {
        let stale = self.pollers.iter().map(Poller::stale).sum();
        self.counters.stats(stale, self.threads.takeovers())
    }

    /// Waits until `over`, or until `deadline` if there is one; whether it is over.
    pub(crate) fn wait_until(&self, deadline: Option<Instant>, mut over: impl FnMut(&State) -> bool) -> bool {
        let mut state = lock(&self.state);
        while !over(&state) {
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    let woken = self.changed.wait_timeout(state, left);
                    woken.unwrap_or_else(std::sync::PoisonError::into_inner).0
                }
            };
        }
        true
    }

    /// Every connection that is not over.
    pub(crate) fn connections(&self) -> Vec<Connection> {
        self.pollers.iter().flat_map(|poller| poller.registry.all()).collect()
    }
}

/// One that never ran, and was not shut down, has everything still. (U1)
impl Drop for Shared {
    fn drop(&mut self) {
        let listening = lock(&self.state).listener.take();
        door::discard_last(self, listening);
        // Safety: a connection would have a handle of this.
        let runner = unsafe { self.runner.with_mut(Option::take) };
        door::discard_last(self, runner);
        let hook = lock(&self.hook).take();
        door::discard_last(self, hook);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn a_report_is_counted_and_a_hook_that_panics_is_left_alone() {
        let told = Arc::new(AtomicU64::new(0));
        let hears = told.clone();
        let hook = move |_: &Error| {
            // Ordering: Relaxed: one thread.
            hears.fetch_add(1, Ordering::Relaxed);
            panic!("on purpose");
        };
        let settings = Settings { hook: Some(Box::new(hook)), ..Settings::default() };
        let shared = settings.shared(None).expect("a poller");
        let (callback, connection) = ("on_request", 1);
        shared.report(Error::Handler { callback, connection, source: "it failed".into() });
        shared.report(Error::Panicked { callback, connection, message: "it panicked".to_owned() });
        shared.report(Error::Closed { call: "send", connection });
        let stats = shared.stats();
        assert_eq!((stats.handler_errors, stats.panics), (1, 1));
        // Ordering: Relaxed: one thread.
        assert_eq!(told.load(Ordering::Relaxed), 3);
    }
}
