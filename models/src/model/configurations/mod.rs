//! The configurations that are explored, each to its end.
//!
//! Several of moderate size instead of one that has everything: what one chapter of SPEC.md is about, with whoever
//! can meet there.

mod held;
mod meetings;

use pollproof::protocol::word::*;

use super::config::{Acts, Config, Panics, Reach};
use super::op::{Flush, Op};

const ENDS: Reach = ("the connection ends", |_, s| s.ghost.finishes == 1);
const REQUESTS: Reach = ("OnRequest is called", |_, s| s.ghost.offered > 0);
const DISCONNECTS: Reach = ("OnDisconnect is called", |_, s| s.ghost.disconnects == 1);
const GIVEN_BACK: Reach = ("a close callback comes too late", |_, s| s.ghost.callbacks[2] > 0);
const HANDED_BACK: Reach = ("the fd is handed back", |_, s| s.ghost.handed_back);
const UNATTENDED: Reach = ("nobody attends to a close", |_, s| s.any(PEER) && !s.any(USER | SHUTDOWN | HANDLER));
const PARKED: Reach = ("the consumer is parked", |_, s| s.any(ARMED));
const SENT: Reach = ("output is sent", |_, s| s.data.sent > 0);
const DROPPED: Reach = ("output is dropped", |_, s| s.data.dropped > 0);
const SHUT_DOWN: Reach = ("a shutdown finds the connection idle", |_, s| s.ghost.by_shutdown);
const FILLED: Reach = ("reading stops at its limit", |_, s| s.any(FULL));
const CHOKED: Reach = ("the handler waits for output", |_, s| s.any(HIGH));
const MASKS: Reach = ("the fd is masked", |_, s| s.any(MASKED));
const SLEEPS_R: Reach = ("a reader sleeps", |_, s| asleep(s, |op| matches!(op, Op::SleepR { .. })));
const SLEEPS_W: Reach = ("a flusher sleeps", |_, s| asleep(s, |op| matches!(op, Op::SleepW { .. })));
const WAITED_FOR: Reach = ("a handler of another connection waits", |_, s| s.any(AWAITED));
const TOLD: Reach = ("the peer is told the end of the output", |_, s| s.kernel.ended);

fn asleep(s: &super::state::State, is: impl Fn(&Op) -> bool) -> bool {
    s.parties.iter().any(|party| party.stack.last().is_some_and(&is))
}

const FLUSH: Op = Op::BeginFlush { bytes: 1, kind: Flush::Queue };
const FLUSH_TWO: Op = Op::BeginFlush { bytes: 2, kind: Flush::Queue };
const FLUSH_ONE_AND_WAIT: Op = Op::BeginFlush { bytes: 1, kind: Flush::Wait };
const FLUSH_AND_WAIT: Op = Op::BeginFlush { bytes: 2, kind: Flush::Wait };
const END: Op = Op::BeginFlush { bytes: 0, kind: Flush::End };
const TAKES: Op = Op::PeerTakes { bytes: 1 };
const BIRTH: &[Op] = &[Op::Register, Op::Connect];
const POLLS: &[Op] = &[Op::Poll];
const IS_DEPOSED: &[Op] = &[Op::PollOnce];
const LEAVES: &[Op] = &[Op::PeerSends, Op::PeerSends, Op::PeerStops, Op::PeerIsGone];

/// All of them.
pub fn all() -> Vec<Config> {
    let chapters = [life(), ends(), output(), held::pacing(), held::relays(), held::waits()];
    let meetings = [meetings::awaited(), meetings::waits(), meetings::output()];
    chapters.into_iter().chain(meetings).flatten().collect()
}

/// The one of this name.
pub fn named(name: &str) -> Option<Config> {
    all().into_iter().find(|config| config.name == name)
}

/// Birth, reading, callbacks that close or panic.
fn life() -> Vec<Config> {
    let closes = Acts {
        prepare: &[Op::Close],
        connect: &[Op::Close],
        request: &[Op::Close],
        disconnect: &[Op::Close],
        close: &[Op::Close],
        relieved: &[],
    };
    let panics = Panics { prepare: true, connect: true, request: true, disconnect: true };
    vec![
        Config::new("birth", "OnConnect against a peer that sends, stops and leaves, and a user who closes")
            .party("acceptor", BIRTH)
            .party("peer", LEAVES)
            .party("poller", POLLS)
            .party("user", &[Op::AddCallback, Op::Close, Op::Close])
            .with(|c| c.connected = false)
            .reaches(ENDS)
            .reaches(REQUESTS)
            .reaches(DISCONNECTS)
            .reaches(GIVEN_BACK),
        Config::new("birth-of-many", "the same with two pollers, a shutdown, and sections handed to a task")
            .party("acceptor", BIRTH)
            .party("peer", &[Op::PeerSends, Op::PeerStops, Op::PeerIsGone])
            .party("poller", POLLS)
            .party("another", POLLS)
            .party("user", &[Op::Shutdown])
            .task()
            .with(|c| c.connected = false)
            .reaches(ENDS)
            .reaches(DISCONNECTS),
        Config::new("panics", "callbacks that may panic, against a peer that leaves and a user who closes")
            .party("acceptor", BIRTH)
            .party("peer", LEAVES)
            .party("poller", POLLS)
            .party("user", &[Op::Close])
            .with(|c| (c.connected, c.panics, c.add_fails) = (false, panics, true))
            .reaches(ENDS),
        Config::new("closes-inside", "callbacks that close their connection")
            .party("acceptor", BIRTH)
            .party("peer", LEAVES)
            .party("poller", POLLS)
            .party("another", POLLS)
            .with(|c| (c.connected, c.acts, c.per_call) = (false, closes, 1))
            .reaches(ENDS),
        Config::new("half-packets", "two pollers, tasks, and a handler of packets of two segments")
            .party("peer", &[Op::PeerSends, Op::PeerSends, Op::PeerStops])
            .party("poller", POLLS)
            .party("another", POLLS)
            .party("user", &[Op::Close])
            .task()
            .with(|c| c.packet = 2)
            .reaches(ENDS),
        Config::new("handlers", "handlers that are set late, and replaced")
            .party("acceptor", BIRTH)
            .party("peer", &[Op::PeerSends, Op::PeerIsGone])
            .party("poller", POLLS)
            .party("user", &[Op::PutHandler, Op::PutHandler])
            .party("another", &[Op::Close])
            .with(|c| (c.connected, c.handler) = (false, false))
            .reaches(UNATTENDED)
            .reaches(ENDS)
            .reaches(REQUESTS),
        Config::new("replaced", "a handler that is replaced while it runs")
            .party("peer", &[Op::PeerSends, Op::PeerSends])
            .party("poller", POLLS)
            .party("another", POLLS)
            .party("user", &[Op::PutHandler, Op::Close])
            .with(|c| c.packet = 2)
            .reaches(REQUESTS),
        Config::new("queue", "sections that go to the end of a queue")
            .party("peer", &[Op::PeerSends, Op::PeerSends, Op::PeerStops])
            .party("poller", POLLS)
            .party("another", POLLS)
            .party("user", &[Op::Close])
            .with(|c| (c.per_call, c.passes_on) = (1, true))
            .reaches(ENDS),
    ]
}

/// Every way to end.
fn ends() -> Vec<Config> {
    vec![
        Config::new("closes", "two pollers of one connection, and users who close")
            .party("peer", &[Op::PeerSends, Op::PeerStops, Op::PeerIsGone])
            .party("poller", POLLS)
            .party("user", &[Op::AddCallback, Op::Close])
            .party("other", &[Op::Close])
            .task()
            .task()
            .reaches(ENDS)
            .reaches(DISCONNECTS),
        Config::new("detaches", "two that detach and one that closes, before and after the ADD")
            .party("acceptor", BIRTH)
            .party("peer", &[Op::PeerSends, Op::PeerStops, Op::PeerIsGone])
            .party("poller", POLLS)
            .party("user", &[Op::Detach])
            .party("another", &[Op::Detach, Op::Close])
            .with(|c| c.connected = false)
            .reaches(HANDED_BACK),
        Config::new("nobody-attends", "a connection without a handler, whose peer leaves and whose user may close")
            .party("peer", &[Op::PeerSends, Op::PeerStops, Op::PeerIsGone])
            .party("poller", POLLS)
            .party("another", POLLS)
            .party("user", &[Op::Close])
            .party("other", &[Op::PutHandler])
            .with(|c| c.handler = false)
            .reaches(UNATTENDED)
            .reaches(ENDS),
        Config::new("shutdowns", "shutdowns against requests, half packets, a peer that leaves, and a close")
            .party("peer", LEAVES)
            .party("poller", POLLS)
            .party("user", &[Op::Shutdown])
            .party("other", &[Op::Shutdown, Op::Close])
            .with(|c| c.packet = 2)
            .reaches(SHUT_DOWN)
            .reaches(ENDS),
        Config::new(
            "shutdown-of-two-pollers",
            "a shutdown, and two pollers that are told of the same hup again and again",
        )
        .party("peer", &[Op::PeerSends, Op::PeerIsGone])
        .party("poller", POLLS)
        .party("another", POLLS)
        .party("user", &[Op::Shutdown])
        .reaches(SHUT_DOWN)
        .reaches(ENDS),
        Config::new("takeover", "two pollers that share an epoll, against a peer that leaves and a user who closes")
            .party("peer", &[Op::PeerSends, Op::PeerStops, Op::PeerIsGone])
            .party("poller", POLLS)
            .party("another", POLLS)
            .party("user", &[Op::Close])
            .with(|c| c.shares = true)
            .reaches(MASKS)
            .reaches(ENDS),
        Config::new("takeover-without-handler", "two pollers that share an epoll, of a connection that nobody attends")
            .party("peer", &[Op::PeerStops, Op::PeerIsGone])
            .party("poller", POLLS)
            .party("another", POLLS)
            .party("user", &[Op::Close])
            .with(|c| (c.shares, c.handler) = (true, false))
            .reaches(MASKS)
            .reaches(ENDS),
        Config::new("takeover-of-two", "two deposed threads with an event each, and a successor who polls and closes")
            .party("deposed", IS_DEPOSED)
            .party("too", IS_DEPOSED)
            .party("successor", &[Op::Close, Op::Poll])
            .party("peer", &[Op::PeerSends, Op::PeerStops])
            .with(|c| c.shares = true)
            .reaches(MASKS)
            .reaches(ENDS),
        Config::new("takeover-in-mid-handler", "two deposed threads with an event each, and a successor who reads on")
            .party("deposed", IS_DEPOSED)
            .party("too", IS_DEPOSED)
            .party("successor", POLLS)
            .party("peer", &[Op::PeerSends, Op::PeerSends, Op::PeerSends])
            .with(|c| c.shares = true)
            .reaches(MASKS)
            .reaches(REQUESTS),
        Config::new("without-handler", "a connection without a handler that is shut down, detached, and waited for")
            .party("peer", &[Op::PeerStops, TAKES])
            .party("poller", POLLS)
            .party("flusher", &[FLUSH_AND_WAIT])
            .party("user", &[Op::Shutdown, Op::Detach])
            .party("other", &[Op::AwaitDrain])
            .with(|c| (c.handler, c.high) = (false, 1))
            .reaches(HANDED_BACK)
            .reaches(ENDS),
        Config::new("takeover-with-output", "the same, with output that a full socket has stopped")
            .party("flusher", &[FLUSH])
            .party("peer", &[Op::PeerStops, TAKES])
            .party("poller", POLLS)
            .party("another", POLLS)
            .with(|c| c.shares = true)
            .reaches(MASKS)
            .reaches(PARKED)
            .reaches(ENDS),
    ]
}

/// Who sends, and what a peer and a user do meanwhile.
fn output() -> Vec<Config> {
    let answers = Acts { request: &[FLUSH_TWO], ..Acts::default() };
    let peer = &[Op::PeerSends, TAKES, Op::PeerStops, TAKES, Op::PeerIsGone];
    vec![
        Config::new("flushes", "two flushers, a poller, a peer that takes what it wants, and a user who closes")
            .party("flusher", &[FLUSH])
            .party("another", &[FLUSH_TWO])
            .party("peer", &[TAKES, TAKES, Op::PeerIsGone])
            .party("poller", POLLS)
            .party("user", &[Op::Close])
            .reaches(PARKED)
            .reaches(SENT),
        Config::new("flushes-of-two-pollers", "two flushers and two pollers, against the end of the stream")
            .party("flusher", &[FLUSH])
            .party("another", &[FLUSH])
            .party("peer", &[TAKES, Op::PeerStops, TAKES])
            .party("poller", POLLS)
            .party("other", POLLS)
            .reaches(PARKED)
            .reaches(SENT)
            .reaches(ENDS),
        Config::new("flushes-of-three", "three flushes and a poller, so that two may come behind a consumer at work")
            .party("flusher", &[FLUSH, FLUSH])
            .party("another", &[FLUSH])
            .party("peer", &[TAKES, TAKES])
            .party("poller", POLLS)
            .reaches(PARKED)
            .reaches(SENT),
        Config::new("flushes-at-shutdown", "two flushers, against a shutdown")
            .party("flusher", &[FLUSH])
            .party("another", &[FLUSH])
            .party("peer", &[TAKES, TAKES])
            .party("poller", POLLS)
            .party("user", &[Op::Shutdown])
            .reaches(PARKED)
            .reaches(SHUT_DOWN),
        Config::new("flushes-without-handler", "a flusher of a connection that nobody attends")
            .party("flusher", &[FLUSH_TWO])
            .party("peer", &[TAKES, Op::PeerStops, TAKES])
            .party("poller", POLLS)
            .party("another", POLLS)
            .party("user", &[Op::Close])
            .with(|c| (c.handler, c.room) = (false, 1))
            .reaches(PARKED)
            .reaches(ENDS),
        Config::new("everything", "a flush, a read, the end of the stream, a hup and a user who closes")
            .party("flusher", &[FLUSH_TWO])
            .party("peer", &[Op::PeerSends, Op::PeerStops, TAKES, Op::PeerIsGone])
            .party("poller", POLLS)
            .party("user", &[Op::Close])
            .with(|c| c.room = 1)
            .reaches(PARKED)
            .reaches(ENDS),
        Config::new("answers", "a handler that answers a peer that half-closes and leaves")
            .party("peer", peer)
            .party("poller", POLLS)
            .party("another", POLLS)
            .with(|c| (c.acts, c.room) = (answers, 1))
            .reaches(DROPPED)
            .reaches(SENT)
            .reaches(ENDS),
        Config::new("answers-of-tasks", "a handler that answers in tasks")
            .party("peer", &[Op::PeerSends, TAKES, Op::PeerStops, Op::PeerIsGone])
            .party("poller", POLLS)
            .task()
            .task()
            .with(|c| (c.acts, c.room) = (answers, 1))
            .reaches(SENT)
            .reaches(ENDS),
        Config::new("answers-at-shutdown", "a handler that answers, against a shutdown")
            .party("peer", &[Op::PeerSends, TAKES, TAKES])
            .party("poller", POLLS)
            .party("another", POLLS)
            .party("user", &[Op::Shutdown])
            .with(|c| (c.acts, c.room) = (answers, 1))
            .reaches(PARKED)
            .reaches(SHUT_DOWN),
        Config::new("kept-open", "a user who keeps the connection open, ends its output, shuts it down, and closes")
            .party("peer", &[Op::PeerSends, Op::PeerStops, TAKES])
            .party("poller", POLLS)
            .party("flusher", &[FLUSH])
            .party("user", &[END, Op::Shutdown])
            .party("other", &[Op::Close])
            .with(|c| (c.keeps_open, c.ends) = (true, true))
            .reaches(TOLD)
            .reaches(ENDS),
        Config::new("kept-open-at-shutdown", "a user who answers and ends the output, against a shutdown")
            .party("peer", &[Op::PeerStops, TAKES])
            .party("poller", POLLS)
            .party("flusher", &[FLUSH_TWO, END])
            .party("user", &[Op::Shutdown])
            .with(|c| (c.keeps_open, c.ends, c.room) = (true, true, 2))
            .reaches(TOLD)
            .reaches(ENDS),
    ]
}
