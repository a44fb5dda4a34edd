//! How much a connection may have at a time: read ahead, queued, handled in a row.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use crate::error::Result;
use crate::error::impossible;

/// The limits of every connection of a server or dialer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes read ahead of a busy owner. (N6)
    pub(crate) read_ahead: u64,
    /// Queued output above which the handler waits. (O5)
    pub(crate) high_water: u64,
    /// Queued output below which it is called again. (O5)
    pub(crate) low_water: u64,
    /// Calls of OnRequest before others get their turn. (F2)
    pub(crate) budget: u32,
    /// The end of the stream closes both directions. (E1)
    pub(crate) close_on_eof: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { read_ahead: 1 << 20, high_water: 4 << 20, low_water: 1 << 20, budget: 64, close_on_eof: false }
    }
}

impl Limits {
    /// Whether these can be.
    pub(crate) fn check(&self) -> Result<()> {
        if self.low_water > self.high_water || self.high_water == 0 {
            let marks = (self.low_water, self.high_water);
            return Err(impossible("water_marks", marks, "the low one is at most the high one, which is not 0"));
        }
        if self.read_ahead == 0 {
            return Err(impossible("read_ahead", 0, "nothing would ever be read"));
        }
        if self.budget == 0 {
            return Err(impossible("budget", 0, "no handler would ever be called"));
        }
        Ok(())
    }
}

/// The builders' methods for the flow of bytes and calls, for the type whose `start` is an expression.
macro_rules! limit_settings {
    ($start:literal) => {
        /// How many bytes are read ahead of a handler that is busy, in bytes: 1 MiB by default. At the limit
        /// reading pauses until the handler has consumed; one that wants more gets it. (N6)
        ///
        /// ```
        /// # let builder =
        #[doc = concat!($start, "().read_ahead(64 * 1024)")]
        /// # ;
        /// ```
        pub fn read_ahead(mut self, bytes: u64) -> Self {
            self.settings.limits.read_ahead = bytes;
            self
        }

        /// With `high` bytes of output queued, which the peer does not take, the connection's handler is not
        /// called until no more than `low` are left; then reading pauses as well, at
        /// [`read_ahead`](Self::read_ahead). 1 MiB and 4 MiB by default. A peer that does not read stops only
        /// itself. (O5)
        ///
        /// ```
        /// # let builder =
        #[doc = concat!($start, "().water_marks(16 * 1024, 64 * 1024)")]
        /// # ;
        /// ```
        pub fn water_marks(mut self, low: u64, high: u64) -> Self {
            (self.settings.limits.low_water, self.settings.limits.high_water) = (low, high);
            self
        }

        /// How many times in a row a connection's handler is called before others get their turn: 64 by
        /// default. (F2)
        ///
        /// ```
        /// # let builder =
        #[doc = concat!($start, "().budget(16)")]
        /// # ;
        /// ```
        pub fn budget(mut self, calls: u32) -> Self {
            self.settings.limits.budget = calls;
            self
        }

        /// Whether a peer that stops sending can still receive (it can by default): what it asked for is
        /// answered, and then the connection ends (E1). Otherwise the end of its stream closes both directions
        /// at once, as a reset does (E2).
        ///
        /// ```
        /// # let builder =
        #[doc = concat!($start, "().half_close(false)")]
        /// # ;
        /// ```
        pub fn half_close(mut self, on: bool) -> Self {
            self.settings.limits.close_on_eof = !on;
            self
        }

        /// After how long a handler that has not returned loses its polling thread: another thread takes the other
        /// connections over, so that one slow handler holds up none but its own. `None` leaves them waiting. 5 ms by
        /// default; 100 ms with a [`runner`](Self::runner), where this is about OnPrepare, OnDisconnect and close
        /// callbacks: set it for one that runs tasks on the thread that calls it. At least 1 ms: a thread that is
        /// merely preempted looks stuck as well. It costs a watchdog thread, and no system call per request. (K1)
        ///
        /// ```
        /// # let builder =
        #[doc = concat!($start, "().takeover(Some(std::time::Duration::from_millis(20)))")]
        /// # ;
        /// ```
        pub fn takeover(mut self, after: Option<std::time::Duration>) -> Self {
            self.settings.takeover = Some(after);
            self
        }

        /// How many threads may run callbacks, polling ones and those that [`takeover`](Self::takeover) adds
        /// together. Once so many handlers block that none is left, the rest waits for one of them. 512 by default;
        /// the polling threads are started in any case. (K5)
        ///
        /// ```
        /// # let builder =
        #[doc = concat!($start, "().max_threads(64)")]
        /// # ;
        /// ```
        pub fn max_threads(mut self, count: usize) -> Self {
            self.settings.max_threads = count;
            self
        }

        /// Where handlers run: on the polling threads by default, which costs no hand-over.
        ///
        /// ```
        /// # let builder =
        #[doc = concat!($start, "().runner(pollproof::Pool::new(4)?)")]
        /// # ;
        /// # Ok::<(), pollproof::Error>(())
        /// ```
        pub fn runner(mut self, runner: impl crate::Runner) -> Self {
            self.settings.runner = Some(crate::sync::Arc::new(runner));
            self
        }
    };
}
pub(crate) use limit_settings;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::refused;

    #[test]
    fn impossible_limits_are_refused_by_name() {
        let refused = |change: fn(&mut Limits)| {
            let mut limits = Limits::default();
            change(&mut limits);
            refused(limits.check())
        };
        assert_eq!(refused(|_| ()), None);
        assert_eq!(refused(|limits| (limits.low_water, limits.high_water) = (2, 1)), Some("water_marks"));
        assert_eq!(refused(|limits| (limits.low_water, limits.high_water) = (0, 0)), Some("water_marks"));
        assert_eq!(refused(|limits| (limits.low_water, limits.high_water) = (1, 1)), None);
        assert_eq!(refused(|limits| limits.read_ahead = 0), Some("read_ahead"));
        assert_eq!(refused(|limits| limits.budget = 0), Some("budget"));
        assert_eq!(refused(|limits| (limits.read_ahead, limits.budget) = (1, 1)), None);
    }
}
