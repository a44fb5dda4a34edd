//! What a program runs on: threads, time, sockets of peers, a place for what its code shares, and what can be asked
//! when it is over.
//!
//! There are two grounds with the same names, and a build has one of them: the simulated kernel with threads and a clock
//! of shuttle's (`simulated`), and the sockets and threads of this machine (`sockets`). Everything else of the hostile
//! users is the same source on both. Not here: what must hold (`run`, `rest`), but for what only one ground can tell.

#[cfg(not(sim))]
mod peers;
#[cfg(sim)]
mod simulated;
#[cfg(not(sim))]
mod sockets;

#[cfg(not(sim))]
pub use peers::{Peer, Remote, connect};
#[cfg(sim)]
pub use simulated::*;
#[cfg(not(sim))]
pub use sockets::*;
