//! What happens, as events of the `tracing` crate; with the cargo feature `tracing`.
//!
//! Every event has the target `pollproof` and says in its fields which connection it is about. Without the
//! feature the functions are empty and take nothing that costs something to make.
//!
//! | message | level | fields |
//! | --- | --- | --- |
//! | `accept` | debug | `connection`, `peer`, `poller` |
//! | `dial` | debug | `connection`, `peer`, `poller` |
//! | `connect` | debug | `connection`: its OnConnect is over |
//! | `request` | trace | `connection`, `bytes`: OnRequest is about to be called |
//! | `close` | debug | `connection`, `reason`: `peer`, `half-close`, `user`, `shutdown` or `detach` |
//! | `panic` | error | `connection`, `callback`, `payload` |
//! | `handler error` | warn | `connection`, `callback`, `error` |
//! | `takeover` | warn | `poller`: a spare thread took over from one whose handler has not come back |
//! | `out of fds` | warn | `error`: accepting pauses |
//! | `full` | info | `limit`: accepting pauses at the limit of connections |

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use crate::addr::Addr;
use crate::protocol::progress::Unread;
use crate::protocol::word::Snapshot;

/// Defines an event as a function: one that tells, and one that is empty.
macro_rules! events {
    ($($(#[$meta:meta])* $level:ident $message:literal $name:ident($($arg:ident: $type:ty),*) => { $($fields:tt)* })*) => {$(
        $(#[$meta])*
        #[cfg(feature = "tracing")]
        #[inline]
        pub(crate) fn $name($($arg: $type),*) {
            crate::connection::door::trace(|| tracing::event!(target: "pollproof", tracing::Level::$level, $($fields)*, $message));
        }
        $(#[$meta])*
        #[cfg(not(feature = "tracing"))]
        #[inline(always)]
        pub(crate) fn $name($(_: $type),*) {}
    )*};
}

events! {
    /// A connection was accepted.
    DEBUG "accept" accept(connection: u64, peer: &Addr, poller: usize) => { connection, %peer, poller }
    /// A connection was dialed.
    DEBUG "dial" dial(connection: u64, peer: &Addr, poller: usize) => { connection, %peer, poller }
    /// OnConnect is over, or was skipped.
    DEBUG "connect" connect(connection: u64) => { connection }
    /// OnRequest is about to be called; `unread` is only asked when somebody listens.
    TRACE "request" request(connection: u64, unread: impl FnOnce() -> Unread) =>
        { connection, bytes = left(unread()) }
    /// A connection is over; `word` is its last value.
    DEBUG "close" close(connection: u64, word: Snapshot) => { connection, reason = reason(word) }
    /// A callback panicked.
    ERROR "panic" panic(connection: u64, callback: &'static str, payload: &str) => { connection, callback, payload }
    /// A callback returned an error.
    WARN "handler error" handler_error(connection: u64, callback: &'static str, error: &(dyn std::error::Error + 'static)) =>
        { connection, callback, error }
    /// A spare thread took over poller `poller`.
    WARN "takeover" takeover(poller: usize) => { poller }
    /// Accepting pauses: there is no file descriptor left.
    WARN "out of fds" out_of_fds(error: &std::io::Error) => { %error }
    /// Accepting pauses: there are as many connections as there may be.
    INFO "full" full(limit: u32) => { limit }
}

#[cfg(feature = "tracing")]
fn left(unread: Unread) -> u64 {
    unread.produced - unread.consumed
}

/// Why a connection ended, as far as its last word tells.
#[cfg(feature = "tracing")]
fn reason(word: Snapshot) -> &'static str {
    use crate::protocol::word::{BACK, EOF, PEER, SHUTDOWN, USER};
    if word.any(BACK) {
        "detach"
    } else if word.any(PEER) {
        "peer"
    } else if word.any(EOF) {
        "half-close"
    } else if word.has(SHUTDOWN | USER) {
        "shutdown"
    } else {
        "user"
    }
}
