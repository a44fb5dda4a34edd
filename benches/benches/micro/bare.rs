//! A connection without a socket: the protocol's effects, with nothing in them that costs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use pollproof::protocol::effects::{Effects, Input, Ran, Sent};
use pollproof::protocol::progress::{Progress, Unread};
use pollproof::protocol::transitions::Word;
use pollproof::protocol::trigger::Trigger;
use pollproof::protocol::word::Snapshot;
use pollproof::protocol::{lifecycle, output, process};
use pollproof::sync::UnsafeCell;

/// The connection.
pub(crate) struct Bare {
    word: Word,
    triggers: [Trigger; 2],
    produced: AtomicU64,
    consumed: AtomicU64,
    progress: UnsafeCell<Progress>,
    /// Its handler answers each request.
    answers: bool,
    /// It has a handler.
    handles: bool,
}

// Safety: `progress` is used under `TASK`, which the protocol gives to one thread at a time.
unsafe impl Sync for Bare {}

impl Bare {
    /// At rest: registered and connected.
    fn connected(handles: bool, answers: bool) -> Self {
        let bare = Self {
            word: Word::new(handles),
            triggers: [Trigger::new(), Trigger::new()],
            produced: AtomicU64::new(0),
            consumed: AtomicU64::new(0),
            progress: UnsafeCell::new(Progress::default()),
            answers,
            handles,
        };
        assert!(lifecycle::register(&bare), "nobody has closed it");
        lifecycle::connect(&bare);
        bare
    }

    /// With a handler that consumes what comes, and answers it or not.
    pub(crate) fn serving(answers: bool) -> Self {
        Self::connected(true, answers)
    }

    /// Without a handler: its section is taken by who reads from outside.
    pub(crate) fn unserved() -> Self {
        Self::connected(false, false)
    }
}

impl Effects for Bare {
    #[inline(always)]
    fn word(&self) -> &Word {
        &self.word
    }

    #[inline(always)]
    fn run_task(&self, at: Snapshot) {
        process::run(self, at);
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

    #[inline(always)]
    fn unread(&self) -> Option<Unread> {
        let unread = || Unread { produced: self.produced.load(Relaxed), consumed: self.consumed.load(Relaxed) };
        self.handles.then(unread)
    }

    #[inline(always)]
    fn progress<R>(&self, f: impl FnOnce(&mut Progress) -> R) -> R {
        // Safety: called under `TASK`, by one thread at a time, and not from inside itself.
        self.progress.with_mut(|progress| f(unsafe { &mut *progress }))
    }

    #[inline(always)]
    fn on_request(&self, _last: bool) -> Ran {
        self.consumed.store(self.produced.load(Relaxed), Relaxed);
        if self.answers {
            output::flush_at_once(self).expect("nobody else flushes");
        }
        Ran::Done
    }

    fn install_handler(&self) -> bool {
        false
    }

    fn input_empty(&self) -> bool {
        self.produced.load(Relaxed) == self.consumed.load(Relaxed)
    }

    fn run_close_callbacks(&self) {}

    fn finish(&self, _hand_back: bool) {}

    #[inline(always)]
    fn read(&self, _owner: bool) -> Input {
        self.produced.store(self.produced.load(Relaxed) + 1, Relaxed);
        Input::Data
    }

    fn on_disconnect(&self) -> Ran {
        Ran::Done
    }

    fn deregister(&self) {}

    fn append(&self) {}

    #[inline(always)]
    fn send(&self, _direct: bool) -> Sent {
        Sent::All
    }

    fn discard(&self) {}

    fn set_interest(&self, _readable: bool, _writable: bool, _edge: bool) {}

    fn read_trigger(&self) -> &Trigger {
        &self.triggers[0]
    }

    fn write_trigger(&self) -> &Trigger {
        &self.triggers[1]
    }

    fn produced(&self) -> u64 {
        self.produced.load(Relaxed)
    }

    fn sent(&self) -> u64 {
        0
    }
}

/// Calls `measured` while another thread calls `other` again and again, and has done so once.
pub(crate) fn beside(other: impl Fn() + Sync, measured: impl FnOnce()) {
    let (begun, over) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                other();
                begun.store(true, Relaxed);
            }
        });
        while !begun.load(Relaxed) {
            std::thread::yield_now();
        }
        measured();
        over.store(true, Relaxed);
    });
}
