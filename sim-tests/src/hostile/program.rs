//! A program of hostile code: plain data, drawn from a seed, made smaller when it fails, and written as a few lines.
//!
//! ```text
//! server runner=pool takeover=1 pollers=2 budget=1 ahead=2 marks=4 start=spawn
//!   request: send@1*3; close
//!   drop-context: panic
//! foreign: dial@0*1; next*3
//! peer@0: send*3; receive; reset
//! remote: send*1; vanish
//! kernel room=16 faults=1 races=4
//! ```
//!
//! `send@1*3` is the operation `send`, on connection 1 of the shared table instead of its own, with the argument 3. Not
//! here: what the operations are (`table`) and what they do (`ops`).

use std::fmt::{self, Display};
use std::str::FromStr;

use super::table::{TABLE, What, entry};

/// Kinds of hostility, as a set: a program is drawn with some of them and without the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u32);

macro_rules! kinds {
    ($($bit:literal $kind:ident $name:literal $doc:literal;)*) => {
        impl Kinds {
            $(#[doc = $doc] pub const $kind: Self = Self(1 << $bit);)*
            /// Each of them, with its name and what it is.
            pub const NAMES: &[(Self, &str, &str)] = &[$((Self::$kind, $name, $doc)),*];
        }
    };
}

kinds! {
    0 CLOSES "closes" "Code closes connections.";
    1 DETACHES "detaches" "Code detaches connections.";
    2 SETS "sets" "Code sets handlers later.";
    3 PACES "paces" "Handlers are paced by others, and keep connections open.";
    4 READS "reads" "Code reads through readers.";
    5 WAITS "waits" "Code waits, to read or to flush.";
    6 HUGE "huge" "Code asks for as many bytes as there are numbers.";
    7 LENDS "lends" "Code lends bytes that it owns.";
    8 DIALS "dials" "Code dials.";
    9 SHUTS "shuts" "Code shuts servers down.";
    10 PANICS "panics" "Callbacks panic.";
    11 ERRORS "errors" "Callbacks fail.";
    12 DROPS "drops" "The drops of values do something.";
    13 BOMBS "bombs" "The drops of values panic.";
    14 CROSS "cross" "Code uses other connections than its own.";
    15 SEVERAL "several" "There are several servers and dialers.";
    16 FOREIGN "foreign" "Foreign threads use connections.";
    17 POOL "pool" "A pool runs handlers.";
    18 RUNNERS "runners" "Runners run tasks at once, and drop them.";
    19 TAKEOVER "takeover" "A watchdog replaces polling threads.";
    20 FAULTS "faults" "System calls are interrupted and cut short.";
    21 HOOKS "hooks" "The hook for errors does something.";
    22 PARTING "parting" "OnDisconnect, close callbacks and detach callbacks do something.";
    23 CRASHES "crashes" "Runners panic.";
}

impl Kinds {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self(u32::MAX);

    /// And these.
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// But for these.
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Whether all of `others` are among them.
    pub const fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Those with these names, separated by commas.
    ///
    /// # Errors
    ///
    /// When one of them is no name.
    pub fn named(names: &str) -> anyhow::Result<Self> {
        let mut kinds = Self::NONE;
        for name in names.split(',').filter(|name| !name.is_empty()) {
            let found = Self::NAMES.iter().find(|kind| kind.1 == name);
            kinds = kinds.with(found.ok_or_else(|| anyhow::anyhow!("there is no kind `{name}`"))?.0);
        }
        Ok(kinds)
    }
}

macro_rules! places {
    ($($place:ident $name:literal $doc:literal;)*) => {
        /// Where code of the program runs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Place { $(#[doc = $doc] $place),* }

        impl Place {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$place),*];

            /// In programs.
            pub fn name(self) -> &'static str {
                match self { $(Self::$place => $name),* }
            }
        }
    };
}

places! {
    Prepare "prepare" "OnPrepare.";
    Connect "connect" "OnConnect.";
    Request "request" "OnRequest.";
    Disconnect "disconnect" "OnDisconnect.";
    Close "close" "A close callback.";
    Detach "detach" "A detach callback.";
    LateRequest "late-request" "An OnRequest that was set on its connection.";
    LateDisconnect "late-disconnect" "An OnDisconnect that was set on its connection.";
    Hook "hook" "The hook for errors.";
    Run "run" "`Runner::run`.";
    DropContext "drop-context" "The drop of a context.";
    DropState "drop-state" "The drop of a state.";
    DropHandler "drop-handler" "The drop of a handler.";
    DropError "drop-error" "The drop of an error.";
    DropPayload "drop-payload" "The drop of what a panic carries.";
    DropLent "drop-lent" "The drop of the owner of lent bytes.";
    DropLate "drop-late" "The drop of a handler that was set on its connection.";
    DropClose "drop-close" "The drop of a close callback.";
    DropDetach "drop-detach" "The drop of a detach callback.";
    DropHook "drop-hook" "The drop of the hook for errors.";
    DropRunner "drop-runner" "The drop of a runner.";
    Foreign "foreign" "A foreign thread.";
}

impl Place {
    /// Whether this is the drop of a value.
    pub fn is_drop(self) -> bool {
        self >= Self::DropContext && self != Self::Foreign
    }

    /// Whether the code has an `Io`.
    pub fn has_io(self) -> bool {
        matches!(self, Self::Connect | Self::Request | Self::LateRequest)
    }
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    /// Which.
    pub what: What,
    /// On which connection of the table, or on which server; else on its own.
    pub on: Option<u8>,
    /// How many bytes, or milliseconds, as [`Op::size`] and [`Op::millis`] say.
    pub arg: u8,
}

/// A `usize::MAX` in programs.
pub const HUGE: u8 = 255;

impl Op {
    /// As a number of bytes.
    pub fn size(self) -> usize {
        if self.arg == HUGE { usize::MAX } else { usize::from(self.arg) }
    }

    /// As a time.
    pub fn millis(self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::from(self.arg))
    }
}

/// How a server's handlers are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// On its polling threads.
    Inline,
    /// By a pool of one thread.
    Pool,
    /// At once, on the thread that hands the task over.
    Once,
    /// Each on a thread of its own.
    Thread,
    /// At once, but for each second task, which is dropped.
    Drops,
    /// At once, but for each second task, with which the runner panics.
    Panics,
}

/// A server or a dialer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// It listens.
    pub listens: bool,
    /// How its handlers are run.
    pub runs: Runs,
    /// After how many milliseconds a thread is replaced; 0 for never.
    pub takeover: u8,
    /// Polling threads.
    pub pollers: u8,
    /// Calls in a row.
    pub budget: u8,
    /// Bytes that are read ahead.
    pub ahead: u8,
    /// The high-water mark.
    pub high: u8,
    /// A thread of the program polls.
    pub on_thread: bool,
    /// What its code does, by place.
    pub acts: Vec<(Place, Vec<Op>)>,
}

/// What a peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAct {
    /// Sends so many bytes.
    Send(u8),
    /// Waits for something.
    Receive,
    /// Reads to the end.
    Drain,
    /// Waits so many milliseconds.
    Nap(u8),
    /// Sends nothing any more.
    Finish,
    /// Resets.
    Reset,
    /// Goes away.
    Vanish,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Servers and dialers.
    pub hosts: Vec<Host>,
    /// What foreign threads do, one each.
    pub foreign: Vec<Vec<Op>>,
    /// Peers that connect, and to which server.
    pub peers: Vec<(u8, Vec<PeerAct>)>,
    /// What a peer does that is dialed.
    pub remote: Vec<PeerAct>,
    /// Room in a socket's queue.
    pub room: u8,
    /// System calls are interrupted and cut short.
    pub faults: bool,
    /// Moves of the clock in races.
    pub races: u8,
}

impl Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(entry(self.what).name)?;
        self.on.map_or(Ok(()), |on| write!(f, "@{on}"))?;
        if self.arg > 0 { write!(f, "*{}", self.arg) } else { Ok(()) }
    }
}

impl FromStr for Op {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (text, arg) = text.trim().split_once('*').unwrap_or((text.trim(), "0"));
        let (name, on) = text.split_once('@').map_or((text, None), |(name, on)| (name, Some(on)));
        let entry = TABLE.iter().find(|entry| entry.name == name);
        let what = entry.ok_or_else(|| anyhow::anyhow!("there is no operation `{name}`"))?.what;
        Ok(Self { what, on: on.map(str::parse).transpose()?, arg: arg.parse()? })
    }
}

impl Display for PeerAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(count) => write!(f, "send*{count}"),
            Self::Receive => f.write_str("receive"),
            Self::Drain => f.write_str("drain"),
            Self::Nap(millis) => write!(f, "nap*{millis}"),
            Self::Finish => f.write_str("finish"),
            Self::Reset => f.write_str("reset"),
            Self::Vanish => f.write_str("vanish"),
        }
    }
}

impl FromStr for PeerAct {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, arg) = text.trim().split_once('*').unwrap_or((text.trim(), "0"));
        Ok(match name {
            "send" => Self::Send(arg.parse()?),
            "receive" => Self::Receive,
            "drain" => Self::Drain,
            "nap" => Self::Nap(arg.parse()?),
            "finish" => Self::Finish,
            "reset" => Self::Reset,
            "vanish" => Self::Vanish,
            _ => anyhow::bail!("a peer does not `{name}`"),
        })
    }
}
