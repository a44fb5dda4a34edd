//! What users bring along: values that tell of their drop, or panic in it, and what is said of that.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]

use std::cell::Cell;
use std::io::{ErrorKind, Read};
use std::thread::{Builder, JoinHandle};

use bytes::Bytes;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use pollproof::Error;
use pollproof::sync::Arc;
use pollproof::sync::atomic::{AtomicUsize, Ordering};
use socket2::Socket;

use crate::queue::{Receiver, queue};
use crate::support::*;

/// Panics when it is dropped, unless its thread is panicking already: that would be the end of the process.
#[derive(Debug, Default)]
pub struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a bomb");
        }
    }
}

/// Panics with a [`Bomb`] when it is dropped.
#[derive(Debug)]
pub struct Stack;

impl Drop for Stack {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::panic::panic_any(Bomb);
        }
    }
}

/// Bytes that belong to `T`.
pub struct Page<T>(pub Vec<u8>, pub T);

impl<T> AsRef<[u8]> for Page<T> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// So many bytes that belong to `owner`.
pub fn lent<T: Send + 'static>(count: usize, owner: T) -> Bytes {
    Bytes::from_owner(Page(vec![7; count], owner))
}

/// Calls its function when it is dropped.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A count of values that are there.
#[derive(Clone, Debug, Default)]
pub struct Count(Arc<AtomicUsize>);

/// One of a [`Count`].
#[derive(Debug)]
pub struct Counted(Count);

impl Count {
    pub fn one(&self) -> Counted {
        self.0.fetch_add(1, Ordering::AcqRel);
        Counted(self.clone())
    }

    pub fn now(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Has `builder` tell which callbacks panic, for which connection.
pub fn telling(builder: pollproof::Builder) -> (pollproof::Builder, Receiver<(&'static str, u64)>) {
    let (sender, panics) = queue();
    let tells = move |error: &Error| {
        if let Error::Panicked { callback, connection, .. } = error {
            sender.send((*callback, *connection));
        }
    };
    (builder.on_error(tells), panics)
}

/// Waits until the other side is gone, whatever it sends before, and however it goes.
pub fn gone(mut stream: &Socket) {
    let mut block = vec![0; 1 << 16];
    loop {
        match stream.read(&mut block) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(error) => panic!("it is not gone: {error}"),
        }
    }
}

/// The connection is served, and so are those that come after it; then nothing is left.
pub fn all_is_well(serving: &Serving) {
    for _ in 0..3 {
        ping(&serving.client(), b"good");
    }
    serving.end();
}

/// A server whose first connection has `first` as its OnRequest; the others echo.
pub fn spoiled<R: pollproof::Outcome>(
    place: Place,
    builder: pollproof::Builder,
    first: impl Fn(&mut pollproof::Io<'_>) -> R + Send + Sync + 'static,
) -> Serving {
    place.serve(builder.on_request(move |io: &mut pollproof::Io<'_>| {
        if io.connection().id() == 0 {
            return first(io).outcome();
        }
        echo(io);
        Ok(())
    }))
}

std::thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// How deep a user's code was inside a user's code at most. 1: never.
#[derive(Clone, Debug, Default)]
pub struct Depth(Arc<AtomicUsize>);

impl Depth {
    /// Runs `user` as a callback.
    pub fn inside<R>(&self, user: impl FnOnce() -> R) -> R {
        let depth = DEPTH.get() + 1;
        self.0.fetch_max(depth, Ordering::AcqRel);
        DEPTH.set(depth);
        let result = user();
        DEPTH.set(depth - 1);
        result
    }

    pub fn deepest(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// The stack of a thread that has little.
pub const SMALL: usize = 256 << 10;

/// Runs on a thread that has little stack.
pub fn on_small_stack<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    Builder::new().stack_size(SMALL).spawn(body).expect("a thread")
}

/// More fds for this process.
pub fn more_fds() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("more fds");
}

/// How many connections are in a chain, each of which ends the next.
pub const CHAIN: usize = if cfg!(tsan) { 300 } else { 1500 };
