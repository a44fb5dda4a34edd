//! Who polls a loop, and how a thread that does not come back from a handler is replaced.
//!
//! A loop is one epoll. One thread at a time has the *lead* of it: it waits there, and runs the handlers of what
//! it finds. A handler that blocks would hold up every other connection of its loop, so a lead can be ended
//! from outside: by the watchdog, which saw no heartbeat for too long, or by the leading thread itself, before it
//! knowingly blocks. Whoever ends it appoints the successor in the same step, from the [`Crew`]; a lead is not
//! ended while there is nobody to appoint. So a loop has one leader at any time, and no thread is lost (K1, K5).
//!
//! A deposed thread learns it when it next looks at its lead ([`Lead::is_over`]), leaves the loop alone from
//! there on, and joins the crew (K2). Between the two it may still be busy with one connection of the loop:
//! two threads on one connection are arbitrated by the connection's word, not here.
//!
//! A lead is an object of its own, with its own heartbeat: the late beats of a deposed thread go to a lead that
//! nobody watches any more, and never hide that the successor is stuck (K4).
//!
//! Not here: clocks, and the starting of threads (`reactor::threads`), and polling (`reactor::event_loop`).

use std::collections::VecDeque;

use crate::mutation::guard;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, lock};

/// One thread's lead of one loop.
///
/// On cache lines of its own: the heartbeat is written for every event.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::takeover::Crew;
///
/// let lead = Crew::new(1, 4).lead_of(0);
/// assert_eq!((lead.home(), lead.epoch(), lead.is_over()), (0, 0, false));
/// lead.work();
/// assert_eq!(lead.pulse() % 2, 1, "odd while it is at work");
/// lead.rest();
/// assert_eq!(lead.pulse() % 2, 0);
/// # }
/// ```
#[derive(Debug)]
#[repr(align(128))]
pub struct Lead {
    /// How often the leading thread has gone to work or to rest; odd while it is at work. The one exemption from
    /// "every write is an RMW": only the leading thread writes it, and nothing is decided on it but whether to
    /// look again.
    beat: AtomicU64,
    /// Not zero once another thread was appointed. Changed under the lock of the [`Crew`].
    over: AtomicU32,
    home: usize,
    epoch: u64,
}

impl Lead {
    fn new(home: usize, epoch: u64) -> Self {
        Self { beat: AtomicU64::new(0), over: AtomicU32::new(0), home, epoch }
    }

    /// Which loop.
    pub fn home(&self) -> usize {
        self.home
    }

    /// How many leads of this loop there were before.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether another thread was appointed. The leading thread looks after each handler; once it is told so, it
    /// does not touch the loop any more. (K2)
    #[inline]
    pub fn is_over(&self) -> bool {
        // Ordering: Relaxed, partner `end`: it hands nothing over. A look that comes after the end, in any order
        // that somebody could observe, sees it; an earlier one may as well have come before.
        let over = self.over.load(Ordering::Relaxed) != 0;
        guard("takeover.look", over)
    }

    /// The leading thread begins with an event, or goes on to the next.
    #[inline]
    pub fn work(&self) {
        // Ordering: Relaxed, partner `pulse`, which only compares; the load is of the thread's own store.
        let beat = self.beat.load(Ordering::Relaxed);
        self.beat.store((beat + 1) | 1, Ordering::Relaxed);
    }

    /// The leading thread is through with its batch, and is about to wait.
    #[inline]
    pub fn rest(&self) {
        // Ordering: Relaxed, as in `work`.
        let beat = self.beat.load(Ordering::Relaxed);
        self.beat.store((beat | 1) + 1, Ordering::Relaxed);
    }

    /// The heartbeat, for [`Watch::look`].
    pub fn pulse(&self) -> u64 {
        // Ordering: Relaxed, partner `work`: a beat that is seen late makes a thread look stuck that is not, which
        // costs a change of threads and nothing else.
        self.beat.load(Ordering::Relaxed)
    }

    /// Whether it is over; exact under the lock of the crew.
    fn ended(&self) -> bool {
        // Ordering: Relaxed, partner `end`, which the lock of the crew orders.
        self.over.load(Ordering::Relaxed) != 0
    }

    /// Ends it, under the lock of the crew.
    fn end(&self) {
        // Ordering: Relaxed, partner `is_over`: the successor gets what it needs by the lock of the crew.
        self.over.fetch_or(1, Ordering::Relaxed);
    }
}

/// What the watchdog makes of a heartbeat.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::takeover::{Pulse, Watch};
///
/// assert_eq!(Watch::default().look(0), Pulse::Resting);
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulse {
    /// The thread waits in epoll.
    Resting,
    /// It is at work, or was since the last look.
    Moving,
    /// It has been with one event since [`Watch::LOOKS`] looks ago.
    Stuck,
}

/// The watchdog's memory of one lead. Pure: how far apart two looks are is its caller's business.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::takeover::{Pulse, Watch};
///
/// let mut watch = Watch::default();
/// assert_eq!(watch.look(1), Pulse::Moving);
/// for _ in 1..Watch::LOOKS {
///     assert_eq!(watch.look(1), Pulse::Moving);
/// }
/// assert_eq!(watch.look(1), Pulse::Stuck, "the same beat, and odd");
/// assert_eq!(watch.look(3), Pulse::Moving);
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Watch {
    seen: u64,
    looks: u32,
}

impl Watch {
    /// So many looks after the first that saw a beat, a thread with the same beat is stuck.
    pub const LOOKS: u32 = 2;

    /// Another look at the lead that this watch is for. (K4)
    pub fn look(&mut self, pulse: u64) -> Pulse {
        if !guard("takeover.same-beat", pulse == self.seen) {
            *self = Self { seen: pulse, looks: 0 };
            return Pulse::Moving;
        }
        if guard("takeover.resting", pulse.is_multiple_of(2)) {
            return Pulse::Resting;
        }
        self.looks += 1;
        if self.looks >= Self::LOOKS { Pulse::Stuck } else { Pulse::Moving }
    }
}

/// What became of the wish to replace a leading thread.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::takeover::{Crew, Succession};
///
/// let crew = Crew::new(1, 1);
/// crew.start(0, |_| Ok::<_, ()>(())).unwrap();
/// let lead = crew.lead_of(0);
/// assert_eq!(crew.succeed(&lead, || true), Succession::NoSpare, "one thread is all that it may have");
/// assert!(!lead.is_over());
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Succession {
    /// The lead is over, and a thread is on its way to the next one. It happens once to each lead.
    Appointed,
    /// The lead was over already.
    Over,
    /// Nobody is there to lead: the lead goes on.
    NoSpare,
}

/// How a spare thread's sleep ended.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::takeover::{Crew, Slept};
///
/// let crew = Crew::new(1, 4);
/// crew.start(0, |_| Ok::<_, ()>(())).unwrap();
/// // A thread comes back from its lead, waits in vain, and leaves.
/// assert!(crew.next(false, |_, roster| (roster, Slept::Enough)).is_none());
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    /// It was woken, or not: it looks again.
    Awake,
    /// It has waited long enough, and leaves unless it is needed.
    Enough,
}

/// Who is there. Opaque; see [`Crew::next`].
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::takeover::{Roster, Slept};
/// use pollproof::sync::{Condvar, MutexGuard};
///
/// /// Sleeps for as long as it takes.
/// fn sleep<'a>(wake: &'a Condvar, roster: MutexGuard<'a, Roster>) -> (MutexGuard<'a, Roster>, Slept) {
///     (wake.wait(roster).expect("nothing panics under it"), Slept::Awake)
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Roster {
    /// The current lead of each loop.
    leads: Vec<Arc<Lead>>,
    /// Leads that wait for their thread, each with a spare one reserved for it.
    duties: VecDeque<Arc<Lead>>,
    /// Spare threads that nothing is reserved for.
    idle: usize,
    /// Every thread that leads, led, or waits.
    threads: usize,
    closed: bool,
}

/// The threads that lead the loops of one server, and those that could.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::takeover::{Crew, Slept, Succession};
///
/// let crew = Crew::new(1, 4);
/// crew.start(0, |_lead| Ok::<_, ()>(())).unwrap();
/// let stuck = crew.lead_of(0);
/// // The watchdog ends the lead; a thread is started for the next one,
/// assert_eq!(crew.succeed(&stuck, || true), Succession::Appointed);
/// assert!(stuck.is_over());
/// // and finds that it leads.
/// let lead = crew.next(true, |_, roster| (roster, Slept::Awake)).unwrap();
/// assert_eq!((lead.home(), lead.epoch(), crew.threads()), (0, 1, 2));
/// # }
/// ```
#[derive(Debug)]
pub struct Crew {
    roster: Mutex<Roster>,
    wake: Condvar,
    most: usize,
}

impl Crew {
    /// A crew for `loops` loops, without a thread yet, that grows to at most `most` threads.
    pub fn new(loops: usize, most: usize) -> Self {
        let roster = Roster {
            leads: (0..loops).map(|home| Arc::new(Lead::new(home, 0))).collect(),
            duties: VecDeque::new(),
            idle: 0,
            threads: 0,
            closed: false,
        };
        Self { roster: Mutex::new(roster), wake: Condvar::new(), most }
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        lock(&self.roster)
    }

    /// Starts the first leader of loop `home` by `start`, which is given its lead. Whether that worked.
    pub fn start<R>(&self, home: usize, start: impl FnOnce(Arc<Lead>) -> Result<(), R>) -> Result<(), R> {
        let mut roster = self.roster();
        start(roster.leads[home].clone())?;
        roster.threads += 1;
        Ok(())
    }

    /// The current lead of loop `home`.
    pub fn lead_of(&self, home: usize) -> Arc<Lead> {
        self.roster().leads[home].clone()
    }

    /// Ends `lead` and appoints its successor: a spare thread, or one that `start` starts, which calls
    /// [`next`](Self::next) as a newcomer. Both in one step, or neither. (K1, K5)
    pub fn succeed(&self, lead: &Arc<Lead>, start: impl FnOnce() -> bool) -> Succession {
        let mut roster = self.roster();
        if roster.closed || guard("takeover.one-successor", lead.ended()) {
            return Succession::Over;
        }
        if guard("takeover.spare-first", roster.idle == 0) {
            if guard("takeover.most-threads", roster.threads >= self.most) || !start() {
                return Succession::NoSpare;
            }
            roster.threads += 1;
            roster.idle += 1;
        }
        lead.end();
        let next = Arc::new(Lead::new(lead.home, lead.epoch + 1));
        roster.leads[lead.home] = next.clone();
        roster.idle = roster.idle.wrapping_sub(1);
        roster.duties.push_back(next);
        drop(roster);
        self.wake.notify_one();
        Succession::Appointed
    }

    /// A spare thread waits to be needed. `None`: it leaves the crew and ends. `newcomer`: it was started as a
    /// spare one, and [`succeed`](Self::succeed) has counted it; otherwise it comes back from a lead. `sleep` waits
    /// on the condition variable, and says when it has been long enough. (K1, K5)
    pub fn next<'a>(
        &'a self,
        newcomer: bool,
        mut sleep: impl FnMut(&'a Condvar, MutexGuard<'a, Roster>) -> (MutexGuard<'a, Roster>, Slept),
    ) -> Option<Arc<Lead>> {
        let mut roster = self.roster();
        if !newcomer {
            roster.idle += 1;
        }
        let mut slept = Slept::Awake;
        loop {
            let leaves = slept == Slept::Enough || roster.closed;
            // What waits is reserved for as many threads as sleep here: the last one may not go.
            if (!leaves || guard("takeover.duty-first", true))
                && let Some(duty) = roster.duties.pop_front()
            {
                return Some(duty);
            }
            if leaves {
                roster.idle = roster.idle.wrapping_sub(1);
                roster.threads -= 1;
                return None;
            }
            (roster, slept) = sleep(&self.wake, roster);
        }
    }

    /// Every loop is over: nobody is appointed any more, and whoever waits leaves.
    pub fn close(&self) {
        self.roster().closed = true;
        self.wake.notify_all();
    }

    /// Makes every spare thread look at its time again. The checkers have no clock: with them a role that calls
    /// this is what ends a thread's patience.
    pub fn stir(&self) {
        drop(self.roster());
        self.wake.notify_all();
    }

    /// How many leads were ended.
    pub fn successions(&self) -> u64 {
        self.roster().leads.iter().map(|lead| lead.epoch).sum()
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.roster().threads
    }
}
