//! The world of a scenario: one connection whose surroundings are counters and checked cells.
//!
//! [`World`] implements the protocol's `Effects`. Everything that a bit of the word is to protect is a
//! facade `UnsafeCell` here, touched where the reactor would touch the real thing: loom reports two
//! accesses that the protocol does not order. Callbacks also leave a mark with one relaxed RMW, so that
//! their order is visible to the checkers and part of the outcome.
//!
//! For: authors of scenarios. The roles are [`World`]'s methods; [`World::end`] joins tasks, polls what a
//! level-triggered epoll would report again, checks what must hold for every scenario, and returns the
//! outcome. Not here: the scenarios.

mod effects;
pub mod kernel;
mod verify;

// A lock that the checkers do not see; ThreadSanitizer, which cannot look into std's, gets one that it sees.
#[cfg(tsan)]
use pollproof::sync::{Mutex as Unseen, MutexGuard as UnseenGuard};
#[cfg(not(tsan))]
use std::sync::{Mutex as Unseen, MutexGuard as UnseenGuard};

use pollproof::protocol::close_list::CloseList;
use pollproof::protocol::effects::{Effects, Ran};
use pollproof::protocol::lifecycle::{self, Closed, Reading};
use pollproof::protocol::output::{self, Refused};
use pollproof::protocol::process::Progress;
use pollproof::protocol::slot::Slot;
use pollproof::protocol::transitions::Word;
use pollproof::protocol::trigger::{self, Ticket, Trigger, Wake};
use pollproof::protocol::{interest, word};
use pollproof::sync::UnsafeCell;
use pollproof::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use pollproof::sync::thread::JoinHandle;

use crate::scenario::{Role, Runner, Setup};
use crate::{Shared, share};
use kernel::{Event, Kernel};

/// What user code does inside a callback.
pub type Act = fn(&World) -> Ran;

/// A callback that does nothing.
pub fn quiet(_: &World) -> Ran {
    Ran::Done
}

/// A callback that panics.
pub fn panics(_: &World) -> Ran {
    Ran::Panicked
}

/// A callback that closes its connection.
pub fn closes(world: &World) -> Ran {
    let _ = world.close();
    Ran::Done
}

/// The user's side of a scenario.
#[derive(Clone, Copy)]
pub struct User {
    /// Whether OnRequest is set from the start.
    pub handler: bool,
    /// OnRequest consumes whole packets of so many segments.
    pub packet: u64,
    /// OnRequest consumes at most so many segments a call.
    pub per_call: u64,
    /// How many close callbacks are added at birth.
    pub callbacks: u32,
    /// Bytes that the socket takes at first.
    pub room: u64,
    /// Whether the scenario is about output: then who sends, and when, is part of the outcome.
    pub output: bool,
    /// Inside OnPrepare.
    pub on_prepare: Act,
    /// Inside OnConnect.
    pub on_connect: Act,
    /// Inside OnRequest.
    pub on_request: Act,
    /// Inside OnDisconnect.
    pub on_disconnect: Act,
    /// Inside the newest close callback.
    pub on_close: Act,
}

impl Default for User {
    fn default() -> Self {
        Self {
            handler: true,
            packet: 1,
            per_call: u64::MAX,
            callbacks: 1,
            room: 0,
            output: false,
            on_prepare: quiet,
            on_connect: quiet,
            on_request: quiet,
            on_disconnect: quiet,
            on_close: quiet,
        }
    }
}

/// What the owner of the serial section keeps.
#[derive(Default)]
struct Serial {
    consumed: u64,
    progress: Progress,
    /// Which OnRequest is installed; 0 for none.
    handler: u32,
}

/// What happened, for the outcome and the checks.
#[derive(Default)]
struct Record {
    roles: u32,
    /// Serial sections that were handed to tasks, and whether they may be.
    tasks: u32,
    born: bool,
    /// Callbacks by the order of their marks.
    events: Vec<(u32, String)>,
    in_connect: bool,
    in_request: bool,
    in_disconnect: bool,
    connected: bool,
    added: Vec<u32>,
    ran: Vec<u32>,
    rejected: u32,
    closes: u32,
    finishes: u32,
    handed_back: u32,
    detached: u32,
    flushed: u64,
    dropped: u64,
    last_told: u32,
    notes: Vec<String>,
    ticket: Option<Ticket>,
    time_is_up: bool,
}

struct Inner {
    word: Word,
    runner: Runner,
    user: User,
    marks: AtomicU32,
    system_calls: AtomicU32,
    produced: AtomicU64,
    queued: AtomicU64,
    sent: AtomicU64,
    segments: [UnsafeCell<u64>; 4],
    serial: UnsafeCell<Serial>,
    context: UnsafeCell<u64>,
    disconnecting: UnsafeCell<()>,
    /// How many segments the holder of `READING` has read.
    reader: UnsafeCell<u64>,
    producer: UnsafeCell<()>,
    consumer: UnsafeCell<u64>,
    mask: UnsafeCell<(bool, bool)>,
    fd: UnsafeCell<()>,
    closers_note: UnsafeCell<u32>,
    read_trigger: Trigger,
    write_trigger: Trigger,
    slot: Slot<u32>,
    callbacks: CloseList<u32>,
    kernel: Unseen<Kernel>,
    record: Unseen<Record>,
    tasks: Unseen<Vec<JoinHandle<()>>>,
}

// Safety: the cells are what the scenarios check. Each is accessed only where the protocol promises the
// needed exclusion; loom reports it when that promise is broken.
unsafe impl Sync for Inner {}
// Safety: nothing here belongs to a thread.
unsafe impl Send for Inner {}

/// One connection and its surroundings; cheap to clone, one clone a role.
#[derive(Clone)]
pub struct World {
    inner: Shared<Inner>,
    /// Bytes of the flush that this role has under way.
    own: u64,
    /// Who uses this clone: 0 for the main thread, then the roles as listed, `t` for a task.
    who: char,
}

impl World {
    /// A connection as accept leaves it: born owned, not registered.
    pub fn born(setup: &Setup, user: User) -> Self {
        let world = World {
            inner: share(Inner {
                word: Word::new(user.handler),
                runner: setup.runner,
                user,
                marks: AtomicU32::new(0),
                system_calls: AtomicU32::new(0),
                produced: AtomicU64::new(0),
                queued: AtomicU64::new(0),
                sent: AtomicU64::new(0),
                segments: std::array::from_fn(|_| UnsafeCell::new(0)),
                serial: UnsafeCell::new(Serial { handler: user.handler.into(), ..Serial::default() }),
                context: UnsafeCell::new(0),
                disconnecting: UnsafeCell::new(()),
                reader: UnsafeCell::new(0),
                producer: UnsafeCell::new(()),
                consumer: UnsafeCell::new(0),
                mask: UnsafeCell::new((true, false)),
                fd: UnsafeCell::new(()),
                closers_note: UnsafeCell::new(0),
                read_trigger: Trigger::new(),
                write_trigger: Trigger::new(),
                slot: Slot::default(),
                callbacks: CloseList::new(),
                kernel: Unseen::new(Kernel { room: user.room, ..Kernel::default() }),
                record: Unseen::default(),
                tasks: Unseen::default(),
            }),
            own: 0,
            who: '0',
        };
        for id in 0..user.callbacks {
            world.add_close_callback(id);
        }
        world
    }

    /// A connection that is registered, but whose OnConnect has not begun.
    pub fn registered(setup: &Setup, user: User) -> Self {
        let world = Self::born(setup, user);
        let _ = lifecycle::register(&world);
        world
    }

    /// A connection whose OnConnect is over.
    pub fn connected(setup: &Setup, user: User) -> Self {
        let world = Self::registered(setup, user);
        world.record().born = true;
        world.connect();
        world.record().born = false;
        world
    }

    /// A role that is given a clone of this world.
    pub fn role(&self, act: impl FnOnce(World) + Send + 'static) -> Role {
        let mut record = self.record();
        record.roles += 1;
        let who = char::from_digit(record.roles, 10).expect("checkers have few threads");
        drop(record);
        let world = World { who, ..self.clone() };
        Box::new(move || act(world))
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

    /// A step in the kernel. It steers what roles do, so the checkers must see and order it: loom's
    /// reduction skips interleavings of what it does not see.
    fn kernel(&self) -> UnseenGuard<'_, Kernel> {
        // Ordering: Relaxed; it orders itself and nothing else.
        self.inner.system_calls.fetch_add(1, Ordering::Relaxed);
        self.peek()
    }

    /// The kernel's state for an assertion, which steers nothing.
    fn peek(&self) -> UnseenGuard<'_, Kernel> {
        self.inner.kernel.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn record(&self) -> UnseenGuard<'_, Record> {
        self.inner.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes the next place in the order of events.
    fn mark(&self) -> u32 {
        // Ordering: Relaxed; the marks order themselves and nothing else.
        self.inner.marks.fetch_add(1, Ordering::Relaxed)
    }

    fn event(&self, name: impl std::fmt::Display) {
        let at = self.mark();
        self.record().events.push((at, format!("{name}@{}", self.who)));
    }

    /// Adds to the outcome what a role saw.
    pub fn note(&self, note: impl Into<String>) {
        self.record().notes.push(note.into());
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
        self.kernel().inbox += 1;
    }

    /// The peer sends a segment, and a poller reports it.
    pub fn data(&self) {
        self.kernel().inbox += 1;
        self.poll();
    }

    /// The peer shuts down its writing side, and a poller reports it.
    pub fn eof(&self) {
        self.kernel().eof = true;
        self.poll();
    }

    /// The peer is gone, and a poller reports it.
    pub fn hup(&self) {
        self.kernel().gone = true;
        self.poll();
    }

    /// The peer takes `bytes`, and a poller reports what that makes of the socket.
    pub fn peer_takes(&self, bytes: u64) {
        self.kernel().room += bytes;
        self.poll();
    }

    /// What a level-triggered epoll reports, until it reports nothing or another poller is at it.
    /// Answers whether there was anything.
    pub fn poll(&self) -> bool {
        let mut any = false;
        loop {
            let Some(event) = self.kernel().poll() else { return any };
            any = true;
            let sent = event.writable && output::writable(self);
            let read = event.readable && self.poll_in(event);
            if !sent && !read {
                return true;
            }
        }
    }

    /// One event, and no second look.
    pub fn event_once(&self) {
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
                interest::mask_after_eof(self);
                false
            }
            Reading::Nothing | Reading::Closed => false,
        }
    }

    // The user's roles.

    /// Writes a note that the close callbacks must see, and closes.
    pub fn close_with_note(&self) {
        // Safety: one role of a scenario writes it, and the callbacks read it after that role's close.
        self.inner.closers_note.with_mut(|note| unsafe { *note = 7 });
        let _ = self.close();
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
        let _ = self.inner.slot.put(id);
        lifecycle::handler_set(self);
    }

    /// Adds a close callback with a number of its own.
    pub fn add_close_callback(&self, id: u32) {
        let pushed = self.inner.callbacks.push(id);
        let mut record = self.record();
        match pushed {
            Ok(()) => record.added.push(id),
            Err(_) => record.rejected += 1,
        }
    }

    /// Reads outside a handler until `target` segments were read since birth; notes how it ended.
    pub fn read_blocking(&self, target: u64) {
        if !lifecycle::acquire(self) {
            self.note(format!("reader{}:busy", self.who));
            return;
        }
        let wake = trigger::wait_readable(self, target, |trigger, ticket| self.sleep(trigger, ticket));
        let got = self.consume_all(1);
        if wake == Wake::Ready {
            assert!(got.1 >= target, "woken for {target}, but {} are there", got.1);
        }
        self.note(format!("reader{}:{wake:?}", self.who));
        lifecycle::release(self);
    }

    /// Flushes `bytes` and waits until they are sent; notes how it ended.
    pub fn flush_blocking(&self, bytes: u64) -> Option<Wake> {
        let role = World { own: bytes, ..self.clone() };
        match output::flush(&role) {
            Err(refused) => {
                role.note(format!("flush:{refused:?}"));
                None
            }
            Ok(()) => {
                // Ordering: Acquire, partner: the Release of `append`; this role appended last.
                let target = role.inner.queued.load(Ordering::Acquire);
                role.record().flushed += bytes;
                let wake = trigger::wait_sent(&role, target, |trigger, ticket| role.sleep(trigger, ticket));
                if wake == Wake::Ready {
                    // Ordering: Acquire, partner: the Release of `send`.
                    let sent = role.inner.sent.load(Ordering::Acquire);
                    assert!(sent >= target, "flush reports success with {sent} of {target} sent");
                }
                role.note(format!("flush:{wake:?}"));
                output::end_flush(&role);
                Some(wake)
            }
        }
    }

    /// Flushes `bytes` without waiting. Answers whether they were taken.
    pub fn flush(&self, bytes: u64) -> Result<(), Refused> {
        let role = World { own: bytes, ..self.clone() };
        output::flush(&role)?;
        role.record().flushed += bytes;
        output::end_flush(&role);
        Ok(())
    }

    fn sleep(&self, trigger: &Trigger, ticket: Ticket) -> Wake {
        self.mark();
        let mut record = self.record();
        record.ticket = Some(ticket);
        let late = record.time_is_up;
        drop(record);
        if late {
            trigger.expire(ticket);
        }
        if self.own > 0 {
            // The poller's role may be over; epoll would report to the next one who asks.
            self.poll();
        }
        trigger.wait(ticket)
    }

    /// The deadline of the blocked reader passes.
    pub fn reader_times_out(&self) {
        self.time_out(&self.inner.read_trigger);
    }

    /// The deadline of the blocked flusher passes.
    pub fn flusher_times_out(&self) {
        self.time_out(&self.inner.write_trigger);
    }

    fn time_out(&self, trigger: &Trigger) {
        self.mark();
        let mut record = self.record();
        record.time_is_up = true;
        let ticket = record.ticket;
        drop(record);
        if let Some(ticket) = ticket {
            trigger.expire(ticket);
        }
    }

    /// Time passes for a wait that is over: the next wait has none.
    pub fn no_deadline(&self) {
        let mut record = self.record();
        record.time_is_up = false;
        record.ticket = None;
    }

    fn join_tasks(&self) {
        loop {
            let task = self.inner.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
            let Some(task) = task else { return };
            if let Err(payload) = task.join() {
                std::panic::resume_unwind(payload);
            }
        }
    }

    /// The word, as the protocol's own look sees it.
    pub fn look(&self) -> word::Snapshot {
        self.inner.word.look()
    }
}
