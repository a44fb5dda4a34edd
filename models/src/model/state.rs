//! A state of the model: the word, the parties, the kernel's side, and what is remembered for the properties.
//!
//! Not here: steps.

use pollproof::protocol::word::*;

use super::config::Config;
use super::op::Wake;
use super::stack::Stack;

const KEPT: u32 = PENDING | FRESH | USER | PEER | EOF | SHUTDOWN | FULL | HANDLER | NOWRITE;

/// What an owner goes on by, of a value that it found.
pub fn kept(found: u32) -> u32 {
    found & if found & SHUTDOWN == 0 { KEPT } else { KEPT | READING | OUT | FLUSHING | OUTPEND }
}

/// A party: what it is about to do, the next on top; and what its last call returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Party {
    /// What it has still to do.
    pub stack: Stack,
    /// What the consumer that ran last leaves to be done: choked, awaited.
    pub through: (bool, bool),
}

/// One socket and its registration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// Segments that arrived and were not read.
    pub inbox: u8,
    /// The peer sends no more.
    pub eof: bool,
    /// The peer is gone.
    pub gone: bool,
    /// Bytes that the socket still takes.
    pub room: u8,
    /// Bytes that it took.
    pub taken: u8,
    /// The peer was told that nothing more will come.
    pub ended: bool,
    /// The fd is in epoll.
    pub registered: bool,
    /// Readable, writable, edge-triggered.
    pub mask: (bool, bool, bool),
    /// What an edge-triggered mask has reported.
    pub reported: Option<(bool, bool, u8)>,
    /// The fd is closed or handed back.
    pub closed: bool,
}

/// What epoll would report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Event {
    /// Something to read, or the end.
    pub readable: bool,
    /// The peer is gone.
    pub hup: bool,
    /// The socket takes bytes.
    pub writable: bool,
}

impl Kernel {
    /// What epoll reports now. Edge-triggered: what has changed since it was last reported.
    pub fn event(&self) -> Option<Event> {
        if !self.registered || (self.mask.2 && self.reported == Some(self.edge())) {
            return None;
        }
        let event = Event {
            readable: self.gone || (self.mask.0 && (self.inbox > 0 || self.eof)),
            hup: self.gone,
            writable: self.mask.1 && (self.room > 0 || self.gone),
        };
        (event.readable || event.writable).then_some(event)
    }

    /// What an edge is an edge of.
    pub fn edge(&self) -> (bool, bool, u8) {
        (self.eof, self.gone, self.room + self.taken)
    }
}

/// A waiter's slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slot {
    /// What it waits for, if anybody does.
    pub target: Option<u8>,
    /// Its wake-up.
    pub token: Option<Wake>,
}

/// What two threads share beside the word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Data {
    /// Segments that were read.
    pub produced: u8,
    /// Segments that were consumed.
    pub consumed: u8,
    /// What the last call of OnRequest left, when it consumed nothing.
    pub seen: u8,
    /// The last call was told that nothing more will come.
    pub told: bool,
    /// An OnRequest is installed.
    pub handler: bool,
    /// One waits to be installed.
    pub put: bool,
    /// Bytes that were flushed.
    pub queued: u8,
    /// Bytes that were sent.
    pub sent: u8,
    /// Bytes that were dropped.
    pub dropped: u8,
    /// Sections in the poller's queue.
    pub passed_on: u8,
    /// The other connection's output is high.
    pub other_high: bool,
    /// The other connection is closed.
    pub other_closed: bool,
    /// The handler waits for the other's output.
    pub other_awaited: bool,
}

/// What happened, for the properties alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ghost {
    /// Callbacks under way: OnConnect, OnRequest, OnDisconnect, close callbacks.
    pub inside: [u8; 4],
    /// OnConnect has begun.
    pub connected: bool,
    /// How often OnDisconnect began.
    pub disconnects: u8,
    /// OnDisconnect is due, going by the first close.
    pub disconnect_due: bool,
    /// Closes that found no closing bit.
    pub first_closes: u8,
    /// The close callbacks' turn was taken.
    pub closes: u8,
    /// Close callbacks that were accepted, ran, were given back.
    pub callbacks: [u8; 3],
    /// The list is sealed.
    pub sealed: bool,
    /// Segments that a call of OnRequest could have seen.
    pub offered: u8,
    /// ADDs and DELs.
    pub adds: u8,
    /// See `adds`.
    pub dels: u8,
    /// Readers, producers, consumers, holders of `MOD`, by what they found.
    pub holders: [u8; 4],
    /// Detaches that were told that they get the fd.
    pub winners: u8,
    /// The fd was handed back.
    pub handed_back: bool,
    /// Ends of the connection.
    pub finishes: u8,
    /// The end was decided by a graceful shutdown.
    pub by_shutdown: bool,
    /// Clauses that were broken, by their index in `properties::CLAUSES`.
    pub broken: u64,
}

/// A state of one configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The word.
    pub word: u32,
    /// The parties.
    pub parties: Vec<Party>,
    /// The kernel's side.
    pub kernel: Kernel,
    /// What is shared beside the word.
    pub data: Data,
    /// The reader's slot and the flusher's.
    pub slots: [Slot; 2],
    /// What happened.
    pub ghost: Ghost,
}

impl State {
    /// The state in which `config` starts.
    pub fn first(config: &Config) -> Self {
        let born = BORN | if config.handler { HANDLER } else { 0 };
        let connected = config.connected;
        Self {
            word: if connected { born & HANDLER } else { born },
            parties: config
                .parties
                .iter()
                .map(|party| Party { stack: Stack::of(&party.script), through: (false, false) })
                .collect(),
            kernel: Kernel {
                room: config.room,
                registered: connected,
                mask: (connected, false, false),
                ..Kernel::default()
            },
            data: Data { handler: config.handler, other_high: config.paced, ..Data::default() },
            slots: Default::default(),
            ghost: Ghost {
                connected,
                adds: u8::from(connected),
                callbacks: [config.callbacks, 0, 0],
                ..Ghost::default()
            },
        }
    }

    /// Whether the word has any of these.
    pub fn any(&self, bits: u32) -> bool {
        self.word & bits != 0
    }

    /// Segments that were read ahead are as many as may be.
    pub fn input_full(&self, config: &Config) -> bool {
        self.data.produced - self.data.consumed >= config.limit
    }

    /// Bytes that were flushed and neither sent nor dropped.
    pub fn backlog(&self) -> u8 {
        self.data.queued - self.data.sent - self.data.dropped
    }

    /// The output that paces the handler is high.
    pub fn output_high(&self, config: &Config) -> bool {
        if config.paced { self.data.other_high } else { self.backlog() >= config.high }
    }
}
