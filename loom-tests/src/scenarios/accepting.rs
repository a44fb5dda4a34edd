//! Chapter "Accepting": an acceptor without room against the ends that make it.
//!
//! The wake-up, an eventfd in the reactor, is a lock and a condition variable here: who waits for one that
//! nobody sends is a deadlock, which the checkers report.

use pollproof::protocol::gate::Gate;
use pollproof::sync::{Condvar, Mutex, UnsafeCell, lock};

use crate::scenario::Runner::Inline;
use crate::scenario::{Scenario, Setup, role};
use crate::share::{Shared, Unseen, share};

/// A server with a gate: what an end leaves behind for the acceptor, and how it wakes it.
struct Server {
    gate: Gate,
    freed: UnsafeCell<u32>,
    woken: Mutex<u32>,
    wake: Condvar,
    outcome: Mutex<String>,
    /// How many ends have woken the acceptor.
    signals: Unseen<u32>,
}

// Safety: `freed` is written by an end and read by the acceptor that waited for it (Q1).
unsafe impl Sync for Server {}
// Safety: it belongs to no thread.
unsafe impl Send for Server {}

/// A server that has accepted `connections`.
fn server(connections: u32) -> Shared<Server> {
    let gate = Gate::new();
    for _ in 0..connections {
        let _ = gate.enter();
    }
    share(Server {
        gate,
        freed: UnsafeCell::new(0),
        woken: Mutex::new(0),
        wake: Condvar::new(),
        outcome: Mutex::new(String::new()),
        signals: Unseen::default(),
    })
}

impl Server {
    /// The poller ends a wait that it is in, or its next one.
    fn signal(&self) {
        *self.signals.lock().expect("no panic") += 1;
        *lock(&self.woken) += 1;
        self.wake.notify_one();
    }

    fn end(&self) {
        if self.gate.leave() {
            self.signal();
        }
    }

    /// Sleeps as the acceptor does: until somebody has signalled since it slept last.
    fn sleep(&self) {
        let mut woken = lock(&self.woken);
        while *woken == 0 {
            woken = self.wake.wait(woken).expect("no panic");
        }
        *woken = 0;
    }

    /// Accepts one connection as soon as there is room.
    fn accept(&self, limit: u32) {
        let mut how = "at once";
        while !self.gate.wait().room(limit) {
            how = "woken";
            self.sleep();
        }
        self.gate.wake();
        assert!(self.gate.enter().open <= limit, "over the limit");
        *lock(&self.outcome) += how;
        *lock(&self.outcome) += ", ";
    }
}

fn outcome(server: &Server) -> String {
    format!("{}signals left {}", *lock(&server.outcome), *lock(&server.woken))
}

fn against(setup: &Setup, connections: u32, accept: fn(&Server), ends: &[fn(&Server)]) -> String {
    let server = server(connections);
    let mut roles = vec![role(&server, accept)];
    roles.extend(ends.iter().map(|end| role(&server, *end)));
    setup.race(roles);
    outcome(&server)
}

/// The scenarios of this chapter.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "full-against-an-end",
        chapter: "Accepting",
        clauses: &["Q1", "Q2"],
        sentence: "An acceptor at the limit goes on when a connection ends, whether it has seen the end or sleeps.",
        runners: &[Inline],
        race: true,
        body: |setup| against(setup, 1, |s| s.accept(1), &[Server::end]),
    },
    Scenario {
        name: "full-against-two-ends",
        chapter: "Accepting",
        clauses: &["Q2", "Q1"],
        sentence: "Two ends make room for two: the acceptor takes both, never more than the limit are open, and no wait is for ever.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let twice = |s: &Server| {
                s.accept(2);
                s.accept(2);
            };
            against(setup, 2, twice, &[Server::end, Server::end])
        },
    },
    Scenario {
        name: "two-ends-wake-once",
        chapter: "Accepting",
        clauses: &["Q1"],
        sentence: "Two ends at once, of which the acceptor waits for one: one of the two wakes it.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let server = server(2);
            let acceptor = role(&server, |s| {
                if !s.gate.wait().room(2) {
                    s.sleep();
                }
            });
            setup.race(vec![acceptor, role(&server, Server::end), role(&server, Server::end)]);
            let signals = *server.signals.lock().expect("no panic");
            assert!(signals <= 1, "{signals} ends have woken it");
            format!("signals {signals}")
        },
    },
    Scenario {
        name: "out-of-fds-against-an-end",
        chapter: "Accepting",
        clauses: &["Q1"],
        sentence: "Out of fds, an end that comes after the acceptor has set its bit wakes it, and what it freed is free; one that came before is found by the second try.",
        runners: &[Inline],
        race: true,
        body: |setup| {
            let end = |s: &Server| {
                // Safety: the acceptor reads it after the end (Q1).
                s.freed.with_mut(|freed| unsafe { *freed = 1 });
                s.end();
            };
            let accept = |s: &Server| {
                let found = s.gate.wait();
                // The second try finds what ended before; else the end has the acceptor's bit to find.
                if found.open == 1 {
                    s.sleep();
                }
                // Safety: written before an end that this has seen, or was woken by (Q1).
                assert_eq!(s.freed.with(|freed| unsafe { *freed }), 1);
                s.gate.wake();
                *lock(&s.outcome) += if found.open == 1 { "woken, " } else { "second try, " };
            };
            against(setup, 1, accept, &[end])
        },
    },
];
