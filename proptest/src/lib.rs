//! Sequential, model-based properties of `pollproof`.
//!
//! For: long random histories of calls on one thread, compared step by step with a small model that is
//! easy to read. Not for: interleavings; those are the business of `loom-tests`.
#![deny(missing_docs)]
