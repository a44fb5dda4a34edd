//! Sequential, model-based properties of `pollproof`.
//!
//! For: long random histories of calls on one thread, compared step by step with a small model that is
//! easy to read. Not for: interleavings; those are the business of `loom-tests`.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`history`] | what can happen to a connection, as values that can be made at random, printed and stored |
//! | [`oracle`] | what SPEC.md says of a history, clause by clause |
//! | [`play`] | a history on the real protocol, beside the oracle |
//! | [`told`] | the timeline of a history that went wrong |
#![deny(missing_docs)]

pub mod history;
pub mod oracle;
pub mod play;
pub mod told;
