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

use clap::Args;

use crate::load::Grid;
use crate::slices::Slices;

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
