//! The race atlas: every race that this kind of event core is known for, broken and repaired, and the `race` CLI.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`races`] | the races, one file each |
//! | [`race`] | what a race is; what its file may use |
//! | [`inside`] | a connection that knows when it is called from inside user code, which some races are told with |
//! | [`published`] | the vocabulary of the published document, which transcriptions are written in |
//! | [`explore`] | carries out one exploration, in a child process |
//! | `search` | the depth-first search for the shortest failing order (in the shuttle build) |
//! | [`minimal`], [`cast`] | drops the roles and operations that a race breaks without |
//! | [`graph`] | the complete state graph of a variant, as data |
//! | `model` | the abstract model of the protocol, and its conformance with what runs do (in the plain build) |
//! | [`conform`], [`figures`] | the steps of the word that runs take, and what the model has, committed |
//! | [`export`] | the static site |
//! | [`report`] | what a child says |
//! | [`scenarios`], [`show`] | the scenarios of `loom-tests`, which the CLI runs as well; tables |
//!
//! `models/README.md` says how to add a race.
#![deny(missing_docs)]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "around the checkers, never inside one; what races use of the facade they take from `pollproof::sync`"
)]

pub mod cast;
pub mod children;
pub mod committed;
pub mod conform;
pub mod explore;
pub mod export;
pub mod figures;
pub mod graph;
pub mod inside;
pub mod minimal;
#[cfg(not(any(loom, shuttle)))]
pub mod model;
pub mod published;
pub mod race;
pub mod races;
pub mod report;
pub mod run;
pub mod scenarios;
#[cfg(shuttle)]
pub mod search;
pub mod selftest;
pub mod show;
pub mod spec;
#[cfg(shuttle)]
mod step;
pub mod tell;
