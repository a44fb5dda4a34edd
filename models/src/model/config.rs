//! A configuration: who is there, what each does, and what the user's callbacks do.
//!
//! Not here: the configurations that are explored (`configurations`).

use super::op::Op;
use super::space::Space;
use super::state::State;

/// What a state must show for an end to count as reached.
pub type Reach = (&'static str, fn(&Space, &State) -> bool);

/// A party of a configuration.
#[derive(Clone, Debug)]
pub struct PartySpec {
    /// Its name.
    pub name: &'static str,
    /// What it does, in this order.
    pub script: Vec<Op>,
    /// It runs sections that are handed to it, and does nothing else.
    pub is_task: bool,
}

/// What user code does inside callbacks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Acts {
    /// Inside OnPrepare.
    pub prepare: &'static [Op],
    /// Inside OnConnect.
    pub connect: &'static [Op],
    /// Inside OnRequest.
    pub request: &'static [Op],
    /// Inside OnDisconnect.
    pub disconnect: &'static [Op],
    /// Inside the first close callback.
    pub close: &'static [Op],
    /// Inside the OnRequest of another connection, when this one's output has drained.
    pub relieved: &'static [Op],
}

/// Which callbacks may panic, as well as return.
#[derive(Clone, Copy, Debug, Default)]
pub struct Panics {
    /// OnPrepare.
    pub prepare: bool,
    /// OnConnect.
    pub connect: bool,
    /// OnRequest.
    pub request: bool,
    /// OnDisconnect.
    pub disconnect: bool,
}

/// One configuration of the model.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Who is there.
    pub parties: Vec<PartySpec>,
    /// OnConnect is over at the start.
    pub connected: bool,
    /// An OnRequest is set from the start.
    pub handler: bool,
    /// Close callbacks that were added at birth.
    pub callbacks: u8,
    /// Bytes that the socket takes at first.
    pub room: u8,
    /// Segments that are read ahead of the owner.
    pub limit: u8,
    /// With so many bytes queued the handler waits.
    pub high: u8,
    /// OnRequest consumes whole packets of so many segments.
    pub packet: u8,
    /// OnRequest consumes at most so many segments a call.
    pub per_call: u8,
    /// The end of the stream leaves it to the user to end the connection.
    pub keeps_open: bool,
    /// The user ends the output.
    pub ends: bool,
    /// Several pollers share the epoll, and know it.
    pub shares: bool,
    /// After one call of OnRequest the section goes to the end of a queue.
    pub passes_on: bool,
    /// The handler is paced by another connection's output.
    pub paced: bool,
    /// Waits may end by time.
    pub timeouts: bool,
    /// The ADD may fail.
    pub add_fails: bool,
    /// What user code does.
    pub acts: Acts,
    /// Where it may panic.
    pub panics: Panics,
    /// The guard that is left out, to see what the properties say of it.
    pub without: Option<&'static str>,
    /// Ends that must be reached.
    pub reaches: Vec<Reach>,
}

impl Config {
    /// A connection that is connected and has an OnRequest, without anybody there yet.
    pub fn new(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            parties: Vec::new(),
            connected: true,
            handler: true,
            callbacks: 1,
            room: 0,
            limit: u8::MAX,
            high: u8::MAX,
            packet: 1,
            per_call: u8::MAX,
            keeps_open: false,
            ends: false,
            shares: false,
            passes_on: false,
            paced: false,
            timeouts: false,
            add_fails: false,
            acts: Acts::default(),
            panics: Panics::default(),
            without: None,
            reaches: Vec::new(),
        }
    }

    /// Adds a party.
    #[must_use]
    pub fn party(mut self, name: &'static str, script: &[Op]) -> Self {
        self.parties.push(PartySpec { name, script: script.to_vec(), is_task: false });
        self
    }

    /// Adds a party that runs sections.
    #[must_use]
    pub fn task(mut self) -> Self {
        self.parties.push(PartySpec { name: "task", script: Vec::new(), is_task: true });
        self
    }

    /// Changes whatever it is.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Adds an end that must be reached.
    #[must_use]
    pub fn reaches(mut self, reach: Reach) -> Self {
        self.reaches.push(reach);
        self
    }
}
