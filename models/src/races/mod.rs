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
mod n128_closed_unanswered;
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
mod own1_refused_end;
mod own2_nobody_woken;
mod own3_disconnect_in_request;
mod own4_carried_section;
mod own5_chain_of_closes;
mod own6_panic_in_drop;
mod tokio8056_counted_idle;
mod w01_lost_disconnect;
mod w02_two_adders;
mod w03_late_adder;
mod w04_registry_leak;
mod w05_callbacks_twice;
mod w06_callbacks_again;
mod w07_lost_detach;
mod w08_connecting_for_ever;
mod w09_panic_in_close_callback;
mod w10_stale_token;
mod w11_two_consumers;
mod w12_hup_before_connect;
mod w13_shutdown_drops_request;
mod w14_send_then_close;
mod w15_stale_handler;
mod w16_half_packet_loop;
mod w17_starvation;
mod w18_disconnect_meets_close;
mod w19_panic_outside;
mod w20_slice_reused;
mod w21_writer_against_close;
mod w22_half_close;
mod w23_buffers_kept;

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
    &w02_two_adders::RACE,
    &w03_late_adder::RACE,
    &w04_registry_leak::RACE,
    &w05_callbacks_twice::RACE,
    &w06_callbacks_again::RACE,
    &w07_lost_detach::RACE,
    &w08_connecting_for_ever::RACE,
    &w09_panic_in_close_callback::RACE,
    &w10_stale_token::RACE,
    &w11_two_consumers::RACE,
    &w12_hup_before_connect::RACE,
    &w13_shutdown_drops_request::RACE,
    &w14_send_then_close::RACE,
    &w15_stale_handler::RACE,
    &w16_half_packet_loop::RACE,
    &w17_starvation::RACE,
    &w18_disconnect_meets_close::RACE,
    &w19_panic_outside::RACE,
    &w20_slice_reused::RACE,
    &w21_writer_against_close::RACE,
    &w22_half_close::RACE,
    &w23_buffers_kept::RACE,
    &m1_double_check::RACE,
    &m2_store_beside_rmw::RACE,
    &m3_half_built_handler::RACE,
    &n128_closed_unanswered::RACE,
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
    &own1_refused_end::RACE,
    &own2_nobody_woken::RACE,
    &own3_disconnect_in_request::RACE,
    &own4_carried_section::RACE,
    &own5_chain_of_closes::RACE,
    &own6_panic_in_drop::RACE,
];

/// The race of that name or id.
pub fn find(name: &str) -> Option<&'static Race> {
    RACES.iter().copied().find(|race| race.name == name || race.id.eq_ignore_ascii_case(name))
}
