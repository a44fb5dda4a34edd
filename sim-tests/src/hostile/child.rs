//! The process that plays one program on real sockets, and says what came of it, line by line.
//!
//! Whatever goes wrong ends it with failure: a rule that is broken, a panic where none is, a sanitizer, and, when
//! nothing else does, a watchdog.

use std::io::Read as _;
use std::time::Duration;

use super::ground::{choose, names};
use super::report::write_cell;
use super::run::execute;
use super::world::{self, violate};

/// How a line begins that tells what was executed where.
pub const CELL: &str = "cell ";
/// How a line begins that tells what is wrong.
pub const VIOLATION: &str = "violation ";
/// The line that is said last.
pub const OVER: &str = "over";

/// No program takes so long.
const LIMIT: Duration = Duration::from_secs(150);

/// Plays the program of the standard input. Whether it holds.
///
/// # Errors
///
/// When it is no program.
pub fn play(unix: bool, forgiven: &[String]) -> anyhow::Result<bool> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let program = text.parse()?;
    choose(unix);
    listen_to_panics();
    pollproof::sync::thread::spawn(|| {
        std::thread::sleep(LIMIT);
        violate("hangs", format!("after {LIMIT:?}: {}", names().join(", ")));
        say();
        std::process::abort();
    });
    execute(&program, forgiven);
    Ok(say())
}

/// The panics of the program are silent: one that says something is the core's, or of these tests.
fn listen_to_panics() {
    std::panic::set_hook(Box::new(|info| {
        eprintln!("{info}");
        violate("panic", info.to_string().replace('\n', " "));
    }));
}

/// Says what came of it. Whether nothing is wrong.
fn say() -> bool {
    let (executed, violation) = world::with(|world| (world.executed(), world.first_violation()));
    print!("{}", world::timeline());
    executed.keys().for_each(|cell| println!("{CELL}{}", write_cell(*cell)));
    if let Some(violation) = &violation {
        println!("{VIOLATION}{violation}");
    }
    println!("{OVER}");
    violation.is_none()
}
