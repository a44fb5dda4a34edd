//! Birth, reading, and every way to close: what each party does, in which order, once only.
//!
//! Each function is one party's step, named after what happened to it: [`register`] and [`connect`] are
//! the acceptor's or dialer's, [`readable`] the poller's, [`close`], [`detach`],
//! [`shutdown`] and [`handler_set`] anyone's. A step is a few transitions; each acts on the value that
//! it found. None of them waits for another thread.
//!
//! A connection is born owned: `TASK` is held from its creation until OnConnect is over, so events
//! before that only set bits (S2). Who sets a hold and finds the connection closing touches nothing; who
//! releases the last hold ends it (H3). Not here: the end itself (`process`) and output (`output`).

use super::effects::{Effects, Input, Left, Ran};
use super::interest;
use super::leave::leave;
use super::process::close_held;
use super::trigger::Wake;
use super::waits::wake_for_close;
use super::word::*;
use crate::mutation::guard;

/// What a close found.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::effects::Effects;
/// use pollproof::protocol::lifecycle::{self, Closed};
///
/// fn close_and_count(step: &impl Effects, closes: &mut u32) {
///     if lifecycle::close(step) == Closed::First {
///         *closes += 1;
///     }
/// }
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Nobody had closed before: this was the first close. (C1)
    First,
    /// The connection was closing already.
    Again,
}

fn closed(found: Snapshot) -> Closed {
    if found.closing() { Closed::Again } else { Closed::First }
}

/// The acceptor's first step: OnPrepare and the ADD. `true` when the fd is registered. (S2, D1)
pub fn register<E: Effects + ?Sized>(step: &E) -> bool {
    if step.on_prepare() == Ran::Failed && guard("register.panic-closes", true) {
        let _ = close_held(step);
    }
    let found = step.word().begin_register();
    if guard("register.closed-before", found.any(USER)) {
        let _ = step.word().claim_detach();
        return false;
    }
    if !step.register() {
        let _ = step.word().claim_detach();
        let _ = close_held(step);
        return false;
    }
    true
}

/// The acceptor's second step: OnConnect, the hand-over of OnDisconnect, and the first run of the
/// section. A user close before it skips OnConnect; a peer's close does not. (H1, H2, H5, P2)
pub fn connect<E: Effects + ?Sized>(step: &E) {
    let word = step.word();
    if guard("connect.closed-before", word.look().any(USER)) {
        let found = word.end_connect();
        return step.run_task(found.without(CONNECTING));
    }
    if step.on_connect() == Ran::Failed && guard("connect.panic-closes", true) {
        let _ = close_held(step);
    }
    let found = word.end_connect().without(CONNECTING);
    if !guard("connect.hand-over", found.closing()) {
        step.run_task(found);
    } else if !(guard("connect.leave-disconnect", true) && step.leave_disconnect(Left::Connected)) {
        disconnect_connected(step, found);
    }
}

/// OnDisconnect, which OnConnect has left, and the first run of the section. (H1, P2)
fn disconnect_connected<E: Effects + ?Sized>(step: &E, mut found: Snapshot) {
    if step.on_disconnect() == Ran::Failed && guard("connect.disconnect-panic-closes", true) {
        found = close_held(step);
    }
    step.run_task(found);
}

/// Goes on where [`Effects::leave_disconnect`] has left off, with the bits that went along: OnDisconnect, and what
/// follows it. Called by the home loop, on a thread that is not inside user code. (U2, U3)
pub fn disconnect_left<E: Effects + ?Sized>(step: &E, left: Left) {
    match left {
        Left::Connected => disconnect_connected(step, step.word().look()),
        Left::Reading => {
            disconnect(step);
            end_read(step, false);
        }
        Left::ReadingAsOwner => {
            disconnect(step);
            end_read(step, true);
        }
    }
}

/// Calls OnDisconnect, under `READING`.
fn disconnect<E: Effects + ?Sized>(step: &E) {
    if step.on_disconnect() == Ran::Failed && guard("disconnect.panic-closes", true) {
        let _ = close_held(step);
    }
}

/// What became of a read event.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::effects::Effects;
/// use pollproof::protocol::interest;
/// use pollproof::protocol::lifecycle::{self, Reading};
///
/// /// What a level-triggered poller does about a readable fd.
/// fn event(step: &impl Effects, hup: bool) {
///     match lifecycle::readable(step, hup) {
///         Reading::Eof => interest::refresh(step),
///         Reading::Data | Reading::Nothing | Reading::Closed => {}
///     }
/// }
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Bytes were read: there may be more.
    Data,
    /// Nothing to read at present, or not by this caller.
    Nothing,
    /// The peer sends no more; epoll reports it until told otherwise.
    Eof,
    /// The connection is closed: no further event matters.
    Closed,
}

/// The poller's step for a readable fd: one read, and the serial section if nobody has it. `hup`: the
/// kernel says that the peer is gone in both directions. (F1, N1, N3, N6, E1, E2)
///
/// The reader lock and the section are taken in one step: a poller that finds nobody at work handles
/// what it reads itself, from its own block. Who finds the connection closed does the DEL, if nobody has:
/// its owner may be busy for long (D1, L1). Who finds the reader lock taken reports nothing, or bytes
/// before a hup would be lost; epoll reports again. If that may be for long, because the other reader is a
/// deposed poller of the same epoll inside OnDisconnect, the fd is masked until it is through. (K6)
#[inline(always)]
pub fn readable<E: Effects + ?Sized>(step: &E, hup: bool) -> Reading {
    let found = step.word().begin_read();
    if found.any(READING | CLOSING | NOREAD | FULL) {
        step.apart(|step| not_at_once(step, found, hup))
    } else {
        read(step, found, hup)
    }
}

/// The try to become the reader found more than a connection at rest or at work.
#[cold]
#[inline(never)]
fn not_at_once<E: Effects + ?Sized>(step: &E, mut found: Snapshot, hup: bool) -> Reading {
    let word = step.word();
    let mut owner = !found.any(TASK);
    if guard("read.mask", found.any(READING) && step.shares_epoll()) {
        found = word.mask_read();
        owner |= !found.any(TASK);
        if found.any(READING) {
            interest::update(step);
        }
    }
    if guard("read.one-reader", found.any(READING)) {
        if guard("read.owner", owner) {
            step.run_task(found.with(TASK));
        }
        return Reading::Nothing;
    }
    if guard("read.closing", found.closing()) {
        if found.closed() {
            // The owner may be busy for long: until somebody does the DEL, epoll reports this again and again.
            if !guard("read.closed-detach", word.claim_detach().any(DET)) {
                step.deregister();
            }
            end_read(step, owner);
            return Reading::Closed;
        }
        if hup {
            return peer_gone(step, owner);
        }
        end_read(step, owner);
        return Reading::Eof;
    }
    // As much as may be is read ahead, and whoever said so may not have come to the mask yet. No mask keeps a hup out.
    let full = found.any(FULL) && !found.any(WAITR) && !hup;
    if guard("read.gate", found.any(NOREAD)) || guard("read.full", full) {
        end_read(step, owner);
        return Reading::Nothing;
    }
    read(step, if owner { found.without(TASK) } else { found.with(TASK) }, hup)
}

/// One read, by who became the reader; `found` says whether it became the owner as well.
#[inline(always)]
fn read<E: Effects + ?Sized>(step: &E, found: Snapshot, hup: bool) -> Reading {
    let owner = !found.any(TASK);
    match step.read(owner) {
        Input::Data if owner => {
            let found = release_read(step);
            step.run_read(found);
            Reading::Data
        }
        other => step.apart(|step| read_otherwise(step, other, owner, hup)),
    }
}

/// Something else came of the read than data for its reader to handle.
#[cold]
#[inline(never)]
fn read_otherwise<E: Effects + ?Sized>(step: &E, input: Input, owner: bool, hup: bool) -> Reading {
    match input {
        Input::Data => {
            let full = step.input_full();
            let found = step.word().announce(full);
            let owner = guard("read.announce", !found.any(TASK));
            if full {
                stop_reading(step, found);
            }
            if found.any(WAITR) {
                step.read_trigger().reach(step.produced());
            }
            end_read(step, owner);
            Reading::Data
        }
        Input::Empty => {
            end_read(step, owner);
            Reading::Nothing
        }
        Input::Eof if !hup => peer_stopped(step, owner),
        Input::Eof | Input::Gone => peer_gone(step, owner),
    }
}

/// As much was read ahead as is allowed: epoll is not asked for more, unless a reader waits for it. (N6)
fn stop_reading<E: Effects + ?Sized>(step: &E, found: Snapshot) {
    if guard("read.wanted", found.any(WAITR)) {
        let _ = step.word().unfill();
    }
    interest::update(step);
}

/// Gives the reader lock back; returns what it found, without it.
#[inline(always)]
fn release_read<E: Effects + ?Sized>(step: &E) -> Snapshot {
    let found = step.word().end_read();
    if guard("read.unmask", found.any(MASKED)) {
        step.apart(interest::update);
    }
    found.without(READING | MASKED)
}

fn end_read<E: Effects + ?Sized>(step: &E, owner: bool) {
    let found = release_read(step);
    if owner {
        step.run_task(found);
    } else {
        leave(step, found, READING);
    }
}

/// The end of the stream was read. OnDisconnect is due at once, for the first closer, and may cancel an
/// OnRequest that runs; the drain goes on, and writing still works. Under `READING`. (E1, H1, H4)
fn peer_stopped<E: Effects + ?Sized>(step: &E, owner: bool) -> Reading {
    let found = step.word().eof();
    wake_for_close(step, found, Wake::Eof);
    let due = disconnect_is_due(found, "eof.first-closer", "eof.connecting");
    end_stream(step, owner, due);
    Reading::Eof
}

/// The peer is gone: DEL, OnDisconnect for the first closer. Under `READING`. (C1, D1, H1, H4)
fn peer_gone<E: Effects + ?Sized>(step: &E, owner: bool) -> Reading {
    let found = step.word().hup();
    if !guard("hup.detach-once", found.any(DET)) {
        step.deregister();
    }
    wake_for_close(step, found, Wake::Closed);
    let due = disconnect_is_due(found, "hup.first-closer", "hup.connecting");
    end_stream(step, owner, due);
    Reading::Closed
}

/// OnDisconnect belongs to a first close from the peer's side; while OnConnect is not over, to its end. (H1, H5)
fn disconnect_is_due(found: Snapshot, first: &'static str, connecting: &'static str) -> bool {
    !guard(first, found.closing()) && !guard(connecting, found.any(CONNECTING))
}

/// The end of the stream is reported: OnDisconnect if it is `due`, and the reader lock goes back. A handler that has read
/// the end itself leaves both to the home loop. (H4, P2, U3)
fn end_stream<E: Effects + ?Sized>(step: &E, owner: bool, due: bool) {
    if due {
        let left = if guard("disconnect.leave-task", owner) { Left::ReadingAsOwner } else { Left::Reading };
        if guard("disconnect.leave", true) && step.leave_disconnect(left) {
            return;
        }
        disconnect(step);
    }
    end_read(step, owner);
}

/// A user close, from any thread, inside or outside callbacks. The drain stops at once; whoever owns the
/// section ends the connection, and if nobody does the caller does. (C1, S4)
pub fn close<E: Effects + ?Sized>(step: &E) -> Closed {
    let found = step.word().close();
    end_by_user(step, found);
    closed(found)
}

fn end_by_user<E: Effects + ?Sized>(step: &E, found: Snapshot) {
    wake_for_close(step, found, Wake::Closed);
    if guard("close.takes-task", !found.any(TASK)) {
        step.run_task(found.with(TASK | USER));
    }
}

/// A user close that wants the fd back. `true` when the caller gets it: nobody has committed the close or
/// asked before. [`Effects::finish`] hands it over at the end. (D3)
pub fn detach<E: Effects + ?Sized>(step: &E) -> bool {
    let found = step.word().detach();
    end_by_user(step, found);
    !guard("detach.once", found.any(FINAL | BACK))
}

/// Asks for a graceful close: at once if the connection is idle, else when it has drained, answered and
/// flushed. Any thread, any number of times. (G1, G2)
pub fn shutdown<E: Effects + ?Sized>(step: &E) {
    let found = step.word().shutdown();
    if !found.any(TASK) {
        step.run_task(found.with(TASK | SHUTDOWN));
    }
}

/// A handler was put into its slot. The owner installs it before its next call; if nobody owns the
/// section the caller runs it, for bytes that are there already, or for a close that nobody was there
/// to see. (R1, R2, C6)
pub fn handler_set<E: Effects + ?Sized>(step: &E) {
    let found = step.word().announce_handler();
    if guard("slot.announce", !found.any(TASK)) {
        step.run_task(found.with(TASK | HANDLER | FRESH | PENDING));
    }
}

/// Tries to own the serial section, to read outside a handler. `false`: somebody else reads or handles.
/// Whoever gets `true` calls [`release`] when it is through. (S3)
#[must_use]
pub fn acquire<E: Effects + ?Sized>(step: &E) -> bool {
    !step.word().take().any(TASK)
}

/// Gives the section back after [`acquire`]: with a drain, and an end if the connection is closing.
pub fn release<E: Effects + ?Sized>(step: &E) {
    step.run_task(step.word().look());
}
