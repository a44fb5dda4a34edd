//! Hostile users: programs that use the whole public API at the worst moments.
//!
//! A program is drawn from a seed: one to three servers and dialers, peers, foreign threads, and for each place where
//! the core calls or drops something of a user's a few operations. It runs on the simulated kernel under many
//! schedules. Afterwards everything is shut down, and it is checked that callbacks came in order and one at a time,
//! that no user code ran inside other user code, that each value was dropped once and nothing is left, that no panic
//! ended a thread of the core, that a shutdown was over by its deadline, that nothing spun, and that each fd was closed
//! once. A program that fails is made smaller as long as it fails in the same way.
//!
//! | module | what it is |
//! | --- | --- |
//! | `table` | the operations, and the public methods that they call |
//! | `program`, `text` | a program as data and as text |
//! | `draw` | a program from a seed |
//! | `ops`, `hosts` | what the operations do, on connections and on servers |
//! | `user` | handlers, hooks, runners and values |
//! | `world` | what code of a program shares, and what went wrong |
//! | `inside` | what each thread is inside of |
//! | `run` | one execution, and what must hold |
//! | `explore` | many executions, and smaller programs |
//! | `drive` | a run of programs, and what it prints |
//! | `report` | what was executed where |
//!
//! `cargo xtask hostile --seconds 60` runs them.

pub mod draw;
pub mod drive;
pub mod explore;
pub mod hosts;
pub mod inside;
pub mod ops;
pub mod program;
pub mod report;
pub mod run;
pub mod table;
pub mod text;
pub mod user;
pub mod world;
