//! The races, one file each, in the order of their ids.
//!
//! A race is added by its file, its `mod` line here and its line in `RACES`; `models/README.md` has the template, and
//! a test says what is missing.

mod w01_lost_disconnect;

use crate::race::Race;

/// Every race.
pub static RACES: &[&Race] = &[
    &w01_lost_disconnect::RACE,
];

/// The race of that name or id.
pub fn find(name: &str) -> Option<&'static Race> {
    RACES.iter().copied().find(|race| race.name == name || race.id.eq_ignore_ascii_case(name))
}
