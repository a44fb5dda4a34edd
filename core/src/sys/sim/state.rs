//! Files, the numbers by which the reactor's process knows them, and who waits for them.

use nix::errno::Errno;

use super::SimFd;
use crate::sync::Condvar;
use crate::sys::Result;
use crate::sys::sim::epoll::Registration;
use crate::sys::sim::fault::Faults;
use crate::sys::sim::listen::Queue;
use crate::sys::sim::report::count;
use crate::sys::sim::stream::Stream;

/// An open file, also after it was closed: it is never another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct File(pub(super) usize);

/// What a file is.
pub(super) enum Kind {
    Stream(Stream),
    Listener(Queue),
    /// An eventfd.
    Counter(u64),
    Epoll(Vec<Registration>),
    Closed,
}

/// What somebody waits for.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// One of these epolls has an event.
    Events(Vec<File>),
    /// A stream can be read, or has ended.
    Readable(File),
    /// A stream takes bytes, or does not any more.
    Writable(File),
    /// A listener has somebody in its queue.
    Queued(File),
    /// A listener has room in its queue, or is gone.
    Room(File),
}

/// How many of the last system calls are told of a busy loop.
const LAST: u64 = 12;

pub(super) struct State {
    /// By number: which file.
    numbers: Vec<Option<File>>,
    /// Numbers that were used before.
    used: usize,
    pub(super) files: Vec<Kind>,
    pub(super) faults: Faults,
    /// System calls of the reactor; ADDs of connections and MODs among them.
    pub(super) calls: u64,
    pub(super) adds: u32,
    pub(super) modifies: u32,
    /// How often something changed.
    pub(super) changes: u64,
    /// That number when somebody waited last.
    waited: u64,
    last: Vec<&'static str>,
    /// Who waits, for what, and whether they were told.
    waiters: Vec<(Look, Condvar, bool)>,
    /// What must not happen and did.
    pub(super) broken: Vec<String>,
}

impl State {
    pub(super) fn new(faults: Faults) -> Self {
        let (numbers, files, waiters, broken) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            numbers,
            used: 0,
            files,
            faults,
            calls: 0,
            adds: 0,
            modifies: 0,
            changes: 0,
            waited: 0,
            last: Vec::new(),
            waiters,
            broken,
        }
    }

    /// The reactor makes a system call.
    pub(super) fn called(&mut self, name: &'static str) {
        self.calls += 1;
        if self.calls + LAST > self.faults.calls {
            self.last.push(name);
        }
        let most = self.faults.calls;
        assert!(self.calls <= most, "a busy loop: more than {most} system calls, the last ones {:?}", self.last);
    }

    /// Whether a panic is not the end, and this is no busy loop either.
    pub(super) fn survives_panic(&self) -> bool {
        self.faults.panics && self.calls < self.faults.calls
    }

    /// Whether nothing has changed since somebody waited; called by who waits.
    pub(super) fn waits_again(&mut self) -> bool {
        std::mem::replace(&mut self.waited, self.changes) == self.changes
    }

    pub(super) fn broke(&mut self, what: String) {
        self.broken.push(what);
    }

    pub(super) fn create(&mut self, kind: Kind) -> File {
        self.files.push(kind);
        File(self.files.len() - 1)
    }

    /// Whether a number is left.
    pub(super) fn has_number(&self) -> bool {
        self.in_use() < self.faults.numbers
    }

    /// Gives `file` the lowest number that is free.
    pub(super) fn number(&mut self, file: File) -> SimFd {
        let number = self.numbers.iter().position(Option::is_none).unwrap_or(self.numbers.len());
        if number == self.numbers.len() {
            self.numbers.push(None);
        }
        if number < self.used {
            count("fd number reused");
        }
        self.used = self.used.max(number + 1);
        self.numbers[number] = Some(file);
        SimFd { number, file }
    }

    pub(super) fn open(&mut self, kind: Kind) -> Result<SimFd> {
        if !self.has_number() {
            return Err(Errno::EMFILE);
        }
        let file = self.create(kind);
        Ok(self.number(file))
    }

    /// How many numbers are in use.
    pub(super) fn in_use(&self) -> usize {
        self.numbers.iter().flatten().count()
    }

    /// The fd is open, and is the one that was given out.
    pub(super) fn check(&mut self, call: &'static str, fd: &SimFd) -> Result<()> {
        if self.numbers[fd.number] == Some(fd.file) {
            return Ok(());
        }
        self.broke(format!("{call} on fd {} after its close; it is now {:?}", fd.number, self.numbers[fd.number]));
        Err(Errno::EBADF)
    }

    pub(super) fn close(&mut self, number: usize, file: File) {
        self.changes += 1;
        if self.numbers[number] != Some(file) {
            let now = self.numbers[number];
            return self.broke(format!("close of fd {number} that is not {file:?} but {now:?}"));
        }
        self.numbers[number] = None;
        self.end(file, false);
    }

    /// The last reference to a file is gone. `reset`: what is under way is thrown away.
    pub(super) fn end(&mut self, file: File, reset: bool) {
        match std::mem::replace(&mut self.files[file.0], Kind::Closed) {
            Kind::Stream(stream) => self.ended(&stream, reset),
            Kind::Listener(queue) => {
                for waiting in queue.waiting {
                    count("closed with a backlog");
                    self.end(waiting, true);
                }
            }
            Kind::Counter(_) | Kind::Epoll(_) | Kind::Closed => {}
        }
        for kind in &mut self.files {
            if let Kind::Epoll(registrations) = kind {
                registrations.retain(|registration| registration.file != file);
            }
        }
    }

    pub(super) fn signal(&mut self, wake: &SimFd) -> Result<()> {
        self.check("eventfd write", wake)?;
        self.faults.interrupted()?;
        if let Kind::Counter(count) = &mut self.files[wake.file.0] {
            *count += 1;
        }
        self.changed(wake.file);
        Ok(())
    }

    pub(super) fn clear(&mut self, wake: &SimFd) -> Result<()> {
        self.check("eventfd read", wake)?;
        self.faults.interrupted()?;
        match &mut self.files[wake.file.0] {
            Kind::Counter(0) => Err(Errno::EAGAIN),
            Kind::Counter(count) => {
                *count = 0;
                self.changes += 1;
                Ok(())
            }
            _ => Err(Errno::EBADF),
        }
    }

    /// The caller is about to wait for `look`.
    pub(super) fn park(&mut self, look: Look) -> Condvar {
        let condvar = Condvar::new();
        self.waiters.push((look, condvar.clone(), false));
        condvar
    }

    pub(super) fn unpark(&mut self, condvar: &Condvar) {
        self.waiters.retain(|waiter| !waiter.1.is(condvar));
    }

    /// Those who have what they wait for, and were not told yet.
    pub(super) fn woken(&mut self) -> Vec<Condvar> {
        let mut waiters = std::mem::take(&mut self.waiters);
        let mut woken = Vec::new();
        for (look, condvar, told) in waiters.iter_mut().filter(|waiter| !waiter.2) {
            if self.is_there(look) {
                *told = true;
                woken.push(condvar.clone());
            }
        }
        self.waiters = waiters;
        woken
    }

    fn is_there(&self, look: &Look) -> bool {
        match look {
            Look::Events(epolls) => epolls.iter().any(|epoll| self.has_events(*epoll)),
            Look::Readable(file) => self.is_readable(*file),
            Look::Writable(file) => self.is_writable(*file),
            Look::Queued(listener) => match &self.files[listener.0] {
                Kind::Listener(queue) => !queue.waiting.is_empty(),
                _ => true,
            },
            Look::Room(listener) => match &self.files[listener.0] {
                Kind::Listener(queue) => queue.has_room(),
                _ => true,
            },
        }
    }
}
