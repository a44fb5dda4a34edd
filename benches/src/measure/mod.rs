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
pub mod saturated;

use std::time::Duration;

use clap::Args;

use crate::load::Grid;

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

/// Which servers are driven, how long, and under which loads.
#[derive(Args, Debug)]
pub struct Loads {
    /// Servers whose name contains one of these; all if none is given.
    pub names: Vec<String>,
    /// How long.
    #[command(flatten)]
    pub slices: Slices,
    /// The loads.
    #[command(flatten)]
    pub grid: Grid,
}

impl Slices {
    /// The length of one.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_millis(self.millis)
    }
}
