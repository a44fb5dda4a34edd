//! Bytes on their way: from the poller to a handler (`input`) and from a handler to the kernel
//! (`output`), one producer and one consumer each.
//!
//! The hot path passes through neither: a handler reads from the poller's `block` and its reply is
//! sent from where it was gathered. What a handler leaves unread and what the kernel does not take stays
//! here, and an empty buffer owns no memory.
//!
//! What two threads touch is [`link`], which the checkers explore; everything else has one owner at a time.
//! For users of the crate there is nothing here: it is public for the checkers and the property tests.

pub mod block;
pub mod chunks;
pub mod gather;
pub(crate) mod input;
pub mod link;
pub(crate) mod output;
pub(crate) mod view;

#[cfg(all(test, feature = "net", not(any(loom, shuttle))))]
mod handed_over;
