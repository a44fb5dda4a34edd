//! The cells that a bit of the word guards, on threads that a bit orders: for Miri, which sees a data race, and a
//! reference that outlives its turn. `cargo xtask test --only miri`.
//!
//! Not here: which bit guards which cell of a connection (the scenarios), and those cells themselves (`server::whole`).

use std::cell::Cell;

use super::{Exclusive, Held};
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Arc, thread};

/// One bit, which one thread has at a time, as the word hands out `TASK`.
#[derive(Default)]
struct Bit(AtomicU32);

impl Bit {
    fn held<R>(&self, f: impl FnOnce() -> R) -> R {
        // Ordering: Acquire, partner: the Release below, of who had it before.
        while self.0.fetch_or(1, Ordering::Acquire) != 0 {
            thread::yield_now();
        }
        let result = f();
        // Ordering: Release, partner: the Acquire above, of who takes it next.
        self.0.fetch_and(0, Ordering::Release);
        result
    }
}

/// Runs `f` on two threads with what they share.
fn on_two_threads<T: Send + Sync + 'static>(shared: T, f: fn(&T)) -> Arc<T> {
    let shared = Arc::new(shared);
    let threads = [(); 2].map(|()| {
        let shared = shared.clone();
        thread::spawn(move || f(&shared))
    });
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    shared
}

/// SPEC: A1.
#[test]
fn a_value_is_changed_by_whoever_holds_its_bit() {
    let shared = on_two_threads((Bit::default(), Held::new(Vec::new())), |(bit, held)| {
        for round in 0..8 {
            bit.held(|| {
                // Safety: under the bit, one access after the other.
                unsafe {
                    let before = held.with(Vec::len);
                    held.with_mut(|values| values.push(round));
                    let values = held.get();
                    values.push(round);
                    assert_eq!(values.len(), before + 2);
                }
            });
        }
    });
    // Safety: the threads are over.
    assert_eq!(unsafe { shared.1.with(|values| values.iter().sum::<i32>()) }, 2 * 2 * 28);
}

/// A state need not be `Sync`: no two threads ever look at it at once.
#[test]
fn an_exclusive_value_goes_from_thread_to_thread() {
    let shared = on_two_threads((Bit::default(), Held::new(Exclusive::new(Cell::new(0)))), |(bit, held)| {
        for _ in 0..8 {
            // Safety: under the bit.
            bit.held(|| unsafe { held.with_mut(|state| state.get_mut().update(|count| count + 1)) });
        }
    });
    // Safety: the threads are over.
    assert_eq!(unsafe { shared.1.get() }.get_mut().get(), 16);
}
