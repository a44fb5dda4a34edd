//! The two objects that several threads call at once, alone: the close list and a trigger. Every history of theirs
//! is that of a sequential one.
//!
//! The sequential ones are written here from SPEC.md, not from the code: a stack that is sealed by the one who takes
//! it, and waits of which each has one wake-up, the first that comes.

use pollproof::protocol::close_list::CloseList;
use pollproof::protocol::effects::Ran;
use pollproof::protocol::trigger::{Ticket, Trigger, Wake};

use crate::linear::{History, Sequential};
use crate::scenario::Runner::Inline;
use crate::scenario::{Scenario, role};
use crate::share::{Shared, share};

/// A list of close callbacks: `None` once it is sealed.
#[derive(Clone)]
struct Callbacks(Option<Vec<u32>>);

#[derive(Clone, Debug)]
enum OfList {
    Push(u32),
    Run,
}

#[derive(Clone, Debug, PartialEq)]
enum ListSays {
    Accepted(bool),
    Ran(Vec<u32>),
}

impl Sequential for Callbacks {
    type Call = OfList;
    type Answer = ListSays;

    fn apply(&mut self, call: &OfList) -> Option<ListSays> {
        Some(match call {
            OfList::Push(callback) => ListSays::Accepted(match &mut self.0 {
                Some(list) => {
                    list.push(*callback);
                    true
                }
                None => false,
            }),
            OfList::Run => ListSays::Ran(self.0.take().map_or(Vec::new(), |list| list.into_iter().rev().collect())),
        })
    }
}

/// The list, and its history.
#[derive(Default)]
struct List(CloseList<u32>, History<Callbacks>);

impl List {
    fn push(&self, callback: u32) {
        self.1.call(OfList::Push(callback), || ListSays::Accepted(self.0.push(callback).is_ok()));
    }

    fn run(&self) {
        self.1.call(OfList::Run, || {
            let mut ran = Vec::new();
            self.0.run(|callback| {
                ran.push(callback);
                Ran::Done
            });
            ListSays::Ran(ran)
        });
    }
}

/// The waits of one direction: the number of the newest one; what it waits for and its wake-up, until it ends.
#[derive(Clone)]
struct Waits {
    newest: u32,
    wait: Option<(u64, Option<Wake>)>,
}

#[derive(Clone, Debug)]
enum OfTrigger {
    Begin(u64),
    Wait,
    TryWait,
    Cancel,
    Reach(u64),
    Close,
    Expire(u32),
}

impl Sequential for Waits {
    type Call = OfTrigger;
    /// The wake-up, of a call that is for one.
    type Answer = Option<Wake>;

    fn apply(&mut self, call: &OfTrigger) -> Option<Option<Wake>> {
        let reason = match *call {
            OfTrigger::Begin(target) => {
                self.newest += 1;
                self.wait = Some((target, None));
                return Some(None);
            }
            OfTrigger::Wait | OfTrigger::TryWait => {
                let wake = self.wait.and_then(|(_, wake)| wake);
                if wake.is_some() {
                    self.wait = None;
                }
                // One that may sleep does not end without a wake-up.
                return (wake.is_some() || matches!(call, OfTrigger::TryWait)).then_some(wake);
            }
            OfTrigger::Cancel => {
                self.wait = None;
                return Some(None);
            }
            OfTrigger::Reach(total) => self.wait.is_some_and(|(target, _)| total >= target).then_some(Wake::Ready),
            OfTrigger::Close => Some(Wake::Closed),
            OfTrigger::Expire(number) => (number == self.newest).then_some(Wake::TimedOut),
        };
        if let Some((_, wake)) = &mut self.wait {
            *wake = wake.or(reason);
        }
        Some(None)
    }
}

/// The trigger, its first wait, and its history.
struct Waited {
    trigger: Trigger,
    first: Ticket,
    history: History<Waits>,
}

impl Waited {
    /// With a wait for `target` under way.
    fn new(target: u64) -> Shared<Self> {
        let trigger = Trigger::new();
        let first = trigger.begin(target);
        let history = History::default();
        history.call(OfTrigger::Begin(target), || None);
        share(Self { trigger, first, history })
    }

    fn tell(&self, call: OfTrigger, told: impl FnOnce(&Trigger)) {
        self.history.call(call, || {
            told(&self.trigger);
            None
        });
    }

    fn begin(&self, target: u64) -> Ticket {
        let mut ticket = self.first;
        self.history.call(OfTrigger::Begin(target), || {
            ticket = self.trigger.begin(target);
            None
        });
        ticket
    }

    fn wait(&self, ticket: Ticket) {
        self.history.call(OfTrigger::Wait, || Some(self.trigger.wait(ticket)));
    }

    /// Whether the wait is over.
    fn try_wait(&self, ticket: Ticket) -> bool {
        self.history.call(OfTrigger::TryWait, || self.trigger.try_wait(ticket)).is_some()
    }

    fn cancel(&self, ticket: Ticket) {
        self.tell(OfTrigger::Cancel, |trigger| trigger.cancel(ticket));
    }

    fn reach(&self, total: u64) {
        self.tell(OfTrigger::Reach(total), |trigger| trigger.reach(total));
    }

    fn close(&self) {
        self.tell(OfTrigger::Close, |trigger| trigger.close(Wake::Closed));
    }

    fn expire_first(&self) {
        self.tell(OfTrigger::Expire(1), |trigger| trigger.expire(self.first));
    }

    fn explained(&self) -> String {
        explained(&self.history, Waits { newest: 0, wait: None })
    }
}

/// What the calls of a history answered, which is the outcome; an order of them explains that.
fn explained<S: Sequential>(history: &History<S>, object: S) -> String {
    if let Err(history) = history.order(object) {
        panic!("{history}");
    }
    history.answers()
}

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "linear-close-list",
        chapter: "Closing once",
        clauses: &["C2", "C3"],
        sentence: "Two adders and two who run the list: every history is that of a stack that is sealed once.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let list = share(List::default());
            let adder = role(&list, |list| {
                list.push(1);
                list.push(2);
            });
            let other = role(&list, |list| {
                list.push(3);
                list.run();
            });
            let runner = role(&list, |list| list.run());
            setup.race(vec![adder, other, runner]);
            list.push(4);
            explained(&list.1, Callbacks(Some(Vec::new())))
        },
    },
    Scenario {
        name: "linear-trigger",
        chapter: "Wake-ups",
        clauses: &["T2", "T3", "T4"],
        sentence: "A wait against totals, its timeout and a close: it ends by the first wake-up that is for it.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let waited = Waited::new(10);
            let waiter = role(&waited, |waited| waited.wait(waited.first));
            let sender = role(&waited, |waited| {
                waited.reach(9);
                waited.reach(10);
            });
            let clock = role(&waited, |waited| {
                waited.expire_first();
                waited.close();
            });
            setup.race(vec![waiter, sender, clock]);
            waited.explained()
        },
    },
    Scenario {
        name: "linear-trigger-of-two-waits",
        chapter: "Wake-ups",
        clauses: &["T2"],
        sentence: "A wake-up that comes late for one wait is not the next one's.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let waited = Waited::new(10);
            let waiter = role(&waited, |waited| {
                waited.cancel(waited.first);
                let second = waited.begin(20);
                if !waited.try_wait(second) {
                    waited.close();
                    waited.wait(second);
                }
            });
            let sender = role(&waited, |waited| {
                waited.reach(10);
                waited.reach(20);
            });
            let clock = role(&waited, |waited| {
                waited.expire_first();
            });
            setup.race(vec![waiter, sender, clock]);
            waited.explained()
        },
    },
];
