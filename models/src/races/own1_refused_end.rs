//! OWN1, refused-end: a refused call keeps a lock from its owner for a moment, and goes without what it was left.

use loom_tests::recording::{self, Shown};
use loom_tests::rig::User;
use loom_tests::share;
use pollproof::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crate::published::Count;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "OWN1",
    name: "refused-end",
    title: "a refused call takes the end of the output with it",
    story: "This one was ours. Two threads end the output while a third, the consumer, is sending what was flushed. The \
        first finds the consumer's lock taken, and closes the gate of the output: whatever comes later is refused. The \
        consumer has sent everything and gives its lock back. Now the second tries, and its try takes that lock along; it \
        is refused. The first announces the end of the output, finds the lock taken, and leaves the end to whoever holds \
        it, as it should. That is the refused one, who gives the lock back without a look. Nobody tells the peer. The \
        abstract model found it as soon as two of its parties could end the output; in every test it was one. Now whoever \
        gives that lock back looks at what it was left, refused or not.",
    seen: "never in the field: the window is two instructions wide",
    references: &[],
    clauses: &["O2", "E5"],
    sequential: false,
    variants: &[without("as it was here at first", as_at_first, breaks("E5", 2)), repaired(as_repaired)],
    source: include_str!("own1_refused_end.rs"),
};

/// The consumer's lock.
const SENDING: u32 = 1;
/// Something was left for whoever holds that lock.
const PENDING: u32 = 2;
/// The output has ended: further calls are refused.
const ENDED: u32 = 4;
const BITS: Shown = Shown::Bits(&[(SENDING, "sending"), (PENDING, "pending"), (ENDED, "ended")]);

struct Output {
    word: AtomicU32,
    told: Count,
}

impl Output {
    /// The consumer, from the end of its sending on.
    fn give_back(&self) {
        while self.clear(SENDING) & PENDING != 0 {
            if self.set(SENDING) & SENDING != 0 {
                return;
            }
            self.tell();
        }
    }

    /// With the consumer's lock.
    fn tell(&self) {
        if self.clear(PENDING) & ENDED != 0 {
            self.told.ran("the peer is told");
        }
    }

    fn end(&self) {
        let found = self.set(SENDING);
        let mine = found & SENDING == 0;
        if found & ENDED != 0 {
            recording::note("refused");
            if mine {
                let _ = self.clear(SENDING);
            }
            return;
        }
        let _ = self.set(ENDED);
        if mine || self.set(PENDING | SENDING) & SENDING == 0 {
            self.tell();
            self.give_back();
        }
    }

    fn set(&self, bits: u32) -> u32 {
        recording::label("set");
        self.word.fetch_or(bits, SeqCst)
    }

    fn clear(&self, bits: u32) -> u32 {
        recording::label("clear");
        self.word.fetch_and(!bits, SeqCst)
    }
}

fn as_at_first(stage: &Stage) {
    // The consumer has sent everything, and holds its lock.
    let c = share(Output { word: AtomicU32::new(SENDING), told: Count::default() });
    recording::name(&c.word, "word", BITS);
    let (s, e, f) = (c.clone(), c.clone(), c.clone());
    stage.race([role("C", move || s.give_back()), role("E", move || e.end()), role("F", move || f.end())]);
    promise("E5", c.told.times() > 0, "the output has ended, and the peer was not told");
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User::kept());
    world.eof();
    // It parks: the poller sends it when the peer takes some.
    let _ = world.flush(1);
    let ender = || {
        world.role(|w| {
            let _ = w.end_output();
        })
    };
    stage.race([role("C", world.role(|w| w.peer_takes(1))), role("E", ender()), role("F", ender())]);
    let _ = world.end();
    promise("E5", world.output_ended(), "the output has ended, and the peer was not told");
}
