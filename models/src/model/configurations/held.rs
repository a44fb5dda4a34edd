//! The configurations in which somebody is held back, waits for another connection, or sleeps.

use super::*;

/// Handlers and readers that are held back.
pub(super) fn pacing() -> Vec<Config> {
    let answers = Acts { request: &[FLUSH_TWO], ..Acts::default() };
    let answers_one = Acts { request: &[FLUSH], ..Acts::default() };
    vec![
        Config::new("limit", "reading that stops at its limit, with a handler that consumes one at a time")
            .party("acceptor", BIRTH)
            .party("peer", LEAVES)
            .party("poller", POLLS)
            .party("user", &[Op::Close])
            .with(|c| (c.connected, c.limit, c.per_call) = (false, 1, 1))
            .reaches(FILLED)
            .reaches(ENDS),
        Config::new("limit-below-a-packet", "a handler that wants more than is read ahead")
            .party("peer", LEAVES)
            .party("poller", POLLS)
            .party("another", POLLS)
            .party("user", &[Op::Shutdown])
            .with(|c| (c.limit, c.packet) = (1, 2))
            .reaches(FILLED)
            .reaches(ENDS),
        Config::new("limit-before-connect", "two pollers who read ahead of OnConnect")
            .party("acceptor", BIRTH)
            .party("peer", &[Op::PeerSends, Op::PeerSends])
            .party("poller", POLLS)
            .party("another", POLLS)
            .with(|c| (c.connected, c.limit) = (false, 1))
            .reaches(FILLED)
            .reaches(REQUESTS),
        Config::new("limit-without-handler", "reading that stops at its limit, with nobody who consumes")
            .party("peer", LEAVES)
            .party("poller", POLLS)
            .party("another", POLLS)
            .party("user", &[Op::PutHandler, Op::Close])
            .with(|c| (c.limit, c.handler) = (1, false))
            .reaches(FILLED)
            .reaches(ENDS),
        Config::new("high-water", "a handler that waits for its own output to drain")
            .party("peer", &[Op::PeerSends, TAKES, Op::PeerSends, TAKES])
            .party("poller", POLLS)
            .party("another", POLLS)
            .with(|c| (c.high, c.acts) = (2, answers))
            .reaches(CHOKED)
            .reaches(SENT),
        Config::new("high-water-against-hup", "the same, against a flusher and a peer that leaves")
            .party("peer", &[Op::PeerSends, TAKES, Op::PeerSends, Op::PeerIsGone])
            .party("poller", POLLS)
            .party("another", POLLS)
            .party("flusher", &[FLUSH])
            .with(|c| (c.high, c.acts) = (1, answers_one))
            .reaches(CHOKED)
            .reaches(ENDS),
        Config::new("high-water-against-close", "the same, against a close and the end of the stream")
            .party("peer", &[Op::PeerSends, Op::PeerSends, TAKES, Op::PeerStops])
            .party("poller", POLLS)
            .party("another", POLLS)
            .party("user", &[Op::Close])
            .with(|c| (c.high, c.acts, c.limit) = (1, answers_one, 1))
            .reaches(CHOKED)
            .reaches(ENDS),
    ]
}

/// One of two connections of which one passes on what it reads to the other.
pub(super) fn relays() -> Vec<Config> {
    let goes_on = Acts { relieved: &[FLUSH], ..Acts::default() };
    let ends = Acts { relieved: &[END], ..Acts::default() };
    vec![
        Config::new("relay", "a handler that waits for the output of another connection")
            .party("peer", &[Op::PeerSends, Op::PeerSends, Op::PeerStops, Op::PeerIsGone])
            .party("poller", POLLS)
            .party("other", &[Op::OtherDrains { closed: true }])
            .party("user", &[Op::Close])
            .with(|c| (c.paced, c.keeps_open) = (true, true))
            .reaches(CHOKED)
            .reaches(ENDS),
        Config::new("relay-one-at-a-time", "the same, with a handler that consumes one at a time")
            .party("peer", &[Op::PeerSends, Op::PeerSends, Op::PeerIsGone])
            .party("poller", POLLS)
            .party("another", POLLS)
            .party("other", &[Op::OtherDrains { closed: false }])
            .party("user", &[Op::Close])
            .with(|c| (c.paced, c.per_call) = (true, 1))
            .reaches(CHOKED)
            .reaches(ENDS),
        Config::new("awaited", "output that handlers of other connections wait for")
            .party("flusher", &[FLUSH, FLUSH_TWO])
            .party("other", &[Op::AwaitDrain])
            .party("peer", &[TAKES, TAKES, Op::PeerIsGone])
            .party("poller", POLLS)
            .party("user", &[Op::Close])
            .with(|c| (c.handler, c.high, c.room) = (false, 1, 1))
            .reaches(WAITED_FOR)
            .reaches(ENDS),
        Config::new("awaited-to-its-end", "the same, up to the end of the output")
            .party("flusher", &[FLUSH_TWO, END])
            .party("other", &[Op::AwaitDrain, Op::AwaitDrain])
            .party("peer", &[TAKES, TAKES, Op::PeerStops])
            .party("poller", POLLS)
            .with(|c| (c.handler, c.high, c.ends) = (false, 1, true))
            .reaches(WAITED_FOR)
            .reaches(TOLD),
        Config::new("passed-on", "bytes that another connection's handler passes on, waits, and passes on")
            .party("relay", &[FLUSH, Op::AwaitDrain, FLUSH])
            .party("flusher", &[FLUSH])
            .party("peer", &[TAKES, TAKES, TAKES])
            .party("poller", POLLS)
            .with(|c| (c.handler, c.high, c.acts) = (false, 1, goes_on))
            .reaches(WAITED_FOR)
            .reaches(SENT),
        Config::new("passed-on-in-part", "the same, where the peer takes enough though not all")
            .party("relay", &[FLUSH_TWO, Op::AwaitDrain, FLUSH_TWO])
            .party("peer", &[TAKES, TAKES])
            .party("poller", POLLS)
            .with(|c| (c.handler, c.high, c.acts) = (false, 2, goes_on))
            .reaches(WAITED_FOR)
            .reaches(SENT),
        Config::new("passed-on-to-the-end", "the same, and the end of the output behind them")
            .party("relay", &[FLUSH, FLUSH, Op::AwaitDrain, Op::AwaitDrain, END])
            .party("peer", &[TAKES, TAKES])
            .party("poller", POLLS)
            .with(|c| (c.handler, c.high, c.ends, c.acts) = (false, 1, true, ends))
            .reaches(WAITED_FOR)
            .reaches(TOLD),
        Config::new("passed-on-against-hup", "the same, against a peer that hangs up")
            .party("relay", &[FLUSH, Op::AwaitDrain, FLUSH])
            .party("peer", &[Op::PeerIsGone])
            .party("poller", POLLS)
            .party("another", POLLS)
            .with(|c| (c.high, c.acts) = (1, goes_on))
            .reaches(WAITED_FOR)
            .reaches(ENDS),
        Config::new("passed-on-against-close", "the same, against a user who closes")
            .party("relay", &[FLUSH, Op::AwaitDrain, FLUSH, Op::AwaitDrain])
            .party("poller", POLLS)
            .party("user", &[Op::Close])
            .with(|c| (c.handler, c.high, c.acts) = (false, 1, goes_on))
            .reaches(WAITED_FOR)
            .reaches(ENDS),
    ]
}

/// Readers and flushers that sleep.
pub(super) fn waits() -> Vec<Config> {
    vec![
        Config::new("reader", "a reader outside handlers, against data, a close and its deadline")
            .party("reader", &[Op::Acquire { target: 1 }, Op::Acquire { target: 2 }])
            .party("peer", LEAVES)
            .party("poller", POLLS)
            .party("user", &[Op::Close])
            .with(|c| (c.timeouts, c.handler) = (true, false))
            .reaches(SLEEPS_R)
            .reaches(ENDS),
        Config::new("reader-at-the-limit", "the same, where reading stops at its limit")
            .party("reader", &[Op::Acquire { target: 2 }])
            .party("peer", LEAVES)
            .party("poller", POLLS)
            .party("another", POLLS)
            .with(|c| (c.handler, c.limit) = (false, 1))
            .reaches(SLEEPS_R),
        Config::new("readers-at-the-limit", "a reader that consumes and waits again, where reading stops at its limit")
            .party("reader", &[Op::Acquire { target: 1 }, Op::Acquire { target: 2 }])
            .party("peer", &[Op::PeerSends, Op::PeerSends])
            .party("poller", POLLS)
            .party("another", POLLS)
            .with(|c| (c.handler, c.limit) = (false, 1))
            .reaches(SLEEPS_R),
        Config::new("readers", "two readers that nothing but data or the peer wakes")
            .party("reader", &[Op::Acquire { target: 2 }])
            .party("another", &[Op::Acquire { target: 1 }])
            .party("peer", LEAVES)
            .party("poller", POLLS)
            .with(|c| c.handler = false)
            .reaches(SLEEPS_R),
        Config::new("flushers-that-wait", "two flushers that wait, against a deadline")
            .party("flusher", &[FLUSH_AND_WAIT])
            .party("another", &[FLUSH_AND_WAIT])
            .party("peer", &[TAKES, TAKES, TAKES])
            .party("poller", POLLS)
            .with(|c| c.timeouts = true)
            .reaches(SLEEPS_W)
            .reaches(SENT),
        Config::new("flushers-that-wait-again", "two flushers that wait, one of them again, and two pollers")
            .party("flusher", &[FLUSH_ONE_AND_WAIT, FLUSH_ONE_AND_WAIT])
            .party("another", &[FLUSH_ONE_AND_WAIT])
            .party("peer", &[TAKES, TAKES])
            .party("poller", POLLS)
            .party("other", POLLS)
            .with(|c| c.timeouts = true)
            .reaches(SLEEPS_W)
            .reaches(SENT),
        Config::new("flusher-that-waits", "a flusher that waits without a deadline, and a close and a hup")
            .party("flusher", &[FLUSH_AND_WAIT])
            .party("peer", &[TAKES, Op::PeerIsGone])
            .party("poller", POLLS)
            .party("another", POLLS)
            .party("user", &[Op::Close])
            .with(|c| c.room = 1)
            .reaches(SLEEPS_W)
            .reaches(ENDS),
    ]
}
