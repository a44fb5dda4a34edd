//! What checkers show of each race, compared with what must come out and with what is committed.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`run`] | each variant by the checker that shows it |
//! | [`minimal`] | drops the roles and operations that a variant breaks without |
//! | [`committed`] | `models/races.toml`: the counts behind each verdict |

pub mod committed;
pub mod minimal;
pub mod run;
