//! Known races, put back into the code, and the scenario that must notice.
//!
//! The races are those of SPEC.md chapter 6. Each is put back by a mutant of `pollproof::mutation`: the guard or the bit
//! that answers it is left out, as the environment variable `POLLPROOF_MUTANT` of a child process says.

/// A race, and how it is put back.
pub struct Race {
    /// Its name in SPEC.md.
    pub id: &'static str,
    /// The mutant that puts it back.
    pub mutant: &'static str,
    /// The scenario that fails then.
    pub scenario: &'static str,
    /// What goes wrong then.
    pub what: &'static str,
}

/// All of them.
pub const ALL: &[Race] = &[
    Race {
        id: "W1",
        mutant: "guard:connect.hand-over",
        scenario: "hup-against-connect",
        what: "a hup during OnConnect leaves OnDisconnect to its end, which does not look",
    },
    Race {
        id: "W4",
        mutant: "guard:close-list.sealed",
        scenario: "adders-against-close",
        what: "a callback that is added after the list ran is accepted, and never runs",
    },
    Race {
        id: "W7",
        mutant: "bit:begin_register-DET",
        scenario: "detach-at-task-exit",
        what: "everybody takes it that another does the DEL: the fd is handed back, and is in epoll",
    },
    Race {
        id: "W7",
        mutant: "guard:process.retake-closing",
        scenario: "send-against-close",
        what: "a close after the owner's last look at the word is seen to by nobody",
    },
    Race {
        id: "W12",
        mutant: "guard:hup.connecting",
        scenario: "hup-against-connect",
        what: "a hup between the ADD and the end of OnConnect does not wait for it",
    },
    Race {
        id: "W13",
        mutant: "guard:idle.read-under-way",
        scenario: "shutdown-against-request",
        what: "a shutdown takes a connection for idle whose next request is being read",
    },
];
