//! Where a server listens and where a peer is: TCP or a Unix socket path.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use std::fmt;
use std::net::SocketAddr;
use std::os::unix::net;
use std::path::PathBuf;

/// An address of either kind of stream socket.
///
/// ```
/// # use pollproof::Addr;
/// let tcp = Addr::Tcp("127.0.0.1:7000".parse().unwrap());
/// assert_eq!(tcp.to_string(), "127.0.0.1:7000");
/// assert_eq!(Addr::Unix("/run/echo".into()).to_string(), "unix:/run/echo");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Addr {
    /// A TCP address and port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
    /// A Unix socket without a name: what most clients have.
    Unnamed,
}

impl Addr {
    /// The TCP address, if this is one.
    ///
    /// ```
    /// # use pollproof::Addr;
    /// assert_eq!(Addr::Unnamed.tcp(), None);
    /// ```
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Addr::Tcp(addr) => Some(*addr),
            Addr::Unix(_) | Addr::Unnamed => None,
        }
    }
}

impl From<&net::SocketAddr> for Addr {
    fn from(addr: &net::SocketAddr) -> Self {
        addr.as_pathname().map_or(Addr::Unnamed, |path| Addr::Unix(path.to_owned()))
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Addr::Tcp(addr) => addr.fmt(f),
            Addr::Unix(path) => write!(f, "unix:{}", path.display()),
            Addr::Unnamed => f.write_str("unix:"),
        }
    }
}
