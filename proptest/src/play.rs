//! A history on the real protocol: each step is done to the rig and to the oracle, and the two are compared.
//!
//! The same function is called by the property, thousands of times, and by the `history` binary, once, with the
//! recorder on.

use loom_tests::recording;
use loom_tests::rig::World;
use loom_tests::scenario::{Order, Runner, Setup};
use pollproof::protocol::lifecycle::Closed;
use pollproof::protocol::word::FINAL;

use crate::history::{History, Plan, Step};
use crate::oracle::{Answer, Oracle};

/// A connection of the rig, beside what the specification says of it.
pub struct Played {
    world: World,
    /// What the specification says.
    pub oracle: Oracle,
    steps: usize,
}

impl Played {
    /// A connection whose OnPrepare is over.
    pub fn new(plan: Plan) -> Self {
        let setup = Setup::new(Order::Forward, Runner::Inline);
        Self { world: World::registered(&setup, plan.user()), oracle: Oracle::new(plan), steps: 0 }
    }

    /// Does `step`, and compares.
    ///
    /// # Panics
    ///
    /// When the protocol does something else than the specification says.
    pub fn step(&mut self, step: Step) {
        recording::note(format!("{step:?}"));
        let at = self.steps;
        self.steps += 1;
        let expected = self.oracle.step(at, step);
        let answer = self.act(at, step);
        assert_eq!(answer, expected, "the answer of {step:?}");
        let events = self.world.events();
        assert_eq!(events, self.oracle.events, "the callbacks after {step:?}");
        assert_eq!(self.world.look().any(FINAL), self.oracle.over, "whether it is over after {step:?}");
        assert_eq!(self.world.close_callbacks_run(), self.oracle.ran, "the close callbacks after {step:?}");
    }

    fn act(&self, at: usize, step: Step) -> Answer {
        let world = &self.world;
        match step {
            Step::Connect => world.connect(),
            Step::Data => world.data(),
            Step::Eof => world.eof(),
            Step::Hup => world.hup(),
            Step::Close => return Answer::Close(world.close() == Closed::First),
            Step::Detach => world.detach(),
            Step::Shutdown => world.shutdown(),
            Step::SetHandler => world.set_handler(2),
            Step::Flush(bytes) => return Answer::Flush(world.flush(bytes).is_ok()),
            Step::PeerTakes(bytes) => world.peer_takes(bytes),
            Step::AddCallback => world.add_close_callback(100 + at as u32),
        }
        Answer::None
    }

    /// Ends the history: OnConnect, if it was not yet, and what must hold in the end.
    ///
    /// # Panics
    ///
    /// When a promise is broken that holds for every history, or the outcome is another.
    pub fn end(mut self) {
        if self.oracle.allows(Step::Connect) {
            self.step(Step::Connect);
        }
        let outcome = self.world.end();
        let outcome = outcome.replace("@0", "");
        let (found, _) = outcome.rsplit_once(" | ").unwrap_or((&outcome, ""));
        assert_eq!(found, self.oracle.outcome(), "the outcome");
    }
}

impl History {
    /// Plays it, from its beginning to its end. Steps that cannot come where they stand are left out.
    ///
    /// # Panics
    ///
    /// As [`Played::step`] and [`Played::end`].
    pub fn play(&self) {
        let mut played = Played::new(self.plan);
        for step in &self.steps {
            if played.oracle.allows(*step) {
                played.step(*step);
            }
        }
        played.end();
    }
}
