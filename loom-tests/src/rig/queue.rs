//! What is left to the home loop, as `connection::duty` and `reactor::poller` have it: a queue, and the wake-up that goes with it.
//!
//! Nobody looks at the queue without a reason: it is served by a poller that was woken for it. A duty whose wake-up is
//! missing stays where it is, and the scenario fails: its thread waits for ever, or [`World::end`] finds the duty.

use std::collections::VecDeque;

use pollproof::protocol::effects::{Effects as _, Left};
use pollproof::protocol::lifecycle;
use pollproof::protocol::process;
use pollproof::protocol::word::Snapshot;
use pollproof::sync::{Condvar, Mutex, lock};

use super::World;
use crate::recording;
use crate::scenario::Role;

/// Something that is left to the home loop.
#[derive(Clone, Copy, Debug)]
pub(super) enum Duty {
    /// A section, with its ownership; with the value that its owner found, if it has not begun to run.
    Section(Option<Snapshot>),
    /// OnDisconnect, with the bits that say that it is due.
    Disconnect(Left),
}

/// What waits for the home loop.
#[derive(Default)]
struct Waiting {
    duties: VecDeque<Duty>,
    /// The loop is over: nothing is accepted any more.
    over: bool,
}

/// The home loop's queue, and where its thread waits to be woken.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    woken: Condvar,
}

impl World {
    /// Calls user code: whatever that does it does inside.
    pub(super) fn call<R>(&self, act: impl FnOnce(&World) -> R) -> R {
        let before = self.inside.replace(true);
        let result = act(self);
        self.inside.set(before);
        result
    }

    /// This thread is inside user code of another connection's while `act` runs. What was deferred meanwhile is done
    /// after.
    pub fn in_user_code(&self, act: impl FnOnce(&World)) {
        assert!(!self.inside.get());
        self.call(act);
        self.sweep();
    }

    /// This connection, as the thread comes to it that was at `other`.
    pub(super) fn found_by(self, other: &World) -> World {
        World { who: other.who, inside: other.inside.clone(), leads: other.leads, ..self }
    }

    /// Leaves `duty` to the home loop, and wakes it. Where the loop is over it is done here, as soon as this thread's
    /// user code has returned.
    pub(super) fn leave(&self, duty: Duty) {
        recording::note("left to the home loop");
        let mut waiting = lock(&self.inner.queue.waiting);
        if waiting.over {
            drop(waiting);
            if self.inside.get() {
                self.record().deferred.push((self.who, duty));
            } else {
                self.fulfil(duty);
            }
            return;
        }
        waiting.duties.push_back(duty);
        drop(waiting);
        // Its own thread looks before it waits.
        if !self.leads {
            self.wake();
        }
    }

    /// This thread passes for the one that leads the home loop, and wakes nobody: a mistake, for the harness's own tests.
    pub fn passing_for_the_leader(self) -> World {
        World { leads: true, ..self }
    }

    /// Wakes the home loop.
    pub(super) fn wake(&self) {
        let _waiting = lock(&self.inner.queue.waiting);
        recording::label("eventfd write");
        self.kernel().woken = true;
        self.inner.queue.woken.notify_all();
    }

    /// Does it, outside all user code.
    fn fulfil(&self, duty: Duty) {
        assert!(!self.inside.get(), "inside user code");
        match duty {
            Duty::Section(None) => process::run(self, self.word().look()),
            Duty::Section(Some(at)) => self.run_task(at),
            Duty::Disconnect(left) => lifecycle::disconnect_left(self, left),
        }
    }

    /// Does what was left to the loop. Called by a poller that was woken for it.
    pub(super) fn serve_queue(&self) {
        loop {
            let next = lock(&self.inner.queue.waiting).duties.pop_front();
            let Some(duty) = next else { return };
            self.fulfil(duty);
        }
    }

    /// Does what was deferred until this thread's user code has returned.
    pub(super) fn sweep(&self) {
        loop {
            let mut record = self.record();
            let Some(at) = record.deferred.iter().position(|(who, _)| *who == self.who) else { return };
            let (_, duty) = record.deferred.remove(at);
            drop(record);
            self.fulfil(duty);
        }
    }

    /// The role of the thread that leads the home loop, until the connection is over: it waits to be woken, and does
    /// what was left to it. Events are other roles' to bring.
    pub fn home_loop(&self) -> Role {
        self.record().led = true;
        self.role(|world| {
            let home = World { leads: true, ..world };
            loop {
                let mut waiting = lock(&home.inner.queue.waiting);
                while waiting.duties.is_empty() && !home.peek().woken {
                    waiting = home.inner.queue.woken.wait(waiting).unwrap_or_else(std::sync::PoisonError::into_inner);
                }
                drop(waiting);
                home.serve_queue();
                // After that: whoever comes later wakes it again, and whoever came before is found by the next look.
                home.kernel().woken = false;
                if home.peek().closed {
                    return;
                }
            }
        })
    }

    /// The home loop ends: the queue is closed, the connection too, and what waited is done.
    pub fn end_loop(&self) {
        let home = World { leads: true, ..self.clone() };
        let mut waiting = lock(&home.inner.queue.waiting);
        waiting.over = true;
        let left = std::mem::take(&mut waiting.duties);
        drop(waiting);
        let _ = home.close();
        for duty in left {
            home.fulfil(duty);
        }
    }

    /// Nothing waits for a loop that nobody has woken. Called after everything else.
    pub(super) fn nothing_is_left(&self) {
        let left = lock(&self.inner.queue.waiting).duties.pop_front();
        assert!(left.is_none(), "left in the queue, and nobody was woken: {left:?}");
        let deferred = self.record().deferred.pop();
        assert!(deferred.is_none(), "left until user code returns, and never done: {deferred:?}");
    }
}
