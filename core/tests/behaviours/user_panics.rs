//! A panic of a user's code, wherever that is called, is reported and ends its connection: the thread goes on.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use std::fmt;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::panic::panic_any;

use pollproof::sync::Arc;
use pollproof::sync::atomic::{AtomicBool, Ordering};
use pollproof::{BoxError, Connection, Dialer, Error, Handler, Io, Pool as Threads, Runner, Task};
use socket2::Socket;

use crate::queue::queue;
use crate::support::*;
use crate::users::*;

tests! {
    u1_a_panic_with_any_payload_ends_its_connection_only: ALL;
    u1_a_panic_at_the_end_of_a_connection_is_told_and_stops_nothing: ALL;
    u1_a_panic_in_on_disconnect_ends_its_connection_only: ALL;
    u1_a_panic_before_the_first_request_ends_its_connection_only: ALL;
    u1_an_error_that_cannot_be_told_or_dropped_ends_its_connection_only: ALL;
    u1_a_hook_that_panics_is_left_alone: ALL;
    u1_a_runner_that_panics_ends_one_connection_only: [Pool];
    u1_a_runner_that_panics_after_its_task_ran_harms_nobody: [Pool];
    u1_a_panic_inside_a_dial_is_reported_and_not_passed_on: [Inline, Alone, Pool];
}

/// Runs `first` as the OnRequest of a first connection: that is ended, `what` is told of it, and the others are served.
fn ends_one(place: Place, what: &str, first: fn(&mut Io<'_>)) {
    let (builder, panics) = telling(place.builder());
    let serving = spoiled(place, builder, first);
    let bad = serving.client();
    write(&bad, b"bad");
    gone(&bad);
    assert_eq!(panics.next(), (what, 0));
    all_is_well(&serving);
    assert!(panics.is_empty(), "once");
}

/// An OnRequest.
fn explode(_: &mut Io<'_>) {
    panic_any(Stack);
}

/// SPEC: U1.
fn u1_a_panic_with_any_payload_ends_its_connection_only(place: Place) {
    let cases: [fn(&mut Io<'_>); 7] = [
        |_| panic!("text"),
        |_| panic!("more {}", "text"),
        |_| panic_any(7),
        |_| panic_any(Bomb),
        |_| panic_any(Stack),
        |_| panic_any(Box::new(Stack)),
        |io| {
            // Another's handler, inside its own.
            io.connection().set_on_request(explode);
        },
    ];
    cases.into_iter().for_each(|first| ends_one(place, "on_request", first));
}

/// SPEC: U1, C2: each of them is called all the same.
fn u1_a_panic_at_the_end_of_a_connection_is_told_and_stops_nothing(place: Place) {
    ends_one(place, "close callback", |io| {
        assert!(io.connection().on_close(|_| panic_any(Stack)).is_ok());
        io.connection().close();
    });
    ends_one(place, "detach callback", |io| {
        io.connection().detach(|_| panic_any(Stack)).expect("the first to ask");
    });
    let (sender, told) = queue();
    let (builder, panics) = telling(place.builder());
    let serving = spoiled(place, builder, move |io| {
        let last = sender.clone();
        let conn = io.connection();
        assert!(conn.on_close(move |_| last.send("the oldest")).is_ok());
        assert!(conn.on_close(|_| panic!("the second")).is_ok());
        assert!(conn.on_close(|_| panic_any(Bomb)).is_ok());
        conn.detach(|_| panic_any(Stack)).expect("the first to ask");
    });
    let bad = serving.client();
    write(&bad, b"bad");
    gone(&bad);
    assert_eq!(
        [panics.next().0, panics.next().0, panics.next().0],
        ["close callback", "close callback", "detach callback"]
    );
    assert_eq!(told.next(), "the oldest");
    all_is_well(&serving);
}

/// SPEC: U1.
fn u1_a_panic_in_on_disconnect_ends_its_connection_only(place: Place) {
    let (builder, panics) = telling(place.builder());
    let serving = spoiled(place, builder, |io| {
        io.connection().set_on_disconnect(|_| panic_any(Stack));
        echo(io);
    });
    let bad = serving.client();
    ping(&bad, b"bad");
    bad.shutdown(Shutdown::Write).expect("a shutdown");
    gone(&bad);
    assert_eq!(panics.next(), ("on_disconnect", 0));
    all_is_well(&serving);
}

/// Panics in the callback of this name, on the first connection.
struct Panicking(&'static str);

impl Panicking {
    fn at(&self, callback: &str, conn: &Connection) {
        if conn.id() == 0 && self.0 == callback {
            panic_any(Stack);
        }
    }
}

impl Handler for Panicking {
    type Context = ();
    type State = ();

    fn on_prepare(&self, conn: &Connection) {
        self.at("on_prepare", conn);
    }

    fn on_connect(&self, (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        io.connection().send(b"welcome")?;
        self.at("on_connect", io.connection());
        Ok(())
    }

    fn on_request(&self, (): &(), (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        echo(io);
        Ok(())
    }
}

/// SPEC: U1.
fn u1_a_panic_before_the_first_request_ends_its_connection_only(place: Place) {
    for callback in ["on_prepare", "on_connect"] {
        let (builder, panics) = telling(place.builder());
        let serving = place.serve(builder.handler(Panicking(callback)));
        gone(&serving.client());
        assert_eq!(panics.next(), (callback, 0));
        let good = serving.client();
        assert_eq!(read(&good, 7), b"welcome");
        ping(&good, b"good");
        drop(good);
        serving.end();
    }
}

/// Cannot be told, nor dropped.
#[derive(Debug)]
struct Unspeakable(#[allow(dead_code, reason = "it is dropped")] Bomb);

impl fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic_any(Stack)
    }
}

impl std::error::Error for Unspeakable {}

/// SPEC: U1.
fn u1_an_error_that_cannot_be_told_or_dropped_ends_its_connection_only(place: Place) {
    for tells in [false, true] {
        let (sender, told) = queue();
        let builder = place.builder().on_error(move |error| {
            sender.send(());
            if tells {
                drop(error.to_string());
            }
        });
        let serving = spoiled(place, builder, |_| Err(Unspeakable(Bomb)));
        let bad = serving.client();
        write(&bad, b"bad");
        gone(&bad);
        told.next();
        assert_eq!(serving.server.stats().handler_errors, 1);
        all_is_well(&serving);
    }
}

/// SPEC: U1.
fn u1_a_hook_that_panics_is_left_alone(place: Place) {
    let (sender, told) = queue();
    let builder = place.builder().on_error(move |_: &Error| {
        sender.send(());
        panic_any(Stack);
    });
    let serving = spoiled(place, builder, explode);
    let bad = serving.client();
    write(&bad, b"bad");
    gone(&bad);
    told.next();
    all_is_well(&serving);
}

/// Panics with one task, once it is armed: that is lost, or was run.
struct Panics {
    armed: Arc<AtomicBool>,
    runs: bool,
    pool: Threads,
}

impl Runner for Panics {
    fn run(&self, task: Task) {
        if !self.armed.fetch_and(false, Ordering::AcqRel) {
            return self.pool.run(task);
        }
        if self.runs {
            task.run();
        }
        panic_any(Stack);
    }
}

/// Whether there is an answer.
fn write_and_read(mut bad: &Socket) -> bool {
    let written = bad.write_all(b"bad");
    written.is_ok() && bad.read(&mut [0; 8]).is_ok_and(|count| count > 0)
}

/// Has a runner panic with the task of a first connection's OnConnect, or of a request of it.
fn panics_with(place: Place, connect: bool, runs: bool) {
    let (builder, panics) = telling(pollproof::Server::builder());
    let armed = Arc::new(AtomicBool::new(connect));
    let runner = Panics { armed: armed.clone(), runs, pool: Threads::new(2).expect("threads") };
    let serving = place.serve(builder.runner(runner).on_request(echo));
    let bad = serving.client();
    if !connect {
        ping(&bad, b"its OnConnect is over");
        armed.store(true, Ordering::Release);
        // The section that answered may go on with this one.
        while write_and_read(&bad) {}
    }
    gone(&bad);
    assert_eq!(panics.next(), ("runner", 0));
    all_is_well(&serving);
}

/// SPEC: U1: whether it is OnConnect's task that is lost, or a request's.
fn u1_a_runner_that_panics_ends_one_connection_only(place: Place) {
    panics_with(place, true, false);
    panics_with(place, false, false);
}

/// SPEC: U1.
fn u1_a_runner_that_panics_after_its_task_ran_harms_nobody(place: Place) {
    panics_with(place, true, true);
    panics_with(place, false, true);
}

/// SPEC: U1: the callbacks of a dial run in the call, and their panics do not.
fn u1_a_panic_inside_a_dial_is_reported_and_not_passed_on(place: Place) {
    let serving = place.serve(place.builder().on_request(echo));
    let address = serving.server.local_addr().to_string();
    for callback in ["on_prepare", "on_connect"] {
        let (sender, panics) = queue();
        let told = move |error: &Error| sender.send(error.to_string());
        let dialer = Dialer::builder().on_error(told).build().expect("a thread");
        let conn = dialer.dial(&address, LONG, Panicking(callback));
        assert!(conn.map_or(true, |conn| !conn.is_active()));
        assert!(panics.next().contains(callback));
        // A thread of its own dials as well, and so does a handler.
        let dials = {
            let (dialer, address) = (Arc::new(dialer.clone()), address.clone());
            move |io: &mut Io<'_>| {
                let conn = dialer.dial(&address, LONG, Panicking("nowhere")).expect("a connection");
                conn.close();
                echo(io);
            }
        };
        let proxy = place.serve(place.builder().on_request(dials));
        ping(&proxy.client(), b"good");
        proxy.end();
        assert_eq!(dialer.shutdown(LONG).expect("a shutdown").left, 0);
    }
    serving.end();
}
