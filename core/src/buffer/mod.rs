//! Bytes on their way: from the poller to a handler ([`input`]) and from a handler to the kernel
//! ([`output`]), one producer and one consumer each.
//!
//! The hot path passes through neither: a handler reads from the poller's [`block`] and its reply is
//! sent from there too. What a handler leaves unread and what the kernel does not take stays here, and an
//! empty buffer owns no memory.

pub(crate) mod block;
pub(crate) mod input;
pub(crate) mod output;
pub(crate) mod tail;
