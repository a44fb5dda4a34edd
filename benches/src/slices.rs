//! Slices of time: how long something is measured, again and again, and the middle of what they showed.

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

/// The middle one, with the least and the largest.
#[must_use]
pub fn median(values: &mut [f64]) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let (first, last) = (values.first().copied(), values.last().copied());
    (values.get(values.len() / 2).copied().unwrap_or(f64::NAN), first.unwrap_or(f64::NAN), last.unwrap_or(f64::NAN))
}
