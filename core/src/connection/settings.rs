//! The settings that servers and dialers have in common, and what their values may be.
//!
//! A builder takes any value and [`check`](Settings::check)s them all at its end, so that its methods chain.
//! Not here: what is set on sockets (`sys::options`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use crate::connection::limits::Limits;
use crate::connection::service::Factory;
use crate::connection::shared::{Hook, Shared};
use crate::connection::task::Runner;
use crate::error::{Error, Result};
use crate::reactor::accept::Listening;
use crate::reactor::balance::Balance;
use crate::reactor::poller::Poller;
use crate::sync::Arc;
use crate::sys::options::SocketOptions;

/// After how long a handler costs its thread the lead, where nobody has said.
const TAKEOVER: Duration = Duration::from_millis(5);

/// The same where a runner runs handlers, and polling threads only callbacks that are short as a rule. The watchdog looks
/// twice in that time: as often as for handlers, its looks would cost a pool a tenth of a small request.
const TAKEOVER_OF_CALLBACKS: Duration = Duration::from_millis(100);

/// What servers and dialers have in common.
pub(crate) struct Settings {
    pub(crate) pollers: usize,
    pub(crate) balance: Balance,
    pub(crate) hook: Option<Hook>,
    pub(crate) sockets: SocketOptions,
    pub(crate) limits: Limits,
    pub(crate) runner: Option<Arc<dyn Runner>>,
    /// After how long a thread that does not come back loses its loop, if that was said. (K1)
    pub(crate) takeover: Option<Option<Duration>>,
    pub(crate) max_threads: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pollers: 1,
            balance: Balance::RoundRobin,
            hook: None,
            sockets: SocketOptions::default(),
            limits: Limits::default(),
            runner: None,
            takeover: None,
            max_threads: 512,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<()> {
        self.limits.check()?;
        self.sockets.check()
    }

    /// After how long a thread that does not come back loses its loop: what was said, or what suits the runner.
    pub(crate) fn takeover(&self) -> Option<Duration> {
        self.takeover.unwrap_or(Some(if self.runner.is_some() { TAKEOVER_OF_CALLBACKS } else { TAKEOVER }))
    }

    /// Pollers with these settings, and with the listener of a server.
    pub(crate) fn shared(self, listening: Option<Listening<Box<dyn Factory>>>) -> Result<Shared> {
        let pollers = (0..self.pollers).map(|_| Poller::new()).collect::<std::result::Result<Vec<_>, _>>();
        let pollers = pollers.map_err(|errno| Error::Server { call: "epoll_create1", source: errno.into() })?;
        Ok(Shared::new(pollers, self, listening))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("pollers", &self.pollers)
            .field("balance", &self.balance)
            .field("sockets", &self.sockets)
            .finish_non_exhaustive()
    }
}

/// The setters that [`Builder`](crate::Builder) and [`DialerBuilder`](crate::DialerBuilder) have in common;
/// `$start` is the path of what begins one, for the examples.
macro_rules! common_settings {
    ($start:literal) => {
        /// How many polling threads. One by default; zero counts as one.
        ///
        /// ```
        /// # let builder =
        #[doc = concat!($start, "().pollers(2)")]
        /// # ;
        /// ```
        pub fn pollers(mut self, count: usize) -> Self {
            self.settings.pollers = count.max(1);
            self
        }

        /// How connections are spread over the polling threads. In turn by default.
        ///
        /// ```
        /// # let builder =
        #[doc = concat!($start, "().pollers(2).balance(pollproof::Balance::LeastLoaded)")]
        /// # ;
        /// ```
        pub fn balance(mut self, balance: crate::Balance) -> Self {
            self.settings.balance = balance;
            self
        }

        /// Whether small writes are sent at once (`TCP_NODELAY`). They are by default. Unix sockets always do.
        ///
        /// ```
        /// # let builder =
        #[doc = concat!($start, "().nodelay(false)")]
        /// # ;
        /// ```
        pub fn nodelay(mut self, on: bool) -> Self {
            self.settings.sockets.nodelay = on;
            self
        }

        /// After how long without a byte the kernel begins to ask whether the peer is still there
        /// (`SO_KEEPALIVE` and `TCP_KEEPIDLE`), in whole seconds, rounded up. A peer that does not answer is
        /// gone, as if it had reset the connection. Never by default. Unix sockets need none.
        ///
        /// ```
        /// # use std::time::Duration;
        /// # let builder =
        #[doc = concat!($start, "().keepalive(Some(Duration::from_secs(60)))")]
        /// # ;
        /// ```
        pub fn keepalive(mut self, idle: Option<std::time::Duration>) -> Self {
            self.settings.sockets.keepalive = idle;
            self
        }

        /// The size of the kernel's receive buffer (`SO_RCVBUF`). Linux doubles it, for its own book-keeping,
        /// and keeps to its limits. By default the kernel adapts it by itself, which setting it ends.
        ///
        /// ```
        /// # let builder =
        #[doc = concat!($start, "().recv_buffer(256 * 1024)")]
        /// # ;
        /// ```
        pub fn recv_buffer(mut self, bytes: usize) -> Self {
            self.settings.sockets.recv_buffer = Some(bytes);
            self
        }

        /// The size of the kernel's send buffer (`SO_SNDBUF`); as [`recv_buffer`](Self::recv_buffer).
        ///
        /// ```
        /// # let builder =
        #[doc = concat!($start, "().send_buffer(256 * 1024)")]
        /// # ;
        /// ```
        pub fn send_buffer(mut self, bytes: usize) -> Self {
            self.settings.sockets.send_buffer = Some(bytes);
            self
        }

        /// Who hears of panics and errors of callbacks and of the kernel's refusals. Called on the thread where
        /// it happens, while the connection that it is about is in the middle of something: note it and return.
        /// Without it they are not reported, beyond what the panic hook of the process prints.
        ///
        /// ```
        /// # let builder =
        #[doc = concat!($start, "().on_error(|error| eprintln!(\"{error}\"))")]
        /// # ;
        /// ```
        pub fn on_error(mut self, hook: impl Fn(&crate::Error) + Send + Sync + 'static) -> Self {
            self.settings.hook = Some(Box::new(hook));
            self
        }
    };
}
pub(crate) use common_settings;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_takeover_counts_and_else_what_suits_the_runner() {
        struct Dropping;
        impl Runner for Dropping {
            fn run(&self, _task: crate::Task) {}
        }
        let after = |takeover, runs: bool| {
            let runner = runs.then(|| Arc::new(Dropping) as Arc<dyn Runner>);
            Settings { takeover, runner, ..Settings::default() }.takeover()
        };
        let said = Duration::from_millis(20);
        for runs in [false, true] {
            assert_eq!([after(Some(None), runs), after(Some(Some(said)), runs)], [None, Some(said)]);
        }
        assert_eq!([after(None, false), after(None, true)], [Some(TAKEOVER), Some(TAKEOVER_OF_CALLBACKS)]);
    }
}
