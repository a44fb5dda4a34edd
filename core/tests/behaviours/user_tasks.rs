//! Runners of users: tasks that are run at once, kept, or run in the wrong place.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use pollproof::{Callbacks, Connection, Io, Runner, Server, Task};

use crate::queue::{Sender, queue};
use crate::support::*;
use crate::users::*;

tests! {
    u2_a_runner_that_runs_its_tasks_at_once_does_not_pile_them_up: [Inline];
    u2_runners_that_run_their_tasks_at_once_end_chains_in_a_small_stack: [Inline];
    u2_a_task_that_is_run_inside_a_handler_runs_later: [Alone, Pool];
}

/// Runs each task where it is.
struct AtOnce;

impl Runner for AtOnce {
    fn run(&self, task: Task) {
        task.run();
    }
}

/// SPEC: U2, F2: calls that have used up their budget.
fn u2_a_runner_that_runs_its_tasks_at_once_does_not_pile_them_up(place: Place) {
    const BYTES: usize = if cfg!(any(tsan, debug_assertions)) { 1 << 20 } else { 16 << 20 };
    let (sender, told) = queue();
    let handler = move |io: &mut Io<'_>| {
        io.consume(1);
        if io.data().is_empty() {
            sender.send(io.connection().bytes_read());
        }
    };
    let serving = place.bind(Server::builder().takeover(None).runner(AtOnce).budget(1).on_request(handler));
    let server = serving.server.clone();
    let polls = on_small_stack(move || server.run().expect("it serves"));
    let peer = serving.client();
    let block = vec![7; 1 << 20];
    (0..BYTES >> 20).for_each(|_| write(&peer, &block));
    while told.next() < BYTES as u64 {}
    drop(peer);
    serving.end();
    polls.join().expect("no panic");
}

/// SPEC: U2.
fn u2_runners_that_run_their_tasks_at_once_end_chains_in_a_small_stack(place: Place) {
    more_fds();
    let (sender, conns) = queue();
    let handler = Callbacks::new(move |io: &mut Io<'_>| {
        sender.send(io.connection().clone());
        Ok(())
    });
    let handler = handler.on_request(|(), io| echo(io));
    let serving = place.bind(Server::builder().takeover(None).runner(AtOnce).handler(handler));
    let server = serving.server.clone();
    let polls = on_small_stack(move || server.run().expect("it serves"));
    let peers: Vec<_> = (0..CHAIN).map(|_| serving.client()).collect();
    let chain: Vec<Connection> = (0..CHAIN).map(|_| conns.next()).collect();
    let depth = Depth::default();
    for pair in chain.windows(2) {
        let (next, depth) = (pair[1].clone(), depth.clone());
        assert!(pair[0].on_close(move |_| depth.inside(|| next.close())).is_ok());
    }
    let first = chain[0].clone();
    on_small_stack(move || first.close()).join().expect("no panic");
    wait_until("all are closed", || serving.server.stats().open == 0);
    drop(peers);
    serving.end();
    polls.join().expect("no panic");
    assert_eq!(depth.deepest(), 1);
}

/// Keeps its tasks.
struct Keeps(Sender<Task>);

impl Runner for Keeps {
    fn run(&self, task: Task) {
        self.0.send(task);
    }
}

/// SPEC: U2.
fn u2_a_task_that_is_run_inside_a_handler_runs_later(place: Place) {
    let (sender, tasks) = queue();
    let depth = Depth::default();
    let deep = depth.clone();
    let slow = Inline.serve(Server::builder().runner(Keeps(sender)).on_request(move |io: &mut Io<'_>| {
        deep.inside(|| echo(io));
    }));
    let (deep, given) = (depth.clone(), tasks.clone());
    let runs = place.serve(place.builder().on_request(move |io: &mut Io<'_>| {
        deep.inside(|| given.next().run());
        echo(io);
    }));
    let (waits, gives) = (slow.client(), runs.client());
    // Its runner gets it again.
    ping(&gives, b"run OnConnect");
    tasks.next().run();
    write(&waits, b"hello");
    ping(&gives, b"run OnRequest");
    tasks.next().run();
    assert_eq!(read(&waits, 5), b"hello");
    assert_eq!(depth.deepest(), 1);
    let ends = std::thread::spawn(move || {
        while let Some(task) = tasks.within(LONG) {
            task.run()
        }
    });
    drop((waits, gives));
    runs.end();
    slow.end();
    drop(slow);
    ends.join().expect("no panic");
}
