//! The word, on the path of a request, and locks that others would have in its place.

use std::hint::black_box;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicU32, Ordering::AcqRel};

use divan::Bencher;
use parking_lot::Mutex;
use pollproof::protocol::effects::Effects as _;
use pollproof::protocol::gate::Gate;
use pollproof::protocol::{lifecycle, output};

use super::bare::{Bare, beside};

/// The measure of all: two operations on a word, as one lock bit would be set and cleared, with both values used.
mod plain {
    use super::*;

    const BIT: u32 = 1;

    #[divan::bench(threads = [1, 2], sample_size = 100_000)]
    fn fetch_or_and_fetch_and(bencher: Bencher<'_, '_>) {
        let word = AtomicU32::new(0);
        bencher.bench(|| {
            let found = word.fetch_or(BIT, AcqRel);
            black_box(found);
            black_box(word.fetch_and(!BIT, AcqRel))
        });
    }
}

/// A poller's step for a readable fd: the serial section taken, used and left.
mod request {
    use super::*;

    /// begin_read, end_read, release.
    #[divan::bench]
    fn handled(bencher: Bencher<'_, '_>) {
        let bare = Bare::serving(false);
        bencher.bench_local(|| lifecycle::readable(black_box(&bare), false));
    }

    /// begin_read, end_read, begin_flush, end_send, end_flush, release: all that a request of an echo server does.
    #[divan::bench]
    fn answered(bencher: Bencher<'_, '_>) {
        let bare = Bare::serving(true);
        bencher.bench_local(|| lifecycle::readable(black_box(&bare), false));
    }

    /// The same, while another thread looks at the word.
    #[divan::bench(sample_size = 100_000)]
    fn answered_second_thread(bencher: Bencher<'_, '_>) {
        let bare = Bare::serving(true);
        let look = || {
            let _ = black_box(bare.word().look());
        };
        beside(look, || bencher.bench_local(|| lifecycle::readable(black_box(&bare), false)));
    }

    /// A lock for the reader, one for the handler and one for the output, where pollproof has bits of one word.
    #[divan::bench]
    fn three_locks_parking_lot(bencher: Bencher<'_, '_>) {
        let locks = [Mutex::new(0_u64), Mutex::new(0), Mutex::new(0)];
        bencher.bench_local(|| {
            let [reader, handler, output] = black_box(&locks);
            let mut handled = handler.try_lock().expect("free");
            *reader.try_lock().expect("free") += 1;
            *output.try_lock().expect("free") += 1;
            *handled += 1;
        });
    }

    /// The same with std's.
    #[divan::bench]
    fn three_locks_std(bencher: Bencher<'_, '_>) {
        let locks = [StdMutex::new(0_u64), StdMutex::new(0), StdMutex::new(0)];
        bencher.bench_local(|| {
            let [reader, handler, output] = black_box(&locks);
            let mut handled = handler.try_lock().expect("free");
            *reader.try_lock().expect("free") += 1;
            *output.try_lock().expect("free") += 1;
            *handled += 1;
        });
    }
}

/// The output's two locks, taken and given back.
mod flush {
    use super::*;

    /// begin_flush, end_send, end_flush.
    #[divan::bench]
    fn at_once(bencher: Bencher<'_, '_>) {
        let bare = Bare::serving(false);
        bencher.bench_local(|| output::flush_at_once(black_box(&bare)));
    }

    /// Two threads flush: one of two that meet is refused.
    #[divan::bench(threads = 2, sample_size = 100_000)]
    fn at_once_second_thread(bencher: Bencher<'_, '_>) {
        let bare = Bare::serving(false);
        bencher.bench(|| output::flush_at_once(black_box(&bare)));
    }
}

/// The serial section, tried, owned and given back by a reader outside; beside a lock that is tried.
mod section {
    use super::*;

    /// take, look, release.
    #[divan::bench(threads = [1, 2], sample_size = 100_000)]
    fn acquire_and_release(bencher: Bencher<'_, '_>) {
        let bare = Bare::unserved();
        bencher.bench(|| {
            if lifecycle::acquire(black_box(&bare)) {
                lifecycle::release(&bare);
            }
        });
    }

    #[divan::bench(threads = [1, 2], sample_size = 100_000)]
    fn try_lock_parking_lot(bencher: Bencher<'_, '_>) {
        let lock = Mutex::new(0_u64);
        bencher.bench(|| {
            if let Some(mut held) = black_box(&lock).try_lock() {
                *held += 1;
            }
        });
    }

    #[divan::bench(threads = [1, 2], sample_size = 100_000)]
    fn try_lock_std(bencher: Bencher<'_, '_>) {
        let lock = StdMutex::new(0_u64);
        bencher.bench(|| {
            if let Ok(mut held) = black_box(&lock).try_lock() {
                *held += 1;
            }
        });
    }

    #[divan::bench(threads = [1, 2], sample_size = 100_000)]
    fn lock_std(bencher: Bencher<'_, '_>) {
        let lock = StdMutex::new(0_u64);
        bencher.bench(|| *black_box(&lock).lock().expect("nobody panics") += 1);
    }
}

/// The gate of accepting, beside a semaphore.
mod gate {
    use super::*;

    /// fetch_add, fetch_sub.
    #[divan::bench(threads = [1, 2], sample_size = 100_000)]
    fn enter_and_leave(bencher: Bencher<'_, '_>) {
        let gate = Gate::new();
        bencher.bench(|| {
            let room = black_box(&gate).enter().room(100);
            (room, gate.leave())
        });
    }

    #[divan::bench(threads = [1, 2], sample_size = 100_000)]
    fn semaphore_tokio(bencher: Bencher<'_, '_>) {
        let semaphore = tokio::sync::Semaphore::new(100);
        bencher.bench(|| drop(black_box(&semaphore).try_acquire()));
    }
}

/// A whole life: register, connect, one request, close.
#[divan::bench(sample_size = 100)]
fn life(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| {
        let bare = Bare::serving(true);
        let read = lifecycle::readable(&bare, false);
        (read, lifecycle::close(&bare))
    });
}
