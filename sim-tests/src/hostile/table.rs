//! The operations that hostile code does, and the public methods that each of them calls.
//!
//! The table is the one list of operations: the generator draws from it, the text form of a program names its entries,
//! and the table of what was executed has a row for each. A test of the workspace reads the public methods from the
//! sources of the core, and fails when one is neither named here nor exempt.

use super::program::{Kinds, Place};

/// What an operation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing of the core's.
    Nothing,
    /// A connection: its own, or another one.
    Conn,
    /// The `Io` of a handler.
    Io,
    /// The reading side: of its `Io`, or of a connection outside handlers.
    Reader,
    /// The writing side, likewise.
    Writer,
    /// A server or dialer.
    Host,
}

/// One operation.
#[derive(Debug)]
pub struct Entry {
    /// Its name in programs.
    pub name: &'static str,
    /// Which one it is.
    pub what: What,
    /// What it needs.
    pub needs: Needs,
    /// Without these kinds it is not drawn.
    pub kinds: Kinds,
    /// The public methods that it calls.
    pub methods: &'static [&'static str],
}

macro_rules! table {
    ($($what:ident $name:literal $needs:ident [$($kind:ident)*] [$($method:literal)*];)*) => {
        /// An operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the table names each of them")]
        pub enum What { $($what),* }

        /// All operations.
        pub const TABLE: &[Entry] = &[$(Entry {
            name: $name,
            what: What::$what,
            needs: Needs::$needs,
            kinds: Kinds::NONE$(.with(Kinds::$kind))*,
            methods: &[$($method),*],
        }),*];
    };
}

table! {
    Send "send" Conn [] ["Connection::send"];
    Close "close" Conn [CLOSES] ["Connection::close"];
    Shutdown "shutdown" Conn [CLOSES] ["Connection::shutdown"];
    Detach "detach" Conn [CLOSES DETACHES] ["Connection::detach"];
    Ask "ask" Conn [] [
        "Connection::id" "Connection::peer" "Connection::is_active" "Connection::is_broken" "Connection::bytes_read"
        "Connection::bytes_sent"
    ];
    Backlog "backlog" Conn [] ["Connection::backlog"];
    EndOutput "end-output" Conn [CLOSES] ["Connection::end_output"];
    OnClose "on-close" Conn [] ["Connection::on_close"];
    SetRequest "set-on-request" Conn [SETS] ["Connection::set_on_request"];
    SetDisconnect "set-on-disconnect" Conn [SETS] ["Connection::set_on_disconnect"];
    ReadTimeout "read-timeout" Conn [] ["Connection::set_read_timeout"];
    ReadDeadline "read-deadline" Conn [] ["Connection::set_read_deadline"];
    WriteTimeout "write-timeout" Conn [] ["Connection::set_write_timeout"];
    WriteDeadline "write-deadline" Conn [] ["Connection::set_write_deadline"];
    Keep "keep" Conn [] [];
    Forget "forget" Conn [] [];

    Data "data" Io [] ["Io::data" "Io::is_last" "Io::connection"];
    Consume "consume" Io [] ["Io::consume"];
    Reply "reply" Io [] ["Io::write"];
    Echo "echo" Io [] ["Io::write" "Io::data" "Io::consume"];
    Split "split" Io [] ["Io::split" "Reader::data" "Writer::write"];
    PaceBy "pace-by" Io [PACES] ["Io::pace_by"];
    KeepOpen "keep-open" Io [PACES] ["Io::keep_open"];

    Guard "reader" Reader [READS] ["Connection::reader" "Io::reader" "Reader::len" "Reader::is_empty" "Reader::data"];
    Next "next" Reader [READS WAITS] ["Reader::next"];
    Peek "peek" Reader [READS WAITS] ["Reader::peek"];
    Skip "skip" Reader [READS WAITS] ["Reader::skip"];
    Slice "slice" Reader [READS WAITS] ["Reader::slice"];
    Until "until" Reader [READS WAITS] ["Reader::until"];
    Read "read" Reader [READS WAITS] ["Reader::read"];
    FillBuf "fill-buf" Reader [READS WAITS] ["Reader::fill_buf" "Reader::consume"];
    Advance "advance" Reader [READS] ["Reader::remaining" "Reader::chunk" "Reader::advance"];
    Release "release" Reader [READS] ["Reader::release"];

    Write "write" Writer [] ["Connection::writer" "Io::writer" "Writer::write" "Writer::len" "Writer::is_empty"];
    Append "append" Writer [LENDS] ["Writer::append"];
    Malloc "malloc" Writer [] ["Writer::malloc" "Writer::ack"];
    Flush "flush" Writer [WAITS] ["Writer::write" "Writer::flush"];
    PutBuf "put-buf" Writer [] ["Writer::remaining_mut" "Writer::chunk_mut" "Writer::advance_mut"];

    Dial "dial" Host [DIALS] ["Dialer::dial"];
    Connect "connect" Host [DIALS] ["Dialer::connect"];
    Upstream "upstream" Host [DIALS READS WAITS] ["Dialer::connect" "Connection::reader" "Reader::next"];
    Dialer "dialer" Host [] ["Server::dialer"];
    Stats "stats" Host [] ["Server::stats" "Dialer::stats" "Server::local_addr"];
    Spawn "spawn" Host [] ["Server::spawn"];
    ShutHost "shut-host" Host [SHUTS] ["Server::shutdown" "Dialer::shutdown"];
    BeginHost "begin-host" Host [SHUTS] ["Server::begin_shutdown" "Dialer::begin_shutdown"];
    DropHost "drop-host" Host [] [];

    DropKept "drop-kept" Nothing [] [];
    Nap "nap" Nothing [] [];
    Panic "panic" Nothing [PANICS] [];
    Fail "fail" Nothing [ERRORS] [];
    Leave "leave" Nothing [] [];
}

/// The entry of `what`.
pub fn entry(what: What) -> &'static Entry {
    &TABLE[what as usize]
}

/// Whether code at `place` can do `what`.
pub fn possible(what: What, place: Place) -> bool {
    match what {
        What::Leave => matches!(place, Place::Request | Place::LateRequest),
        What::Fail => matches!(place, Place::Connect | Place::Request | Place::LateRequest),
        What::Panic => place != Place::Foreign,
        _ => entry(what).needs != Needs::Io || place.has_io(),
    }
}
