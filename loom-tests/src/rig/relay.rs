//! What one [`World`] does to another that it passes on its bytes to, and a user who ends the output.

use pollproof::protocol::effects::Effects;
use pollproof::protocol::output::{self, Refused};
use pollproof::protocol::word::{ARMED, AWAITED, EOF, NOWRITE, Snapshot};
use pollproof::sync::lock;

use super::{User, World};
use crate::scenario::Setup;

impl World {
    /// A connection whose OnConnect is over, and whose handler is paced by the output of `other`.
    pub fn relaying_to(other: &World, setup: &Setup, user: User) -> Self {
        let world = Self::connected_paced(setup, user, Some(other.clone()));
        // Roles of one are told from those of the other.
        world.record().roles = 4;
        world
    }

    /// Inside OnRequest: passes `bytes` on. Answers whether they were taken.
    pub fn pass_on(&self, bytes: u64) -> Result<(), Refused> {
        self.other().flush(bytes)
    }

    /// Inside OnRequest: whether the other output is high, which the handler should have waited for.
    pub fn other_is_high(&self) -> bool {
        Effects::output_high(self)
    }

    /// Inside OnRequest: the end of this one's stream ends the other's output.
    pub fn pass_end_on(&self) {
        if self.record().last {
            let _ = self.other().end_output();
        }
    }

    fn other(&self) -> World {
        let other = self.inner.paced_by.clone().expect("it relays");
        other.found_by(self)
    }

    /// Another connection's owner is about to wait for this one's output, and then looks whether it must. Nobody comes
    /// to be relieved. Whether somebody would say so.
    pub fn awaits_drain(&self) -> bool {
        output::await_drain(self)
    }

    /// Ends the output. Answers whether that was taken.
    pub fn end_output(&self) -> Result<(), Refused> {
        output::end(self)
    }

    /// Whether the peer was told that nothing more will come. Called after [`World::end`].
    pub fn output_ended(&self) -> bool {
        self.peek().ended
    }

    /// Lets epoll report what is left on both, and then [`World::end`]s both.
    pub fn end_with(&self, other: &World) -> String {
        while self.poll() | other.poll() {}
        let theirs = other.end();
        let outcome = format!("{} || {theirs}", self.end());
        // The two refer to each other.
        lock(&other.inner.awaiting).clear();
        outcome
    }

    /// Closing, and the user's or another connection's move.
    pub(super) fn waits(&self, word: Snapshot) -> bool {
        let kept = self.inner.user.keeps_open && word.any(EOF) && !word.closed() && !word.any(NOWRITE);
        kept || word.choked() && self.waits_for_other()
    }

    /// The handler waits for an output that somebody will send.
    pub(super) fn waits_for_other(&self) -> bool {
        self.inner.paced_by.as_ref().is_some_and(|other| {
            let word = other.look();
            word.has(ARMED | AWAITED) && !word.closed()
        })
    }
}
