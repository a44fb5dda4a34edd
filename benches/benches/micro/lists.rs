//! The close list, and the queue that buffers are made of, beside queues that others use.

use std::hint::black_box;
use std::sync::Mutex;

use crossbeam_queue::{ArrayQueue, SegQueue};
use divan::Bencher;
use pollproof::buffer::link::Link;
use pollproof::protocol::close_list::CloseList;
use pollproof::protocol::effects::Ran;

type Callback = Box<dyn FnOnce() + Send>;

fn callback() -> Callback {
    let what = black_box(1_u64);
    Box::new(move || {
        black_box(what);
    })
}

/// A list of so many callbacks, made, run and dropped.
mod close {
    use super::*;

    const CALLBACKS: [usize; 3] = [0, 1, 8];

    #[divan::bench(args = CALLBACKS)]
    fn close_list(callbacks: usize) -> usize {
        let list = CloseList::new();
        for _ in 0..callbacks {
            assert!(list.push(callback()).is_ok(), "not sealed");
        }
        list.run(|callback| {
            callback();
            Ran::Done
        })
    }

    #[divan::bench(args = CALLBACKS)]
    fn vector_behind_a_lock(callbacks: usize) -> usize {
        let list = Mutex::new(Vec::new());
        for _ in 0..callbacks {
            list.lock().expect("nobody panics").push(callback());
        }
        let taken = std::mem::take(&mut *list.lock().expect("nobody panics"));
        taken.into_iter().rev().map(|callback| callback()).count()
    }

    #[divan::bench(args = CALLBACKS)]
    fn queue_crossbeam(callbacks: usize) -> usize {
        let list = SegQueue::new();
        for _ in 0..callbacks {
            list.push(callback());
        }
        std::iter::from_fn(|| list.pop()).map(|callback: Callback| callback()).count()
    }

    /// Two threads add to the same list.
    #[divan::bench(threads = 2, sample_count = 20, sample_size = 10_000)]
    fn push_second_thread(bencher: Bencher<'_, '_>) {
        let list = CloseList::new();
        bencher.bench(|| list.push(callback()).is_ok());
    }
}

/// One value in, one value out.
mod queue {
    use super::*;

    #[divan::bench]
    fn link(bencher: Bencher<'_, '_>) {
        let link = Link::new();
        bencher.bench_local(|| {
            // Safety: there is one thread, so one producer and one consumer.
            unsafe {
                link.push(black_box(1_u64));
                link.pop()
            }
        });
    }

    #[divan::bench(threads = [1, 2], sample_size = 100_000)]
    fn unbounded_crossbeam(bencher: Bencher<'_, '_>) {
        let queue = SegQueue::new();
        bencher.bench(|| {
            queue.push(black_box(1_u64));
            queue.pop()
        });
    }

    #[divan::bench(threads = [1, 2], sample_size = 100_000)]
    fn bounded_crossbeam(bencher: Bencher<'_, '_>) {
        let queue = ArrayQueue::new(16);
        bencher.bench(|| {
            let pushed = queue.push(black_box(1_u64));
            (pushed, queue.pop())
        });
    }

    #[divan::bench]
    fn channel_std(bencher: Bencher<'_, '_>) {
        let (sender, receiver) = std::sync::mpsc::channel();
        bencher.bench_local(|| {
            sender.send(black_box(1_u64)).expect("its receiver is here");
            receiver.try_recv()
        });
    }

    /// A thousand values from one thread to another.
    mod second_thread {
        use super::*;

        const VALUES: u64 = 1_000;

        fn taken(mut pop: impl FnMut() -> Option<u64>) {
            let mut count = 0;
            while count < VALUES {
                match pop() {
                    Some(_) => count += 1,
                    None => std::hint::spin_loop(),
                }
            }
        }

        #[divan::bench]
        fn link() {
            let link = Link::new();
            std::thread::scope(|scope| {
                // Safety: this thread is the only producer.
                scope.spawn(|| (0..VALUES).for_each(|value| unsafe { link.push(value) }));
                // Safety: this one is the only consumer.
                taken(|| unsafe { link.pop() });
            });
        }

        #[divan::bench]
        fn unbounded_crossbeam() {
            let queue = SegQueue::new();
            std::thread::scope(|scope| {
                scope.spawn(|| (0..VALUES).for_each(|value| queue.push(value)));
                taken(|| queue.pop());
            });
        }

        #[divan::bench]
        fn channel_std() {
            let (sender, receiver) = std::sync::mpsc::channel();
            std::thread::scope(|scope| {
                scope.spawn(move || (0..VALUES).for_each(|value| sender.send(value).expect("its receiver is here")));
                taken(|| receiver.try_recv().ok());
            });
        }
    }
}
