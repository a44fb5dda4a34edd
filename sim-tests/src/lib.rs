//! The reactor, server, dialer, runner and shutdown that ship, on a simulated kernel under shuttle.
//!
//! One scenario is one function: a server, a few peers, a few foreign threads, a few bytes. It runs under many
//! schedules of each of shuttle's schedulers, and each of them must hold the invariants of `stage` and of the kernel:
//! callbacks as SPEC.md says, bytes in order, each fd closed once and not used after, a bounded number of system calls,
//! no thread and no fd left. Each scenario names what it is about, and fails when that never happened.
//!
//! Beside the scenarios are the hostile users (`hostile`): programs that are drawn, and that use the whole public API at
//! the worst moments.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `races` | known races that are put back, each to be noticed |
//! | `rules` | what holds of the callbacks of each connection |
//! | `stage` | what a scenario is told with, and what holds in each |
//! | `scenarios` | the scenarios |
//! | `explore` | many schedules of one of them |
//! | `hostile` | hostile users |
//!
//! With `--cfg shuttle --cfg sim`: `cargo xtask sim`. In a plain build there are the hostile users alone, on real sockets.
//! Not here: the kernel (`pollproof::sim`).
#![deny(missing_docs)]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "what is written down behind the checker's back is behind std's types"
)]

#[cfg(sim)]
pub mod explore;
#[cfg(any(sim, not(any(loom, shuttle))))]
pub mod hostile;
#[cfg(sim)]
pub mod races;
#[cfg(any(sim, not(any(loom, shuttle))))]
pub mod rules;
#[cfg(sim)]
pub mod scenarios;
#[cfg(sim)]
pub mod stage;
