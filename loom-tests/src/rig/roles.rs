//! What a role of a scenario does to its [`World`]: as acceptor, as peer and poller, as user.
//!
//! Each method is one step, or a few, of one thread; [`World::role`] makes a thread of them. Not here: the
//! steps that wait, which are in `waits`.

use pollproof::protocol::effects::Effects;
use pollproof::protocol::interest;
use pollproof::protocol::lifecycle::{self, Closed, Reading};
use pollproof::protocol::output::{self, Refused};
use pollproof::protocol::word::PEER;

use super::World;
use super::kernel::Event;
use crate::recording;
use crate::scenario::Role;

impl World {
    /// A role that is given a clone of this world.
    pub fn role(&self, act: impl FnOnce(World) + Send + 'static) -> Role {
        let mut record = self.record();
        record.roles += 1;
        let who = char::from_digit(record.roles, 10).expect("checkers have few threads");
        drop(record);
        let world = World { who, ..self.clone() };
        Box::new(move || act(world))
    }

    /// Whose clone this is: 0 for the main thread, then the roles as listed, `t` for a task.
    pub fn who(&self) -> char {
        self.who
    }

    /// A role that detaches.
    pub fn detacher(&self) -> Role {
        self.role(|world| world.detach())
    }

    /// A role that flushes, and may be refused.
    pub fn flusher(&self, bytes: u64) -> Role {
        self.role(move |world| {
            let _ = world.flush(bytes);
        })
    }

    /// A role that flushes, and waits until that is sent.
    pub fn waiting_flusher(&self, bytes: u64) -> Role {
        self.role(move |world| {
            let _ = world.flush_blocking(bytes);
        })
    }

    /// A role that closes, as a user.
    pub fn closer(&self) -> Role {
        self.role(|world| {
            let which = world.close();
            world.note(format!("close:{which:?}"));
        })
    }

    /// A role that polls: what epoll reports by then.
    pub fn poller(&self) -> Role {
        self.role(|world| {
            world.poll();
        })
    }

    /// A role that brings a hup.
    pub fn hanger_up(&self) -> Role {
        self.role(|world| world.hup())
    }

    // The acceptor's roles.

    /// Registers the fd, as [`World::registered`] does, but after `born`.
    pub fn register(&self) {
        let _ = lifecycle::register(self);
    }

    /// OnConnect, and the first run of the section.
    pub fn connect(&self) {
        lifecycle::connect(self);
    }

    // The peer's and poller's roles.

    /// The peer sends a segment; nobody looks yet.
    pub fn peer_sends(&self) {
        recording::label("the peer sends");
        self.kernel().inbox += 1;
    }

    /// The peer sends a segment, and a poller reports it.
    pub fn data(&self) {
        recording::label("the peer sends");
        self.kernel().inbox += 1;
        self.poll();
    }

    /// The peer shuts down its writing side, and a poller reports it.
    pub fn eof(&self) {
        recording::label("the peer half-closes");
        self.kernel().eof = true;
        self.poll();
    }

    /// The peer is gone, and a poller reports it.
    pub fn hup(&self) {
        recording::label("the peer hangs up");
        self.kernel().gone = true;
        self.poll();
    }

    /// The peer takes `bytes`, and a poller reports what that makes of the socket.
    pub fn peer_takes(&self, bytes: u64) {
        self.kernel().room += bytes;
        self.poll();
    }

    /// What a level-triggered epoll reports, until it reports nothing or another poller is at it; a wake-up means that
    /// something was left to the loop. Answers whether there was anything.
    pub fn poll(&self) -> bool {
        let mut any = false;
        loop {
            recording::label("epoll_wait");
            let elsewhere = self.record().led;
            let mut kernel = self.kernel();
            let woken = !elsewhere && std::mem::take(&mut kernel.woken);
            let event = kernel.poll();
            drop(kernel);
            any |= woken || event.is_some();
            let goes_on = event.is_some_and(|event| {
                let sent = event.writable && output::writable(self);
                let read = event.readable && self.poll_in(event);
                sent || read
            });
            if woken {
                self.serve_queue();
            }
            self.sweep();
            if !goes_on && !woken {
                return any;
            }
        }
    }

    /// Reads on by itself, as a call does that waits for more inside user code on a polling thread: what it finds but
    /// data is in the word.
    pub fn read_itself(&self) {
        assert!(self.inside.get(), "else it polls");
        while lifecycle::readable(self, false) == Reading::Data {}
    }

    /// One event, and no second look.
    pub fn event_once(&self) {
        recording::label("epoll_wait");
        let event = self.kernel().poll();
        if let Some(event) = event {
            self.poll_in(event);
        }
    }

    /// Whether the fd is in epoll.
    pub fn in_epoll(&self) -> bool {
        self.kernel().registered
    }

    /// Segments that were read since birth.
    pub fn segments_read(&self) -> u64 {
        Effects::produced(self)
    }

    /// The readable half of an event. Answers whether this poller goes on.
    fn poll_in(&self, event: Event) -> bool {
        match lifecycle::readable(self, event.hup) {
            Reading::Data => true,
            Reading::Eof => {
                interest::refresh(self);
                false
            }
            Reading::Nothing | Reading::Closed => false,
        }
    }

    // The user's roles.

    /// Writes a note that the close callbacks must see, if the connection ends by what this role does next.
    pub fn write_note(&self) {
        // Safety: one role of a scenario writes it, and the callbacks read it after that role's close.
        self.inner.closers_note.with_mut(|note| unsafe { *note = 7 });
    }

    /// Writes a note that the close callbacks must see, and closes.
    pub fn close_with_note(&self) {
        self.write_note();
        let _ = self.close();
    }

    /// Asks what the word says and no more.
    pub fn is_active(&self) -> bool {
        !self.look().closing()
    }

    /// Inside a callback: if the peer is gone, what its reader knows of that is known here.
    pub fn asks_whether_it_broke(&self) {
        if self.look().any(PEER) {
            // Safety: written before the word said so.
            assert!(self.inner.broken.with(|broken| unsafe { *broken }), "the reader's note is not there");
        }
    }

    /// A user close.
    pub fn close(&self) -> Closed {
        lifecycle::close(self)
    }

    /// A user close that wants the fd back.
    pub fn detach(&self) {
        if lifecycle::detach(self) {
            self.record().detached += 1;
        }
    }

    /// Asks for a graceful close.
    pub fn shutdown(&self) {
        lifecycle::shutdown(self);
    }

    /// Sets or replaces OnRequest.
    pub fn set_handler(&self, id: u32) {
        assert!(self.inner.user.sets, "the user says so");
        let back = self.inner.slot.put(id);
        let mut record = self.record();
        record.handlers += 1;
        record.handlers_over += u32::from(back.is_some());
        drop(record);
        if back == Some(id) {
            self.note("handler given back");
        }
        lifecycle::handler_set(self);
    }

    /// Adds a close callback with a number of its own.
    pub fn add_close_callback(&self, id: u32) {
        let pushed = self.inner.callbacks.push(id);
        let mut record = self.record();
        match pushed {
            Ok(()) => {
                recording::note("close callback accepted");
                record.added.push(id);
            }
            Err(_) => {
                recording::note("close callback given back");
                record.rejected += 1;
            }
        }
    }

    /// After a flush, before its end: nobody else appends.
    pub(super) fn still_flushes(&self) {
        self.inner.producer.with(|_| ());
    }

    /// Flushes `bytes` without waiting. Answers whether they were taken.
    pub fn flush(&self, bytes: u64) -> Result<(), Refused> {
        let role = World { own: bytes, ..self.clone() };
        let through = output::flush(&role)?;
        role.still_flushes();
        role.record().flushed += bytes;
        output::end_flush(&role, through);
        Ok(())
    }
}
