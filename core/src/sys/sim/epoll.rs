//! epoll.
//!
//! A registration is of a number and the file behind it, and ends when the file does. A level-triggered one is reported
//! as long as `poll` says something of what it asks for; an edge-triggered one once after each change of its file, each
//! ADD and each MOD. `HUP` and `ERR` are always asked for. A batch that was returned is its caller's: what happens to a
//! file after that does not take its event back, so that it may be stale.

use nix::errno::Errno;
use rustix::event::epoll::{Event, EventData, EventFlags};

use super::SimFd;
use crate::sys::sim::report::count;
use crate::sys::sim::state::{File, Kind, State};
use crate::sys::{Interest, Result};

/// The mask of an eventfd and of a listener.
pub(super) const IN: EventFlags = EventFlags::IN;

pub(super) struct Registration {
    number: usize,
    pub(super) file: File,
    token: u64,
    mask: EventFlags,
    /// There was a change since it was reported.
    changed: bool,
}

/// As the real kernel is asked.
pub(super) fn mask(interest: Interest) -> EventFlags {
    let mut mask = EventFlags::empty();
    mask.set(EventFlags::IN | EventFlags::RDHUP, interest.readable);
    mask.set(EventFlags::OUT, interest.writable);
    mask.set(EventFlags::ET, interest.edge);
    mask
}

impl State {
    fn registrations(&mut self, epoll: File) -> Result<&mut Vec<Registration>> {
        match &mut self.files[epoll.0] {
            Kind::Epoll(registrations) => Ok(registrations),
            _ => Err(Errno::EBADF),
        }
    }

    pub(super) fn add(&mut self, epoll: &SimFd, fd: &SimFd, mask: EventFlags, token: u64) -> Result<()> {
        self.check("EPOLL_CTL_ADD", epoll)?;
        self.check("EPOLL_CTL_ADD", fd)?;
        let registrations = self.registrations(epoll.file)?;
        if registrations.iter().any(|of| of.number == fd.number && of.file == fd.file) {
            return Err(Errno::EEXIST);
        }
        self.changes += 1;
        self.registrations(epoll.file)?.push(Registration {
            number: fd.number,
            file: fd.file,
            token,
            mask,
            changed: true,
        });
        Ok(())
    }

    pub(super) fn modify(&mut self, epoll: &SimFd, fd: &SimFd, mask: EventFlags, token: u64) -> Result<()> {
        self.check("EPOLL_CTL_MOD", epoll)?;
        self.check("EPOLL_CTL_MOD", fd)?;
        self.changes += 1;
        let registrations = self.registrations(epoll.file)?;
        let found = registrations.iter_mut().find(|of| of.number == fd.number && of.file == fd.file);
        let registration = found.ok_or(Errno::ENOENT)?;
        if mask.contains(EventFlags::ET) {
            count("masked");
        } else if !mask.contains(EventFlags::IN) {
            count("reading stopped");
        }
        (registration.mask, registration.token, registration.changed) = (mask, token, true);
        Ok(())
    }

    pub(super) fn delete(&mut self, epoll: &SimFd, fd: &SimFd) -> Result<()> {
        self.changes += 1;
        self.check("EPOLL_CTL_DEL", epoll)?;
        self.check("EPOLL_CTL_DEL", fd)?;
        let registrations = self.registrations(epoll.file)?;
        let before = registrations.len();
        registrations.retain(|of| of.number != fd.number || of.file != fd.file);
        if registrations.len() == before { Err(Errno::ENOENT) } else { Ok(()) }
    }

    pub(super) fn is_registered(&self, file: File) -> bool {
        self.files.iter().any(|kind| matches!(kind, Kind::Epoll(all) if all.iter().any(|of| of.file == file)))
    }

    /// Something about `file` changed: an edge.
    pub(super) fn changed(&mut self, file: File) {
        self.changes += 1;
        for kind in &mut self.files {
            if let Kind::Epoll(registrations) = kind {
                registrations.iter_mut().filter(|of| of.file == file).for_each(|of| of.changed = true);
            }
        }
    }

    /// What poll says of `file`.
    pub(super) fn poll(&self, file: File) -> EventFlags {
        match &self.files[file.0] {
            Kind::Stream(stream) => self.polled(stream),
            Kind::Listener(queue) if !queue.waiting.is_empty() => EventFlags::IN,
            Kind::Counter(count) if *count > 0 => EventFlags::IN,
            Kind::Epoll(_) if self.has_events(file) => EventFlags::IN,
            _ => EventFlags::empty(),
        }
    }

    fn event(&self, of: &Registration) -> EventFlags {
        if of.mask.contains(EventFlags::ET) && !of.changed {
            return EventFlags::empty();
        }
        self.poll(of.file) & (of.mask | EventFlags::HUP | EventFlags::ERR)
    }

    pub(super) fn has_events(&self, epoll: File) -> bool {
        match &self.files[epoll.0] {
            Kind::Epoll(registrations) => registrations.iter().any(|of| !self.event(of).is_empty()),
            _ => false,
        }
    }

    /// Takes the events that there are, at most so many, and now and then one that there is not.
    pub(super) fn collect(&mut self, epoll: File, most: usize) -> Vec<Event> {
        let Kind::Epoll(registrations) = &self.files[epoll.0] else { return Vec::new() };
        let mut found: Vec<_> = registrations.iter().map(|of| self.event(of)).collect();
        let streams = registrations
            .iter()
            .position(|of| of.mask.contains(EventFlags::IN) && matches!(self.files[of.file.0], Kind::Stream(_)));
        if let Some(at) = streams
            && found[at].is_empty()
            && self.faults.spurious()
        {
            found[at] = EventFlags::IN;
        }
        let Ok(registrations) = self.registrations(epoll) else { return Vec::new() };
        let mut events = Vec::new();
        for (of, flags) in registrations.iter_mut().zip(found) {
            if !flags.is_empty() && events.len() < most {
                of.changed = false;
                events.push(Event { flags, data: EventData::new_u64(of.token) });
            }
        }
        // The others come first the next time.
        if !registrations.is_empty() {
            registrations.rotate_left(1);
        }
        events
    }
}
