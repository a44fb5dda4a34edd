//! The user of a scenario: which handlers there are, and what user code does inside each callback.
//!
//! Not here: what a user does outside callbacks, which is a role.

use pollproof::protocol::effects::Ran;

use super::World;
use crate::recording;

/// What user code does inside a callback.
pub type Act = fn(&World) -> Ran;

/// A callback that does nothing.
pub fn quiet(_: &World) -> Ran {
    Ran::Done
}

/// A callback that panics.
pub fn panics(_: &World) -> Ran {
    recording::note("it panics");
    Ran::Failed
}

/// A callback that closes its connection.
pub fn closes(world: &World) -> Ran {
    let _ = world.close();
    Ran::Done
}

/// A callback that reads on by itself, up to the end of the stream.
pub fn reads_on(world: &World) -> Ran {
    world.read_itself();
    Ran::Done
}

/// The user's side of a scenario.
#[derive(Clone, Copy)]
pub struct User {
    /// Whether OnRequest is set from the start.
    pub handler: bool,
    /// OnRequest consumes whole packets of so many segments.
    pub packet: u64,
    /// OnRequest consumes at most so many segments a call.
    pub per_call: u64,
    /// How many close callbacks are added at birth.
    pub callbacks: u32,
    /// Bytes that the socket takes at first.
    pub room: u64,
    /// As many segments are read ahead of the owner, and no more.
    pub limit: u64,
    /// With so many bytes queued, the handler waits until fewer are.
    pub high: u64,
    /// After one call of OnRequest, the section goes to the end of a queue.
    pub passes_on: bool,
    /// Whether the scenario is about output: then who sends, and when, is part of the outcome.
    pub output: bool,
    /// Whether other threads may poll the same epoll at the same time.
    pub shares: bool,
    /// Whether the end of the stream leaves it to the user to end the connection.
    pub keeps_open: bool,
    /// Whether the user ends the output.
    pub ends: bool,
    /// Whether OnRequest is set or replaced.
    pub sets: bool,
    /// Whether OnPrepare flushes, so that the ADD must look whether output is parked.
    pub flushes_early: bool,
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

impl User {
    /// One who keeps the connection open, and ends its output.
    pub fn kept() -> Self {
        Self { keeps_open: true, ends: true, output: true, ..Self::default() }
    }
}

impl Default for User {
    fn default() -> Self {
        Self {
            handler: true,
            packet: 1,
            per_call: u64::MAX,
            callbacks: 1,
            room: 0,
            limit: u64::MAX,
            high: u64::MAX,
            passes_on: false,
            output: false,
            shares: false,
            keeps_open: false,
            ends: false,
            sets: false,
            flushes_early: false,
            on_prepare: quiet,
            on_connect: quiet,
            on_request: quiet,
            on_disconnect: quiet,
            on_close: quiet,
        }
    }
}
