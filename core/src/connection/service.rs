//! What calls a connection's user code, whatever the types of its handler: one pointer.
//!
//! Not here: who may call it (`door`), and what users write (`handler`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

use super::Connection;
use super::io::Io;
use crate::outcome::BoxError;

/// Makes the [`Service`] of each connection.
pub(crate) trait Factory: Send + Sync {
    fn make(&self) -> Box<dyn Service>;
}

/// One connection's handler, context and state.
///
/// Each method is called as the method of the same name in
/// [`Effects`](crate::protocol::effects::Effects) is.
pub(crate) trait Service: Send + Sync {
    /// Whether there is an OnConnect or OnRequest. (C6)
    fn has_handler(&self) -> bool {
        true
    }

    /// # Safety
    ///
    /// Under `TASK`, before anything else.
    unsafe fn on_prepare(&self, conn: &Connection);

    /// # Safety
    ///
    /// Under `TASK`, before `CONNECTING` is cleared.
    unsafe fn on_connect(&self, io: &mut Io<'_>) -> Result<(), BoxError>;

    /// # Safety
    ///
    /// Under `TASK`, after OnConnect.
    unsafe fn on_request(&self, io: &mut Io<'_>) -> Result<(), BoxError>;

    /// # Safety
    ///
    /// Under a hold, or under `TASK`; after OnConnect.
    unsafe fn on_disconnect(&self, conn: &Connection);

    /// Drops the context, the state and the handler, each by a call of `each`, which is given its name. Nothing else is
    /// called after that.
    ///
    /// # Safety
    ///
    /// Under `TASK`, after `FINAL`, once.
    unsafe fn forget(&self, each: &mut dyn FnMut(&'static str, &mut dyn FnMut()));
}

/// A connection that was dialed without a handler.
pub(crate) struct Unserved;

impl Service for Unserved {
    fn has_handler(&self) -> bool {
        false
    }

    unsafe fn on_prepare(&self, _: &Connection) {}

    unsafe fn on_connect(&self, _: &mut Io<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    unsafe fn on_request(&self, _: &mut Io<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    unsafe fn on_disconnect(&self, _: &Connection) {}

    unsafe fn forget(&self, _: &mut dyn FnMut(&'static str, &mut dyn FnMut())) {}
}
