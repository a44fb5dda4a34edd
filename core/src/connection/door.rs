//! The one door to user code: every call of something that users wrote, and every drop of a value of theirs. (U1)
//!
//! ```text
//!  the core                      | door |  user code
//!  ------------------------------+------+---------------------------------------------------------
//!  section, under TASK           | ---> |  OnPrepare, OnConnect, OnRequest, close callbacks,
//!                                |      |  detach callback, drops at the end
//!  event, under READING          | ---> |  OnDisconnect
//!  event loop, under nothing     | ---> |  Runner::run, on_error, tracing, drops of what was sent
//!                                |      |     |
//!                                |      |     v  calls of this crate
//!  home loop's queue  <----------+------+-- a section, an OnDisconnect that falls due (U2, U3)
//! ```
//!
//! A panic ends at this door: it is reported, and the connection that it was for is closed. A frame of the thread's
//! whereabouts says that it is inside; where it is not worth that, on the way of a request, the thread polls, or runs a
//! section, and is known to be inside by that.
//!
//! A test reads the sources and finds no other call (`xtask/tests/door.rs`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::connection::cold_parts::DetachCallback;
use crate::connection::duty::Duty;
use crate::connection::io::Io;
use crate::connection::shared::{Hook, Shared};
use crate::connection::step::{State, Step};
use crate::connection::task::Task;
use crate::connection::whereabouts::{self, What};
use crate::connection::{CloseCallback, Connection, Detached, Request};
use crate::error::Error;
use crate::outcome::BoxError;
use crate::protocol::effects::Ran;
use crate::protocol::lifecycle;
use crate::sync::Arc;

/// How many panics the drop of one panic's payload may go on with.
const PAYLOADS: usize = 8;

/// How a call of user code ended, if it did not return what it should.
pub(crate) enum Failed {
    /// It returned an error.
    With(BoxError),
    /// It panicked.
    Panicked(Box<dyn Any + Send>),
}

/// Calls user code.
#[inline(always)]
fn call<R>(user: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(user))
}

/// Calls the OnRequest of `conn` that is in force: a panic or an error comes back, to be [told](failed) when what the
/// handler wrote is sent.
///
/// # Safety
///
/// Under `TASK` (S1). A replacement waits in its slot until this is over (R1).
#[inline(always)]
pub(crate) unsafe fn on_request(conn: &Connection, io: &mut Io<'_>) -> Result<(), Failed> {
    // Safety: by the caller's promise.
    let called = call(|| unsafe {
        match conn.conn().request.get().get_mut() {
            None => conn.conn().service.on_request(io),
            Some(_) => on_request_set(conn, io),
        }
    });
    match called {
        Ok(Ok(())) => Ok(()),
        Ok(Err(source)) => Err(Failed::With(source)),
        Err(payload) => Err(Failed::Panicked(payload)),
    }
}

/// The handler that was set on its connection.
///
/// # Safety
///
/// As for [`on_request`].
#[cold]
#[inline(never)]
unsafe fn on_request_set(conn: &Connection, io: &mut Io<'_>) -> Result<(), BoxError> {
    // Safety: by the caller's promise.
    let request = unsafe { conn.conn().request.get() }.get_mut();
    request.as_mut().map_or(Ok(()), |request| request(io))
}

/// Calls OnConnect, as [`on_request`] calls OnRequest.
///
/// # Safety
///
/// Under `TASK`, while `CONNECTING` is set (H1).
pub(crate) unsafe fn on_connect(conn: &Connection, io: &mut Io<'_>) -> Result<(), Failed> {
    let _entered = enter(conn);
    // Safety: by the caller's promise.
    match call(|| unsafe { conn.conn().service.on_connect(io) }) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(source)) => Err(Failed::With(source)),
        Err(payload) => Err(Failed::Panicked(payload)),
    }
}

/// Calls OnPrepare.
///
/// # Safety
///
/// Under `TASK`, before anything else.
pub(crate) unsafe fn on_prepare(conn: &Connection) -> Ran {
    // Safety: by the caller's promise.
    guarded(conn, "on_prepare", || unsafe { conn.conn().service.on_prepare(conn) })
}

/// Calls the OnDisconnect that is in force.
///
/// # Safety
///
/// Under a hold or `TASK`, after OnConnect (H1, H4).
pub(crate) unsafe fn on_disconnect(conn: &Connection) -> Ran {
    let Some(disconnect) = conn.conn().disconnect.get() else {
        // Safety: by the caller's promise.
        return guarded(conn, "on_disconnect", || unsafe { conn.conn().service.on_disconnect(conn) });
    };
    let ran = guarded(conn, "on_disconnect", || disconnect(conn));
    discard(conn, "drop of on_disconnect", disconnect);
    ran
}

/// Calls a close callback. Under `TASK`, for ever.
pub(crate) fn close_callback(conn: &Connection, callback: CloseCallback) -> Ran {
    guarded(conn, "close callback", || callback(conn))
}

/// Hands the fd back. Under `TASK`, for ever.
pub(crate) fn hand_back(conn: &Connection, callback: DetachCallback, detached: Detached) {
    let _ = guarded(conn, "detach callback", || callback(detached));
}

/// Drops what `conn` keeps of its user's: the last thing that happens to it.
///
/// # Safety
///
/// Under `TASK` for ever, after `FINAL`, when every callback is over (C4).
pub(crate) unsafe fn forget(conn: &Connection) {
    let of = conn.conn();
    // Safety: by the caller's promise; nobody calls it any more.
    let request: Option<Request> = unsafe { of.request.get() }.get_mut().take();
    let (waiting, disconnect) = (of.slot.seal(), of.disconnect.seal());
    // Safety: by the caller's promise.
    unsafe {
        of.service.forget(&mut |what, dropping| {
            let _ = guarded(conn, what, dropping);
        });
    }
    discard(conn, "drop of a handler", request);
    discard(conn, "drop of a handler", waiting);
    discard(conn, "drop of on_disconnect", disconnect);
}

/// Drops a value of a user's that belongs to `conn`. Under no lock, and no bit but `TASK`. (U4)
pub(crate) fn discard<T>(conn: &Connection, what: &'static str, value: T) {
    if !std::mem::needs_drop::<T>() {
        return;
    }
    let inside = whereabouts::inside();
    let _entered = enter(conn);
    if let Err(payload) = call(|| drop(value)) {
        let error = Error::Panicked { callback: what, connection: conn.id(), message: message(payload) };
        Duty::report(&conn.conn().server, conn.conn().place.home(), inside, error);
        let _ = lifecycle::close(&Step::new(conn, &State::new()));
    }
}

/// Drops a value of a user's that belongs to no connection.
pub(crate) fn discard_of(server: &Arc<Shared>, what: &'static str, value: impl Any) {
    let inside = whereabouts::inside();
    let _entered = whereabouts::enter(What::Callback, server, None);
    if let Err(payload) = call(|| drop(value)) {
        server.counters.panics.add(1);
        let source = std::io::Error::other(format!("it panicked: {}", message(payload)));
        Duty::report(server, 0, inside, Error::Server { call: what, source });
    }
}

/// Gives `task` to the runner of its server. A panic closes its connection. Outside all other user code. (U2)
#[cold]
#[inline(never)]
pub(crate) fn run_on_runner(task: Task) {
    let conn = task.connection().clone();
    let server = &conn.conn().server;
    // Safety: `conn` is not over: its section is in `task`.
    let Some(runner) = (unsafe { server.runner() }) else { return task.run_left(None) };
    let entered = whereabouts::enter(What::Runner, server, Some(conn.conn()));
    let (ran, dropped) = (call(|| runner.run(task)), call(|| drop(runner)));
    drop(entered);
    for (what, payload) in [("runner", ran.err()), ("drop of the runner", dropped.err())] {
        if let Some(payload) = payload {
            let _ = panicked(&conn, what, payload);
            let _ = lifecycle::close(&Step::new(&conn, &State::new()));
        }
    }
}

/// Tells `hook` of an error. One that panics has said all it had to say.
pub(crate) fn tell(server: &Shared, hook: &(dyn Fn(&Error) + Send + Sync), error: &Error) {
    quietly(server, || hook(error));
}

/// Drops a handle of a hook, which may be the last.
pub(crate) fn discard_hook(server: &Shared, hook: Arc<Hook>) {
    quietly(server, || drop(hook));
}

/// Drops an error that may be a user's, after it was told.
pub(crate) fn told(server: &Shared, error: Error) {
    quietly(server, || drop(error));
}

/// Drops a value of a server that nobody has a handle of any more.
pub(crate) fn discard_last<T>(server: &Shared, value: T) {
    quietly(server, || drop(value));
}

/// Calls what nobody is told of if it panics.
fn quietly(server: &Shared, user: impl FnOnce()) {
    let _entered = whereabouts::enter(What::Callback, server, None);
    if let Err(payload) = call(user) {
        let _ = message(payload);
    }
}

/// Tells the subscribers of `tracing`.
#[cfg(feature = "tracing")]
pub(crate) fn trace(event: impl FnOnce()) {
    let _entered = whereabouts::enter_any();
    if let Err(payload) = call(event) {
        let _ = message(payload);
    }
}

/// Reports how a callback failed. Under no lock, and no bit but `TASK`; OnDisconnect: and its hold.
#[cold]
pub(crate) fn failed(conn: &Connection, callback: &'static str, how: Failed) -> Ran {
    match how {
        Failed::With(source) => {
            conn.conn().server.report(Error::Handler { callback, connection: conn.id(), source });
            Ran::Failed
        }
        Failed::Panicked(payload) => panicked(conn, callback, payload),
    }
}

#[cold]
fn panicked(conn: &Connection, callback: &'static str, payload: Box<dyn Any + Send>) -> Ran {
    let message = message(payload);
    conn.conn().server.report(Error::Panicked { callback, connection: conn.id(), message });
    Ran::Failed
}

/// What a panic says, and its end: a payload's own drop may panic as well, and so may that of the next.
#[cold]
fn message(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let message = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "?".to_owned());
    let mut payload = Some(payload);
    // One whose drop panics, with a payload whose drop panics, and so on, is left alone in the end.
    for _ in 0..PAYLOADS {
        let Some(last) = payload.take() else { break };
        payload = call(|| drop(last)).err();
    }
    std::mem::forget(payload);
    message
}

fn enter(conn: &Connection) -> whereabouts::Entered {
    whereabouts::enter(What::Callback, &conn.conn().server, Some(conn.conn()))
}

/// Drops values of a user's one by one: of two that panic, the second would end the process if both were one value.
pub(crate) fn discard_each<T>(conn: &Connection, what: &'static str, values: impl IntoIterator<Item = T>) {
    values.into_iter().for_each(|value| discard(conn, what, value));
}

fn guarded(conn: &Connection, callback: &'static str, user: impl FnOnce()) -> Ran {
    let _entered = enter(conn);
    match call(user) {
        Ok(()) => Ran::Done,
        Err(payload) => panicked(conn, callback, payload),
    }
}
