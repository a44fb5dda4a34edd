//! The world of a scenario: one connection whose surroundings are counters and checked cells.
//!
//! [`World`] implements the protocol's `Effects`. Everything that a bit of the word is to protect is a
//! facade `UnsafeCell` here, touched where the reactor would touch the real thing: loom reports two
//! accesses that the protocol does not order. Callbacks also leave a mark with one relaxed RMW, so that
//! their order is visible to the checkers and part of the outcome.
//!
//! Here: the state, its construction, the record and its marks. Beside it: what user code does inside
//! callbacks (`user`), what a role does (`roles`, `waits` for those that block,
//! `takeover` for two pollers of one epoll, `relay` for what one connection does to another, `queue` for what is left to
//! the home loop), the effects that the protocol asks for (`effects`) on a socket (`kernel`), and `World::end`
//! (`verify`), which joins tasks, polls what a level-triggered epoll would report again, checks what must hold for every
//! scenario, and returns the outcome. Not here: the scenarios.

mod effects;
pub mod kernel;
mod queue;
mod relay;
mod roles;
mod takeover;
mod user;
mod verify;
mod waits;

use std::cell::Cell;

use pollproof::protocol::close_list::CloseList;
use pollproof::protocol::progress::Progress;
use pollproof::protocol::slot::Slot;
use pollproof::protocol::transitions::Word;
use pollproof::protocol::trigger::{Ticket, Trigger};
use pollproof::protocol::word;
use pollproof::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use pollproof::sync::thread::JoinHandle;
use pollproof::sync::{Mutex, UnsafeCell};

use crate::recording::{self, Shown};
use crate::scenario::{Runner, Setup};
use crate::share::{Shared, Unseen, UnseenGuard, share};
use kernel::Kernel;
use queue::{Duty, Queue};
use takeover::Gate;
pub use takeover::holds_up;
pub use user::{Act, User, closes, panics, quiet, reads_on};

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
    /// Segments that the OnRequest consumed that was there first.
    took_by_first: u64,
    /// The call of OnRequest that is under way was told so.
    last: bool,
    notes: Vec<String>,
    ticket: Option<Ticket>,
    time_is_up: bool,
    /// Handlers that were made, and those that were dropped.
    handlers: u32,
    handlers_over: u32,
    /// A role of its own leads the home loop.
    led: bool,
    /// What a thread does when its user code has returned, because the home loop is over.
    deferred: Vec<(char, Duty)>,
}

struct Inner {
    word: Word,
    runner: Runner,
    user: User,
    marks: AtomicU32,
    system_calls: AtomicU32,
    produced: AtomicU64,
    /// What the owner consumed, for who must guess how much is unread.
    consumed: AtomicU64,
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
    mask: UnsafeCell<(bool, bool, bool)>,
    fd: UnsafeCell<()>,
    closers_note: UnsafeCell<u32>,
    /// What the reader knows of a peer that is gone.
    broken: UnsafeCell<bool>,
    /// Whether the two triggers are made, by who waits first.
    made: [UnsafeCell<bool>; 2],
    read_trigger: Trigger,
    write_trigger: Trigger,
    slot: Slot<u32>,
    gate: Gate,
    callbacks: CloseList<u32>,
    kernel: Unseen<Kernel>,
    record: Unseen<Record>,
    tasks: Unseen<Vec<JoinHandle<()>>>,
    queue: Queue,
    /// The connection whose output paces the handler, if it is not this one.
    paced_by: Option<World>,
    /// Whose handlers wait for this one's output.
    awaiting: Mutex<Vec<World>>,
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
    /// This party is called by user code: no callback may begin.
    inside: Cell<bool>,
    /// This thread leads the home loop, and looks at its queue before it waits.
    leads: bool,
}

impl World {
    /// A connection as accept leaves it: born owned, not registered.
    pub fn born(setup: &Setup, user: User) -> Self {
        Self::born_paced(setup, user, None)
    }

    fn born_paced(setup: &Setup, user: User, paced_by: Option<World>) -> Self {
        let world = World {
            inner: share(Inner {
                word: Word::new(user.handler),
                runner: setup.runner,
                user,
                marks: AtomicU32::new(0),
                system_calls: AtomicU32::new(0),
                produced: AtomicU64::new(0),
                consumed: AtomicU64::new(0),
                queued: AtomicU64::new(0),
                sent: AtomicU64::new(0),
                segments: std::array::from_fn(|_| UnsafeCell::new(0)),
                serial: UnsafeCell::new(Serial { handler: user.handler.into(), ..Serial::default() }),
                context: UnsafeCell::new(0),
                disconnecting: UnsafeCell::new(()),
                reader: UnsafeCell::new(0),
                producer: UnsafeCell::new(()),
                consumer: UnsafeCell::new(0),
                mask: UnsafeCell::new((true, false, false)),
                fd: UnsafeCell::new(()),
                closers_note: UnsafeCell::new(0),
                broken: UnsafeCell::new(false),
                made: Default::default(),
                read_trigger: Trigger::new(),
                write_trigger: Trigger::new(),
                slot: Slot::default(),
                gate: Gate::default(),
                callbacks: CloseList::new(),
                kernel: Unseen::new(Kernel { room: user.room, ..Kernel::default() }),
                record: Unseen::default(),
                tasks: Unseen::default(),
                queue: Queue::default(),
                paced_by,
                awaiting: Mutex::new(Vec::new()),
            }),
            own: 0,
            who: '0',
            inside: Cell::new(false),
            leads: false,
        };
        recording::name(&world.inner.word, "word", Shown::Bits(word::NAMES));
        recording::name(&world.inner.marks, "marks", Shown::Hidden);
        recording::name(&world.inner.system_calls, "system calls", Shown::Hidden);
        world.record().handlers = user.handler.into();
        for id in 0..user.callbacks {
            world.add_close_callback(id);
        }
        world
    }

    /// A connection that is registered, but whose OnConnect has not begun.
    pub fn registered(setup: &Setup, user: User) -> Self {
        let world = Self::born(setup, user);
        world.register();
        world
    }

    /// A connection whose OnConnect is over.
    pub fn connected(setup: &Setup, user: User) -> Self {
        Self::connected_paced(setup, user, None)
    }

    fn connected_paced(setup: &Setup, user: User, paced_by: Option<World>) -> Self {
        let world = Self::born_paced(setup, user, paced_by);
        world.register();
        world.record().born = true;
        world.connect();
        world.record().born = false;
        world
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
        let name = name.to_string();
        recording::label(match name.as_str() {
            "connect" => "OnConnect",
            "request" => "OnRequest",
            "disconnect" => "OnDisconnect",
            "close" => "close callbacks",
            "send" => "send",
            _ => "another OnRequest",
        });
        let at = self.mark();
        self.record().events.push((at, format!("{name}@{}", self.who)));
    }

    /// Adds to the outcome what a role saw.
    pub fn note(&self, note: impl Into<String>) {
        self.record().notes.push(note.into());
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
