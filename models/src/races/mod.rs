//! The races, one file each, in the order of their ids.
//!
//! A race is added by its file, its `mod` line here and its line in `RACES`; `models/README.md` has the template, and
//! a test says what is missing.

mod d1_two_triggers;
mod d2_close_together;
mod d3_disconnect_in_connect;
mod d4_close_at_unlock;
mod d5_data_at_unlock;
mod m1_double_check;
mod m2_store_beside_rmw;
mod m3_half_built_handler;
mod n128_send_then_close;
mod n141_fill_after_close;
mod n165_handler_set_late;
mod n200_close_without_detach;
mod n226_hup_before_the_rest;
mod n238_panic_keeps_open;
mod n278_rest_of_the_stream;
mod n283_double_detach;
mod n304_answered_and_closed;
mod n307_unmade_context;
mod n351_read_after_inuse;
mod netty440_both_ends_close;
mod tokio8056_counted_idle;
mod w01_lost_disconnect;

use crate::race::Race;

/// Every race.
#[rustfmt::skip]
pub static RACES: &[&Race] = &[
    &d1_two_triggers::RACE,
    &d2_close_together::RACE,
    &d3_disconnect_in_connect::RACE,
    &d4_close_at_unlock::RACE,
    &d5_data_at_unlock::RACE,
    &w01_lost_disconnect::RACE,
    &m1_double_check::RACE,
    &m2_store_beside_rmw::RACE,
    &m3_half_built_handler::RACE,
    &n128_send_then_close::RACE,
    &n141_fill_after_close::RACE,
    &n165_handler_set_late::RACE,
    &n200_close_without_detach::RACE,
    &n226_hup_before_the_rest::RACE,
    &n238_panic_keeps_open::RACE,
    &n278_rest_of_the_stream::RACE,
    &n283_double_detach::RACE,
    &n304_answered_and_closed::RACE,
    &n307_unmade_context::RACE,
    &n351_read_after_inuse::RACE,
    &netty440_both_ends_close::RACE,
    &tokio8056_counted_idle::RACE,
];

/// The race of that name or id.
pub fn find(name: &str) -> Option<&'static Race> {
    RACES.iter().copied().find(|race| race.name == name || race.id.eq_ignore_ascii_case(name))
}
