//! Measurements of `pollproof`.
//!
//! For: what a connection and a request cost, and peers side by side on the same machine. Each measurement is a
//! module of `measure`, run by `cargo xtask bench NAME`; what they share is beside it: servers as child processes,
//! peers, the generator that drives them, and what becomes of the figures.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`alloc`] | an allocator that counts |
//! | [`block`] | memory to read into and to write from |
//! | [`child`] | a server as a process of its own |
//! | [`slices`] | how long something is measured, again and again |
//! | [`peers`] | the servers that are compared: what they do |
//! | [`pair`] | two servers side by side |
//! | [`load`] | the generator that drives servers |
//! | [`count`] | what a request costs where no clock is needed |
//! | [`report`] | what a measurement found, as rows |
//! | [`rivals`] | who is compared |
//! | [`driven`] | a server that is driven for a slice of time, in turn with others |
//! | [`measure`] | the measurements |
//! | [`results`] | what becomes of several of them |
//!
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
#[cfg(not(any(loom, shuttle)))]
pub mod slices;
