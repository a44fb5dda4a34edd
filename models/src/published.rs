//! The vocabulary of the published document, over the facade: what a transcription is written in.
//!
//! Go's atomics are sequentially consistent, so every operation here is; a transcription that kept them apart from the
//! facade would not be explored. The first value is stored once more when the cell is made: loom lets a SeqCst load
//! miss an initial value, which Go does not.
//!
//! For: the published variants of `races/`. Not for: anything repaired, which calls `pollproof`'s protocol.

use std::sync::atomic::{AtomicU32 as Unseen, Ordering::Relaxed};

use loom_tests::recording::{self, Shown};
use pollproof::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// `closing`: nobody has closed.
pub const NONE: u32 = 0;
/// `closing`: the user has.
pub const USER: u32 = 1;
/// `closing`: the poller has.
pub const POLLER: u32 = 2;
/// How a lock bit reads.
pub const FLAG: Shown = Shown::Flag;

/// How a count reads.
pub const NUMBER: Shown = Shown::Number;

/// How `closing` reads.
pub const CLOSING: Shown = Shown::Values(&["none", "user", "poller"]);

/// `state`: OnConnect is running or over.
pub const CONNECTED: u32 = 1;
/// `state`: OnDisconnect was taken.
pub const DISCONNECTED: u32 = 2;
/// How `state` reads.
pub const STATE: Shown = Shown::Values(&["None", "Connected", "Disconnected"]);

/// One of Go's atomics.
#[derive(Debug)]
pub struct Go(AtomicU32);

impl Go {
    /// A cell that holds `value`.
    pub fn new(value: u32) -> Self {
        let cell = AtomicU32::new(value);
        cell.store(value, SeqCst);
        Self(cell)
    }

    /// Gives this cell a name in the timeline. Called when it is where it stays.
    pub fn name(&self, name: &'static str, shown: Shown) {
        recording::name(self, name, shown);
        // Stored once more where it stays, so that the record has its first value.
        self.store(self.load());
    }

    /// `atomic.Load`
    #[cfg_attr(any(loom, shuttle), track_caller)]
    pub fn load(&self) -> u32 {
        self.0.load(SeqCst)
    }

    /// `atomic.Store`
    #[cfg_attr(any(loom, shuttle), track_caller)]
    pub fn store(&self, value: u32) {
        self.0.store(value, SeqCst);
    }

    /// `atomic.CompareAndSwap`
    #[cfg_attr(any(loom, shuttle), track_caller)]
    pub fn cas(&self, old: u32, new: u32) -> bool {
        self.0.compare_exchange(old, new, SeqCst, SeqCst).is_ok()
    }

    /// `atomic.Add`: returns the new value.
    #[cfg_attr(any(loom, shuttle), track_caller)]
    pub fn add(&self, more: u32) -> u32 {
        self.0.fetch_add(more, SeqCst) + more
    }

    /// `lock(k)`: whether the caller has it now.
    #[cfg_attr(any(loom, shuttle), track_caller)]
    pub fn lock(&self) -> bool {
        recording::label("lock");
        self.cas(0, 1)
    }

    /// `unlock(k)`
    #[cfg_attr(any(loom, shuttle), track_caller)]
    pub fn unlock(&self) {
        recording::label("unlock");
        self.store(0);
    }

    /// `closeBy(w)`: whether `who` is the first to close.
    #[cfg_attr(any(loom, shuttle), track_caller)]
    pub fn close_by(&self, who: u32) -> bool {
        recording::label("closeBy");
        self.cas(NONE, who)
    }

    /// `force(k, v)`
    #[cfg_attr(any(loom, shuttle), track_caller)]
    pub fn force(&self, value: u32) {
        recording::label("force");
        self.store(value);
    }

    /// `isActive()`, of `closing`.
    #[cfg_attr(any(loom, shuttle), track_caller)]
    pub fn is_active(&self) -> bool {
        recording::label("isActive");
        self.load() == NONE
    }

    /// `changeState(old, new)`, of `state`.
    #[cfg_attr(any(loom, shuttle), track_caller)]
    pub fn change(&self, old: u32, new: u32) -> bool {
        recording::label("changeState");
        self.cas(old, new)
    }
}

/// How often a callback ran. Counted where no checker sees it: it steers nothing, and is judged after the race.
#[derive(Debug, Default)]
pub struct Count(Unseen);

impl Count {
    /// The callback runs here. `what` stands in the timeline.
    pub fn ran(&self, what: &'static str) {
        recording::note(what);
        self.0.fetch_add(1, Relaxed);
    }

    /// How often it ran.
    pub fn times(&self) -> u32 {
        self.0.load(Relaxed)
    }
}

/// A callback that takes time: others can come in between its beginning and its end, and the checkers see that.
#[derive(Debug)]
pub struct Callback {
    inside: AtomicU32,
    begins: &'static str,
    ends: &'static str,
    ran: Unseen,
    overlapped: Unseen,
}

impl Callback {
    /// A callback whose beginning and end are shown as these.
    pub fn new(begins: &'static str, ends: &'static str) -> Self {
        let (ran, overlapped) = (Unseen::new(0), Unseen::new(0));
        Self { inside: AtomicU32::new(0), begins, ends, ran, overlapped }
    }

    /// Called when it is where it stays.
    pub fn name(&self) {
        recording::name(&self.inside, self.begins, Shown::Hidden);
    }

    /// Runs it.
    pub fn run<R>(&self, body: impl FnOnce() -> R) -> R {
        recording::label(self.begins);
        if self.inside.fetch_add(1, SeqCst) > 0 {
            self.overlapped.fetch_add(1, Relaxed);
        }
        self.ran.fetch_add(1, Relaxed);
        let result = body();
        recording::label(self.ends);
        self.inside.fetch_sub(1, SeqCst);
        result
    }

    /// Whether it runs now, as one operation that `label` names.
    pub fn running(&self, label: &'static str) -> bool {
        recording::label(label);
        self.inside.load(SeqCst) > 0
    }

    /// How often it ran.
    pub fn times(&self) -> u32 {
        self.ran.load(Relaxed)
    }

    /// How often it began while it ran already.
    pub fn overlaps(&self) -> u32 {
        self.overlapped.load(Relaxed)
    }
}
