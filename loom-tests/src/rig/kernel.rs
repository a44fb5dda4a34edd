//! The kernel's side of one connection, as far as a scenario needs it: a socket and its registration.
//!
//! Behind a std lock, which no checker sees: the kernel is not what is checked here, and each access
//! stands beside a transition that is. Not a simulated kernel: one fd, one epoll, no errors but those
//! that a scenario asks for.

use pollproof::protocol::effects::Input;

/// What epoll would report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event {
    /// `EPOLLIN`, or a condition that comes with it.
    pub readable: bool,
    /// `EPOLLHUP` or `EPOLLERR`.
    pub hup: bool,
    /// `EPOLLOUT`.
    pub writable: bool,
}

/// One socket.
#[derive(Debug, Default)]
pub struct Kernel {
    /// Segments that arrived and were not read.
    pub inbox: u64,
    /// The peer has shut its writing side down.
    pub eof: bool,
    /// The peer is gone.
    pub gone: bool,
    /// Bytes that the socket still takes.
    pub room: u64,
    /// Bytes that the socket took.
    pub taken: u64,
    /// The peer was told that nothing more will come.
    pub ended: bool,
    /// The fd is in epoll.
    pub registered: bool,
    /// The interest mask: readable, writable, edge-triggered.
    pub mask: (bool, bool, bool),
    /// What an edge-triggered mask has reported since it was set.
    pub reported: Option<(bool, bool, u64)>,
    /// How often `EPOLL_CTL_DEL` ran.
    pub dels: u32,
    /// The fd is closed or handed back.
    pub closed: bool,
    /// The loop's eventfd has a wake-up.
    pub woken: bool,
}

impl Kernel {
    /// `read(2)`.
    pub fn read(&mut self) -> Input {
        assert!(!self.closed, "read of a closed fd");
        if self.inbox > 0 {
            self.inbox -= 1;
            Input::Data
        } else if self.gone {
            Input::Gone
        } else if self.eof {
            Input::Eof
        } else {
            Input::Empty
        }
    }

    /// `write(2)` of up to `bytes`; `None` when the peer is gone.
    pub fn write(&mut self, bytes: u64) -> Option<u64> {
        assert!(!self.closed, "write to a closed fd");
        if self.gone {
            return None;
        }
        assert!(!self.ended || bytes == 0, "bytes behind the end of the output");
        let took = bytes.min(self.room);
        self.room -= took;
        self.taken += took;
        Some(took)
    }

    /// `EPOLL_CTL_MOD`: whatever the new mask asks for is reported anew.
    pub fn modify(&mut self, mask: (bool, bool, bool)) {
        self.mask = mask;
        self.reported = None;
    }

    /// What epoll reports now: level-triggered, the same again; edge-triggered, what has changed.
    pub fn poll(&mut self) -> Option<Event> {
        if !self.registered {
            return None;
        }
        let event = Event {
            readable: self.gone || (self.mask.0 && (self.inbox > 0 || self.eof)),
            hup: self.gone,
            writable: self.mask.1 && (self.room > 0 || self.gone),
        };
        if self.mask.2 {
            // What the peer did to the socket; its segments are not asked for.
            let now = Some((self.eof, self.gone, self.room + self.taken));
            if std::mem::replace(&mut self.reported, now) == now {
                return None;
            }
        }
        (event.readable || event.writable).then_some(event)
    }
}
