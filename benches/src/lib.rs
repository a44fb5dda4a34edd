//! Measurements of `pollproof`.
//!
//! For: what a connection and a request cost, and peers side by side on the same machine. Each measurement is a
//! module of `measure`, run by `cargo xtask bench NAME`; what they share is beside it: servers as child processes,
//! peers, the generator that drives them, and what becomes of the figures.
//! Not for: correctness; a benchmark asserts nothing about the protocol.
#![deny(missing_docs)]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "benchmarks, never inside a checker")]

pub mod alloc;
pub mod block;
#[cfg(not(any(loom, shuttle)))]
pub mod child;
#[cfg(not(any(loom, shuttle)))]
pub mod count;
#[cfg(not(any(loom, shuttle)))]
pub mod driven;
#[cfg(not(any(loom, shuttle)))]
pub mod load;
#[cfg(not(any(loom, shuttle)))]
pub mod measure;
#[cfg(not(any(loom, shuttle)))]
pub mod pair;
#[cfg(not(any(loom, shuttle)))]
pub mod peers;
#[cfg(not(any(loom, shuttle)))]
pub mod report;
#[cfg(not(any(loom, shuttle)))]
pub mod results;
#[cfg(not(any(loom, shuttle)))]
pub mod rivals;

/// The size of one message of the memory measurement, in bytes.
pub const MESSAGE: usize = 128;

use comfy_table::{CellAlignment, Table, presets};

/// An empty table in Markdown, with a column of names and columns of numbers.
#[must_use]
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header.to_vec());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
