//! State that the roles of a scenario share.
//!
//! For: what a scenario would put into an `Arc`. Not for: state of the protocol itself, which uses the
//! facade directly.

use std::ops::Deref;

// A lock that the checkers do not see; ThreadSanitizer, which cannot look into std's, gets one that it sees.
#[cfg(tsan)]
pub(crate) use pollproof::sync::{Mutex as Unseen, MutexGuard as UnseenGuard};
#[cfg(not(tsan))]
pub(crate) use std::sync::{Mutex as Unseen, MutexGuard as UnseenGuard};

/// A handle to shared state: the facade's `Arc` under loom (which reports it if it leaks) and under
/// shuttle; a leaked reference on plain threads, because ThreadSanitizer without an instrumented `std`
/// raises false alarms on the last drop of a `std::sync::Arc`.
pub struct Shared<T: 'static>(Handle<T>);

#[cfg(any(loom, shuttle))]
type Handle<T> = pollproof::sync::Arc<T>;
#[cfg(not(any(loom, shuttle)))]
type Handle<T> = &'static T;

/// Makes `value` shareable between the roles of a scenario.
pub fn share<T: 'static>(value: T) -> Shared<T> {
    #[cfg(any(loom, shuttle))]
    return Shared(pollproof::sync::Arc::new(value));
    #[cfg(not(any(loom, shuttle)))]
    Shared(Box::leak(Box::new(value)))
}

impl<T> Clone for Shared<T> {
    #[cfg_attr(
        not(any(loom, shuttle)),
        expect(noop_method_call, reason = "on plain threads the handle is a reference"),
        allow(clippy::clone_on_copy, reason = "on plain threads the handle is a reference")
    )]
    fn clone(&self) -> Self {
        Shared(self.0.clone())
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    #[cfg_attr(
        not(any(loom, shuttle)),
        allow(clippy::needless_borrow, reason = "on plain threads the handle is a reference")
    )]
    fn deref(&self) -> &T {
        &self.0
    }
}
