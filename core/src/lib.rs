//! An epoll event core whose concurrency is checked exhaustively.
//!
//! A connection's events (data, half-close, hang-up, a user's close, output, shutdown) come from several
//! threads at once. Here every decision about them is one atomic operation on one word of lock bits, in a
//! few modules that know nothing of sockets: [`protocol`]. The model checkers loom and shuttle explore
//! these very modules, to the letter; the reactor below them only does what they say.
//!
//! ```no_run
//! // An echo server.
//! # #[cfg(any(loom, shuttle, not(feature = "net")))] fn main() {}
//! # #[cfg(all(feature = "net", not(any(loom, shuttle))))]
//! fn main() -> pollproof::Result<()> {
//!     pollproof::serve("127.0.0.1:7000", |io| {
//!         io.write(io.data());
//!         io.consume(io.data().len());
//!     })
//! }
//! ```
//!
//! # Where to begin
//!
//! - [`serve`] and [`Server`]: listening, running, shutting down.
//! - [`Handler`] and [`Io`]: what happens on a connection.
//! - [`Connection`]: sending and closing from anywhere.
//! - [`Dialer`]: connections to others, as a client or from inside a server.
//! - [`protocol`]: who may do what, and when. The clause ids that the documentation cites, like (S1), are
//!   those of `SPEC.md`.
//!
//! # Where your code runs
//!
//! Callbacks run on polling threads, on the threads of a [`Runner`], or on a thread of yours that was the last to use a
//! connection; never inside one another (U2). Every call of this crate may be made inside every callback, and inside the
//! drop of every value that you give it: what it brings about for other connections runs after the callback, and a call
//! that would wait for its own caller is refused at once ([`Error::Busy`], [`Error::OnPoller`]; U6). A panic, also in a
//! drop, closes the connection that it was for and nothing else (U1). What you gave a connection is dropped when it is
//! over, whoever still has a handle (U4). Any number of servers and dialers may live in one process (U5).
//!
//! # Features
//!
//! `net` (default): the reactor on epoll. Without it, and under `--cfg loom` and `--cfg shuttle`, the
//! crate is [`protocol`], [`sync`] and [`mutation`] alone; but for `--cfg shuttle --cfg sim`, where the reactor
//! runs on a simulated kernel.
//!
//! `stats`: counts of what happens once per request, in [`Stats`]. `tracing`: events of the `tracing` crate,
//! with the target `pollproof`. Both off by default, and free when off.

//! # Rooms
//!
//! The modules, in layers: each uses those above it alone, and a test reads the `use` lines (`xtask/tests/layers.rs`). An
//! event goes down this list, from the kernel to a handler: `sys` (the wait), `reactor` (whose event it is), `connection`
//! (what it means, by the word of `protocol`, and a step that does it), `handler`.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`sync`] | the door to atomics, locks, cells and threads |
//! | [`mutation`] | names of guards, bits and orderings |
//! | `addr` | addresses, as they are shown |
//! | `outcome` | what a callback may return |
//! | `error` | what calls fail with |
//! | `stats` | counts |
//! | [`protocol`] | who may do what, and when: the word, and everything that is explored |
//! | `buffer` | bytes on their way |
//! | `sys` | the kernel as a trait: the real one, and a simulated one |
//! | `reactor` | epoll, registrations, the event loop, listeners, threads; generic over what it polls |
//! | `connection` | a connection: its state, its steps, what is lent to handlers, the door to user code |
//! | `handler` | what users write |
//! | `runner` | where sections run |
//! | `server` | what users build: servers and dialers |

#![deny(missing_docs)]
// For the facade's own reference count, which has to be like std's.
#![cfg_attr(tsan, feature(arbitrary_self_types, coerce_unsized, dispatch_from_dyn, unsize))]
// Only in the loom build are all of the facade's types other than std's: there the lint tells them apart.
#![cfg_attr(not(loom), allow(clippy::disallowed_types, clippy::disallowed_methods))]

macro_rules! net {
    ($($item:item)*) => {
        $(#[cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))] $item)*
    };
}

#[cfg(all(sim, not(shuttle)))]
compile_error!("the simulated kernel is for the shuttle build: --cfg shuttle --cfg sim");

// Modules that belong to the feature `net` say so themselves, so that tools that only read the source find them.
mod addr;
#[doc(hidden)]
pub mod buffer;
mod connection;
mod error;
mod handler;
pub mod mutation;
mod outcome;
pub mod protocol;
mod reactor;
mod runner;
mod server;
mod stats;
pub mod sync;
mod sys;

net! {
    pub use addr::Addr;
    pub use connection::blocking_reader::ConnectionReader;
    pub use connection::io::Io;
    pub use connection::reader::Reader;
    pub use connection::writer::Writer;
    pub use connection::{CloseCallback, Connection, Detached};
    pub use error::{Error, Result};
    pub use handler::{Callbacks, Handler, OnRequest};
    pub use outcome::{BoxError, Outcome};
    pub use reactor::balance::Balance;
    pub use runner::{Pool, Runner, Task};
    pub use server::builder::Builder;
    pub use server::dialer::{Dialer, DialerBuilder};
    pub use server::{Server, Shutdown, serve};
    pub use stats::Stats;
}

#[cfg(all(feature = "net", sim))]
#[doc(hidden)]
pub use sys::sim;
