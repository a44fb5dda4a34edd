//! The checkers' known holes, each pinned by what today's version shows.
//!
//! For: the day on which a checker changes. A test that fails here says that a rule of this project may
//! have become superfluous, or that a new one is needed. Not for: the protocol, which is written so that
//! none of these matters.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "what the checkers do not see is shown with std's own types"
)]
#![cfg(any(loom, shuttle))]

use std::collections::BTreeSet;
use std::sync::{Arc as StdArc, Mutex as StdMutex};

use pollproof::sync::atomic::AtomicU32;
use pollproof::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use pollproof::sync::{Arc, Condvar, Mutex, UnsafeCell, lock, thread};

/// Explores `body` to its end; returns the executions and the outcomes.
fn explore(body: impl Fn() -> String + Send + Sync + 'static) -> (usize, BTreeSet<String>) {
    let outcomes = StdArc::new(StdMutex::new((0, BTreeSet::new())));
    let inner = outcomes.clone();
    checker(move || {
        let outcome = body();
        let mut outcomes = inner.lock().unwrap();
        outcomes.0 += 1;
        outcomes.1.insert(outcome);
    });
    let outcomes = outcomes.lock().unwrap();
    outcomes.clone()
}

#[cfg(loom)]
fn checker(execution: impl Fn() + Send + Sync + 'static) {
    builder().check(execution);
}

#[cfg(loom)]
fn builder() -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 10_000;
    builder.max_permutations = None;
    builder.max_duration = None;
    builder.preemption_bound = None;
    builder.checkpoint_file = None;
    builder.checkpoint_interval = usize::MAX;
    builder
}

#[cfg(shuttle)]
fn checker(execution: impl Fn() + Send + Sync + 'static) {
    let mut config = shuttle::Config::new();
    config.silence_warnings = true;
    let scheduler = shuttle::scheduler::DfsScheduler::new(Some(1_000_000), false);
    assert!(shuttle::Runner::new(scheduler, config).run(execution) < 1_000_000);
}

fn set(outcomes: &[&str]) -> BTreeSet<String> {
    outcomes.iter().map(|outcome| (*outcome).to_owned()).collect()
}

/// Two threads, each on its own clone of `state`; returns what they return.
fn pair<T, A, B>(state: T, first: impl FnOnce(&T) -> A + Send + 'static, second: impl FnOnce(&T) -> B) -> (A, B)
where
    T: Send + Sync + 'static,
    A: Send + 'static,
{
    let state = Arc::new(state);
    let other = state.clone();
    let handle = thread::spawn(move || first(&other));
    let b = second(&state);
    (handle.join().unwrap(), b)
}

fn two() -> (AtomicU32, AtomicU32) {
    (AtomicU32::new(0), AtomicU32::new(0))
}

/// Store buffering: each thread stores to one cell and loads the other. Under C11 with SeqCst, and under
/// sequential consistency, at least one of them sees the other.
fn store_buffering(
    store: pollproof::sync::atomic::Ordering,
    load: pollproof::sync::atomic::Ordering,
) -> BTreeSet<String> {
    explore(move || {
        let (a, b) = pair(
            two(),
            move |(x, y)| {
                x.store(1, store);
                y.load(load)
            },
            move |(x, y)| {
                y.store(1, store);
                x.load(load)
            },
        );
        format!("{a}{b}")
    })
    .1
}

/// loom treats SeqCst accesses as AcqRel and reports what cannot happen. Hence: no SeqCst accesses.
/// shuttle knows sequential consistency only and misses what can happen with weaker ones.
#[test]
fn store_buffering_by_accesses() {
    let both_miss = set(&["00", "01", "10", "11"]);
    let one_sees = set(&["01", "10", "11"]);
    assert_eq!(store_buffering(SeqCst, SeqCst), if cfg!(loom) { both_miss.clone() } else { one_sees.clone() });
    assert_eq!(store_buffering(Release, Acquire), if cfg!(loom) { both_miss } else { one_sees });
}

/// A fence on both sides is the form of store buffering that loom knows. shuttle ignores fences.
#[cfg(loom)]
#[test]
fn store_buffering_by_fences() {
    let with = |first: bool, second: bool| {
        explore(move || {
            let (a, b) = pair(
                two(),
                move |(x, y)| {
                    x.store(1, Relaxed);
                    if first {
                        loom::sync::atomic::fence(SeqCst);
                    }
                    y.load(Relaxed)
                },
                move |(x, y)| {
                    y.store(1, Relaxed);
                    if second {
                        loom::sync::atomic::fence(SeqCst);
                    }
                    x.load(Relaxed)
                },
            );
            format!("{a}{b}")
        })
        .1
    };
    assert_eq!(with(true, true), set(&["01", "10", "11"]));
    assert!(with(true, false).contains("00"));
}

/// A store-buffering pair whose second look is an RMW of one common cell cannot miss both. This is what the
/// word rests on.
#[test]
fn one_word_needs_no_fence() {
    let (_, outcomes) = explore(|| {
        let (a, b) = pair(AtomicU32::new(0), |word| word.fetch_or(1, AcqRel), |word| word.fetch_or(2, AcqRel));
        format!("{a}{b}")
    });
    assert_eq!(outcomes, set(&["01", "20"]));
}

/// Load buffering: C11 lets both relaxed loads see the other thread's later store. Neither checker does.
#[test]
fn load_buffering_is_not_explored() {
    let (_, outcomes) = explore(|| {
        let (a, b) = pair(
            two(),
            |(x, y)| {
                let seen = x.load(Relaxed);
                y.store(1, Relaxed);
                seen
            },
            |(x, y)| {
                let seen = y.load(Relaxed);
                x.store(1, Relaxed);
                seen
            },
        );
        format!("{a}{b}")
    });
    assert_eq!(outcomes, set(&["00", "01", "10"]));
}

/// After `flag` was seen without acquiring, C11 lets both reads of `x` be stale. loom's failing
/// compare-exchange reads the newest store all the same; its load does not.
#[cfg(loom)]
#[test]
fn a_failing_compare_exchange_reads_the_newest_store() {
    let seen = |by_cas: bool| {
        explore(move || {
            let ((), seen) = pair(
                two(),
                |(x, flag)| {
                    x.store(1, Relaxed);
                    flag.store(1, Relaxed);
                },
                move |(x, flag)| match flag.load(Relaxed) {
                    0 => "early".to_owned(),
                    _ if by_cas => x.compare_exchange(9, 9, Relaxed, Relaxed).unwrap_err().to_string(),
                    _ => x.load(Relaxed).to_string(),
                },
            );
            seen
        })
        .1
    };
    assert_eq!(seen(false), set(&["0", "1", "early"]));
    assert_eq!(seen(true), set(&["1", "early"]));
}

/// Hardware may fail a weak compare-exchange for no reason. Neither checker ever does.
#[test]
fn a_weak_compare_exchange_never_fails_spuriously() {
    let (_, outcomes) = explore(|| {
        let (a, ()) = pair(
            AtomicU32::new(0),
            |x| x.compare_exchange_weak(0, 1, AcqRel, Relaxed).is_ok(),
            |x| {
                let _ = x.load(Relaxed);
            },
        );
        a.to_string()
    });
    assert_eq!(outcomes, set(&["true"]));
}

/// A thread that loads a cell and then changes it hides the loads of others: loom remembers one last access,
/// and it is that thread's own. Whether the other's load can come after the change is then not explored, if the
/// schedule that loom begins with has it before. shuttle, which reduces nothing, reaches both.
#[test]
fn a_load_before_an_rmw_hides_other_loads() {
    let other_loads_first = |loads_before: bool| {
        explore(move || {
            let cell = Arc::new(AtomicU32::new(0));
            let (mine, yours) = (cell.clone(), cell.clone());
            let looker = thread::spawn(move || mine.load(Acquire));
            let changer = thread::spawn(move || {
                if loads_before {
                    let _ = yours.load(Relaxed);
                }
                yours.fetch_add(1, Release);
            });
            let seen = looker.join().unwrap();
            changer.join().unwrap();
            seen.to_string()
        })
        .1
    };
    assert_eq!(other_loads_first(false), set(&["0", "1"]));
    assert_eq!(other_loads_first(true), if cfg!(loom) { set(&["0"]) } else { set(&["0", "1"]) });
}

/// State that loom does not see is a dependency that it does not know: the two orders of a std mutex are not
/// both explored. (The load is a point at which shuttle may switch; loads do not depend on each other.) What a scenario's control flow rests on must be the facade's.
#[test]
fn a_dependency_through_std_is_invisible() {
    let both_orders = |seen_by_the_checker: bool| {
        explore(move || {
            let state = (StdMutex::new(0), Mutex::new(0), AtomicU32::new(0));
            let (_, second) = pair(
                state,
                move |(hidden, seen, step)| {
                    let _ = step.load(Relaxed);
                    if seen_by_the_checker { *lock(seen) = 1 } else { *hidden.lock().unwrap() = 1 }
                },
                move |(hidden, seen, step)| {
                    let _ = step.load(Relaxed);
                    if seen_by_the_checker { *lock(seen) } else { *hidden.lock().unwrap() }
                },
            );
            second.to_string()
        })
        .1
    };
    assert_eq!(both_orders(true), set(&["0", "1"]));
    assert_eq!(both_orders(false).len(), if cfg!(loom) { 1 } else { 2 });
}

/// loom keeps the last seven stores of a cell; C11 would let the reader see any of the eleven values.
#[cfg(loom)]
#[test]
fn old_stores_vanish() {
    let (_, outcomes) = explore(|| {
        let ((), seen) = pair(
            two(),
            |(x, flag)| {
                (1..=10).for_each(|value| x.store(value, Relaxed));
                flag.store(1, Relaxed);
            },
            |(x, flag)| if flag.load(Relaxed) == 1 { x.load(Relaxed).to_string() } else { "early".to_owned() },
        );
        seen
    });
    assert_eq!(outcomes, set(&["4", "5", "6", "7", "8", "9", "10", "early"]));
}

/// A limit on executions lets a model pass that was not explored. Hence: never set one.
#[cfg(loom)]
#[test]
fn a_limit_on_executions_passes_silently() {
    let executions = StdArc::new(StdMutex::new(0));
    let count = executions.clone();
    let mut limited = builder();
    limited.max_permutations = Some(2);
    limited.checkpoint_interval = 1;
    limited.check(move || {
        *count.lock().unwrap() += 1;
        let (a, b) = pair(AtomicU32::new(0), |x| x.fetch_add(1, AcqRel), |x| x.fetch_add(1, AcqRel));
        assert!((a, b) != (0, 1) || *count.lock().unwrap() < 2, "this would fail, if it were reached");
    });
    assert_eq!(*executions.lock().unwrap(), 1);
}

/// `if` around a wait is wrong, because a condition variable may wake for no reason. Neither checker says so.
#[test]
fn a_condition_variable_never_wakes_spuriously() {
    let (_, outcomes) = explore(|| {
        let (ready, ()) = pair(
            (Mutex::new(false), Condvar::new()),
            |(ready, woken)| {
                let mut guard = lock(ready);
                if !*guard {
                    guard = woken.wait(guard).unwrap();
                }
                *guard
            },
            |(ready, woken)| {
                *lock(ready) = true;
                woken.notify_one();
            },
        );
        ready.to_string()
    });
    assert_eq!(outcomes, set(&["true"]));
}

/// A reference that is never given back: loom reports its own `Arc`, and knows nothing of std's.
#[cfg(loom)]
#[test]
fn only_the_facades_arc_is_seen_to_leak() {
    builder().check(|| std::mem::forget(StdArc::new(())));
    let seen = std::panic::catch_unwind(|| builder().check(|| std::mem::forget(Arc::new(()))));
    assert!(seen.is_err());
}

/// Two threads write one cell and nothing orders them: loom reports it, shuttle does not.
#[cfg(shuttle)]
#[test]
fn a_data_race_is_not_seen() {
    struct Cell(UnsafeCell<u32>);
    // Safety: shuttle runs one thread at a time, on one thread of the system: in fact nothing overlaps.
    unsafe impl Sync for Cell {}
    let (_, outcomes) = explore(|| {
        let bump = |cell: &Cell| {
            cell.0.with_mut(|value| {
                // Safety: see above.
                unsafe { *value += 1 }
            });
        };
        let ((), ()) = pair(Cell(UnsafeCell::new(0)), bump, bump);
        String::new()
    });
    assert_eq!(outcomes.len(), 1);
}

/// loom does: this is what makes cells worth more than assertions.
#[cfg(loom)]
#[test]
fn a_data_race_is_seen() {
    let run = || {
        builder().check(|| {
            let cell = Arc::new(UnsafeCell::new(0_u32));
            let shared = Arc::new(Unordered(cell.clone()));
            let handle = thread::spawn(move || shared.0.with_mut(|_| ()));
            cell.with_mut(|_| ());
            handle.join().unwrap();
        });
    };
    assert!(std::panic::catch_unwind(run).is_err());
}

/// A cell that claims to be shareable.
#[cfg(loom)]
struct Unordered(Arc<UnsafeCell<u32>>);
// Safety: it is not; this is the mistake that loom is to find. Nothing is dereferenced.
#[cfg(loom)]
unsafe impl Send for Unordered {}
// Safety: as above.
#[cfg(loom)]
unsafe impl Sync for Unordered {}

/// shuttle's depth-first search is deterministic, so its counts can be committed.
#[cfg(shuttle)]
#[test]
fn the_depth_first_search_is_deterministic() {
    let count = || explore(|| format!("{:?}", pair(two(), |(x, _)| x.fetch_add(1, AcqRel), |(x, _)| x.load(SeqCst)))).0;
    assert_eq!(count(), count());
    assert!(count() > 1);
}
