//! A simulated kernel, for the reactor under shuttle (`--cfg shuttle --cfg sim`).
//!
//! The reactor, server, dialer, runner and their waits are the ones that ship; what is below them is this. A system
//! call is one step: it takes the kernel's lock (shuttle may switch there), changes the state, and wakes who waits
//! for what has changed. The state belongs to one execution.
//!
//! | module | what it simulates |
//! | --- | --- |
//! | `state` | fds and files; the lowest free number is given out, so a closed one is used again at once |
//! | `stream` | stream sockets as TCP has them: FIN, RST, half-close, room in the buffers |
//! | `epoll` | epoll: level- and edge-triggered, masks, registrations that end with their file |
//! | `listen` | listeners with a backlog, accept, connect |
//! | `peer` | what is at the other end: a process of its own, without fds here |
//! | `fault` | what may go wrong, by chance or by a script |
//! | `report` | what happened, and what must not |
//!
//! Where Linux leaves a choice it is shuttle's: short reads and writes, interruptions, spurious readiness. What is
//! checked all the time: an fd is used only while it is open and by whom it was given to, and is closed once; the
//! reactor makes no more system calls than the scenario allows.
//!
//! Not simulated: delay on the way (a peer that has not sent yet is one whose thread has not run yet), datagrams, Unix
//! sockets, `SO_*` options, signals other than as `EINTR`, more than one process on the reactor's side.

mod epoll;
mod fault;
mod listen;
mod peer;
mod report;
mod state;
mod stream;

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::sync::Arc as Owner;
use std::time::Duration;

pub use self::fault::Faults;
pub use self::peer::{Peer, Remote};
pub use self::report::{Report, count, take_counts};
use self::state::{File, Look, State};
use super::{Errno, Events, Interest, Result, Sys, restart};
use crate::addr::Addr;
use crate::sync::simulated::Clock;
use crate::sync::time::Instant;
use crate::sync::{Condvar, Mutex, MutexGuard, lock};
use crate::sys::options::{ListenOptions, SocketOptions};

/// The simulated kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct SimSys;

// One thread of the machine runs all threads of an execution.
std::thread_local! {
    static KERNEL: RefCell<Option<Owner<Mutex<State>>>> = const { RefCell::new(None) };
}

/// A new kernel, for the execution that begins.
pub fn begin(faults: Faults) {
    KERNEL.set(Some(Owner::new(Mutex::new(State::new(faults)))));
}

/// The kernel of this execution is not needed any more: what happened in it.
pub fn end() -> Report {
    let state = kernel().expect("there is a kernel");
    let report = report::report(&lock(&state));
    KERNEL.set(None);
    report
}

fn kernel() -> Option<Owner<Mutex<State>>> {
    KERNEL.with_borrow(Clone::clone)
}

/// Something happens in the kernel, in one step.
fn step<T>(change: impl FnOnce(&mut State) -> T) -> T {
    let kernel = kernel().expect("there is a kernel");
    let mut state = lock(&kernel);
    let value = change(&mut state);
    tell(state);
    value
}

/// Ends a step: tells those who have what they wait for.
fn tell(mut state: MutexGuard<'_, State>) {
    let woken = state.woken();
    drop(state);
    woken.iter().for_each(Condvar::notify_all);
}

/// Whether there is something to keep in order: not at the end of an execution that failed.
fn keeps_order() -> bool {
    let panicking = std::thread::panicking();
    kernel().is_some_and(|kernel| !panicking || lock(&kernel).survives_panic())
}

/// A system call of the reactor that does not wait.
fn call<T>(name: &'static str, change: impl FnOnce(&mut State) -> T) -> T {
    Clock::race();
    step(|state| {
        state.called(name);
        change(state)
    })
}

/// Waits until `look` says that there is something, and `take` has taken it; at most so long.
fn wait<T>(look: Look, timeout: Option<Duration>, mut take: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
    let until = timeout.and_then(|time| Instant::now().checked_add(time));
    let kernel = kernel().expect("there is a kernel");
    let mut state = lock(&kernel);
    loop {
        if let Some(value) = take(&mut state) {
            tell(state);
            return Some(value);
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return None;
        }
        let condvar = state.park(look.clone());
        state = match left {
            None => condvar.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner),
            Some(left) => condvar.wait_timeout(state, left).unwrap_or_else(std::sync::PoisonError::into_inner).0,
        };
        state.unpark(&condvar);
    }
}

/// An fd of the reactor's process: its number, and the file that it was given for. Dropping it closes it.
#[derive(Debug)]
pub struct SimFd {
    number: usize,
    file: File,
}

impl SimFd {
    /// Whether an epoll still has it.
    pub fn is_registered(&self) -> bool {
        step(|state| state.is_registered(self.file))
    }
}

impl Drop for SimFd {
    fn drop(&mut self) {
        if keeps_order() {
            call("close", |state| state.close(self.number, self.file));
        }
    }
}

impl Sys for SimSys {
    type Fd = SimFd;
    type Epoll = SimFd;
    type Wake = SimFd;
    type Listener = SimFd;

    fn listen(&self, address: &str, options: &ListenOptions) -> crate::error::Result<(SimFd, Addr)> {
        listen::listen(address, options.backlog)
    }

    fn connect(&self, address: &str, timeout: Duration, _: &SocketOptions) -> crate::error::Result<(SimFd, Addr)> {
        listen::connect(address, timeout)
    }

    fn set_buffers(&self, _: &SimFd, _: &SocketOptions) -> io::Result<()> {
        Ok(())
    }

    fn epoll(&self) -> Result<SimFd> {
        call("epoll", |state| state.open(state::Kind::Epoll(Vec::new())))
    }

    fn wake(&self) -> Result<SimFd> {
        call("wake", |state| state.open(state::Kind::Counter(0)))
    }

    fn add(&self, epoll: &SimFd, fd: &SimFd, interest: Interest, token: u64) -> Result<()> {
        call("add", |state| {
            state.adds += 1;
            state.faults.add(state.adds)?;
            state.add(epoll, fd, epoll::mask(interest), token)
        })
    }

    fn modify(&self, epoll: &SimFd, fd: &SimFd, interest: Interest, token: u64) -> Result<()> {
        call("modify", |state| {
            state.modifies += 1;
            state.faults.modify(state.modifies)?;
            state.modify(epoll, fd, epoll::mask(interest), token)
        })
    }

    fn delete(&self, epoll: &SimFd, fd: &SimFd) -> Result<()> {
        call("delete", |state| state.delete(epoll, fd))
    }

    fn add_wake(&self, epoll: &SimFd, wake: &SimFd, token: u64) -> Result<()> {
        call("add", |state| state.add(epoll, wake, epoll::IN, token))
    }

    fn add_listener(&self, epoll: &SimFd, listener: &SimFd, token: u64) -> Result<()> {
        call("add", |state| state.add(epoll, listener, epoll::IN, token))
    }

    fn delete_listener(&self, epoll: &SimFd, listener: &SimFd) -> Result<()> {
        call("delete", |state| state.delete(epoll, listener))
    }

    fn wait(&self, epoll: &SimFd, events: &mut Events, timeout: Option<Duration>) -> Result<()> {
        let (interrupted, again) = call("wait", |state| {
            state.check("epoll_wait", epoll)?;
            Ok((state.faults.interrupts(), state.waits_again()))
        })?;
        // It found something that another thread is about to see to, and comes back at once. A machine lets that thread
        // run in the end; a scheduler that does not has to be asked.
        if again {
            count("waited for another thread");
            crate::sync::thread::yield_now();
        }
        events.0.clear();
        // As the real one: no events.
        if interrupted {
            return Ok(());
        }
        let (file, most) = (epoll.file, events.0.capacity());
        let found = wait(Look::Events(vec![file]), timeout, |state| {
            let found = state.collect(file, most);
            (!found.is_empty()).then_some(found)
        });
        events.0.extend(found.unwrap_or_default());
        Ok(())
    }

    fn read(&self, fd: &SimFd, into: &mut [u8]) -> Result<usize> {
        restart(|| call("read", |state| state.read(fd, into)))
    }

    fn write(&self, fd: &SimFd, from: &[u8]) -> Result<usize> {
        restart(|| call("write", |state| state.write(fd, from)))
    }

    fn write_vectored(&self, fd: &SimFd, from: &[IoSlice<'_>]) -> Result<usize> {
        let all: Vec<u8> = from.iter().flat_map(|run| run.iter().copied()).collect();
        restart(|| call("write_vectored", |state| state.write(fd, &all)))
    }

    fn wait_readable(&self, fd: &SimFd, at_most: Duration) -> Result<bool> {
        let again = call("wait_readable", |state| {
            state.check("poll", fd)?;
            Ok::<_, Errno>(state.waits_again())
        })?;
        // As in `wait`.
        if again {
            crate::sync::thread::yield_now();
        }
        let file = fd.file;
        let found = wait(Look::Readable(file), Some(at_most), |state| state.is_readable(file).then_some(()));
        Ok(found.is_some())
    }

    fn shutdown(&self, fd: &SimFd) -> Result<()> {
        call("shutdown", |state| state.shutdown(fd, true))
    }

    fn end_output(&self, fd: &SimFd) -> Result<()> {
        call("end_output", |state| state.shutdown(fd, false))
    }

    fn accept(&self, listener: &SimFd) -> io::Result<(SimFd, Addr)> {
        Ok(call("accept", |state| state.accept(listener))?)
    }

    fn doze(&self, epolls: &[&SimFd], timeout: Duration) -> Result<bool> {
        let files: Vec<_> = epolls.iter().map(|epoll| epoll.file).collect();
        call("doze", |_| count("doze"));
        let found = wait(Look::Events(files.clone()), Some(timeout), |state| {
            files.iter().any(|epoll| state.has_events(*epoll)).then_some(())
        });
        Ok(found.is_some())
    }

    fn signal(&self, wake: &SimFd) -> Result<()> {
        restart(|| call("signal", |state| state.signal(wake)))
    }

    fn clear(&self, wake: &SimFd) -> Result<()> {
        match restart(|| call("clear", |state| state.clear(wake))) {
            Err(Errno::EAGAIN) => Ok(()),
            other => other,
        }
    }
}
