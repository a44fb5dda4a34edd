//! The measurements: one module each, which says what it measures and how. `cargo xtask bench NAME` runs one.
//!
//! Each returns rows; what is printed and kept of them is the same for all (`report`).

pub mod all;
pub mod calls;
pub mod churn;
pub mod cost;
pub mod idle;
pub mod instructions;
pub mod micro;
pub mod pairs;
pub mod rates;

use std::time::Duration;

use clap::Args;

/// How long something is measured, again and again.
#[derive(Args, Clone, Copy, Debug)]
pub struct Slices {
    /// Slices of each server.
    #[arg(long, default_value_t = 5)]
    pub slices: usize,
    /// Length of a slice, in milliseconds. What is in flight at its end is waited for.
    #[arg(long, default_value_t = 300)]
    pub millis: u64,
}

impl Slices {
    /// The length of one.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_millis(self.millis)
    }
}
