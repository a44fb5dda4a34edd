//! Guards that a mutation build can drop by name, so that each is shown to be needed.
//!
//! In every build but `--cfg mutation` a [`guard`] is the condition that it was given, and the names
//! vanish at compile time. In a mutation build the environment variable `POLLPROOF_MUTANT` names one
//! site, and that guard answers `false` as if its condition had been left out of the source. Which
//! scenario notices is recorded in `loom-tests/guards.toml`.
//!
//! This is not a feature for users: it is how `cargo xtask guards` asks "what if this line were missing?".

/// Every guard of the protocol, by name. The name says which module has it and what it guards.
#[cfg(mutation)]
pub const SITES: &[&str] = &[
    "process.retake-pending",
    "process.retake-closing",
    "process.retake-choked",
    "process.choked",
    "process.still-high",
    "process.fill",
    "process.read-on",
    "process.retake-shutdown",
    "process.retake-rest-over",
    "process.retake-idle-over",
    "process.retake-kept",
    "process.tell-end",
    "process.user-stops-drain",
    "process.task-held-through-close",
    "process.install-handler",
    "progress.same-bytes",
    "progress.told-of-close",
    "settle.unattended",
    "settle.kept",
    "settle.relieve-others",
    "settle.gate-output",
    "settle.output-left",
    "settle.detach-once",
    "hold.reading",
    "hold.interest",
    "hold.flushing",
    "hold.sending",
    "leave.last-one-out",
    "leave.shutdown",
    "idle.read-under-way",
    "idle.output-left",
    "idle.kept",
    "idle.half-packet",
    "idle.ungate",
    "connect.closed-before",
    "connect.hand-over",
    "connect.panic-closes",
    "connect.disconnect-panic-closes",
    "register.closed-before",
    "register.panic-closes",
    "read.one-reader",
    "read.mask",
    "read.unmask",
    "read.closing",
    "read.closed-detach",
    "read.gate",
    "read.full",
    "read.owner",
    "read.announce",
    "read.wanted",
    "eof.first-closer",
    "eof.connecting",
    "hup.first-closer",
    "hup.connecting",
    "hup.detach-once",
    "disconnect.panic-closes",
    "detach.once",
    "close.takes-task",
    "output.one-flusher",
    "output.ended-before-serve",
    "output.closed",
    "output.one-consumer",
    "output.retake",
    "output.between-two-sends",
    "output.closed-before-retake",
    "output.unpark-claims",
    "output.closed-before-send",
    "output.relieve",
    "output.relieve-parked",
    "output.await-closed",
    "output.relieve-others",
    "output.relieve-others-parked",
    "output.end-gates",
    "output.end",
    "interest.full",
    "interest.one-owner",
    "interest.retake",
    "interest.closed",
    "interest.masked",
    "interest.masked-closed",
    "trigger.size",
    "trigger.own-token",
    "trigger.recheck",
    "trigger.wants-more",
    "trigger.one-flusher",
    "trigger.close-wakes",
    "slot.announce",
    "close-list.sealed",
    "close-list.caught-each",
    "gate.room",
    "gate.leave-wakes",
    "takeover.look",
    "takeover.same-beat",
    "takeover.resting",
    "takeover.spare-first",
    "takeover.most-threads",
    "takeover.one-successor",
    "takeover.duty-first",
];

/// The condition, unless this build drops the guard `name`.
#[cfg(not(mutation))]
#[inline(always)]
pub fn guard(_name: &'static str, condition: bool) -> bool {
    condition
}

/// The condition, unless `POLLPROOF_MUTANT` names this guard.
///
/// # Panics
///
/// When the guard is not in [`SITES`]: a site that the table does not know would never be dropped.
#[cfg(mutation)]
pub fn guard(name: &'static str, condition: bool) -> bool {
    static DROPPED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    assert!(SITES.contains(&name), "guard {name} is not listed in mutation::SITES");
    let dropped = DROPPED.get_or_init(|| std::env::var("POLLPROOF_MUTANT").ok());
    condition && dropped.as_deref() != Some(name)
}
