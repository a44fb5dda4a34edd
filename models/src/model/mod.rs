//! The abstract model: the protocol as guarded steps, every state of it, and what must hold there.
//!
//! For: knowing every state that the word can be in with several parties, without the bounds of loom and without its
//! memory model: here each step is atomic. Runs of the real code tie the two together: every step of the word that
//! loom sees must be one of the model's (`models/tests/conformance.rs`). Not here: weak memory, which is what loom and
//! shuttle are for, and the reactor.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `op` | what a party can be about to do: one variant, one step |
//! | `state`, `stack` | a state: word, parties, kernel, and what properties remember |
//! | `step` | one step of one party; the predicates of the word, restated |
//! | `process`, `lifecycle`, `output`, `waits`, `world` | the rules, beside the protocol's modules of these names |
//! | `config`, [`configurations`] | who is there; all that is explored |
//! | [`coverage`] | what decides in a transition, for the comparison with runs |
//! | `properties`, [`liveness`] | clauses of SPEC.md: what must hold, and what must happen |
//! | [`graph`], `lasso` | the complete state graph; the search in it for fair runs on which something never happens |
//! | [`space`], [`tell`] | the model as `stateright` explores it; what the CLI says of all this |
#![allow(clippy::disallowed_types, reason = "not explored by a checker")]

mod config;
pub mod configurations;
pub mod coverage;
pub mod graph;
mod lasso;
mod lifecycle;
pub mod liveness;
mod op;
mod output;
mod process;
mod properties;
pub mod space;
mod stack;
mod state;
mod step;
pub mod tell;
mod waits;
mod world;
