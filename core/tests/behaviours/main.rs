//! The behaviours that any re-implementation of the published library must show, one by one, over real sockets.
//!
//! The number in a test's name is the behaviour's; `w` and a number is a race of SPEC.md, chapter 6. Each test
//! runs in several [`Place`]s: TCP or Unix sockets, handlers on the polling threads, without takeover, or on a pool.
//!
//! | behaviour | where else |
//! | --- | --- |
//! | 5: memory | `behaviour_05_memory.rs`, which counts what is allocated |
//! | 9: crowds, and fds that are reused | `crowd.rs`, `requests.rs` |
//! | 10, 12: the end in every callback | `endings.rs` |
//! | 13: a dial that nobody answers | `dial.rs` |
//! | 15: out of fds | `options.rs`, `crowd.rs`: the limit is that of a process of its own |
//!
//! ThreadSanitizer runs this binary as well (`cargo xtask test --only tsan-sockets`): it may use nothing that the
//! sanitizer cannot look into. So there is no libtest around it, and threads talk through [`queue`], whose lock and
//! whose reference counts are the facade's.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

/// The tests of a module, each with the places that it runs in.
#[cfg(all(feature = "net", not(any(loom, shuttle))))]
macro_rules! tests {
    ($($name:ident: $places:expr;)*) => {
        pub fn all() -> Vec<crate::support::Case> {
            vec![$((stringify!($name), &$places, $name)),*]
        }
    };
}

mod callbacks;
mod closing;
mod dialing;
mod flushing;
mod pressure;
mod queue;
mod reading;
mod shutdown;
mod support;
mod timing;
mod user_bytes;
mod user_drops;
mod user_nesting;
mod user_panics;
mod user_rights;
mod user_tasks;
mod user_threads;
mod user_waits;
mod users;

#[cfg(all(feature = "net", not(any(loom, shuttle))))]
fn main() -> std::process::ExitCode {
    let modules = [
        callbacks::all,
        closing::all,
        dialing::all,
        flushing::all,
        pressure::all,
        reading::all,
        shutdown::all,
        timing::all,
        user_bytes::all,
        user_drops::all,
        user_nesting::all,
        user_panics::all,
        user_rights::all,
        user_tasks::all,
        user_threads::all,
        user_waits::all,
    ];
    let cases = modules.iter().flat_map(|all| all());
    let trials = cases.flat_map(|(name, places, test)| {
        places.iter().map(move |&place| {
            libtest_mimic::Trial::test(format!("{name}::{place:?}"), move || {
                test(place);
                Ok(())
            })
        })
    });
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials.collect()).exit_code()
}

#[cfg(not(all(feature = "net", not(any(loom, shuttle)))))]
fn main() {}
