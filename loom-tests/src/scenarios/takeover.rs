//! Chapter "Takeover": who leads a loop, and what a deposed thread still does.
//!
//! Not here: two pollers on one connection, which is in `takeover_connection`.

use std::sync::PoisonError;

use pollproof::protocol::takeover::{Crew, Lead, Pulse, Roster, Slept, Succession, Watch};
use pollproof::sync::atomic::{AtomicU32, Ordering};
use pollproof::sync::{Arc, Condvar, MutexGuard};

use crate::rig::{User, World};
use crate::scenario::Runner::Inline;
use crate::scenario::{Role, Scenario, role};
use crate::share::{Shared, share};

/// The crew of one loop, and what a scenario notes about it.
struct Loop {
    crew: Crew,
    /// The patience of spare threads is over.
    late: AtomicU32,
    /// A thread has come back from its lead.
    back: AtomicU32,
    /// How often a lead was ended with success.
    appointed: AtomicU32,
    /// The epoch that the spare thread of a scenario leads; 0 if it left.
    led: AtomicU32,
}

impl Loop {
    /// A loop whose first thread leads, of at most `most` threads.
    fn led(most: usize) -> (Shared<Self>, Arc<Lead>) {
        let none = || AtomicU32::new(0);
        let crew = Crew::new(1, most);
        let this = share(Self { crew, late: none(), back: none(), appointed: none(), led: none() });
        let mut lead = None;
        let started = this.crew.start(0, |first| {
            lead = Some(first);
            Ok::<(), ()>(())
        });
        assert!(started.is_ok());
        (this, lead.expect("it was started"))
    }

    /// A loop whose first thread was deposed and has not come back, and whose second thread leads; both are all
    /// that there may be.
    fn led_by_the_second() -> (Shared<Self>, Arc<Lead>) {
        let (this, first) = Self::led(2);
        assert_eq!(this.crew.succeed(&first, || true), Succession::Appointed);
        let second = this.wait(true).expect("it was appointed");
        assert_eq!(second.epoch(), 1);
        (this, second)
    }

    fn wait(&self, newcomer: bool) -> Option<Arc<Lead>> {
        self.crew.next(newcomer, |wake, roster| self.sleep(wake, roster))
    }

    /// Sleeps until somebody wakes it; its patience ends when a role says so.
    fn sleep<'a>(&self, wake: &'a Condvar, roster: MutexGuard<'a, Roster>) -> (MutexGuard<'a, Roster>, Slept) {
        // Ordering: Relaxed; the crew's lock orders it.
        if self.late.load(Ordering::Relaxed) != 0 {
            return (roster, Slept::Enough);
        }
        (wake.wait(roster).unwrap_or_else(PoisonError::into_inner), Slept::Awake)
    }

    /// The watchdog, or a thread that is about to block, where no thread can be started.
    fn succeed(&self, lead: &Arc<Lead>) -> Succession {
        let ended = self.crew.succeed(lead, || false);
        if ended == Succession::Appointed {
            // Ordering: Relaxed; read when every role is joined.
            self.appointed.fetch_add(1, Ordering::Relaxed);
        }
        assert_eq!(lead.is_over(), ended != Succession::NoSpare, "{ended:?}");
        ended
    }
}

/// The role of a thread that comes back from a lead that is over.
fn comes_back(this: &Shared<Loop>) -> Role {
    role(this, |this| {
        // Ordering: Relaxed; the crew's lock orders it.
        this.back.store(1, Ordering::Relaxed);
        let next = this.wait(false).map_or(0, |lead| lead.epoch() as u32);
        this.led.store(next, Ordering::Relaxed);
    })
}

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "takeover-by-two",
        chapter: "Takeover",
        clauses: &["K1", "K2"],
        sentence: "The watchdog and the leading thread end the same lead at once: it has one successor.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (this, first) = Loop::led(3);
            let (watched, own) = (first.clone(), this.clone());
            let watchdog = role(&this, move |this| {
                if this.crew.succeed(&watched, || true) == Succession::Appointed {
                    // Ordering: Relaxed; read when every role is joined.
                    this.appointed.fetch_add(1, Ordering::Relaxed);
                }
                assert!(watched.is_over());
            });
            let mut mine = 0;
            setup.race_beside(
                || {
                    mine = u32::from(own.crew.succeed(&first, || true) == Succession::Appointed);
                    assert!(first.is_over(), "a thread that was deposed learns it at its next look");
                },
                vec![watchdog],
            );
            // Ordering: Relaxed; the role is joined.
            assert_eq!(mine + this.appointed.load(Ordering::Relaxed), 1, "a lead has one successor");
            let next = this.wait(true).expect("somebody was appointed");
            assert_eq!((next.home(), next.epoch(), next.is_over()), (0, 1, false));
            assert!(Arc::ptr_eq(&next, &this.crew.lead_of(0)), "who was appointed leads");
            assert_eq!(this.crew.threads(), 2, "and for that one only a thread was started");
            format!("by its own thread: {mine}")
        },
    },
    Scenario {
        name: "takeover-without-a-spare",
        chapter: "Takeover",
        clauses: &["K5", "K1"],
        sentence: "No lead is ended while nobody is there: of two threads, the second is replaced once the first is back.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (this, second) = Loop::led_by_the_second();
            let watchdog = this.clone();
            let mut ended = Succession::Over;
            setup.race_beside(
                || {
                    ended = watchdog.crew.succeed(&second, || panic!("a thread too many"));
                    // Ordering: Relaxed; the crew's lock orders it.
                    let back = watchdog.back.load(Ordering::Relaxed) != 0;
                    assert!(back || ended == Succession::NoSpare, "nobody was there to lead");
                    watchdog.crew.close();
                },
                vec![comes_back(&this)],
            );
            // Ordering: Relaxed; the role is joined.
            let led = this.led.load(Ordering::Relaxed);
            assert_eq!(led, if ended == Succession::Appointed { 2 } else { 0 }, "{ended:?}");
            format!("{ended:?}, {} threads", this.crew.threads())
        },
    },
    Scenario {
        name: "takeover-by-a-leaving-thread",
        chapter: "Takeover",
        clauses: &["K1", "K5"],
        sentence: "A spare thread that loses its patience just when it is appointed leads all the same.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (this, second) = Loop::led_by_the_second();
            let watchdog = this.clone();
            let mut ended = Succession::Over;
            let clock = role(&this, |this| {
                // Ordering: Relaxed; the crew's lock orders it.
                this.late.store(1, Ordering::Relaxed);
                this.crew.stir();
            });
            setup.race_beside(|| ended = watchdog.succeed(&second), vec![comes_back(&this), clock]);
            // Ordering: Relaxed; the roles are joined.
            let led = this.led.load(Ordering::Relaxed);
            assert_eq!(led, if ended == Succession::Appointed { 2 } else { 0 }, "{ended:?}");
            assert_eq!(this.crew.threads(), 1 + usize::from(led > 0), "who left is gone");
            format!("{ended:?}")
        },
    },
    Scenario {
        name: "takeover-at-the-end",
        chapter: "Takeover",
        clauses: &["K5", "K1"],
        sentence: "When every loop is over every spare thread leaves; whoever was appointed before is not lost.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (this, second) = Loop::led_by_the_second();
            let watchdog = this.clone();
            let closes = role(&this, |this| this.crew.close());
            let mut ended = Succession::NoSpare;
            setup.race_beside(
                || ended = watchdog.crew.succeed(&second, || panic!("a thread too many")),
                vec![comes_back(&this), closes],
            );
            // Ordering: Relaxed; the roles are joined.
            let led = this.led.load(Ordering::Relaxed);
            assert_eq!(led, if ended == Succession::Appointed { 2 } else { 0 }, "{ended:?}");
            assert_eq!(
                this.crew.succeed(&this.crew.lead_of(0), || true),
                Succession::Over,
                "nobody is appointed after"
            );
            format!("{ended:?}")
        },
    },
    Scenario {
        name: "takeover-late-beats",
        chapter: "Takeover",
        clauses: &["K4"],
        sentence: "However late a deposed thread's heartbeats come, the watchdog sees that its successor is stuck.",
        runners: &[Inline],
        race: false,
        body: |setup| {
            let (this, first) = Loop::led(2);
            first.work();
            assert_eq!(this.crew.succeed(&first, || true), Succession::Appointed);
            let second = this.wait(true).expect("it was appointed");
            second.work();
            let late: Role = Box::new(move || {
                first.work();
                first.rest();
            });
            let watchdog = this.clone();
            setup.race_beside(
                || {
                    let (lead, mut watch) = (watchdog.crew.lead_of(0), Watch::default());
                    let pulses: [Pulse; 3] = std::array::from_fn(|_| watch.look(lead.pulse()));
                    assert_eq!(pulses, [Pulse::Moving, Pulse::Moving, Pulse::Stuck]);
                },
                vec![late],
            );
            second.rest();
            let mut watch = Watch::default();
            assert_eq!(watch.look(second.pulse()), Pulse::Moving);
            (0..3).for_each(|_| assert_eq!(watch.look(second.pulse()), Pulse::Resting, "it waits for events"));
            String::new()
        },
    },
    Scenario {
        name: "takeover-in-mid-batch",
        chapter: "Takeover",
        clauses: &["K2", "K3"],
        sentence: "A thread that is about to block hands over: its successor handles the rest of its batch, not itself.",
        runners: &[Inline],
        race: false,
        body: |setup| {
            let (this, first) = Loop::led(2);
            let user = User { shares: true, ..User::default() };
            let (one, two) = (World::connected(setup, user), World::connected(setup, user));
            one.peer_sends();
            two.peer_sends();
            let (batch, rest, leading) = ((one.clone(), two.clone()), two.clone(), this.clone());
            let hands_over = one.role(move |one| {
                one.event_once();
                assert_eq!(leading.crew.succeed(&first, || true), Succession::Appointed);
                if !first.is_over() {
                    rest.note("touched");
                    rest.event_once();
                }
            });
            let spare = this.clone();
            setup.race_beside(
                || {
                    let next = spare.wait(true).expect("it was appointed");
                    assert!(!next.is_over());
                    batch.0.poll();
                    batch.1.poll();
                },
                vec![hands_over],
            );
            let outcome = format!("{} / {}", one.end(), two.end());
            assert!(!outcome.contains("touched"), "the deposed thread goes on: {outcome}");
            assert_eq!((one.requests(), two.requests()), (1, 1), "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "takeover-of-a-batch",
        chapter: "Takeover",
        clauses: &["K3", "K2", "S1"],
        sentence: "Deposed at any point of its batch of two, a thread and its successor handle both connections, once each.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let (this, first) = Loop::led(2);
            let user = User { shares: true, ..User::default() };
            let (one, two) = (World::connected(setup, user), World::connected(setup, user));
            one.peer_sends();
            two.peer_sends();
            let (watched, also) = (first.clone(), two.clone());
            let leads = one.role(move |one| {
                one.event_once();
                if !first.is_over() {
                    also.event_once();
                }
            });
            let (batch, watchdog) = ((one.clone(), two.clone()), this.clone());
            setup.race_beside(
                || {
                    assert_eq!(watchdog.crew.succeed(&watched, || true), Succession::Appointed);
                    let _leads = watchdog.wait(true).expect("it was appointed");
                    batch.0.poll();
                    batch.1.poll();
                },
                vec![leads],
            );
            let outcome = format!("{} / {}", one.end(), two.end());
            assert_eq!((one.requests(), two.requests()), (1, 1), "{outcome}");
            outcome
        },
    },
];
