//! What can go wrong, each time with the call and the connection or address that it went wrong for.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind};
use std::time::Duration;

/// The error of every call in this crate, and what [`Builder::on_error`](crate::Builder::on_error) hears.
///
/// It converts into [`io::Error`], of the kind that [`kind`](Self::kind) says, so that `?` works in code
/// that speaks `io`.
///
/// ```
/// # use pollproof::{Error, Server};
/// # let handler = |_: &mut pollproof::Io<'_>| {};
/// let error = Server::builder().on_request(handler).bind("no address").unwrap_err();
/// assert!(matches!(error, Error::Address { .. }));
/// let error = std::io::Error::from(error);
/// assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
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
    /// The peer has stopped sending, and everything that it sent was read. Writing may still work. (E1)
    #[error("{call}: connection {connection} is at the end of its stream")]
    Eof {
        /// The call.
        call: &'static str,
        /// [`Connection::id`](crate::Connection::id).
        connection: u64,
    },
    /// The call's time was up. The connection is as it was before, and may be used on.
    #[error("{call}: the time is up on connection {connection}")]
    Timeout {
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
    /// Somebody else owns the reading side of the connection: a handler, or a reader. (S3)
    #[error("{call}: somebody else reads from connection {connection}")]
    Busy {
        /// The call.
        call: &'static str,
        /// [`Connection::id`](crate::Connection::id).
        connection: u64,
    },
    /// More was asked for than the connection ever holds at once: waiting for it would never end.
    #[error("{call}: {size} bytes of connection {connection}, which holds at most {limit} at once")]
    TooLarge {
        /// The call.
        call: &'static str,
        /// [`Connection::id`](crate::Connection::id).
        connection: u64,
        /// What was asked for.
        size: usize,
        /// What there can be.
        limit: usize,
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
    /// A callback returned an error; its connection was closed.
    #[error("{callback} of connection {connection} failed: {source}")]
    Handler {
        /// The callback.
        callback: &'static str,
        /// [`Connection::id`](crate::Connection::id).
        connection: u64,
        /// What it returned.
        source: Box<dyn std::error::Error + Send + Sync>,
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
    /// The kernel refused something that concerns a whole server or dialer.
    #[error("{call}: {source}")]
    Server {
        /// The system call.
        call: &'static str,
        /// Why.
        source: io::Error,
    },
    /// That is no address, or a name that nobody knows.
    #[error("{call}: {address:?} is not an address: {source}")]
    Address {
        /// The call.
        call: &'static str,
        /// As it was given.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// A setting has a value that cannot be.
    #[error("{setting} cannot be {value}: {reason}")]
    Setting {
        /// The method of the builder.
        setting: &'static str,
        /// As it was given.
        value: String,
        /// Why not.
        reason: &'static str,
    },
    /// Nobody could be reached at the address.
    #[error("dial: {address}: {source}")]
    Dial {
        /// As it was given.
        address: String,
        /// What the kernel said about the last of its resolved addresses.
        source: io::Error,
    },
    /// Nobody answered at the address in time.
    #[error("dial: {address}: no answer within {timeout:?}")]
    DialTimeout {
        /// As it was given.
        address: String,
        /// As it was given.
        timeout: Duration,
    },
    /// The server or dialer has been shut down: it takes no new connection.
    #[error("{call}: it has been shut down")]
    ShutDown {
        /// The call.
        call: &'static str,
    },
    /// The call waits for callbacks to end, and was made inside one of them, or on a thread that runs them. (U6)
    #[error("{call}: called inside a callback, which it would wait for")]
    OnPoller {
        /// The call.
        call: &'static str,
    },
}

impl Error {
    /// The kind of [`io::Error`] that this converts into.
    ///
    /// | error | kind | because |
    /// | --- | --- | --- |
    /// | `Closed` | `BrokenPipe` | what writing to a closed socket answers; programs that copy streams know it |
    /// | `Eof` | `UnexpectedEof` | what `read_exact` answers |
    /// | `Timeout`, `DialTimeout` | `TimedOut` | |
    /// | `ConcurrentAccess`, `Busy` | `ResourceBusy` | not `WouldBlock`: that promises a readiness event, and none comes |
    /// | `TooLarge`, `Setting` | `InvalidInput` | |
    /// | `OnPoller` | `Deadlock` | it would wait for itself |
    /// | `ShutDown` | `NotConnected` | |
    /// | `Panicked`, `Handler` | `Other` | the user's code failed, not the I/O |
    /// | the others | that of their source | |
    ///
    /// ```
    /// # use pollproof::Error;
    /// let error = Error::Eof { call: "next", connection: 1 };
    /// assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    /// ```
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Closed { .. } => ErrorKind::BrokenPipe,
            Error::Eof { .. } => ErrorKind::UnexpectedEof,
            Error::Timeout { .. } | Error::DialTimeout { .. } => ErrorKind::TimedOut,
            Error::ConcurrentAccess { .. } | Error::Busy { .. } => ErrorKind::ResourceBusy,
            Error::TooLarge { .. } | Error::Setting { .. } => ErrorKind::InvalidInput,
            Error::OnPoller { .. } => ErrorKind::Deadlock,
            Error::ShutDown { .. } => ErrorKind::NotConnected,
            Error::Panicked { .. } | Error::Handler { .. } => ErrorKind::Other,
            Error::Connection { source, .. }
            | Error::Server { source, .. }
            | Error::Address { source, .. }
            | Error::Dial { source, .. } => source.kind(),
        }
    }
}

impl From<Error> for io::Error {
    /// Of the kind that [`Error::kind`] says, with the error inside.
    fn from(error: Error) -> Self {
        io::Error::new(error.kind(), error)
    }
}

/// What calls of this crate return.
///
/// ```
/// fn listen() -> pollproof::Result<()> {
///     pollproof::Server::builder().on_request(|_| ()).bind("127.0.0.1:0")?;
///     Ok(())
/// }
/// # listen().unwrap();
/// ```
pub type Result<T> = std::result::Result<T, Error>;

/// The error for a value of `setting` that cannot be.
pub(crate) fn impossible(setting: &'static str, value: impl std::fmt::Debug, reason: &'static str) -> Error {
    Error::Setting { setting, value: format!("{value:?}"), reason }
}

/// The setting that a check refuses, for tests.
#[cfg(test)]
pub(crate) fn refused(checked: Result<()>) -> Option<&'static str> {
    match checked {
        Err(Error::Setting { setting, .. }) => Some(setting),
        other => {
            assert!(other.is_ok(), "{other:?}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_io_error_has_the_kind_and_the_text() {
        let refused = || io::Error::from(ErrorKind::ConnectionRefused);
        let (call, callback, connection) = ("call", "callback", 7);
        let all = [
            (Error::Closed { call, connection }, ErrorKind::BrokenPipe),
            (Error::Eof { call, connection }, ErrorKind::UnexpectedEof),
            (Error::Timeout { call, connection }, ErrorKind::TimedOut),
            (Error::ConcurrentAccess { call, connection }, ErrorKind::ResourceBusy),
            (Error::Busy { call, connection }, ErrorKind::ResourceBusy),
            (Error::TooLarge { call, connection, size: 2, limit: 1 }, ErrorKind::InvalidInput),
            (Error::Panicked { callback, connection, message: "no".to_owned() }, ErrorKind::Other),
            (Error::Handler { callback, connection, source: "no".into() }, ErrorKind::Other),
            (Error::Connection { call, connection, source: refused() }, ErrorKind::ConnectionRefused),
            (Error::Server { call, source: refused() }, ErrorKind::ConnectionRefused),
            (Error::Address { call, address: "a".to_owned(), source: refused() }, ErrorKind::ConnectionRefused),
            (Error::Setting { setting: "s", value: "0".to_owned(), reason: "no" }, ErrorKind::InvalidInput),
            (Error::Dial { address: "a".to_owned(), source: refused() }, ErrorKind::ConnectionRefused),
            (Error::DialTimeout { address: "a".to_owned(), timeout: Duration::ZERO }, ErrorKind::TimedOut),
            (Error::ShutDown { call }, ErrorKind::NotConnected),
            (Error::OnPoller { call }, ErrorKind::Deadlock),
        ];
        for (error, kind) in all {
            let text = error.to_string();
            assert_ne!(kind, ErrorKind::WouldBlock, "nobody would be woken: {text}");
            let names = [call, callback, "\"a\"", " a:", "s cannot be 0"];
            assert!(names.iter().any(|name| text.contains(name)), "it says not where: {text}");
            let converted = io::Error::from(error);
            assert_eq!((converted.kind(), converted.to_string()), (kind, text));
            assert!(converted.get_ref().is_some_and(|inner| inner.is::<Error>()));
        }
    }
}
