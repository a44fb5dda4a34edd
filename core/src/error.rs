//! What can go wrong, each time with the call and the connection that it went wrong for.

#![forbid(unsafe_code)]

use std::io;

/// The error of every call in this crate, and what [`Builder::on_error`](crate::Builder::on_error) hears.
///
/// ```
/// # use pollproof::{Error, Server};
/// # let handler = |_: &mut pollproof::Io<'_>| {};
/// let error = Server::builder().on_request(handler).bind("no address").unwrap_err();
/// assert!(matches!(error, Error::Address { .. }));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection is closed, or takes no more output.
    #[error("{call}: connection {connection} is closed")]
    Closed {
        /// The call.
        call: &'static str,
        /// [`Connection::id`](crate::Connection::id).
        connection: u64,
    },
    /// Another thread is in the same call on the same connection. (O1)
    #[error("{call}: another thread is sending on connection {connection}")]
    ConcurrentAccess {
        /// The call.
        call: &'static str,
        /// [`Connection::id`](crate::Connection::id).
        connection: u64,
    },
    /// A callback panicked; its connection was closed. (P1)
    #[error("{callback} of connection {connection} panicked: {message}")]
    Panicked {
        /// The callback.
        callback: &'static str,
        /// [`Connection::id`](crate::Connection::id).
        connection: u64,
        /// What it panicked with, if that is text.
        message: String,
    },
    /// The kernel refused something that concerns one connection.
    #[error("{call} of connection {connection}: {source}")]
    Connection {
        /// The system call.
        call: &'static str,
        /// [`Connection::id`](crate::Connection::id).
        connection: u64,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused something that concerns a server.
    #[error("{call}: {source}")]
    Server {
        /// The system call.
        call: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The address is none that can be listened on.
    #[error("bind: {address:?} is not an address: {source}")]
    Address {
        /// As it was given.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The call waits for callbacks to end, and was made on a thread that runs them.
    #[error("{call}: called on a polling thread, which it would wait for")]
    OnPoller {
        /// The call.
        call: &'static str,
    },
}

/// What calls of this crate return.
pub type Result<T> = std::result::Result<T, Error>;
