//! What the `race` CLI knows: the checked scenarios of `pollproof`, and how to show what each of them said.
//!
//! For: people who want to see the checks run. Not for: checking; that is the business of `loom-tests`,
//! whose models run as child processes.
#![deny(missing_docs)]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a command-line tool around the checkers, never inside one"
)]

pub mod scenarios;
pub mod show;
