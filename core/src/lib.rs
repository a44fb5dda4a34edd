//! pollproof
#![deny(missing_docs)]
pub mod mutation;
pub mod protocol;
pub mod sync;
