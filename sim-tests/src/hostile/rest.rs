//! What must hold when nothing happens any more, in the last shutdown, and afterwards.
//!
//! Not here: what the ground itself can tell, such as fds that are left (`ground`), and what is checked where it happens:
//! code inside code (`inside`), drops (`user`).

use pollproof::Connection;

use super::ground;
use super::program::Program;
use super::world::{self, Handles, Known};
use crate::rules::{Step, broken_rule};

/// A rule that is broken, and how.
type Broken = (&'static str, String);

/// After the last thing that happened: whether everything that can go on has gone on.
pub fn at_rest(program: &Program) {
    let broken = ground::at_last(|| {
        let mut broken = unfinished();
        broken.extend(missed());
        broken.extend(ground::crew(program).map(|how| ("crew", how)));
        broken
    });
    broken.into_iter().for_each(|(rule, how)| world::violate(rule, how));
    if let Some(how) = ground::spins() {
        world::violate("spins", how);
    }
}

/// What was read and not handled, or is not sent though the peer reads.
fn unfinished() -> Vec<Broken> {
    let (conns, reads_all, drained) = world::with(|world| {
        let mut conns = Vec::new();
        for (index, known) in world.known.iter().enumerate() {
            if let Some(conn) = &known.conn {
                let shown = known.handled.then_some(known.shown.max(known.took));
                conns.push((index, conn.clone(), shown, known.paced));
            }
        }
        // What was dialed may be a server here that waits itself.
        let reads_all = world.busy == 0 && world.dials == 0;
        // What the program gave up, nobody can ask.
        let hidden = |known: &Known| known.conn.is_none() && !known.steps.ends_with(&[Step::CloseOlder]);
        (conns, reads_all, !world.known.iter().any(hidden))
    });
    let mut broken = Vec::new();
    let drained = drained && conns.iter().all(|(_, conn, ..)| conn.backlog() == 0);
    for (index, conn, shown, paced) in conns {
        let (read, backlog) = (conn.bytes_read(), conn.backlog());
        let waits = backlog > 0 || paced && !drained;
        if let Some(shown) = shown.filter(|shown| conn.is_active() && !waits && read > *shown) {
            broken.push(("lost", format!("{read} bytes of connection {index} were read, and {shown} handled (N2)")));
        }
        if reads_all && backlog > 0 && conn.is_active() {
            broken.push(("unsent", format!("{backlog} bytes of connection {index}, whose peer reads (O2, O3)")));
        }
    }
    broken
}

/// Whether the OnDisconnect of each connection ran that its peer ended.
fn missed() -> Option<Broken> {
    let missed = world::with(|world| {
        let ended = |steps: &[Step]| steps.ends_with(&[Step::CloseOlder]) && steps.contains(&Step::Request);
        let known = world.known.iter().enumerate();
        let mut known = known.filter(|(_, known)| ended(&known.steps) && !known.steps.contains(&Step::Disconnect));
        known.find(|(_, known)| known.served && !known.meddled).map(|known| known.0).filter(|_| !world.meddled)
    });
    missed.map(|index| ("missed", format!("nobody closed connection {index}, and its OnDisconnect never ran (H1)")))
}

/// The connections of server `index` that are not over, if a graceful shutdown ends each of them: nothing is unread,
/// nothing is unsent, and no code keeps it open. With their indices.
fn idle(index: usize) -> Option<Vec<(usize, Connection)>> {
    let known = world::with(|world| {
        let known = world
            .known
            .iter()
            .enumerate()
            .filter(|(_, known)| known.host == index && !known.steps.ends_with(&[Step::CloseOlder]));
        known.map(|(at, known)| (!known.apart).then(|| Some((at, known.conn.clone()?)))?).collect::<Option<Vec<_>>>()
    })?;
    known.iter().all(|(at, conn)| conn.backlog() == 0 && is_read(*at, conn)).then_some(known)
}

/// Whether code took all that was read.
fn is_read(at: usize, conn: &Connection) -> bool {
    let read = conn.bytes_read();
    world::with(|world| world.known[at].took == read)
}

/// Shuts host `index` down.
pub fn shut(index: usize, handles: &Handles) {
    let begun = world::now();
    let mut first = true;
    loop {
        let (idle, done) = (idle(index), world::with(|world| world.done));
        let (deadline, before) = (ground::deadline(idle.is_some()), world::now());
        let ended = match handles {
            Handles { server: Some(server), .. } => server.shutdown(deadline),
            Handles { dialer: Some(dialer), .. } => dialer.shutdown(deadline),
            Handles { .. } => return,
        };
        let took = world::now() - before;
        world::event(format!("shutdown of {index}: {ended:?} after {took:?}"));
        if took > deadline + ground::GRACE {
            world::violate("late", format!("the shutdown of {index} took {took:?}"));
        }
        match ended {
            // What a callback keeps, the next shutdown joins.
            Ok(ended) if ended.left > 0 && world::now() - begun < ground::AGAIN => {}
            Ok(ended) if ended.left > 0 => {
                return world::violate("left", format!("{} of server {index}", ended.left));
            }
            // Unless code did something meanwhile, or more was read.
            Ok(ended)
                if ended.cut > 0
                    && first
                    && done == world::with(|world| world.done)
                    && idle.is_some_and(|all| all.iter().all(|(at, conn)| is_read(*at, conn))) =>
            {
                return world::violate("cut", format!("{} idle connections of server {index} (G1)", ended.cut));
            }
            Ok(_) => return,
            Err(error) => return world::violate("shutdown", error),
        }
        first = false;
    }
}

/// Whether every connection went by the rules.
pub fn check() {
    let all: Vec<Vec<Step>> = world::with(|world| world.known.iter().map(|known| known.steps.clone()).collect());
    for (index, steps) in all.iter().enumerate() {
        if let Some(rule) = broken_rule(steps) {
            world::violate("order", format!("{rule}: connection {index}: {steps:?}"));
        }
    }
}
