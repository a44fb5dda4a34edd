//! Counting what happens: [`Stats`] for users, and the counters behind it.
//!
//! What happens once per connection or less is always counted. What happens once per request costs
//! something on the hot path, so it is counted only with the cargo feature `stats`; without it neither the
//! counters nor the fields of [`Stats`] are there. Each poller has counters of its own, on cache lines of
//! their own, so that threads do not share one.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicU64, Ordering};

/// Counts of a server or dialer, at one moment. Counts that belong together may be a few events apart.
///
/// ```
/// # let server = pollproof::Server::builder().on_request(|_: &mut pollproof::Io<'_>| {}).bind("127.0.0.1:0")?;
/// let stats = server.stats();
/// assert_eq!((stats.accepted, stats.open), (0, 0));
/// # Ok::<(), pollproof::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that were accepted.
    pub accepted: u64,
    /// Connections that were dialed.
    pub dialed: u64,
    /// Connections that are not over, accepted or dialed.
    pub open: u64,
    /// Events that came for a connection that was over, and were dropped.
    pub stale_events: u64,
    /// How often a polling thread was replaced, because its handler did not come back or was about to block; see
    /// [`Builder::takeover`](crate::Builder::takeover).
    pub takeovers: u64,
    /// Callbacks that panicked.
    pub panics: u64,
    /// Callbacks that returned an error.
    pub handler_errors: u64,
    /// How often accepting paused: at the limit of connections, or because the process had no file
    /// descriptor left. One pause lasts until the next connection is accepted.
    pub accept_pauses: u64,
    /// Calls of OnRequest. With the cargo feature `stats`.
    #[cfg(feature = "stats")]
    pub requests: u64,
    /// Bytes that were read from sockets. With the cargo feature `stats`.
    #[cfg(feature = "stats")]
    pub bytes_read: u64,
    /// Bytes that sockets took. With the cargo feature `stats`.
    #[cfg(feature = "stats")]
    pub bytes_written: u64,
}

/// A number that only grows, and that nobody decides anything by.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`, and returns what it was before.
    pub(crate) fn add(&self, count: u64) -> u64 {
        // Ordering: Relaxed: a count for reports.
        self.0.fetch_add(count, Ordering::Relaxed)
    }

    pub(crate) fn get(&self) -> u64 {
        // Ordering: Relaxed: a count for reports.
        self.0.load(Ordering::Relaxed)
    }
}

/// What one poller's connections count.
#[derive(Default)]
struct OfPoller {
    open: AtomicU64,
    #[cfg(feature = "stats")]
    requests: Counter,
    #[cfg(feature = "stats")]
    read: Counter,
    #[cfg(feature = "stats")]
    written: Counter,
}

/// The counters of one server or dialer.
pub(crate) struct Counters {
    /// Accepted or dialed: the next one's id.
    pub(crate) connections: Counter,
    pub(crate) accepted: Counter,
    pub(crate) dialed: Counter,
    pub(crate) panics: Counter,
    pub(crate) handler_errors: Counter,
    pub(crate) accept_pauses: Counter,
    pollers: Box<[CachePadded<OfPoller>]>,
}

#[cfg_attr(not(feature = "stats"), allow(clippy::unused_self, reason = "nothing is counted then"))]
impl Counters {
    pub(crate) fn new(pollers: usize) -> Self {
        Self {
            connections: Counter::default(),
            accepted: Counter::default(),
            dialed: Counter::default(),
            panics: Counter::default(),
            handler_errors: Counter::default(),
            accept_pauses: Counter::default(),
            pollers: (0..pollers).map(|_| CachePadded::default()).collect(),
        }
    }

    /// A connection of poller `home` begins.
    pub(crate) fn opened(&self, home: usize) {
        // Ordering: Relaxed: `shutdown` lets nothing begin before it looks.
        self.pollers[home].open.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection of poller `home` is over. `true` if that was the last one there.
    pub(crate) fn closed(&self, home: usize) -> bool {
        // Ordering: AcqRel, partner `open`: who sees the count sees what the ends of connections did.
        self.pollers[home].open.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Open connections of poller `home`.
    pub(crate) fn open_on(&self, home: usize) -> u64 {
        // Ordering: Acquire, partner `closed`.
        self.pollers[home].open.load(Ordering::Acquire)
    }

    /// Open connections. Zero for good once none can begin.
    pub(crate) fn open(&self) -> u64 {
        (0..self.pollers.len()).map(|home| self.open_on(home)).sum()
    }

    /// OnRequest is called.
    #[inline(always)]
    pub(crate) fn request(&self, _home: usize) {
        #[cfg(feature = "stats")]
        self.pollers[_home].requests.add(1);
    }

    /// `count` bytes were read from a socket.
    #[inline(always)]
    pub(crate) fn read(&self, _home: usize, _count: usize) {
        #[cfg(feature = "stats")]
        self.pollers[_home].read.add(_count as u64);
    }

    /// A socket took `count` bytes.
    #[inline(always)]
    pub(crate) fn written(&self, _home: usize, _count: usize) {
        #[cfg(feature = "stats")]
        self.pollers[_home].written.add(_count as u64);
    }

    pub(crate) fn stats(&self, stale_events: u64, takeovers: u64) -> Stats {
        Stats {
            accepted: self.accepted.get(),
            dialed: self.dialed.get(),
            open: self.open(),
            stale_events,
            takeovers,
            panics: self.panics.get(),
            handler_errors: self.handler_errors.get(),
            accept_pauses: self.accept_pauses.get(),
            #[cfg(feature = "stats")]
            requests: self.pollers.iter().map(|poller| poller.requests.get()).sum(),
            #[cfg(feature = "stats")]
            bytes_read: self.pollers.iter().map(|poller| poller.read.get()).sum(),
            #[cfg(feature = "stats")]
            bytes_written: self.pollers.iter().map(|poller| poller.written.get()).sum(),
        }
    }
}
