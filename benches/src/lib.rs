//! Measurements of `pollproof`.
//!
//! For: the cost of each transition of the word, and peers side by side on the same machine.
//! Not for: correctness; a benchmark asserts nothing about the protocol.
#![deny(missing_docs)]
