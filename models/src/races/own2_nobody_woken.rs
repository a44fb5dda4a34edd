//! OWN2, nobody-woken: a thread takes another server's loop for its own, and does not wake it.

use std::sync::PoisonError;

use loom_tests::recording;
use loom_tests::{Shared, share};
use pollproof::protocol::takeover::{Crew, Lead};
use pollproof::sync::{Arc, Condvar, Mutex, lock};

use crate::published::{Count, FLAG, Go, NUMBER};
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "OWN2",
    name: "nobody-woken",
    title: "a section waits for a loop that nobody wakes",
    story: "This one was ours. One process has two servers, A and B. A handler of A, on the thread that polls loop 0 of A, \
        closes a connection of B that lives in loop 0 of B. The section that ends the connection goes to the queue of \
        that loop. Whoever queues something wakes the loop, unless the thread leads it: then it looks at the queue \
        itself before it waits. But the thread only compared numbers. It leads a loop 0, the queue is that of a loop 0, \
        so it wakes nobody. If the thread of B has looked at its queue already, it sleeps until something else \
        happens to it. Now a thread knows for which server it polls, and compares that as well.",
    seen: "always, while the other loop sleeps; found by a test with two servers in one process",
    references: &[],
    clauses: &["U5", "U2"],
    sequential: false,
    variants: &[without("as it was here at first", as_at_first, deadlock("U5", 0)), repaired(as_repaired)],
    source: include_str!("own2_nobody_woken.rs"),
};

/// A server with one loop.
struct Server {
    crew: Crew,
    /// Sections in the queue of its loop.
    queue: Go,
    /// The loop's eventfd is written.
    woken: Go,
    /// What a thread sleeps on in epoll_wait.
    epoll: (Mutex<()>, Condvar),
    ran: Count,
}

impl Server {
    fn new() -> Shared<Self> {
        let epoll = (Mutex::new(()), Condvar::new());
        share(Self { crew: Crew::new(1, 1), queue: Go::new(0), woken: Go::new(0), epoll, ran: Count::default() })
    }

    /// The thread that leads the loop: looks at its queue, waits, looks again.
    fn turn(&self) {
        recording::label("look at the queue");
        if self.queue.load() == 0 {
            self.wait();
            recording::label("look at the queue");
            if self.queue.load() == 0 {
                return;
            }
        }
        self.ran.ran("the section runs");
    }

    fn wait(&self) {
        recording::note("epoll_wait");
        let mut kernel = lock(&self.epoll.0);
        while self.woken.load() == 0 {
            kernel = self.epoll.1.wait(kernel).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn wake(&self) {
        let _kernel = lock(&self.epoll.0);
        recording::label("write the eventfd");
        self.woken.store(1);
        self.epoll.1.notify_one();
    }
}

/// Where a thread is: for which server it polls, and the loop that it leads.
struct Post {
    server: Shared<Server>,
    lead: Arc<Lead>,
}

impl Post {
    fn leads_number(&self, home: usize) -> bool {
        self.lead.home() == home && !self.lead.is_over()
    }

    fn leads(&self, server: &Server, home: usize) -> bool {
        std::ptr::eq(&raw const *self.server, server) && self.leads_number(home)
    }

    /// Leaves a section to loop 0 of `server`. `leads`: this thread looks at that queue itself.
    fn leave(server: &Server, leads: bool) {
        recording::label("queue the section");
        server.queue.add(1);
        if !leads {
            server.wake();
        }
    }
}

fn play(stage: &Stage, leads: fn(&Post, &Server) -> bool) {
    let (a, b) = (Server::new(), Server::new());
    b.queue.name("queue of B", NUMBER);
    b.woken.name("B is woken", FLAG);
    let post = Post { lead: a.crew.lead_of(0), server: a };
    let (to, of) = (b.clone(), b.clone());
    let close = move || {
        recording::note("a handler of A closes a connection of B");
        Post::leave(&to, leads(&post, &to));
    };
    stage.race([role("A", close), role("B", move || of.turn())]);
    promise("U5", b.ran.times() == 1, "a section was left to a loop, and did not run");
}

fn as_at_first(stage: &Stage) {
    play(stage, |post, _| post.leads_number(0));
}

fn as_repaired(stage: &Stage) {
    play(stage, |post, server| post.leads(server, 0));
}
