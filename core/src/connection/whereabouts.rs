//! Where a thread is: for which server it polls, and whose code it is inside. (U5)
//!
//! Each decision that depends on the calling thread asks here: whether to wake a loop, whether a section may begin on
//! this stack, whether a call would wait for its own caller, whether it is to hand its loop over before it blocks. One
//! value for each thread, and one *frame* in it for each call of user code that has not returned, innermost last. A
//! handler on its polling thread has none, so that a request pays nothing: a thread that polls is inside user code
//! whenever somebody asks, for only user code does.
//!
//! Not here: the calls of user code (`door`), and what a thread does that polls (`reactor::threads`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use crate::connection::duty::Duty;
use crate::connection::shared::Shared;
use crate::connection::state::Conn;
use crate::connection::step::Local;
use crate::protocol::takeover::Lead;
use crate::sync::{Arc, thread_local};

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// A serial section, on a thread that does not poll.
    Section,
    /// A callback, or the drop of a value of a user's.
    Callback,
    /// `Runner::run`: a task that it runs at once is its own business.
    Runner,
}

/// A call of user code that has not returned. The addresses are compared and nothing else: what they are of outlives
/// the frame.
struct Frame {
    what: What,
    server: usize,
    conn: usize,
}

/// The server that a thread polls for, and the loop that it leads.
pub(crate) struct Post {
    pub(crate) server: Arc<Shared>,
    pub(crate) lead: Option<Arc<Lead>>,
}

struct Here {
    post: RefCell<Option<Post>>,
    frames: RefCell<Vec<Frame>>,
    /// What is to be done when this thread's user code has returned: its home loop is over.
    deferred: RefCell<VecDeque<Duty>>,
    sweeps: Cell<bool>,
    /// Steps under way, whose bits must be back before what they deferred is done.
    steps: Cell<u32>,
}

thread_local! {
    static HERE: Here = const { Here {
        post: RefCell::new(None),
        frames: RefCell::new(Vec::new()),
        deferred: RefCell::new(VecDeque::new()),
        sweeps: Cell::new(false),
        steps: Cell::new(0),
    } };
}

thread_local! {
    /// This thread was a server's, and has done what it was there for. Has no drop, so it is there to the very end.
    static OVER: Cell<bool> = const { Cell::new(false) };
}

/// This thread was a server's, and ends: it runs nothing but what users left for its very end.
pub(crate) fn end() {
    let _ = OVER.try_with(|over| over.set(true));
}

/// Whether this thread was a server's, and ends. Others may wait for that. (U6)
pub(crate) fn ends() -> bool {
    OVER.try_with(Cell::get).unwrap_or(true)
}

/// What `look` says of this thread; `None` at its very end, when this is gone.
fn here<R>(look: impl FnOnce(&Here) -> R) -> Option<R> {
    HERE.try_with(look).ok()
}

fn address<T>(of: &T) -> usize {
    std::ptr::from_ref(of).addr()
}

/// This thread polls for `server` from here on, and leads nothing yet.
pub(crate) fn take_post(server: Arc<Shared>) {
    here(|here| here.post.replace(Some(Post { server, lead: None })));
}

/// This thread does not poll any more.
pub(crate) fn leave_post() {
    let post = here(|here| here.post.take());
    drop(post);
    sweep(None);
}

/// The loop that this thread leads from here on, if any.
pub(crate) fn set_lead(lead: Option<Arc<Lead>>) {
    let old = here(|here| here.post.borrow_mut().as_mut().and_then(|post| std::mem::replace(&mut post.lead, lead)));
    drop(old);
}

/// Whether this thread polls, for whichever server. Such a thread never waits for a peer, and what it calls of this
/// crate is called by user code.
pub(crate) fn polls() -> bool {
    here(|here| here.post.borrow().is_some()).unwrap_or(false)
}

/// The server that this thread polls for and the loop that it leads, if it leads one.
pub(crate) fn led() -> Option<(Arc<Shared>, Arc<Lead>)> {
    here(|here| {
        let post = here.post.borrow();
        let post = post.as_ref()?;
        Some((post.server.clone(), post.lead.clone()?))
    })
    .flatten()
}

/// Whether this thread leads the loop `home` of `server`, and will look at its queue before it waits.
pub(crate) fn leads(server: &Shared, home: usize) -> bool {
    let leads = |here: &Here| {
        let post = here.post.borrow();
        post.as_ref().is_some_and(|post| {
            let lead = post.lead.as_ref();
            std::ptr::eq(&*post.server, server) && lead.is_some_and(|lead| lead.home() == home && !lead.is_over())
        })
    };
    here(leads).unwrap_or(false)
}

/// Whether this thread is inside user code, so that no section and no callback may begin on its stack. (U2)
pub(crate) fn inside() -> bool {
    // At its very end, it is a value of a user's that is dropped.
    here(|here| here.post.borrow().is_some() || !here.frames.borrow().is_empty()).unwrap_or(true)
}

/// Whether a task may run here: in a call of its runner, or outside all user code. (U2)
pub(crate) fn may_run_task() -> bool {
    let may = |here: &Here| match here.frames.borrow().last() {
        Some(frame) => frame.what == What::Runner,
        None => here.post.borrow().is_none(),
    };
    here(may).unwrap_or(false)
}

/// Whether this thread is inside user code that `server` has called, or polls for it: then waiting for that to return
/// would be for ever. (U6)
pub(crate) fn called_by(server: &Shared) -> bool {
    let called = |here: &Here| {
        here.post.borrow().as_ref().is_some_and(|post| std::ptr::eq(&*post.server, server))
            || here.frames.borrow().iter().any(|frame| frame.server == address(server))
    };
    here(called).unwrap_or(false)
}

/// Whether this thread is inside a callback of `conn` other than OnRequest on its polling thread. (U6)
pub(crate) fn in_callback_of(conn: &Conn) -> bool {
    here(|here| here.frames.borrow().iter().any(|frame| frame.conn == address(conn))).unwrap_or(false)
}

/// User code is about to be called for `conn`, or for its server alone; until the result is dropped.
pub(crate) fn enter(what: What, server: &Shared, conn: Option<&Conn>) -> Entered {
    let frame = Frame { what, server: address(server), conn: conn.map_or(0, address) };
    Entered(here(|here| here.frames.borrow_mut().push(frame)).is_some())
}

/// As [`enter`], for user code that is called for nobody.
#[cfg(feature = "tracing")]
pub(crate) fn enter_any() -> Entered {
    let frame = Frame { what: What::Callback, server: 0, conn: 0 };
    Entered(here(|here| here.frames.borrow_mut().push(frame)).is_some())
}

/// This thread is inside user code as long as this lives.
#[must_use]
pub(crate) struct Entered(bool);

impl Drop for Entered {
    fn drop(&mut self) {
        if self.0 {
            here(|here| here.frames.borrow_mut().pop());
            if !inside() && here(|here| here.steps.get() == 0).unwrap_or(false) {
                sweep(None);
            }
        }
    }
}

/// A call of the crate takes a step, which may hold bits until the result is dropped.
pub(crate) fn take_step() -> UnderWay {
    UnderWay(here(|here| here.steps.set(here.steps.get() + 1)).is_some())
}

/// What falls due in a step is done after it, as long as this lives.
#[must_use]
pub(crate) struct UnderWay(bool);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let over = |here: &Here| {
            here.steps.set(here.steps.get() - 1);
            here.steps.get() == 0 && !here.deferred.borrow().is_empty()
        };
        if self.0 && here(over).unwrap_or(false) && !inside() {
            sweep(None);
        }
    }
}

/// Keeps `duty` until this thread's user code has returned, and its step is over. Called where the duty's home loop is
/// over. Comes back if there is no such moment, but for the thread's very end.
pub(crate) fn defer(duty: Duty) -> Result<(), Duty> {
    if !inside() && here(|here| here.steps.get() == 0).unwrap_or(true) {
        return Err(duty);
    }
    let mut duty = Some(duty);
    here(|here| here.deferred.borrow_mut().extend(duty.take()));
    match duty {
        Some(duty) => Err(duty),
        None => {
            if let Some((server, lead)) = led() {
                server.pollers[lead.home()].ask_to_sweep();
            }
            Ok(())
        }
    }
}

/// Does what was deferred. Called where this thread is not inside user code; `local` is its own if it polls.
pub(crate) fn sweep(local: Option<&Local>) {
    if here(|here| here.deferred.borrow().is_empty() || here.sweeps.replace(true)).unwrap_or(true) {
        return;
    }
    while let Some(duty) = here(|here| here.deferred.borrow_mut().pop_front()).flatten() {
        duty.fulfil(local);
    }
    here(|here| here.sweeps.set(false));
}
