//! Chapter "Buffers": the queue that two threads touch, alone, without a connection around it.
//!
//! Its ends are handed from thread to thread by bits of a word, as `TASK` and `READING` hand them over, so
//! that the queue is seen to rest on nothing else. Every value is a cell that the checkers watch.

use pollproof::buffer::link::Link;
use pollproof::sync::UnsafeCell;
use pollproof::sync::atomic::{AtomicU32, Ordering};

use crate::scenario::Runner::Inline;
use crate::scenario::{Role, Scenario, role};
use crate::share::{Shared, share};

/// The consumer's end is owned, as by `TASK`.
const TASK: u32 = 1;
/// Something was pushed since the consumer last looked.
const PENDING: u32 = 2;
/// The producer's end is owned, as by `READING`.
const READING: u32 = 4;

/// A value that is written before it is pushed: to read it without having been handed it is a data race.
struct Value(UnsafeCell<u32>);

impl Value {
    fn new(number: u32) -> Self {
        let value = Self(UnsafeCell::new(0));
        // Safety: nobody else has it.
        value.0.with_mut(|place| unsafe { *place = number });
        value
    }

    fn read(&self) -> u32 {
        // Safety: whoever has it owns it.
        self.0.with(|place| unsafe { *place })
    }
}

/// A queue, and the word that hands its ends over.
struct Queue {
    link: Link<Value>,
    word: AtomicU32,
    /// What was popped, and by whom; the consumer's.
    popped: UnsafeCell<Vec<(u32, &'static str)>>,
}

// Safety: each end of the queue is used under its bit, and `popped` by the consumer.
unsafe impl Sync for Queue {}
// Safety: it belongs to no thread.
unsafe impl Send for Queue {}

impl Queue {
    fn new() -> Shared<Self> {
        let popped = UnsafeCell::new(Vec::new());
        share(Self { link: Link::new(), word: AtomicU32::new(0), popped })
    }

    /// Pops once, as `who`; says whether there was something.
    ///
    /// # Safety
    ///
    /// The caller is the consumer.
    unsafe fn pop(&self, who: &'static str) -> bool {
        // Safety: the consumer, by the caller's promise.
        let value = unsafe { self.link.pop() };
        if let Some(value) = &value {
            // Safety: as above.
            self.popped.with_mut(|popped| unsafe { (*popped).push((value.read(), who)) });
        }
        value.is_some()
    }

    /// Pops what is left. Returns all values in the order in which they came out, and the outcome: those that
    /// came out before, and by whom.
    ///
    /// # Safety
    ///
    /// Every other thread is joined.
    unsafe fn end(&self) -> (Vec<u32>, String) {
        // Safety: nobody else is there.
        let before = self.popped.with(|popped| unsafe { (*popped).clone() });
        // Safety: as above.
        while unsafe { self.pop("end") } {}
        // Safety: as above.
        let all = self.popped.with(|popped| unsafe { (*popped).iter().map(|(value, _)| *value).collect() });
        let before: Vec<String> = before.iter().map(|(value, who)| format!(" {value}@{who}")).collect();
        (all, format!("popped{}", before.concat()))
    }

    /// Sets `also` and takes the consumer's end, if it is free, and then pops until nothing is announced:
    /// release and recheck, as the owner of a section does.
    fn consume(&self, also: u32, who: &'static str) {
        // Ordering: AcqRel, every change of this word with every other: the ends go with it.
        if self.word.fetch_or(TASK | also, Ordering::AcqRel) & TASK != 0 {
            return;
        }
        loop {
            // Ordering: AcqRel, as above.
            self.word.fetch_and(!PENDING, Ordering::AcqRel);
            // Safety: TASK.
            while unsafe { self.pop(who) } {}
            // Ordering: AcqRel, as above.
            if self.word.fetch_and(!TASK, Ordering::AcqRel) & PENDING == 0 {
                return;
            }
            // Ordering: AcqRel, as above.
            if self.word.fetch_or(TASK, Ordering::AcqRel) & TASK != 0 {
                return;
            }
        }
    }

    /// Pushes `values` if the producer's end is free; says whether it was.
    fn produce(&self, values: [u32; 2]) -> bool {
        // Ordering: AcqRel, every change of this word with every other: the ends go with it.
        if self.word.fetch_or(READING, Ordering::AcqRel) & READING != 0 {
            return false;
        }
        for value in values {
            // Safety: READING.
            unsafe { self.link.push(Value::new(value)) };
        }
        // Ordering: AcqRel, as above.
        self.word.fetch_and(!READING, Ordering::AcqRel);
        true
    }
}

/// A value that says when it is dropped.
struct Counted {
    value: Value,
    /// Sums the values that were dropped. Under loom, which reports an `Arc` that leaks, a value that is not
    /// dropped is found twice.
    dropped: Shared<AtomicU32>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        // Ordering: Relaxed: a sum, read when every thread is joined.
        self.dropped.fetch_add(self.value.read(), Ordering::Relaxed);
    }
}

/// A queue that the last of its two users drops.
struct Droppable {
    link: UnsafeCell<Option<Link<Counted>>>,
    users: AtomicU32,
    popped: AtomicU32,
}

// Safety: each end of the queue has one thread, and the last user is alone.
unsafe impl Sync for Droppable {}
// Safety: it belongs to no thread.
unsafe impl Send for Droppable {}

impl Droppable {
    fn with<R>(&self, part: impl FnOnce(&Link<Counted>) -> R) -> R {
        // Safety: it is emptied by the last user only, and the caller is one.
        self.link.with(|link| part(unsafe { &*link }.as_ref().expect("a user is left")))
    }

    fn leave(&self) {
        // Ordering: AcqRel, the users with each other: the last one sees what the other did.
        if self.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Safety: nobody else is left.
            self.link.with_mut(|link| unsafe { *link = None });
        }
    }
}

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "link-producer-against-consumer",
        chapter: "Buffers",
        clauses: &["B1"],
        sentence: "What one thread pushes another pops: once, in order, whole, or not yet.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let queue = Queue::new();
            let producer = role(&queue, |queue| {
                for number in 1..=3 {
                    // Safety: the only producer.
                    unsafe { queue.link.push(Value::new(number)) };
                }
            });
            let consumer = role(&queue, |queue| {
                for _ in 0..3 {
                    // Safety: the only consumer.
                    unsafe { queue.pop("consumer") };
                }
            });
            setup.race(vec![producer, consumer]);
            // Safety: every role is joined.
            let (all, outcome) = unsafe { queue.end() };
            assert_eq!(all, [1, 2, 3], "{outcome}");
            outcome
        },
    },
    Scenario {
        name: "link-consumer-handed-over",
        chapter: "Buffers",
        clauses: &["B1", "N2"],
        sentence: "The consumer's end goes from thread to thread with a bit, and nothing is popped twice or left.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let queue = Queue::new();
            let producer = role(&queue, |queue| {
                for number in 1..=2 {
                    // Safety: the only producer.
                    unsafe { queue.link.push(Value::new(number)) };
                    queue.consume(PENDING, "producer");
                }
            });
            let other = role(&queue, |queue| queue.consume(0, "other"));
            setup.race(vec![producer, other]);
            // Safety: every role is joined.
            let (all, outcome) = unsafe { queue.end() };
            assert_eq!(all, [1, 2], "{outcome}");
            assert_eq!(outcome.matches('@').count(), 2, "{outcome}: a value is left that was announced");
            outcome
        },
    },
    Scenario {
        name: "link-producer-handed-over",
        chapter: "Buffers",
        clauses: &["B1"],
        sentence: "The producer's end goes from thread to thread with a bit, and each one's values stay together.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let queue = Queue::new();
            let taken = share(AtomicU32::new(0));
            let mut roles: Vec<Role> = [[1, 2], [3, 4]]
                .into_iter()
                .map(|values| {
                    let taken = taken.clone();
                    role(&queue, move |queue| {
                        if queue.produce(values) {
                            // Ordering: Relaxed: read when every role is joined.
                            taken.fetch_add(values[0], Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            roles.push(role(&queue, |queue| {
                for _ in 0..2 {
                    // Safety: the only consumer.
                    unsafe { queue.pop("consumer") };
                }
            }));
            setup.race(roles);
            // Safety: every role is joined.
            let (all, outcome) = unsafe { queue.end() };
            // Ordering: Relaxed, as above.
            let expected: &[&[u32]] = match taken.load(Ordering::Relaxed) {
                1 => &[&[1, 2]],
                3 => &[&[3, 4]],
                _ => &[&[1, 2, 3, 4], &[3, 4, 1, 2]],
            };
            assert!(expected.contains(&&all[..]), "{all:?}, {outcome}");
            outcome
        },
    },
    Scenario {
        name: "link-dropped-with-values-left",
        chapter: "Buffers",
        clauses: &["B2", "B1"],
        sentence: "A queue that its last user drops, producer or consumer, drops every value that was left, once.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let dropped = share(AtomicU32::new(0));
            let queue = share(Droppable {
                link: UnsafeCell::new(Some(Link::new())),
                users: AtomicU32::new(2),
                popped: AtomicU32::new(0),
            });
            let producer = {
                let (queue, dropped) = (queue.clone(), dropped.clone());
                Box::new(move || {
                    for bit in [1, 2, 4] {
                        let value = Counted { value: Value::new(bit), dropped: dropped.clone() };
                        // Safety: the only producer.
                        queue.with(|link| unsafe { link.push(value) });
                    }
                    queue.leave();
                })
            };
            let consumer = {
                let queue = queue.clone();
                Box::new(move || {
                    for _ in 0..2 {
                        // Safety: the only consumer.
                        if let Some(value) = queue.with(|link| unsafe { link.pop() }) {
                            // Ordering: Relaxed: read when every role is joined.
                            queue.popped.fetch_add(value.value.read(), Ordering::Relaxed);
                        }
                    }
                    queue.leave();
                })
            };
            setup.race(vec![producer, consumer]);
            // Ordering: Relaxed: every role is joined.
            let (dropped, popped) = (dropped.load(Ordering::Relaxed), queue.popped.load(Ordering::Relaxed));
            assert_eq!(dropped, 7, "a value is left, or was dropped twice");
            format!("popped {popped}")
        },
    },
];
