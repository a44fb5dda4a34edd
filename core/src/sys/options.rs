//! What is set on sockets, and what these values may be.
//!
//! Not here: opening sockets with them (`sockets`), and what else a server is made with.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]
#![cfg_attr(sim, allow(dead_code, reason = "there is nothing to set on a simulated socket"))]

use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use crate::error::{Result, impossible};

/// The longest idle time that the kernel takes before it probes a peer.
const LONGEST_IDLE: Duration = Duration::from_secs(32_767);

/// What is set on sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SocketOptions {
    pub(crate) nodelay: bool,
    pub(crate) keepalive: Option<Duration>,
    pub(crate) recv_buffer: Option<usize>,
    pub(crate) send_buffer: Option<usize>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { nodelay: true, keepalive: None, recv_buffer: None, send_buffer: None }
    }
}

/// What is asked of a listening socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListenOptions {
    pub(crate) backlog: i32,
    pub(crate) reuse_port: bool,
    pub(crate) sockets: SocketOptions,
}

impl SocketOptions {
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(idle) = self.keepalive.filter(|idle| idle.is_zero() || *idle > LONGEST_IDLE) {
            return Err(impossible("keepalive", idle, "the kernel takes more than nothing, and at most 32767 s"));
        }
        for (setting, size) in [("recv_buffer", self.recv_buffer), ("send_buffer", self.send_buffer)] {
            if let Some(size) = size.filter(|size| *size == 0 || i32::try_from(*size).is_err()) {
                return Err(impossible(setting, size, "the kernel takes 1 to 2147483647 bytes"));
            }
        }
        Ok(())
    }

    /// Sets them on a TCP socket: before it listens, which hands them on to the sockets that it accepts, or
    /// before it connects. Returns what the kernel refused.
    pub(crate) fn apply_tcp(&self, socket: impl AsFd) -> std::io::Result<()> {
        let on = SockRef::from(&socket);
        on.set_tcp_nodelay(self.nodelay)?;
        if let Some(idle) = self.keepalive {
            // The kernel counts in seconds; rounded up, so that a short time is not none.
            let seconds = idle.as_secs() + u64::from(idle.subsec_nanos() > 0);
            on.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(seconds)))?;
        }
        self.apply_buffers(socket)
    }

    /// Sets the sizes of the buffers, on a socket of any kind.
    pub(crate) fn apply_buffers(&self, socket: impl AsFd) -> std::io::Result<()> {
        let on = SockRef::from(&socket);
        self.recv_buffer.map_or(Ok(()), |size| on.set_recv_buffer_size(size))?;
        self.send_buffer.map_or(Ok(()), |size| on.set_send_buffer_size(size))
    }

    /// Whether a Unix socket that was accepted needs [`apply_buffers`](Self::apply_buffers): unlike a TCP
    /// socket, it inherits nothing from its listener.
    pub(crate) fn has_buffers(&self) -> bool {
        self.recv_buffer.is_some() || self.send_buffer.is_some()
    }
}

/// The longest queue of connections that wait to be accepted that the kernel may be asked for.
pub(crate) const LONGEST_BACKLOG: i32 = nix::libc::SOMAXCONN;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::refused;

    #[test]
    fn impossible_values_are_refused_by_name() {
        let refused = |options: SocketOptions| refused(options.check());
        let default = SocketOptions::default();
        let idle = |idle| SocketOptions { keepalive: Some(idle), ..default };
        assert_eq!(refused(default), None);
        assert_eq!(refused(idle(Duration::ZERO)), Some("keepalive"));
        assert_eq!(refused(idle(Duration::from_nanos(1))), None);
        assert_eq!(refused(idle(LONGEST_IDLE)), None);
        assert_eq!(refused(idle(LONGEST_IDLE + Duration::from_nanos(1))), Some("keepalive"));
        for size in [0, 1 << 31, usize::MAX] {
            assert_eq!(refused(SocketOptions { recv_buffer: Some(size), ..default }), Some("recv_buffer"));
            assert_eq!(refused(SocketOptions { send_buffer: Some(size), ..default }), Some("send_buffer"));
        }
        assert_eq!(
            refused(SocketOptions { recv_buffer: Some(1), send_buffer: Some(i32::MAX as usize), ..default }),
            None
        );
    }

    #[test]
    fn one_size_is_enough_to_be_set_on_what_was_accepted() {
        let needed = |recv_buffer, send_buffer| {
            SocketOptions { recv_buffer, send_buffer, ..SocketOptions::default() }.has_buffers()
        };
        assert_eq!([needed(None, None), needed(Some(1), None), needed(None, Some(1))], [false, true, true]);
    }
}
