//! What decides in a transition, so that the model's steps can be compared with those of runs one decision at a time.
//!
//! A whole word is too fine: most of its bits do not matter to a given transition, and the model has far more words
//! than any number of scenarios comes through. What a transition's caller goes by is few questions about the value
//! that it found, as in SPEC.md's chapter 4; a [`decision`] is the answers to them. A question that the code does not
//! come to, because an earlier one has decided, is not asked here either. Every decision that the model comes to, runs
//! must come to as well, or `models/unseen.txt` says why not.

use pollproof::protocol::word::*;

use super::step::{at_rest, busy, closed, closing, ending, held, output_left, sending};

type Question = (&'static str, fn(u32) -> bool);

/// What the caller of a transition asks of the value that it found.
struct Asks {
    transition: &'static str,
    /// Asked whatever the answers to the others are.
    always: &'static [Question],
    /// Asked in this order until one is answered with yes.
    first: &'static [Question],
}

const fn asks(transition: &'static str, always: &'static [Question], first: &'static [Question]) -> Asks {
    Asks { transition, always, first }
}

const OWNED: Question = ("TASK", |w| w & TASK != 0);
const CLOSING: Question = ("closing", closing);
const CLOSED: Question = ("closed", closed);
const CONNECTING_YET: Question = ("CONNECTING", |w| w & CONNECTING != 0);
const DETACHED: Question = ("DET", |w| w & DET != 0);
const WAITS_R: Question = ("WAITR", |w| w & WAITR != 0);
const WAITS_W: Question = ("WAITW", |w| w & WAITW != 0);
const OUTPUT: Question = ("OUT", |w| w & OUT != 0);
const GATED: Question = ("NOWRITE", |w| w & NOWRITE != 0);
const CHOKED: Question = ("HIGH", |w| w & HIGH != 0);
const OTHERS: Question = ("AWAITED", |w| w & AWAITED != 0);
const MASK: Question = ("MOD", |w| w & MOD != 0);
const READ: Question = ("READING", |w| w & READING != 0);
const SHUT_DOWN: Question = ("SHUTDOWN", |w| w & SHUTDOWN != 0);
const PENDING_YET: Question = ("PENDING", |w| w & PENDING != 0);
const TAKEN_BACK: Question = ("BACK", |w| w & BACK != 0);

/// Who releases `bit` is the last one out.
fn last_one_out(word: u32, bit: u32) -> bool {
    let now = word & !bit;
    let end = if closing(now) { !at_rest(now) } else { now & SHUTDOWN != 0 && !busy(now) };
    word & TASK == 0 && end
}

const ASKS: &[Asks] = &[
    asks("take", &[OWNED], &[]),
    asks("begin_drain", &[("FRESH", |w| w & FRESH != 0)], &[("USER", |w| w & USER != 0), CLOSING]),
    asks(
        "release",
        &[],
        &[
            ("PENDING", |w| w & PENDING != 0 && w & USER == 0),
            ("closing, at rest", |w| closing(w) && at_rest(w)),
            CLOSING,
            ("SHUTDOWN, busy", |w| w & SHUTDOWN != 0 && busy(w)),
            SHUT_DOWN,
            CHOKED,
        ],
    ),
    asks("begin_register", &[("USER", |w| w & USER != 0)], &[]),
    asks("end_connect", &[CLOSING], &[]),
    asks(
        "begin_read",
        &[OWNED],
        &[READ, CLOSED, CLOSING, ("NOREAD", |w| w & NOREAD != 0), ("FULL", |w| w & FULL != 0 && w & WAITR == 0)],
    ),
    asks("mask_read", &[OWNED], &[READ, CLOSED, CLOSING]),
    asks("announce", &[OWNED, WAITS_R], &[]),
    asks("fill", &[], &[]),
    asks("unfill", &[], &[]),
    asks("end_read", &[("MASKED", |w| w & MASKED != 0), ("last one out", |w| last_one_out(w, READING | MASKED))], &[]),
    asks("eof", &[WAITS_R], &[CLOSING, CONNECTING_YET]),
    asks("hup", &[DETACHED, WAITS_R, WAITS_W], &[CLOSING, CONNECTING_YET]),
    asks("close", &[OWNED, CLOSING, WAITS_R, WAITS_W], &[]),
    asks("close_held", &[CLOSING], &[]),
    asks("detach", &[OWNED], &[("FINAL", |w| w & FINAL != 0), TAKEN_BACK]),
    asks("shutdown", &[OWNED], &[]),
    asks("gate_input", &[], &[CLOSING, ("busy", busy)]),
    asks("ungate_input", &[], &[CLOSING, PENDING_YET]),
    asks("gate_output", &[CLOSING, ("output left", output_left)], &[]),
    asks("claim_detach", &[DETACHED, ("held", held)], &[]),
    asks("commit", &[OTHERS, TAKEN_BACK], &[]),
    asks("announce_handler", &[OWNED], &[]),
    asks(
        "begin_flush",
        &[OUTPUT],
        &[
            ("FLUSHING, ending", |w| w & FLUSHING != 0 && w & OUT == 0 && closing(w) && w & (USER | PEER | DET) != 0),
            ("FLUSHING", |w| w & FLUSHING != 0),
            CLOSED,
            GATED,
        ],
    ),
    asks("announce_output", &[OUTPUT], &[]),
    asks("choke", &[("sending", sending)], &[]),
    asks("unchoke", &[CHOKED], &[]),
    asks("await_drain", &[CLOSED], &[]),
    asks("end_await", &[], &[]),
    asks("begin_send", &[GATED], &[]),
    asks("park", &[CHOKED, OTHERS, WAITS_W, MASK], &[]),
    asks("unpark", &[], &[("no ARMED", |w| w & ARMED == 0), CLOSED]),
    asks(
        "end_send",
        &[WAITS_W],
        &[
            ("OUTPEND", |w| w & OUTPEND != 0),
            ("last one out, HIGH", |w| last_one_out(w, OUT) && w & HIGH != 0),
            ("last one out, AWAITED", |w| last_one_out(w, OUT) && w & AWAITED != 0),
            ("last one out", |w| last_one_out(w, OUT)),
            ("HIGH, AWAITED", |w| w & (HIGH | AWAITED) == HIGH | AWAITED),
            CHOKED,
            OTHERS,
        ],
    ),
    asks("retake_send", &[], &[OUTPUT, ("ending", ending)]),
    asks("end_flush", &[("last one out", |w| last_one_out(w, FLUSHING))], &[]),
    asks("want_interest", &[MASK], &[]),
    asks("begin_interest", &[("off limits", |w| w & (USER | PEER | DET) != 0), ("MASKED", |w| w & MASKED != 0)], &[]),
    asks("end_interest", &[], &[("MODPEND", |w| w & MODPEND != 0), ("last one out", |w| last_one_out(w, MOD))]),
    asks("retake_interest", &[MASK], &[]),
    asks("begin_sync", &[("SYNC", |w| w & SYNC != 0)], &[]),
    asks("begin_wait", &[("FULL", |w| w & FULL != 0), CLOSING, ("output", |w| w & (OUT | OUTPEND) != 0)], &[]),
    asks("end_wait", &[WAITS_R], &[]),
];

/// The transitions, in SPEC.md's order.
pub fn transitions() -> impl Iterator<Item = &'static str> {
    ASKS.iter().map(|asks| asks.transition)
}

/// What decided when `transition` found `before`.
///
/// # Errors
///
/// When it is no transition of the word.
pub fn decision(transition: &str, before: u32) -> Result<String, String> {
    let asks = ASKS.iter().find(|asks| asks.transition == transition);
    let asks = asks.ok_or_else(|| format!("`{transition}` is not in ASKS"))?;
    let always = asks.always.iter().filter(|(_, holds)| holds(before));
    let first = asks.first.iter().find(|(_, holds)| holds(before));
    let yes: Vec<&str> = always.chain(first).map(|(name, _)| *name).collect();
    Ok(format!("{transition}: {}", if yes.is_empty() { "-".to_owned() } else { yes.join(", ") }))
}
