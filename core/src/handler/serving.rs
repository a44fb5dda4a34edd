//! One connection of a handler: the handler with the connection's context and state.

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

use super::Handler;
use crate::connection::Connection;
use crate::connection::io::Io;
use crate::connection::service::{Factory, Service};
use crate::outcome::BoxError;
use crate::sync::Arc;
use crate::sync::bit_cell::{Exclusive, Held};

impl<H: Handler> Factory for Arc<H> {
    fn make(&self) -> Box<dyn Service> {
        Box::new(Serving {
            handler: Held::new(Some(self.clone())),
            context: Held::new(None),
            state: Held::new(Exclusive::new(None)),
        })
    }
}

struct Serving<H: Handler> {
    /// There until the end, which takes it: a handler may keep a handle of its connection. (U4)
    handler: Held<Option<Arc<H>>>,
    /// Written under `CONNECTING` and at the end, shared between.
    context: Held<Option<H::Context>>,
    /// Under `TASK`.
    state: Held<Exclusive<Option<H::State>>>,
}

impl<H: Handler> Serving<H> {
    /// The handler.
    ///
    /// # Safety
    ///
    /// Under `TASK` or a hold, before `FINAL`.
    #[inline(always)]
    unsafe fn handler(&self) -> &H {
        // Safety: the only writer is `forget`, after FINAL: by the caller's promise not now, nor as long as it uses this.
        unsafe {
            let handler = self.handler.with(std::ptr::from_ref);
            debug_assert!((*handler).is_some(), "it is over");
            (*handler).as_ref().unwrap_unchecked()
        }
    }
}

impl<H: Handler> Service for Serving<H> {
    unsafe fn on_prepare(&self, conn: &Connection) {
        // Safety: by the caller's promise.
        unsafe { self.handler() }.on_prepare(conn);
    }

    unsafe fn on_connect(&self, io: &mut Io<'_>) -> Result<(), BoxError> {
        // Safety: TASK, and nobody but OnRequest, which waits for OnConnect, has the state (S1).
        let state = unsafe { self.state.get() }.get_mut().insert(H::State::default());
        // Safety: TASK, before the end.
        let made = unsafe { self.handler() }.on_connect(state, io)?;
        // Safety: while CONNECTING is set nobody else reads the context (H1); its end publishes it.
        unsafe { self.context.with_mut(|context| *context = Some(made)) };
        Ok(())
    }

    #[inline]
    unsafe fn on_request(&self, io: &mut Io<'_>) -> Result<(), BoxError> {
        // Safety: OnConnect is over, and the end waits for TASK, which the caller owns (H1, C4); the state is
        // the owner's alone (S1).
        unsafe {
            self.context.with(|context| match (context, self.state.get().get_mut()) {
                (Some(context), Some(state)) => self.handler().on_request(context, state, io),
                _ => Ok(()),
            })
        }
    }

    unsafe fn on_disconnect(&self, conn: &Connection) {
        // Safety: OnConnect is over, and the end waits for the caller's hold (H1, H4).
        unsafe {
            self.context.with(|context| {
                if let Some(context) = context {
                    self.handler().on_disconnect(context, conn);
                }
            });
        }
    }

    unsafe fn forget(&self, each: &mut dyn FnMut(&'static str, &mut dyn FnMut())) {
        // Safety: the close is committed, so no callback runs and none begins (C4). Dropped outside the
        // access: they may own a handle of this connection.
        let (mut context, mut state, mut handler) = unsafe {
            (
                self.context.with_mut(Option::take),
                self.state.get().get_mut().take(),
                self.handler.with_mut(Option::take),
            )
        };
        each("drop of the context", &mut || drop(context.take()));
        each("drop of the state", &mut || drop(state.take()));
        each("drop of the handler", &mut || drop(handler.take()));
    }
}
