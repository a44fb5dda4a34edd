//! The entry of `instructions.rs`, which says what it measures; a checker's build has no server to measure.
#![deny(missing_docs)]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a benchmark, never inside a checker")]

#[cfg(not(any(loom, shuttle)))]
#[path = "../instructions.rs"]
mod measured;

#[cfg(not(any(loom, shuttle)))]
fn main() -> anyhow::Result<()> {
    measured::main()
}

#[cfg(any(loom, shuttle))]
fn main() {}
