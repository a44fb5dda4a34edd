//! The scenarios of `pollproof`, and the harness that runs them.
//!
//! One scenario is one function over the facade [`pollproof::sync`]: a few roles, one sentence of
//! SPEC.md, one outcome. The same function is explored by loom (`--cfg loom`), by shuttle
//! (`--cfg shuttle`) and repeated on plain threads (neither).
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`failure`] | what failed, by kind and in words |
//! | [`plan`] | how one run is to be made: by which checker, with which bound, how often |
//! | [`recording`] | names for cells, threads and happenings, so that an execution can be shown |
//! | `share` | state that the roles of a scenario share |
//! | [`steps`] | the steps of the word that a run takes, as a set |
//! | [`timeline`] | an execution as a table: one column a thread, one row a step |
//! | [`linear`] | whether a history of calls is that of a sequential object |
//! | [`report`] | what one run showed, as one line of JSON |
//! | [`record`] | the committed files: `scenarios.toml`, `deep.toml`, `mutants.toml` |
//! | [`scenario`] | what a scenario is; what a scenario may use |
//! | [`rig`] | the surroundings of a connection in a scenario: counters and checked cells |
//! | [`scenarios`] | the scenarios themselves, one module a chapter of SPEC.md |
//! | [`selftest`] | scenarios that are wrong on purpose, for the tests of this harness |
//! | [`checker`] | carries out one plan, in this process |
//! | [`driver`] | builds the `model` binary, runs plans as child processes, kills those that hang |
//! | [`verdict`] | compares what was seen with what is committed |
//!
//! A model is a scenario with one of its runners. Each run of a model is its own process, so that a
//! deadlock, an abort or an endless loop costs one verdict and not the suite.
#![deny(missing_docs)]
// The harness and the rig stand around the checkers, and record behind their back on purpose. `core/` is the
// strict one: its loom build tells the facade's types from std's.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

pub mod checker;
pub mod driver;
pub mod failure;
pub mod linear;
pub mod plan;
pub mod record;
pub mod recording;
pub mod report;
pub mod rig;
pub mod scenario;
pub mod scenarios;
pub mod selftest;
mod share;
pub mod steps;
pub mod timeline;
pub mod verdict;

pub use scenarios::all;
pub use share::{Shared, share};
