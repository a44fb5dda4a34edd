//! A trigger that is made when somebody waits for the first time.
//!
//! Not here: what a trigger is and who fires it (`protocol::trigger`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]

use crate::protocol::trigger::Trigger;
use crate::sync::UnsafeCell;

/// A trigger that is made when somebody waits for the first time: few connections ever see a thread wait.
///
/// Who waits calls [`get`](Self::get) before it sets `WAITR` or `WAITW`, and waits alone, under `TASK` or `SYNC`;
/// everybody else calls it only after it has found that bit. So whoever finds the trigger missing is the first
/// waiter, and nobody else is here.
#[derive(Default)]
pub(crate) struct LazyTrigger(UnsafeCell<Option<Box<Trigger>>>);

// Safety: it is written once, by the first waiter, before that sets its bit; who reads it is a waiter that came
// after, ordered by TASK or SYNC, or has found the bit. The transition that sets the bit releases, and each of the
// others acquires (A1).
unsafe impl Sync for LazyTrigger {}

impl LazyTrigger {
    /// The trigger.
    ///
    /// # Safety
    ///
    /// The caller is about to wait under `TASK` (`SYNC`), or has found `WAITR` (`WAITW`) in the word.
    pub(crate) unsafe fn get(&self) -> &Trigger {
        // Safety: nobody writes it while somebody else reads, by the caller's promise.
        let made = self.0.with(|trigger| unsafe { (*trigger).as_deref() });
        // Safety: as above; it is missing, so nobody has ever waited.
        made.unwrap_or_else(|| self.0.with_mut(|trigger| unsafe { (*trigger).insert(Box::default()) }))
    }
}

/// For Miri. `cargo xtask test --only miri`.
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::LazyTrigger;
    use crate::protocol::trigger::Wake;
    use crate::sync::atomic::{AtomicU32, Ordering};
    use crate::sync::{Arc, thread};

    /// SPEC: T1. The waiter still has its reference when another thread asks for the trigger.
    #[test]
    fn a_trigger_is_made_by_who_waits_and_found_by_who_sees_its_bit() {
        let shared = Arc::new((LazyTrigger::default(), AtomicU32::new(0)));
        let other = shared.clone();
        let waker = thread::spawn(move || {
            let (lazy, waits) = &*other;
            // Ordering: Acquire, partner: the waiter's Release.
            while waits.fetch_or(0, Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            // Safety: the bit is there.
            let trigger = unsafe { lazy.get() };
            trigger.reach(1);
            std::ptr::from_ref(trigger).addr()
        });
        let (lazy, waits) = &*shared;
        // Safety: about to wait, and nobody else does.
        let trigger = unsafe { lazy.get() };
        let ticket = trigger.begin(1);
        // Ordering: Release, partner: the waker's Acquire.
        waits.fetch_or(1, Ordering::Release);
        assert_eq!(trigger.wait(ticket), Wake::Ready);
        assert_eq!(waker.join().expect("no panic"), std::ptr::from_ref(trigger).addr());
        // Safety: as above, for the next wait.
        let again = unsafe { lazy.get() };
        assert_eq!(std::ptr::from_ref(again), std::ptr::from_ref(trigger));
    }
}
