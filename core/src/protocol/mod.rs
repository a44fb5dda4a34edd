//! The protocol: who may do what to a connection, and when. Pure: no fd, no clock, no thread, no unsafe.
//!
//! One word of lock bits ([`word`]), changed only by `fetch_or` and `fetch_and` ([`transitions`]). What
//! happens to a connection is a function of the party that does it ([`lifecycle`], [`output`]), all of
//! them generic over [`effects`]; the serial section and its release-and-recheck are in [`process`],
//! and when its handler is due in [`progress`].
//!
//! Who polls, when a handler does not come back, is [`takeover`]; it shares nothing with the word.
//!
//! Read in this order: `word`, `process`, `lifecycle`, `output`, `trigger`. The clause ids in brackets
//! (`N2`) are SPEC.md's.
//!
//! Beside the connections: whether a server has room for another one is [`gate`]'s.

#![forbid(unsafe_code)]

pub mod close_list;
pub mod effects;
pub mod gate;
pub mod interest;
pub mod lifecycle;
pub mod output;
pub mod process;
pub mod progress;
pub mod slot;
pub mod takeover;
pub mod transitions;
pub mod trigger;
pub mod word;
