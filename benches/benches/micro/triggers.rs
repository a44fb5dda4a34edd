//! Waking a reader or a flusher, beside tokio's `Notify` and a flag behind std's condition variable.

use std::future::Future as _;
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};
use std::sync::{Condvar, Mutex};
use std::task::{Context, Poll, Waker};

use divan::Bencher;
use pollproof::protocol::trigger::{Trigger, Wake};
use tokio::sync::Notify;

/// The flag that people write.
#[derive(Default)]
struct Flag {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Flag {
    fn set(&self) {
        *self.set.lock().expect("nobody panics") = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let set = self.set.lock().expect("nobody panics");
        *self.changed.wait_while(set, |set| !*set).expect("nobody panics") = false;
    }
}

/// One wait that is over before it sleeps: begun, woken, waited for.
mod awake {
    use super::*;

    #[divan::bench]
    fn trigger(bencher: Bencher<'_, '_>) {
        let trigger = Trigger::new();
        bencher.bench_local(|| {
            let ticket = black_box(&trigger).begin(1);
            trigger.reach(1);
            trigger.wait(ticket)
        });
    }

    #[divan::bench]
    fn notify_tokio(bencher: Bencher<'_, '_>) {
        let notify = Notify::new();
        bencher.bench_local(|| {
            let mut notified = pin!(black_box(&notify).notified());
            notified.as_mut().enable();
            notify.notify_one();
            match notified.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(()) => {}
                Poll::Pending => unreachable!("it was notified"),
            }
        });
    }

    #[divan::bench(sample_size = 100)]
    fn flag_std(bencher: Bencher<'_, '_>) {
        let flag = Flag::default();
        bencher.bench_local(|| {
            black_box(&flag).set();
            flag.wait();
        });
    }
}

/// There and back, two hundred times: a thread wakes another, which wakes it. Both sleep.
mod second_thread {
    use super::*;

    const ROUNDS: u64 = 200;

    /// This thread's half of each round beside the other's.
    fn rounds(there: impl Fn(u64), back: impl Fn(u64) + Sync) {
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=ROUNDS).for_each(&back));
            (1..=ROUNDS).for_each(there);
        });
    }

    /// A trigger, and the total that is waited for: looked at after the wait has begun, changed before the wake-up.
    #[derive(Default)]
    struct Total {
        reached: AtomicU64,
        trigger: Trigger,
    }

    impl Total {
        fn reach(&self, total: u64) {
            self.reached.store(total, Release);
            self.trigger.reach(total);
        }

        fn wait(&self, total: u64) {
            let ticket = self.trigger.begin(total);
            if self.reached.load(Acquire) >= total {
                self.trigger.cancel(ticket);
            } else {
                assert_eq!(self.trigger.wait(ticket), Wake::Ready);
            }
        }
    }

    #[divan::bench]
    fn trigger() {
        let [there, back] = [Total::default(), Total::default()];
        rounds(
            |round| {
                there.reach(round);
                back.wait(round);
            },
            |round| {
                there.wait(round);
                back.reach(round);
            },
        );
    }

    #[divan::bench]
    fn notify_tokio() {
        let [there, back] = [Notify::new(), Notify::new()];
        rounds(
            |_| {
                there.notify_one();
                smol::block_on(back.notified());
            },
            |_| {
                smol::block_on(there.notified());
                back.notify_one();
            },
        );
    }

    #[divan::bench]
    fn flag_std() {
        let [there, back] = [Flag::default(), Flag::default()];
        rounds(
            |_| {
                there.set();
                back.wait();
            },
            |_| {
                there.wait();
                back.set();
            },
        );
    }
}
