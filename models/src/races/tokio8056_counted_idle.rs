//! TOKIO8056, counted-idle: a cousin in tokio. A thread that has work already is counted as idle, and new work waits for it.

use std::sync::PoisonError;

use loom_tests::recording;
use loom_tests::share;
use pollproof::protocol::takeover::{Crew, Roster, Slept, Succession};
use pollproof::sync::atomic::AtomicU32;
use pollproof::sync::atomic::Ordering::Relaxed;
use pollproof::sync::{Condvar, MutexGuard};

use crate::published::{Count, Go, NUMBER};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "TOKIO8056",
    name: "counted-idle",
    title: "work waits for a thread that is not idle (tokio)",
    story: "A pool for blocking work starts a thread for a new task unless one is idle; then it only notifies. In tokio 1.52.0 \
        the count of idle threads was the threads' own: each took itself off only after it had been woken and had taken \
        a task. A first task was pushed, and the one idle thread notified. Before that thread is off the count a second \
        task comes: the count says one, so it too only notifies. The thread takes the first task, which blocks; the \
        second waits for a thread that nobody will start, and spawn_blocking hangs. The count was a metric, kept in \
        std's atomics and not in loom's, so tokio's loom tests could not see its order; the change was taken back \
        within days. Before it, whoever notified took the thread off the count, under the same lock. Here the same: who \
        appoints a spare thread takes it off in that step.",
    seen: "a test of a project that uses it hung within a dozen runs; tokio 1.52.0, taken back in 1.52.1",
    references: &[
        "https://github.com/tokio-rs/tokio/pull/7757",
        "https://github.com/tokio-rs/tokio/issues/8056",
        "https://github.com/tokio-rs/tokio/pull/8057",
        "https://github.com/tokio-rs/tokio/issues/8067",
    ],
    clauses: &["K1", "K5"],
    sequential: false,
    variants: &[
        published(as_of_7757, breaks("K1", 0)).named("published", "as in tokio 1.52.0"),
        published(as_before, Expect::Holds).named("before", "as before that, and since"),
        repaired(as_repaired),
    ],
    source: include_str!("tokio8056_counted_idle.rs"),
};

struct Pool {
    /// Threads that count as idle.
    idle: Go,
    /// Notifications that no thread has taken.
    notified: Go,
    queue: Go,
    /// Threads that were started for a task.
    started: Count,
}

impl Pool {
    /// `spawn_task`: push, then start a thread or wake one. `claim`: takes the thread that it wakes off the count.
    fn spawn_blocking(&self, claim: bool) {
        recording::label("push");
        self.queue.add(1);
        if self.idle.load() == 0 {
            self.started.ran("another thread is started");
            return;
        }
        if claim {
            recording::label("claim");
            self.idle.add(u32::MAX);
        }
        recording::label("notify_one");
        self.notified.add(1);
    }

    /// The thread that was notified. The task that it takes blocks for ever.
    fn worker(&self, claimed: bool) {
        recording::label("take a notification");
        self.notified.add(u32::MAX);
        recording::label("pop");
        self.queue.add(u32::MAX);
        if !claimed {
            recording::label("not idle any more");
            self.idle.add(u32::MAX);
        }
        recording::note("runs it, which blocks");
    }
}

fn play(stage: &Stage, claim: bool) {
    // One thread was idle, the first task was pushed, and the thread notified.
    let idle = u32::from(!claim);
    let pool = share(Pool { idle: Go::new(idle), notified: Go::new(1), queue: Go::new(1), started: Count::default() });
    pool.idle.name("idle", NUMBER);
    pool.notified.name("notified", NUMBER);
    pool.queue.name("queue", NUMBER);
    let (s, w) = (pool.clone(), pool.clone());
    stage.race([role("S", move || s.spawn_blocking(claim)), role("W", move || w.worker(claim))]);
    let left = pool.queue.load();
    promise("K1", pool.started.times() == left, "one thread blocks in the first task, and the second is never run");
}

fn as_of_7757(stage: &Stage) {
    play(stage, false);
}

fn as_before(stage: &Stage) {
    play(stage, true);
}

fn as_repaired(stage: &Stage) {
    // Two loops are led, and a thread that led one before is spare; both leads are ended in a row.
    let crew = share(Crew::new(2, 4));
    for home in 0..2 {
        let _ = crew.start(home, |_| Ok::<(), ()>(()));
    }
    // Ordering of these two: Relaxed; they are read when every role is joined.
    let (started, led) = (share(AtomicU32::new(0)), share(AtomicU32::new(0)));
    let (s, w, newcomers, leads) = (crew.clone(), crew.clone(), started.clone(), led.clone());
    let succeed = move || {
        for home in 0..2 {
            let lead = s.lead_of(home);
            let ended = s.succeed(&lead, || {
                recording::note("another thread is started");
                newcomers.fetch_add(1, Relaxed);
                true
            });
            assert_eq!(ended, Succession::Appointed);
            recording::note("appointed");
        }
        s.close();
    };
    let spare = move || {
        if w.next(false, sleep).is_some() {
            recording::note("leads");
            leads.fetch_add(1, Relaxed);
        }
    };
    stage.race([role("S", succeed), role("W", spare)]);
    for _ in 0..started.load(Relaxed) {
        led.fetch_add(u32::from(crew.next(true, sleep).is_some()), Relaxed);
    }
    promise("K1", led.load(Relaxed) == 2, "two leads were ended, and one has no successor");
}

fn sleep<'a>(wake: &'a Condvar, roster: MutexGuard<'a, Roster>) -> (MutexGuard<'a, Roster>, Slept) {
    (wake.wait(roster).unwrap_or_else(PoisonError::into_inner), Slept::Awake)
}
