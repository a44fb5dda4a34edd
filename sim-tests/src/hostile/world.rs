//! What the code of a program shares: the connections that it knows, the handles that it keeps, what happened, and what
//! went wrong.
//!
//! There is one world for each execution, where its `ground` keeps it, behind a cell or a lock that nobody holds across a
//! step: what a caller takes out of it is dropped, and what it calls is called, after it is given back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use pollproof::sync::thread::JoinHandle;
use pollproof::sync::time::Instant;
use pollproof::{Connection, Detached, Dialer, Server};

use super::ground::name;
use super::inside::{Frame, enter};
use super::program::{Op, Place, Program};
use super::table::What;
use crate::rules::Step;

pub use super::ground::{is_on, me, nap, with};

/// Operations in one execution; later ones are left out, so that programs that feed themselves end.
const MOST: usize = 80;
/// Dials in one execution.
const DIALS: usize = 4;

/// What kind of thread code runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// A polling one.
    Poller,
    /// One of a pool or another runner.
    Runner,
    /// Any other one.
    Foreign,
}

/// How often which operation was executed, where, and on which kind of thread.
pub type Executed = BTreeMap<(What, Place, On), u64>;

/// A connection that the program knows.
pub struct Known {
    /// Which server it belongs to.
    pub host: usize,
    /// Its number there.
    pub id: u64,
    /// A handle, unless the program gave it up.
    pub conn: Option<Connection>,
    /// What its callbacks did.
    pub steps: Vec<Step>,
    /// Bytes that code consumed.
    pub took: u64,
    /// Bytes that an OnRequest has consumed or seen.
    pub shown: u64,
    /// It was given a handler as it began.
    pub served: bool,
    /// It has an OnRequest.
    pub handled: bool,
    /// Its code keeps it open.
    pub apart: bool,
    /// Its OnRequest may wait for the output of another one.
    pub paced: bool,
    /// Code closed it in some way.
    pub meddled: bool,
}

/// What the program keeps.
pub enum Kept {
    /// A handle of a connection.
    Conn(#[allow(dead_code, reason = "it is kept")] Connection),
    /// What a detach gave back.
    Detached(#[allow(dead_code, reason = "it is kept")] Detached),
    /// A handle of a server.
    Server(#[allow(dead_code, reason = "it is kept")] Server),
    /// A handle of a dialer.
    Dialer(#[allow(dead_code, reason = "it is kept")] Dialer),
}

/// A server or dialer, as far as the program has it.
#[derive(Clone, Default)]
pub struct Handles {
    /// If it is a server.
    pub server: Option<Server>,
    /// Its dialer, or itself.
    pub dialer: Option<Dialer>,
}

/// Everything of one execution.
#[derive(Default)]
pub struct World {
    /// The program.
    pub program: Option<Program>,
    /// Its connections, in the order in which they came.
    pub known: Vec<Known>,
    /// Its servers and dialers.
    pub hosts: Vec<Handles>,
    /// Where each of them is, and, last, what is dialed.
    pub addresses: Vec<String>,
    /// Threads of peers that were dialed, until nobody is dialed any more.
    pub dialed: Vec<JoinHandle<()>>,
    /// Nobody is dialed any more.
    pub closed: bool,
    kept: Vec<Kept>,
    /// What each thread is inside of.
    pub frames: BTreeMap<usize, Vec<Frame>>,
    /// Values that were made and are not gone, and whether their drop has begun.
    values: BTreeMap<u64, (Place, bool)>,
    began: Option<Instant>,
    made: u64,
    /// Operations that were begun.
    pub done: usize,
    /// Dials that were begun.
    pub dials: usize,
    over: bool,
    /// Code closes connections, and nobody can tell which.
    pub meddled: bool,
    /// Peers that do not read all that comes, or do not yet.
    pub busy: usize,
    events: Vec<(Duration, usize, String, String)>,
    violations: Vec<String>,
    forgiven: Vec<String>,
    executed: Executed,
}

impl World {
    /// How many things have happened.
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing of the core's is in it.
    fn is_empty(&self) -> bool {
        let kept = self.kept.is_empty() && self.hosts.is_empty() && self.dialed.is_empty();
        kept && self.known.iter().all(|known| known.conn.is_none())
    }

    /// What was executed.
    pub fn executed(&self) -> Executed {
        self.executed.clone()
    }

    /// What went wrong, first of all.
    pub fn first_violation(&self) -> Option<String> {
        self.violations.first().cloned()
    }
}

/// A world without anything, for a program. `forgiven`: violations that begin so are none.
pub fn begin(program: &Program, forgiven: &[String]) {
    let executed = with(|world| std::mem::take(&mut world.executed));
    let (program, began) = (Some(program.clone()), Some(Instant::now()));
    let new = World { program, began, executed, forgiven: forgiven.to_vec(), ..World::default() };
    leave(with(|world| std::mem::replace(world, new)));
}

/// Nothing runs any more: what was executed since this was asked last, and the first thing that went wrong.
pub fn end() -> (Executed, Option<String>) {
    let mut world = with(std::mem::take);
    let told = (std::mem::take(&mut world.executed), world.first_violation());
    leave(world);
    told
}

/// What a failed execution left is not dropped: its threads are gone, and what it was in the middle of is not known.
fn leave(world: World) {
    if !world.is_empty() {
        std::mem::forget(world);
    }
}

/// What went wrong, first of all.
pub fn violation() -> Option<String> {
    with(|world| world.first_violation())
}

/// What happened, one line for each event.
pub fn timeline() -> String {
    with(|world| {
        let mut text = String::new();
        for (at, thread, name, what) in &world.events {
            let _ = writeln!(text, "{:>8.1} ms  {thread:>2} {name:<14} {what}", at.as_secs_f64() * 1e3);
        }
        text
    })
}

/// The time since the execution began.
pub fn now() -> Duration {
    let now = Instant::now();
    with(|world| now.saturating_duration_since(*world.began.get_or_insert(now)))
}

/// What kind of thread this is.
pub fn on() -> On {
    let name = name();
    if name.starts_with("poller") || name.starts_with("spare") || name.starts_with("watchdog") {
        On::Poller
    } else if name.starts_with("handler") || name.starts_with("runner") {
        On::Runner
    } else {
        On::Foreign
    }
}

/// Writes down what happens.
pub fn event(what: impl Into<String>) {
    let (at, me, name, what) = (now(), me(), name(), what.into());
    with(|world| world.events.push((at, me, name, what)));
}

/// Something is against the rules.
pub fn violate(rule: &str, what: impl std::fmt::Display) {
    let text = format!("{rule}: {what}");
    if with(|world| world.forgiven.iter().any(|forgiven| text.starts_with(forgiven))) {
        return;
    }
    event(format!("VIOLATION {text}"));
    with(|world| world.violations.push(text));
}

/// Whether another operation may be done, and that it is.
pub fn may(what: What) -> bool {
    with(|world| {
        world.done += 1;
        if matches!(what, What::Dial | What::Connect | What::Upstream) {
            world.dials += 1;
        }
        !world.over && world.done <= MOST && world.dials <= DIALS
    })
}

/// Nothing is done any more.
pub fn stop() {
    with(|world| world.over = true);
}

/// `what` is executed.
pub fn executes(what: What, place: Place) {
    let on = on();
    with(|world| *world.executed.entry((what, place, on)).or_default() += 1);
}

/// What the code of `host` does at `place`.
pub fn acts(host: usize, place: Place) -> Vec<Op> {
    with(|world| {
        let host = world.program.as_ref().and_then(|program| program.hosts.get(host));
        let found = host.and_then(|host| host.acts.iter().find(|acts| acts.0 == place));
        found.map_or_else(Vec::new, |acts| acts.1.clone())
    })
}

/// The program keeps this, until the end.
pub fn keep(kept: Kept) {
    with(|world| world.kept.push(kept));
}

/// The program gives up what it kept last.
pub fn drop_kept() -> bool {
    let _own = enter(Frame::Own, None);
    let kept = with(|world| world.kept.pop());
    kept.is_some()
}

/// The program gives up every handle.
pub fn clear() {
    let _own = enter(Frame::Own, None);
    loop {
        let (kept, hosts) = with(|world| (world.kept.pop(), std::mem::take(&mut world.hosts)));
        let conn = with(|world| world.known.iter_mut().find_map(|known| known.conn.take()));
        if kept.is_none() && conn.is_none() && hosts.is_empty() {
            return;
        }
        // A drop that panics does so here.
        let _ = catch_unwind(AssertUnwindSafe(|| drop((kept, hosts, conn))));
    }
}

/// A value was made, which will be dropped at `place`: its number.
pub fn made(place: Place) -> u64 {
    with(|world| {
        world.made += 1;
        world.values.insert(world.made, (place, false));
        world.made
    })
}

/// The drop of a value begins.
pub fn drops(number: u64, place: Place) {
    let began = with(|world| world.values.get_mut(&number).map(|value| std::mem::replace(&mut value.1, true)));
    if began != Some(false) {
        violate("dropped twice", place.name());
    }
}

/// The drop of a value is over.
pub fn dropped(number: u64) {
    with(|world| world.values.remove(&number));
}

/// Places of the values that are left, each once.
pub fn values() -> BTreeSet<&'static str> {
    with(|world| world.values.values().map(|(place, _)| place.name()).collect())
}

/// The index of connection `id` of `host`, if it is known.
pub fn find(host: usize, id: u64) -> Option<usize> {
    with(|world| world.known.iter().position(|known| known.host == host && known.id == id))
}

/// The index of a connection that came for the first time, or is known. Whoever comes with it first has it alone.
pub fn know(host: usize, conn: &Connection, served: bool) -> usize {
    find(host, conn.id()).unwrap_or_else(|| {
        let (conn, id) = (Some(conn.clone()), conn.id());
        let known = Known {
            host,
            id,
            conn,
            steps: Vec::new(),
            took: 0,
            shown: 0,
            served,
            handled: served,
            apart: false,
            paced: false,
            meddled: false,
        };
        with(|world| {
            world.known.push(known);
            world.known.len() - 1
        })
    })
}

/// A callback of connection `index` did something.
pub fn step(index: usize, step: Step) {
    event(format!("{step:?} of {index}"));
    with(|world| world.known[index].steps.push(step));
}

/// Code consumed so many bytes of connection `index`.
pub fn took(index: Option<usize>, count: usize) {
    if let Some(index) = index {
        with(|world| world.known[index].took += count as u64);
    }
}

/// Code closes connection `index`, or some that nobody can tell.
pub fn meddle(index: Option<usize>) {
    with(|world| match index {
        Some(index) => world.known[index].meddled = true,
        None => world.meddled = true,
    });
}

/// Code keeps connection `index` open.
pub fn set_apart(index: usize) {
    with(|world| world.known[index].apart = true);
}
