//! What the pieces of a request cost, each by itself, beside what people use instead: `cargo xtask bench micro`.
//!
//! Each piece is measured through the functions that the reactor calls, on a connection without a socket (`bare`): the
//! transitions of the word are nobody else's to call, and one of them alone is one `fetch_or` or `fetch_and` like every
//! other. A name says what happens, the comment beside it which transitions that is. `second_thread`
//! and `t=2` mean that another thread does the same, or looks at the same word, all the time; samples are long there, so
//! that the two do meet.
//!
//! Not here: system calls, and whole servers (`pairs`, `rates`, `instructions`).
#![deny(missing_docs)]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a benchmark, never inside a checker")]

#[cfg(not(any(loom, shuttle)))]
mod bare;
#[cfg(not(any(loom, shuttle)))]
mod buffers;
#[cfg(not(any(loom, shuttle)))]
mod lists;
#[cfg(not(any(loom, shuttle)))]
mod triggers;
#[cfg(not(any(loom, shuttle)))]
mod word;

#[cfg(not(any(loom, shuttle)))]
fn main() {
    divan::main();
}

#[cfg(any(loom, shuttle))]
fn main() {}
