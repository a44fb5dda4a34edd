//! The scenarios, one module a chapter of SPEC.md.
//!
//! A module is added by one `mod` line and by its list in `CHAPTERS`.

mod accepting;
mod buffers;
mod closing;
mod connect;
mod data;
mod detach;
mod half_close;
mod handlers;
mod inside;
mod linear;
mod mask;
mod meetings;
mod output;
mod panics;
mod pressure;
mod relay;
mod serial;
mod shutdown;
mod takeover;
mod takeover_connection;
mod together;
mod waits;

use crate::scenario::Scenario;

/// The lists of all chapters, in SPEC.md's order.
const CHAPTERS: &[&[Scenario]] = &[
    serial::SCENARIOS,
    data::SCENARIOS,
    connect::SCENARIOS,
    closing::SCENARIOS,
    half_close::SCENARIOS,
    panics::SCENARIOS,
    detach::SCENARIOS,
    inside::SCENARIOS,
    handlers::SCENARIOS,
    waits::SCENARIOS,
    linear::SCENARIOS,
    output::SCENARIOS,
    mask::SCENARIOS,
    pressure::SCENARIOS,
    relay::SCENARIOS,
    buffers::SCENARIOS,
    shutdown::SCENARIOS,
    accepting::SCENARIOS,
    takeover::SCENARIOS,
    takeover_connection::SCENARIOS,
    together::SCENARIOS,
    meetings::SCENARIOS,
];

/// Every scenario, in SPEC.md's order.
pub fn all() -> Vec<&'static Scenario> {
    CHAPTERS.iter().flat_map(|chapter| chapter.iter()).collect()
}
