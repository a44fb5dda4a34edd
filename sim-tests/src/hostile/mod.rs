//! Hostile users: programs that use the whole public API at the worst moments.
//!
//! A program is drawn from a seed: one to three servers and dialers, peers, foreign threads, and for each place where
//! the core calls or drops something of a user's a few operations. It runs on the simulated kernel under many
//! schedules, or, in a build without one, on real sockets, with real threads and in real time. Afterwards everything is shut down, and it is checked that callbacks came in order and one at a time,
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
//! | `ground` | what it all runs on: the simulated kernel, or this machine |
//! | `run`, `rest` | one execution, and what must hold |
//! | `schedules`, `processes`, `child` | many executions, on each ground |
//! | `explore` | what came of them, and smaller programs |
//! | `drive`, `arguments` | a run of programs, and what it takes and prints |
//! | `report` | what was executed where |
//!
//! `cargo xtask hostile --seconds 60` runs them, with `--sockets` on this machine.

pub mod arguments;
#[cfg(not(sim))]
pub mod child;
pub mod draw;
pub mod drive;
pub mod explore;
pub mod ground;
pub mod hosts;
pub mod inside;
pub mod ops;
#[cfg(not(sim))]
mod processes;
pub mod program;
pub mod report;
pub mod rest;
pub mod run;
#[cfg(sim)]
mod schedules;
pub mod table;
pub mod text;
pub mod user;
pub mod world;
