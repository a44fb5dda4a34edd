//! The examples as their clients see them: programs that others wrote, and raw sockets for what these would not send.
//!
//! What needs a program that is not installed is ignored, and its line says which: so there is no libtest around these
//! tests, whose list of what is ignored is made by the compiler.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]
#![cfg_attr(not(all(feature = "net", not(any(loom, shuttle)))), allow(unused_macros))]

/// The tests of a module, each with the programs that it needs.
macro_rules! tests {
    ($($name:ident $(needs $($tool:literal),+)?;)*) => {
        pub fn all() -> Vec<crate::common::needs::Case> {
            vec![$(crate::common::needs::Case {
                name: concat!(module_path!(), "::", stringify!($name)),
                needs: &[$($($tool),+)?],
                test: $name,
            }),*]
        }
    };
}

#[cfg(all(feature = "net", not(any(loom, shuttle))))]
#[path = "../common/mod.rs"]
mod common;
#[cfg(all(feature = "net", not(any(loom, shuttle))))]
mod http;
#[cfg(all(feature = "net", not(any(loom, shuttle))))]
mod proxy;
#[cfg(all(feature = "net", not(any(loom, shuttle))))]
mod resp;

#[cfg(all(feature = "net", not(any(loom, shuttle))))]
fn main() -> std::process::ExitCode {
    common::needs::run([http::all(), proxy::all(), resp::all()].concat())
}

#[cfg(not(all(feature = "net", not(any(loom, shuttle)))))]
fn main() {}
