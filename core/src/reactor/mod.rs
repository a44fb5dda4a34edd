//! The reactor: epoll, registrations, the event loop and its threads.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`host`] | whom a reactor works for: what it knows of a connection and its server |
//! | [`balance`] | which loop a source goes to |
//! | [`registry`] | which source an event is for, and whether it still is |
//! | [`poller`] | one epoll with its wake-up and its queue |
//! | [`accept`] | listeners |
//! | [`event_loop`] | what a thread does that leads a loop |
//! | [`threads`] | the threads of a server: who leads, who is spare, the watchdog |

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

pub(crate) mod accept;
pub(crate) mod balance;
pub(crate) mod event_loop;
pub(crate) mod host;
pub(crate) mod poller;
pub(crate) mod registry;
pub(crate) mod threads;
