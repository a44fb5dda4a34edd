//! A server that speaks the Redis protocol (RESP2): strings, lists, sets, hashes, sorted sets, in memory.
//!
//! `resp ADDRESS [POLLERS]`, as `common` has it. `redis-cli` and `redis-benchmark` are its clients.
//!
//! A call executes every complete command that is there, under one lock of the store, and leaves the rest for the
//! next call. Replies go out together when it returns. After a lot of output it returns early, so that a client
//! that does not read its replies is not given more of them.

#![cfg_attr(not(any(loom, shuttle)), allow(clippy::disallowed_types, reason = "nothing here is explored"))]

#[cfg(any(loom, shuttle))]
fn main() {}

#[cfg(not(any(loom, shuttle)))]
fn main() -> Result<(), pollproof::BoxError> {
    println!("{}", common::start(resp::Resp::default())?.end()?);
    Ok(())
}

#[cfg(not(any(loom, shuttle)))]
mod command;
#[cfg(not(any(loom, shuttle)))]
#[path = "../common/mod.rs"]
mod common;
#[cfg(not(any(loom, shuttle)))]
mod data;
#[cfg(not(any(loom, shuttle)))]
mod parse;
#[cfg(not(any(loom, shuttle)))]
mod reply;
#[cfg(not(any(loom, shuttle)))]
mod store;

#[cfg(not(any(loom, shuttle)))]
mod resp {
    use std::sync::{Mutex, PoisonError};

    use pollproof::{BoxError, Handler, Io};

    use crate::command::{Next, execute};
    use crate::parse::{Parsed, parse};
    use crate::reply::Reply;
    use crate::store::Store;

    /// After so many bytes of replies a call returns, and the connection's output has its say.
    const ENOUGH: usize = 256 * 1024;

    /// What a connection is in the middle of.
    #[derive(Default)]
    pub(crate) struct State {
        /// The command that begins the input has so many bytes at least: it is not looked at before.
        wanted: usize,
        /// What comes is not executed.
        over: bool,
    }

    #[derive(Default)]
    pub(crate) struct Resp {
        store: Mutex<Store>,
    }

    impl Handler for Resp {
        type Context = ();
        type State = State;

        fn on_connect(&self, _: &mut State, _: &mut Io<'_>) -> Result<(), BoxError> {
            Ok(())
        }

        fn on_request(&self, (): &(), state: &mut State, io: &mut Io<'_>) -> Result<(), BoxError> {
            if !state.over && io.reader().len() >= state.wanted && self.commands(state, io) == Next::Close {
                state.over = true;
                // Once what was written is sent.
                io.connection().shutdown();
            }
            if state.over {
                io.consume(io.data().len());
            }
            Ok(())
        }
    }

    impl Resp {
        /// Executes what is there.
        fn commands(&self, state: &mut State, io: &Io<'_>) -> Next {
            let reply = Reply::new(io);
            let mut args = Vec::new();
            let mut rest = io.data();
            state.wanted = 0;
            // A command that panicked has closed its connection. The others go on with the store as it is.
            let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
            let mut next = Next::Command;
            while next == Next::Command && !rest.is_empty() && reply.len() < ENOUGH {
                let length = match parse(rest, &mut args) {
                    Ok(Parsed::Part { wanted }) => {
                        state.wanted = wanted;
                        break;
                    }
                    Ok(Parsed::Array(length)) => {
                        next = execute(&mut store, &args, &reply);
                        length
                    }
                    Ok(Parsed::Inline(words, length)) => {
                        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                        next = execute(&mut store, &words, &reply);
                        length
                    }
                    Err(error) => {
                        reply.error(&error);
                        return Next::Close;
                    }
                };
                rest = &rest[length..];
            }
            drop(store);
            io.consume(io.data().len() - rest.len());
            next
        }
    }
}
