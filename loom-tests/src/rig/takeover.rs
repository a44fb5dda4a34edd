//! Two pollers of one epoll: a callback that does not come back, and what the other poller does meanwhile.
//!
//! Who leads a loop is the protocol's `Crew`, which scenarios use as it is; here is what it does to a connection.

use pollproof::protocol::effects::Ran;
use pollproof::protocol::output;
use pollproof::sync::{Condvar, Mutex, lock};

use super::World;
use super::kernel::Event;
use crate::recording;
use crate::scenario::Role;

/// Where the roles stand that a callback may hold up.
#[derive(Default)]
struct Stand {
    open: bool,
    held_up: u32,
    through: u32,
}

/// What a callback that does not come back waits for.
#[derive(Default)]
pub(super) struct Gate {
    stand: Mutex<Stand>,
    changed: Condvar,
}

impl Gate {
    /// Changes the stand, and waits until it is as it should be.
    fn pass(&self, change: impl FnOnce(&mut Stand), until: impl Fn(&Stand) -> bool) {
        let mut stand = lock(&self.stand);
        change(&mut stand);
        self.changed.notify_all();
        while !until(&stand) {
            stand = self.changed.wait(stand).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }
}

/// A callback that does not come back until [`World::let_go`], on any thread but the main one and the last role.
pub fn holds_up(world: &World) -> Ran {
    let last = char::from_digit(world.record().roles, 10);
    if world.who != '0' && Some(world.who) != last {
        world.inner.gate.pass(|stand| stand.held_up += 1, |stand| stand.open);
    }
    Ran::Done
}

impl World {
    /// A role whose callbacks may hold it up: [`poll_until_quiet`](Self::poll_until_quiet) waits for it.
    pub fn deposed(&self, act: impl FnOnce(&World) + Send + 'static) -> Role {
        self.role(|world| {
            act(&world);
            world.inner.gate.pass(|stand| stand.through += 1, |_| true);
        })
    }

    /// Lets the callbacks go that [`holds_up`] holds up.
    pub fn let_go(&self) {
        self.inner.gate.pass(|stand| stand.open = true, |_| true);
    }

    /// Polls while the other roles go on, and then, when each is held up or through, until epoll reports nothing:
    /// it must not report the same for ever. (K6)
    pub fn poll_until_quiet(&self) {
        self.poll();
        let others = self.record().roles - 1;
        self.inner.gate.pass(|_| {}, |stand| stand.held_up + stand.through == others);
        let mut reports = 0;
        while self.poll() {
            reports += 1;
            assert!(reports < 4, "epoll reports the same while a callback is held up: {}", self.look());
        }
    }

    /// The peer is gone; nobody looks yet.
    pub fn peer_is_gone(&self) {
        recording::label("the peer hangs up");
        self.kernel().gone = true;
    }

    /// The peer shuts down its writing side; nobody looks yet.
    pub fn peer_stops(&self) {
        self.kernel().eof = true;
    }

    /// The peer takes `bytes`; nobody looks yet.
    pub fn peer_makes_room(&self, bytes: u64) {
        self.kernel().room += bytes;
    }

    /// An event that a poller has in hand.
    pub fn take_event(&self) -> Option<Event> {
        self.kernel().poll()
    }

    /// What a deposed poller does about an event that it has in hand, as `connection::events` does. (K3)
    pub fn drop_event(&self, event: Event) {
        if event.writable {
            output::writable(self);
        }
    }
}
