//! Runners: where serial sections run, once somebody owns them, when that is not the polling thread.
//!
//! | module | what it is |
//! | --- | --- |
//! | `pool` | the runner that comes with the crate: a fixed number of threads |
//!
//! A [`Task`] names its connection, so what a runner is, and what it is given, is said where connections are.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

pub(crate) mod pool;

pub use crate::connection::task::{Runner, Task};
pub use pool::Pool;
