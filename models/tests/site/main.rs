//! The exported site. What needs `tidy` or Chromium is ignored, by name, where that is not installed.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "not explored by a checker")]

#[cfg(shuttle)]
#[path = "../../../core/tests/common/needs.rs"]
mod needs;
#[cfg(shuttle)]
mod pages;

#[cfg(shuttle)]
fn main() -> std::process::ExitCode {
    needs::run(pages::all())
}

#[cfg(not(shuttle))]
fn main() {}
