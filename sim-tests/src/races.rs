//! Known races, put back into the code, and the scenario that must notice.
//!
//! The races are those of SPEC.md chapter 6. Each is put back by leaving out the guard that answers it
//! (`pollproof::mutation`), named by the environment variable `POLLPROOF_MUTANT` of a child process.

/// A race, and how it is put back.
pub struct Race {
    /// Its name in SPEC.md.
    pub id: &'static str,
    /// The guard to leave out.
    pub guard: &'static str,
    /// The scenario that fails then.
    pub scenario: &'static str,
    /// What happens without the guard.
    pub what: &'static str,
}

/// All of them.
pub const ALL: &[Race] = &[
    Race {
        id: "W1",
        guard: "connect.hand-over",
        scenario: "hup-against-connect",
        what: "a hup during OnConnect leaves OnDisconnect to its end, which does not look",
    },
    Race {
        id: "W4",
        guard: "close-list.sealed",
        scenario: "adders-against-close",
        what: "a callback that is added after the list ran is accepted, and never runs",
    },
    Race {
        id: "W7",
        guard: "settle.detach",
        scenario: "detach-at-task-exit",
        what: "the owner that ends the connection does not do the DEL: the fd is handed back in epoll",
    },
    Race {
        id: "W12",
        guard: "hup.connecting",
        scenario: "hup-against-connect",
        what: "a hup between the ADD and the end of OnConnect does not wait for it",
    },
    Race {
        id: "W13",
        guard: "idle.half-packet",
        scenario: "shutdown-against-request",
        what: "a shutdown drops a request whose bytes were read",
    },
];
