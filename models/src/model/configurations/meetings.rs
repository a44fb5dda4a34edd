//! The configurations in which those meet that scenarios let meet, each as small as may be: what a run of one of
//! them can do must be in the model.

use super::*;

/// Those who wait for output, and those for whom they wait.
pub(super) fn awaited() -> Vec<Config> {
    let goes_on = Acts { relieved: &[FLUSH], ..Acts::default() };
    vec![
        Config::new("awaited-by-two", "output in parts that its flusher and another connection's handler wait for")
            .party("flusher", &[Op::BeginFlush { bytes: 3, kind: Flush::Wait }])
            .party("other", &[Op::AwaitDrain])
            .party("peer", &[TAKES, TAKES, TAKES])
            .party("poller", POLLS)
            .party("another", POLLS)
            .reaches(WAITED_FOR)
            .reaches(SENT),
        Config::new("awaited-and-kept", "the same of a half-closed connection, whose user ends the output")
            .party("flusher", &[FLUSH_AND_WAIT])
            .party("other", &[Op::AwaitDrain, END])
            .party("peer", &[Op::PeerStops, TAKES, TAKES])
            .party("poller", POLLS)
            .with(|c| (c.keeps_open, c.ends) = (true, true))
            .reaches(WAITED_FOR)
            .reaches(TOLD)
            .reaches(ENDS),
        Config::new("awaited-and-detached", "output that others wait for, and a detach")
            .party("flusher", &[FLUSH])
            .party("other", &[Op::AwaitDrain])
            .party("user", &[Op::Detach])
            .party("peer", &[TAKES])
            .party("poller", POLLS)
            .reaches(WAITED_FOR)
            .reaches(HANDED_BACK),
        Config::new("passed-on-against-eof", "bytes that are passed on, against data and the end of the peer's stream")
            .party("relay", &[FLUSH, Op::AwaitDrain, FLUSH])
            .party("peer", &[Op::PeerSends, Op::PeerStops, TAKES])
            .party("poller", POLLS)
            .party("another", POLLS)
            .with(|c| (c.handler, c.high, c.acts) = (false, 1, goes_on))
            .reaches(WAITED_FOR)
            .reaches(SENT),
    ]
}

/// Flushers and readers that wait, and the ways to end.
pub(super) fn waits() -> Vec<Config> {
    let panics = Panics { request: true, ..Panics::default() };
    vec![
        Config::new("flusher-to-the-end", "a flusher that waits, against the end of the stream and a close")
            .party("flusher", &[FLUSH_ONE_AND_WAIT])
            .party("peer", &[Op::PeerStops])
            .party("poller", POLLS)
            .party("another", POLLS)
            .party("user", &[Op::Close])
            .reaches(SLEEPS_W)
            .reaches(ENDS),
        Config::new(
            "flusher-kept-open",
            "a flusher that waits, and a hup behind the end of a stream that is kept open",
        )
        .party("flusher", &[FLUSH_ONE_AND_WAIT])
        .party("peer", &[Op::PeerStops, TAKES, Op::PeerIsGone])
        .party("poller", POLLS)
        .party("another", POLLS)
        .with(|c| (c.keeps_open, c.ends) = (true, true))
        .reaches(SLEEPS_W)
        .reaches(ENDS),
        Config::new("flusher-against-data", "a flusher that waits while requests come, one of which may panic")
            .party("flusher", &[FLUSH_AND_WAIT])
            .party("peer", &[Op::PeerSends, TAKES, Op::PeerSends])
            .party("poller", POLLS)
            .task()
            .task()
            .with(|c| (c.room, c.panics) = (1, panics))
            .reaches(SLEEPS_W)
            .reaches(REQUESTS),
        Config::new("flusher-and-mask", "a flusher that has waited, another one, and the end of the stream")
            .party("flusher", &[FLUSH_ONE_AND_WAIT, FLUSH])
            .party("another", &[FLUSH])
            .party("peer", &[Op::PeerStops, TAKES])
            .party("poller", POLLS)
            .with(|c| (c.handler, c.room) = (false, 1))
            .reaches(PARKED),
        Config::new(
            "flusher-at-the-limit",
            "a flusher that waits, where reading stops at its limit and a reader reads on",
        )
        .party("flusher", &[FLUSH_ONE_AND_WAIT])
        .party("reader", &[Op::Acquire { target: 1 }, FLUSH])
        .party("peer", &[Op::PeerSends, Op::PeerSends])
        .party("poller", POLLS)
        .with(|c| (c.handler, c.limit, c.room) = (false, 1, 2))
        .reaches(FILLED)
        .reaches(SENT),
        Config::new(
            "parking-at-the-limit",
            "output that parks, where reading stops at its limit and a reader reads on",
        )
        .party("flusher", &[FLUSH])
        .party("reader", &[Op::Acquire { target: 1 }])
        .party("peer", &[Op::PeerSends, Op::PeerSends, TAKES])
        .party("poller", POLLS)
        .with(|c| (c.handler, c.limit) = (false, 1))
        .reaches(FILLED)
        .reaches(PARKED),
        Config::new("reader-to-the-end", "a reader of a connection with a handler, and every way to end")
            .party("reader", &[Op::Acquire { target: 1 }])
            .party("peer", &[Op::PeerStops, Op::PeerIsGone])
            .party("poller", POLLS)
            .party("another", POLLS)
            .party("user", &[Op::Close])
            .reaches(SLEEPS_R)
            .reaches(ENDS),
        Config::new("reader-and-detach", "a reader that waits, and a detach")
            .party("reader", &[Op::Acquire { target: 1 }])
            .party("peer", &[Op::PeerSends])
            .party("poller", POLLS)
            .party("user", &[Op::Detach])
            .with(|c| c.handler = false)
            .reaches(SLEEPS_R)
            .reaches(HANDED_BACK),
    ]
}

/// Output before and during OnConnect, at a mask, at a shutdown.
pub(super) fn output() -> Vec<Config> {
    let early = Acts { prepare: &[FLUSH], ..Acts::default() };
    let answers = Acts { request: &[FLUSH_TWO], ..Acts::default() };
    vec![
        Config::new(
            "ends-of-output",
            "two who end the output, behind a flush and against the end of the peer's stream",
        )
        .party("flusher", &[FLUSH])
        .party("user", &[END])
        .party("other", &[END])
        .party("peer", &[Op::PeerStops, TAKES])
        .party("poller", POLLS)
        .with(|c| (c.keeps_open, c.ends) = (true, true))
        .reaches(TOLD)
        .reaches(ENDS),
        Config::new("output-before-the-add", "a flush in OnPrepare")
            .party("acceptor", BIRTH)
            .party("peer", &[TAKES, Op::PeerStops])
            .party("poller", POLLS)
            .party("another", POLLS)
            .with(|c| (c.connected, c.acts) = (false, early))
            .reaches(PARKED)
            .reaches(SENT),
        Config::new("output-during-connect", "flushes while OnConnect runs, against a peer that leaves")
            .party("acceptor", BIRTH)
            .party("flusher", &[FLUSH_TWO])
            .party("peer", &[Op::PeerStops, TAKES, Op::PeerIsGone])
            .party("poller", POLLS)
            .with(|c| (c.connected, c.room) = (false, 1))
            .reaches(PARKED)
            .reaches(ENDS),
        Config::new("output-during-connect-of-nobody", "the same without a handler, with room for nothing")
            .party("acceptor", BIRTH)
            .party("flusher", &[FLUSH])
            .party("peer", &[Op::PeerStops, TAKES])
            .party("poller", POLLS)
            .party("another", POLLS)
            .with(|c| (c.connected, c.handler) = (false, false))
            .reaches(PARKED),
        Config::new("masked-at-shutdown", "half a packet, a flush, the end of the stream, and a shutdown")
            .party("flusher", &[FLUSH])
            .party("peer", &[Op::PeerSends, Op::PeerStops, TAKES])
            .party("poller", POLLS)
            .party("user", &[Op::Shutdown])
            .with(|c| c.packet = 2)
            .reaches(PARKED)
            .reaches(ENDS),
        Config::new("high-water-in-part", "a handler that waits for output, a part of which goes out, up to the end")
            .party("peer", &[Op::PeerSends, Op::PeerSends, TAKES, Op::PeerStops, TAKES])
            .party("poller", POLLS)
            .party("another", POLLS)
            .with(|c| (c.high, c.acts) = (2, answers))
            .reaches(CHOKED),
        Config::new("takeover-with-flushes", "two pollers that share an epoll, and flushes one behind another")
            .party("flusher", &[FLUSH, FLUSH])
            .party("peer", &[Op::PeerSends, TAKES, TAKES])
            .party("deposed", IS_DEPOSED)
            .party("successor", POLLS)
            .with(|c| c.shares = true)
            .reaches(MASKS)
            .reaches(SENT),
        Config::new("takeover-with-a-drain", "the same, and output that one of them drains while the other reads")
            .party("flusher", &[FLUSH])
            .party("peer", &[Op::PeerSends, TAKES, Op::PeerSends])
            .party("poller", POLLS)
            .party("another", POLLS)
            .with(|c| c.shares = true)
            .reaches(MASKS)
            .reaches(SENT),
    ]
}
