//! Every mutant, by name: the guards, the bits of each transition, the orderings. Only in a mutation build.
//!
//! The tables must be complete: a guard, a transition or an ordering that they do not know panics when it runs.

use crate::protocol::gate::WAITS;
use crate::protocol::word::*;
use crate::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};

/// Every guard of the protocol, by name. The name says which module has it and what it guards.
pub(super) const GUARDS: &[&str] = &[
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
    "process.leave-section",
    "progress.same-bytes",
    "progress.told-of-close",
    "settle.unattended",
    "settle.kept",
    "settle.relieve-others",
    "settle.gate-output",
    "settle.output-left",
    "settle.detach-once",
    "settle.leave-section",
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
    "idle.half-packet-before",
    "idle.busy-before",
    "idle.ungate",
    "connect.closed-before",
    "connect.hand-over",
    "connect.panic-closes",
    "connect.disconnect-panic-closes",
    "connect.leave-disconnect",
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
    "disconnect.leave",
    "disconnect.leave-task",
    "detach.once",
    "close.takes-task",
    "output.one-flusher",
    "output.ended-before-serve",
    "output.closed",
    "output.one-consumer",
    "output.retake",
    "output.between-two-sends",
    "output.ended-before-retake",
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
    "slot.seal",
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

/// Whether a transition sets or clears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It sets its bits.
    Set,
    /// It clears its bits.
    Clear,
}
use Change::{Clear, Set};

/// A transition, and which bits it changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transition {
    /// The name of its function.
    pub(super) name: &'static str,
    /// What it does with its bits.
    pub(super) change: Change,
    /// The bits that it always changes.
    pub(super) always: u32,
    /// The bits that it changes in some calls.
    pub(super) sometimes: u32,
    /// The ordering of its operation.
    pub(super) order: Ordering,
    /// Every bit of its word.
    pub(super) names: &'static [(u32, &'static str)],
}

const fn word(name: &'static str, change: Change, always: u32, sometimes: u32, order: Ordering) -> Transition {
    Transition { name, change, always, sometimes, order, names: NAMES }
}

const fn gate(name: &'static str, change: Change, order: Ordering) -> Transition {
    Transition { name, change, always: WAITS, sometimes: 0, order, names: &[(WAITS, "WAITS")] }
}

/// The transitions of a connection's word, its birth among them, and those of the gate that change its bit.
pub(super) const TRANSITIONS: &[Transition] = &[
    word("new", Set, BORN, HANDLER, Relaxed),
    word("look", Set, 0, 0, AcqRel),
    word("take", Set, TASK, 0, Acquire),
    word("begin_drain", Clear, PENDING | FRESH, 0, Acquire),
    word("release", Clear, TASK, 0, Release),
    word("begin_register", Clear, DET, 0, Relaxed),
    word("end_connect", Clear, CONNECTING, 0, Release),
    word("begin_read", Set, READING | TASK, 0, Acquire),
    word("announce", Set, PENDING | TASK, FULL, AcqRel),
    word("fill", Set, FULL, 0, Relaxed),
    word("unfill", Clear, FULL, 0, Relaxed),
    word("mask_read", Set, READING | TASK | MASKED, 0, Acquire),
    word("end_read", Clear, READING | MASKED, 0, Release),
    word("eof", Set, EOF, 0, Acquire),
    word("hup", Set, PEER | DET, 0, AcqRel),
    word("close", Set, USER | TASK, 0, AcqRel),
    word("close_held", Set, USER, 0, Acquire),
    word("detach", Set, USER | BACK | TASK, 0, AcqRel),
    word("shutdown", Set, SHUTDOWN | TASK, 0, AcqRel),
    word("gate_input", Set, NOREAD, 0, Acquire),
    word("ungate_input", Clear, NOREAD, 0, Relaxed),
    word("gate_output", Set, NOWRITE, 0, Relaxed),
    word("claim_detach", Set, DET, 0, Relaxed),
    word("commit", Set, FINAL, 0, Acquire),
    word("announce_handler", Set, HANDLER | FRESH | PENDING | TASK, 0, Relaxed),
    word("begin_flush", Set, FLUSHING | OUT, 0, Acquire),
    word("announce_output", Set, OUT | OUTPEND, 0, Release),
    word("begin_send", Clear, OUTPEND, 0, Acquire),
    word("park", Set, ARMED | MOD | MODPEND, 0, AcqRel),
    word("unpark", Clear, ARMED, 0, Relaxed),
    word("end_send", Clear, OUT, 0, AcqRel),
    word("retake_send", Set, OUT, 0, Relaxed),
    word("end_flush", Clear, FLUSHING, 0, Release),
    word("choke", Set, HIGH, 0, Acquire),
    word("unchoke", Clear, HIGH, 0, Relaxed),
    word("await_drain", Set, AWAITED, 0, Acquire),
    word("end_await", Clear, AWAITED, 0, Relaxed),
    word("want_interest", Set, MOD | MODPEND, 0, Relaxed),
    word("begin_interest", Clear, MODPEND, 0, Acquire),
    word("end_interest", Clear, MOD, 0, Release),
    word("retake_interest", Set, MOD, 0, Relaxed),
    word("begin_sync", Set, SYNC, 0, Acquire),
    word("begin_wait", Set, 0, WAITR | WAITW, AcqRel),
    word("end_wait", Clear, 0, WAITR | WAITW | SYNC, Relaxed),
    gate("gate.wait", Set, Acquire),
    gate("gate.wake", Clear, Relaxed),
];

/// The operations with an ordering that can be weaker and that are no transition.
pub(super) const ORDERS: &[(&str, Ordering)] =
    &[("gate.leave", Release), ("link.push", Release), ("link.pop", Acquire)];

/// Each ordering that is one step weaker.
pub(super) fn weaker(order: Ordering) -> &'static [Ordering] {
    match order {
        AcqRel => &[Acquire, Release],
        Acquire | Release => &[Relaxed],
        _ => &[],
    }
}

/// All sites with an ordering.
pub(super) fn orders() -> impl Iterator<Item = (&'static str, Ordering)> {
    TRANSITIONS.iter().map(|row| (row.name, row.order)).chain(ORDERS.iter().copied())
}

/// One change of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    /// The guard answers `false`.
    Guard(&'static str),
    /// The transition leaves one of its bits alone.
    Drop(&'static str, u32),
    /// The transition changes one bit more.
    Add(&'static str, u32),
    /// The operation has a weaker ordering.
    Order(&'static str, Ordering),
}

/// Every mutant, with the name by which `POLLPROOF_MUTANT` asks for it.
///
/// `guard:NAME`, `bit:TRANSITION-BIT`, `bit:TRANSITION+BIT`, `order:SITE=ORDERING`.
pub(super) fn mutants() -> Vec<(String, Mutant)> {
    let mut all: Vec<(String, Mutant)> =
        GUARDS.iter().map(|name| (format!("guard:{name}"), Mutant::Guard(name))).collect();
    for row in TRANSITIONS {
        for &(bit, name) in row.names {
            if (row.always | row.sometimes) & bit != 0 {
                all.push((format!("bit:{}-{name}", row.name), Mutant::Drop(row.name, bit)));
            }
            if row.always & bit == 0 {
                all.push((format!("bit:{}+{name}", row.name), Mutant::Add(row.name, bit)));
            }
        }
    }
    for (site, order) in orders() {
        all.extend(weaker(order).iter().map(|&weak| (format!("order:{site}={weak:?}"), Mutant::Order(site, weak))));
    }
    all
}
