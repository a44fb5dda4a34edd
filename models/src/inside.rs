//! A connection that knows when it is called from inside user code, for the races about that: pollproof's own protocol,
//! over surroundings that are as small as may be.
//!
//! A race tells its story twice with it. [`As::ItWas`] does whatever falls due at once, on the stack that it is on;
//! [`As::ItIs`] leaves to the home loop what may not begin inside user code, or under a lock (U2 to U4), as the reactor
//! does in `duty.rs`.
//!
//! For: `races/own*.rs`. Not for: what the protocol promises otherwise, which the rig of `loom-tests` checks.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;

use loom_tests::recording::{self, Shown};
use loom_tests::{Shared, share};
use pollproof::protocol::effects::{Effects, Input, Left, Ran, Sent};
use pollproof::protocol::lifecycle;
use pollproof::protocol::process;
use pollproof::protocol::progress::{Progress, Unread};
use pollproof::protocol::transitions::Word;
use pollproof::protocol::trigger::Trigger;
use pollproof::protocol::word::{self, HANDLER, Snapshot};
use pollproof::sync::atomic::{AtomicU64, Ordering};
use pollproof::sync::{Condvar, Mutex, UnsafeCell, lock};

/// How the core goes about what falls due inside user code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As {
    /// It does it there.
    ItWas,
    /// It leaves it to the home loop.
    ItIs,
}

/// What the user of a connection does, and what the socket says.
pub trait Code: Sized + Send + Sync + 'static {
    /// What the read of that number finds, counted from 1.
    fn reads(&self, _nth: u64) -> Input {
        Input::Empty
    }

    /// What the write of that number comes to.
    fn writes(&self, _nth: u64) -> Sent {
        Sent::All
    }

    /// Inside OnRequest, when everything is consumed.
    fn on_request(&self, _conn: &Conn<Self>) {}

    /// Inside OnDisconnect.
    fn on_disconnect(&self, _conn: &Conn<Self>) {}

    /// Inside the close callback.
    fn on_close(&self, _conn: &Conn<Self>) {}

    /// Inside the drop of a value that was lent to the output, and is sent.
    fn drop_lent(&self) {}
}

/// What is left to the home loop.
enum Duty {
    Section(Snapshot),
    Disconnect(Left),
    Drop,
}

/// The loop that connections live in: what was left to it.
pub struct Home<C: Code> {
    duties: Mutex<VecDeque<(Conn<C>, Duty)>>,
    wake: Condvar,
}

impl<C: Code> Home<C> {
    /// A loop with nothing to do.
    pub fn new() -> Shared<Self> {
        share(Self { duties: Mutex::new(VecDeque::new()), wake: Condvar::new() })
    }

    fn leave(&self, conn: Conn<C>, duty: Duty) {
        recording::note("left to the home loop");
        lock(&self.duties).push_back((conn, duty));
        self.wake.notify_one();
    }

    /// The thread that leads the loop waits until something is left to it, `times` times, and does it.
    pub fn serve(&self, times: u32) {
        for _ in 0..times {
            let mut duties = lock(&self.duties);
            let (conn, duty) = loop {
                match duties.pop_front() {
                    Some(next) => break next,
                    None => duties = self.wake.wait(duties).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(duties);
            conn.fulfil(duty);
        }
    }

    /// Does what is there.
    pub fn serve_what_is_there(&self) {
        loop {
            let next = lock(&self.duties).pop_front();
            let Some((conn, duty)) = next else { return };
            conn.fulfil(duty);
        }
    }
}

struct Inner<C: Code> {
    how: As,
    home: Shared<Home<C>>,
    code: C,
    word: Word,
    triggers: [Trigger; 2],
    produced: AtomicU64,
    consumed: UnsafeCell<u64>,
    progress: UnsafeCell<Progress>,
    reads: UnsafeCell<u64>,
    flushed: AtomicU64,
    sent: AtomicU64,
    writes: UnsafeCell<u64>,
}

// Safety: each cell is used under the bit that the protocol names for it, and loom looks.
unsafe impl<C: Code> Sync for Inner<C> {}
// Safety: nothing here belongs to a thread.
unsafe impl<C: Code> Send for Inner<C> {}

/// A connection, as one stack has it.
pub struct Conn<C: Code> {
    inner: Shared<Inner<C>>,
    /// Calls of user code on this stack that have not returned.
    frames: u32,
}

impl<C: Code> Conn<C> {
    /// A connection whose OnConnect is over; `served`: it has a handler. `name` is its word's in the timeline.
    pub fn connected(name: &'static str, how: As, home: &Shared<Home<C>>, served: bool, code: C) -> Self {
        let inner = share(Inner {
            how,
            home: home.clone(),
            code,
            word: Word::new(served),
            triggers: [Trigger::new(), Trigger::new()],
            produced: AtomicU64::new(0),
            consumed: UnsafeCell::new(0),
            progress: UnsafeCell::new(Progress::default()),
            reads: UnsafeCell::new(0),
            flushed: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            writes: UnsafeCell::new(0),
        });
        recording::name(&inner.word, name, Shown::Bits(word::NAMES));
        let conn = Self { inner, frames: 0 };
        assert!(lifecycle::register(&conn), "nobody refuses it");
        lifecycle::connect(&conn);
        conn
    }

    /// A handle of it, for another thread.
    pub fn another(&self) -> Self {
        Self { inner: self.inner.clone(), frames: 0 }
    }

    /// This connection, on the stack that `other` is on.
    pub fn beside<D: Code>(&self, other: &Conn<D>) -> Self {
        Self { inner: self.inner.clone(), frames: other.frames }
    }

    /// Calls of user code on this stack that have not returned.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// What its user does.
    pub fn code(&self) -> &C {
        &self.inner.code
    }

    /// Bytes that were flushed.
    pub fn flushed(&self) -> u64 {
        // Ordering: Acquire, partner `append`.
        self.inner.flushed.load(Ordering::Acquire)
    }

    fn inside(&self) -> Self {
        Self { inner: self.inner.clone(), frames: self.frames + 1 }
    }

    /// Whether what falls due here is left to the home loop.
    fn leaves(&self) -> bool {
        self.frames > 0 && self.inner.how == As::ItIs
    }

    fn leave(&self, duty: Duty) {
        self.inner.home.leave(self.another(), duty);
    }

    fn fulfil(&self, duty: Duty) {
        match duty {
            Duty::Section(at) => process::run(self, at),
            Duty::Disconnect(left) => lifecycle::disconnect_left(self, left),
            Duty::Drop => {
                if self.drop_lent().is_err() {
                    let _ = lifecycle::close(self);
                }
            }
        }
    }

    /// Drops what was sent; whether that panicked. Whatever else unwinds is the checker's.
    fn drop_lent(&self) -> Result<(), UserPanic> {
        let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.inner.code.drop_lent())) else { return Ok(()) };
        payload.downcast().map_or_else(|payload| resume_unwind(payload), |panic| Err(*panic))
    }

    fn consumed<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R {
        // Safety: under TASK (S1).
        self.inner.consumed.with_mut(|consumed| f(unsafe { &mut *consumed }))
    }
}

/// What the user's code panics with.
pub struct UserPanic;

/// The user's code panics here.
pub fn panics(note: &'static str) -> ! {
    recording::note(note);
    resume_unwind(Box::new(UserPanic));
}

impl<C: Code> Effects for Conn<C> {
    fn word(&self) -> &Word {
        &self.inner.word
    }

    fn run_task(&self, at: Snapshot) {
        if self.leaves() && at.any(HANDLER) { self.leave(Duty::Section(at)) } else { process::run(self, at) }
    }

    fn on_prepare(&self) -> Ran {
        Ran::Done
    }

    fn register(&self) -> bool {
        true
    }

    fn on_connect(&self) -> Ran {
        Ran::Done
    }

    fn unread(&self) -> Option<Unread> {
        let unread = || Unread { produced: self.produced(), consumed: self.consumed(|consumed| *consumed) };
        self.inner.word.look().any(HANDLER).then(unread)
    }

    fn progress<R>(&self, f: impl FnOnce(&mut Progress) -> R) -> R {
        // Safety: under TASK (S1).
        self.inner.progress.with_mut(|progress| f(unsafe { &mut *progress }))
    }

    fn on_request(&self, _last: bool) -> Ran {
        let produced = self.produced();
        self.consumed(|consumed| *consumed = produced);
        self.inner.code.on_request(&self.inside());
        Ran::Done
    }

    fn install_handler(&self) -> bool {
        false
    }

    fn input_empty(&self) -> bool {
        self.produced() == self.consumed(|consumed| *consumed)
    }

    fn run_close_callbacks(&self) {
        self.inner.code.on_close(&self.inside());
    }

    fn finish(&self, _hand_back: bool) {
        recording::note("close(2)");
    }

    fn leave_section(&self) -> bool {
        if self.leaves() {
            self.leave(Duty::Section(self.inner.word.look()));
        }
        self.leaves()
    }

    fn leave_disconnect(&self, left: Left) -> bool {
        if self.leaves() {
            self.leave(Duty::Disconnect(left));
        }
        self.leaves()
    }

    fn read(&self, _owner: bool) -> Input {
        // Safety: under READING (N3).
        let nth = self.inner.reads.with_mut(|reads| unsafe {
            *reads += 1;
            *reads
        });
        let found = self.inner.code.reads(nth);
        if found == Input::Data {
            // Ordering: Release, partner `produced`.
            self.inner.produced.fetch_add(1, Ordering::Release);
        }
        recording::note(if found == Input::Eof { "read(2): the end" } else { "read(2)" });
        found
    }

    fn on_disconnect(&self) -> Ran {
        self.inner.code.on_disconnect(&self.inside());
        Ran::Done
    }

    fn deregister(&self) {}

    fn append(&self) {
        // Ordering: Release, partner `flushed`.
        self.inner.flushed.fetch_add(1, Ordering::Release);
    }

    fn send(&self, direct: bool) -> Sent {
        if direct {
            self.append();
        }
        let flushed = self.flushed();
        // Safety: under OUT (O2).
        let nth = self.inner.writes.with_mut(|writes| unsafe {
            *writes += 1;
            *writes
        });
        let came_to = self.inner.code.writes(nth);
        recording::note(if came_to == Sent::All { "write(2)" } else { "write(2): the socket is full" });
        if came_to == Sent::All {
            // Ordering: Release, partner `sent`. One writer, under OUT.
            self.inner.sent.store(flushed, Ordering::Release);
            match self.inner.how {
                As::ItWas => self.inner.code.drop_lent(),
                As::ItIs => self.leave(Duty::Drop),
            }
        }
        came_to
    }

    fn discard(&self) {}

    fn set_interest(&self, _readable: bool, _writable: bool, _edge: bool) {}

    fn read_trigger(&self) -> &Trigger {
        &self.inner.triggers[0]
    }

    fn write_trigger(&self) -> &Trigger {
        &self.inner.triggers[1]
    }

    fn produced(&self) -> u64 {
        // Ordering: Acquire, partner `read`.
        self.inner.produced.load(Ordering::Acquire)
    }

    fn sent(&self) -> u64 {
        // Ordering: Acquire, partner `send`.
        self.inner.sent.load(Ordering::Acquire)
    }
}
