//! The reactor: epoll, registrations, the event loop, and the protocol's effects on real descriptors.
//!
//! Data flows one way: kernel event -> [`registration`] -> protocol word -> runner -> handler -> output
//! -> kernel. Decisions are the protocol's; nothing in here looks at a bit of the word to decide who may
//! do what, except where a comment says why.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`sys`] | the kernel as a trait, and the real one |
//! | [`epoll`] | one epoll with its wake-up, tokens and masks |
//! | [`registration`] | which connection an event is for, and whether it still is |
//! | [`fx`] | one party's view of a connection, for one step |
//! | [`effects`] | the protocol's effects: what a step does to fd, buffers and callbacks |
//! | [`sending`] | what a step sends |
//! | [`accept`] | listeners |
//! | [`event_loop`] | what a thread does that leads a loop |
//! | [`threads`] | the threads of a server: who leads, who is spare, the watchdog |

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

pub(crate) mod accept;
pub(crate) mod effects;
pub(crate) mod epoll;
pub(crate) mod event_loop;
pub(crate) mod fx;
pub(crate) mod held;
pub(crate) mod registration;
pub(crate) mod sending;
pub mod sys;
pub(crate) mod threads;

#[cfg(test)]
mod steps;
#[cfg(all(test, not(any(loom, shuttle))))]
mod whole;
