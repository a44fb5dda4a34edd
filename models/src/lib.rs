//! The race atlas: every race that this kind of event core is known for, broken and repaired, and the `race` CLI.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`cast`] | who takes part in an execution, less what is dropped |
//! | [`figures`] | what the abstract model has, committed |
//! | [`inside`] | a connection that knows when it is called from inside user code, which some races are told with |
//! | [`published`] | the vocabulary of the published document, which transcriptions are written in |
//! | [`show`] | tables and progress bars |
//! | [`spec`] | the sentences of SPEC.md, by the ids of their clauses |
//! | [`race`] | what a race is; what its file may use |
//! | [`races`] | the races, one file each |
//! | [`selftest`] | races that are wrong on purpose, for the tests of the atlas |
//! | [`report`] | what a child says |
//! | [`scenarios`] | the scenarios of `loom-tests`, which the CLI runs as well |
//! | [`graph`] | the complete state graph of a variant, as data |
//! | [`conform`] | the steps of the word that runs take, committed |
//! | `model` | the abstract model of the protocol, and its conformance with what runs do (in the plain build) |
//! | `search` | the depth-first search for the shortest failing order (in the shuttle build) |
//! | `step` | be the scheduler (in the shuttle build) |
//! | [`explore`] | carries out one exploration, in a child process |
//! | [`children`] | the `explore` binaries, and how they are run |
//! | [`checked`] | what checkers show of each race, reduced, and compared with what is committed |
//! | [`tell`] | what the races say, for people |
//! | [`export`] | the static site |
//!
//! `models/README.md` says how to add a race.
#![deny(missing_docs)]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "around the checkers, never inside one; what races use of the facade they take from `pollproof::sync`"
)]

pub mod cast;
pub mod checked;
pub mod children;
pub mod conform;
pub mod explore;
pub mod export;
pub mod figures;
pub mod graph;
pub mod inside;
#[cfg(not(any(loom, shuttle)))]
pub mod model;
pub mod published;
pub mod race;
pub mod races;
pub mod report;
pub mod scenarios;
#[cfg(shuttle)]
pub mod search;
pub mod selftest;
pub mod show;
pub mod spec;
#[cfg(shuttle)]
mod step;
pub mod tell;
