//! What can happen to one connection, as values: made at random, shrunk, printed, and played again elsewhere.
//!
//! Not here: what comes of it, which is the business of [`crate::oracle`] and of the protocol.

use loom_tests::rig::{self, User, closes, panics, quiet};
use serde::{Deserialize, Serialize};

/// How many segments a peer sends at most: the rig has room for so many.
pub const SEGMENTS: u64 = 4;

/// One event of a connection's life. Each is over before the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The acceptor runs OnConnect.
    Connect,
    /// The peer sends a segment.
    Data,
    /// The peer shuts its writing side down.
    Eof,
    /// The peer is gone in both directions.
    Hup,
    /// The user closes.
    Close,
    /// The user closes and wants the fd back.
    Detach,
    /// A graceful end is asked for.
    Shutdown,
    /// OnRequest is set or replaced.
    SetHandler,
    /// The user flushes so many bytes.
    Flush(u64),
    /// The peer takes so many bytes.
    PeerTakes(u64),
    /// The user adds a close callback.
    AddCallback,
}

/// What a callback does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// It returns.
    Nothing,
    /// It panics.
    Panic,
    /// It closes its connection.
    Close,
}

impl Act {
    fn call(self) -> rig::Act {
        match self {
            Act::Nothing => quiet,
            Act::Panic => panics,
            Act::Close => closes,
        }
    }
}

/// The user's side of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Whether OnRequest is set from the start.
    pub handler: bool,
    /// OnRequest consumes whole packets of so many segments.
    pub packet: u64,
    /// So many close callbacks are there from the start.
    pub callbacks: u32,
    /// So many bytes the socket takes at first.
    pub room: u64,
    /// Inside OnPrepare.
    pub on_prepare: Act,
    /// Inside OnConnect.
    pub on_connect: Act,
    /// Inside OnRequest.
    pub on_request: Act,
    /// Inside OnDisconnect.
    pub on_disconnect: Act,
    /// Inside the newest close callback.
    pub on_close: Act,
}

impl Plan {
    /// As the rig wants it.
    pub fn user(self) -> User {
        User {
            handler: self.handler,
            packet: self.packet,
            callbacks: self.callbacks,
            room: self.room,
            on_prepare: self.on_prepare.call(),
            on_connect: self.on_connect.call(),
            on_request: self.on_request.call(),
            on_disconnect: self.on_disconnect.call(),
            on_close: self.on_close.call(),
            // A history may set a handler at any step.
            sets: true,
            ..User::default()
        }
    }
}

/// A history: the user's side, and what happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The user's side.
    pub plan: Plan,
    /// What happens, in this order.
    pub steps: Vec<Step>,
}
