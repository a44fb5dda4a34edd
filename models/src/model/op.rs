//! What a party of the model can be about to do: one variant, one step.
//!
//! A party is a stack of these, as a thread is a stack of calls. A step does at most one transition of the word, or
//! one other thing that two parties share; what only its own party can see happens in the same step. Which transition,
//! and what follows from the value that it finds, is in the modules beside this one.
//!
//! `at` is always the part of a found value that its owner still goes by, see [`super::state::kept`].

/// A step that a party is about to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    // The serial section (`process`).
    /// A task that was handed the section begins.
    Start {
        at: u32,
    },
    /// Looks at the word, and runs the section that it owns.
    LookAndRun,
    BeginDrain {
        called: bool,
    },
    /// Reading had stopped: is there room again?
    LookFull {
        at: u32,
        called: bool,
        unpaced: bool,
    },
    /// Calls OnRequest, if it is due.
    Call {
        at: u32,
        called: bool,
        unpaced: bool,
    },
    /// What OnRequest consumes.
    Consume {
        at: u32,
        produced: u8,
    },
    /// OnRequest has returned.
    Requested {
        at: u32,
        produced: u8,
        consumed: u8,
    },
    Choke {
        at: u32,
        called: bool,
    },
    /// The handler is said to wait: is the output still high?
    ChokeLook {
        at: u32,
        called: bool,
        waits: bool,
        unpaced: bool,
    },
    /// `Choke` was taken back.
    UnchokeAndGoOn {
        at: u32,
        called: bool,
        unpaced: bool,
    },
    /// Reads on, and goes on with the drain.
    Leave {
        at: u32,
        choked: bool,
    },
    Release(Rest),
    /// Takes the section again, after a release that found more to do.
    Retake,
    /// Takes the section, if nobody has it, and runs it.
    TakeAndRun,
    GateOutputToEnd,
    ClaimToEnd,
    /// The DEL of the end is done.
    Deregistered {
        held: bool,
    },
    Commit,
    Seal,
    Closed,
    Finish {
        back: bool,
    },
    GateInput,
    /// The gate of reading is closed: is everything handled?
    GateLook {
        found: u32,
    },
    UngateInput {
        whole: bool,
    },
    CloseHeld(Then),

    // Life cycle (`lifecycle`).
    Register,
    BeginRegister,
    Add,
    ClaimOnly,
    Connect,
    Connected,
    EndConnect {
        ran: bool,
    },
    Disconnected {
        then: Then,
        at: u32,
    },
    BeginRead {
        hup: bool,
    },
    MaskRead {
        hup: bool,
        owner: bool,
    },
    ClaimToLeave {
        owner: bool,
    },
    Read {
        hup: bool,
        owner: bool,
    },
    Announce {
        full: bool,
    },
    EndRead {
        owner: bool,
    },
    /// The mask is updated after the reader lock was given back.
    AfterRead {
        owner: bool,
        found: u32,
    },
    Eof {
        owner: bool,
    },
    Hup {
        owner: bool,
    },
    Deregister,
    Close,
    /// The section came with the close.
    AfterClose {
        at: u32,
    },
    Detach,
    Shutdown,
    PutHandler,
    AnnounceHandler,
    AddCallback,

    // Output (`output`).
    BeginFlush {
        bytes: u8,
        kind: Flush,
    },
    Append {
        bytes: u8,
    },
    AnnounceOutput,
    GateOutputToRefuse {
        mine: bool,
    },
    BeginSend {
        armed: bool,
        lost: bool,
    },
    Send {
        bytes: u8,
        armed: bool,
        lost: bool,
        ends: bool,
    },
    EndOutput,
    Park,
    GateOutputLost,
    EndSend {
        lost: bool,
        only: bool,
    },
    RetakeSend {
        lost: bool,
    },
    Unchoke,
    EndFlush,
    /// What a consumer that is through leaves to be done.
    Through {
        choked: bool,
        awaited: bool,
    },
    GoOn {
        choked: bool,
        awaited: bool,
    },
    GoOnLater,
    EndAwait,
    Unpark,
    AwaitDrain,
    /// The output that the handler waits for drains, or is closed.
    OtherDrains {
        closed: bool,
    },
    UnchokeAndRun,

    // Interest (`output`).
    WantInterest,
    BeginInterest,
    SetInterest {
        readable: bool,
        writable: bool,
        edge: bool,
    },
    ClaimMasked,
    EndInterest,
    RetakeInterest,
    Fill,
    Unfill,

    // Waits (`waits`).
    Acquire {
        target: u8,
    },
    BeginWaitR {
        target: u8,
    },
    RecheckR {
        target: u8,
        found: u32,
    },
    SleepR {
        target: u8,
    },
    EndWaitR,
    ConsumeR,
    BeginSync {
        target: u8,
    },
    BeginWaitW {
        target: u8,
    },
    RecheckW {
        target: u8,
        found: u32,
    },
    SleepW {
        target: u8,
    },
    EndWaitW,
    WakeR {
        reached: bool,
        wake: Wake,
    },
    WakeW {
        reached: bool,
        wake: Wake,
    },

    // The kernel and the peer (`world`).
    /// Asks epoll, for ever.
    Poll,
    /// Asks epoll for one event: a thread that is deposed meanwhile.
    PollOnce,
    PeerSends,
    PeerStops,
    PeerIsGone,
    PeerTakes {
        bytes: u8,
    },
}

/// Why the owner leaves: what its release must not find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rest {
    Idle,
    Held,
    Busy,
    Unfinished,
    Kept,
    Choked,
}

/// What follows a close by somebody who holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    Nothing,
    /// The end of the section.
    Leave,
    /// The section from its start.
    Run,
}

/// How output begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flush {
    /// And is not waited for.
    Queue,
    /// And is waited for.
    Wait,
    /// With its end.
    End,
}

/// Why a wait ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wake {
    Ready,
    Eof,
    Closed,
    TimedOut,
}
