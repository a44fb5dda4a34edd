//! One execution of a program: its servers, threads and peers, then the end of all of it, and what must hold then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use pollproof::sim::{self, Faults, Peer, Remote};
use pollproof::sync::simulated::{Builder as Threads, Clock};
use pollproof::sync::thread::JoinHandle;
use pollproof::{Connection, Dialer, Server};

use super::ops::{Scene, perform_all};
use super::program::{Host, Op, PeerAct, Place, Program, Runs};
use super::user::{Running, User, hook};
use super::world::{self, Handles};
use crate::stage::{REMOTE, Step, at, broken_rule};

/// How long a shutdown may take past its deadline: a second for callbacks that do not return, and a little more for two
/// servers that shut each other down.
pub const GRACE: Duration = Duration::from_millis(1_100);
/// How long a program has until it is shut down.
const TIME: Duration = Duration::from_secs(4);
/// The deadline of the last shutdown.
const DEADLINE: Duration = Duration::from_secs(20);
/// Moves of the clock when nobody can go on.
const IDLE: u32 = 4_000;
/// System calls of the core.
const CALLS: u64 = 10_000;

/// Where server `index` listens.
pub fn address(index: usize) -> String {
    format!("10.0.0.{}:80", index + 1)
}

/// Runs it.
///
/// # Panics
///
/// If something does not hold.
pub fn execute(program: &Program, forgiven: &[String]) {
    Clock::begin(program.races.into(), IDLE);
    let one_in = |n| if program.faults { n } else { 0 };
    sim::begin(Faults {
        calls: CALLS,
        room: program.room.into(),
        interrupt: one_in(20),
        short_read: one_in(4),
        short_write: one_in(4),
        spurious: one_in(10),
        panics: true,
        ..Faults::default()
    });
    let clock = shuttle::thread::spawn(Clock::run);
    world::begin(program, forgiven);
    play(program);
    Clock::end();
    clock.join().expect("the clock does not fail");
    let report = sim::end();
    if let Some(broken) = report.broken.first() {
        world::violate("kernel", broken);
    }
    if report.open > 0 {
        world::violate("fds", format!("{} are left open", report.open));
    }
    check();
    if let Some(violation) = world::violation() {
        panic!("{violation}");
    }
}

fn thread(name: String, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    Threads::new().name(name).spawn(body).expect("threads")
}

fn play(program: &Program) {
    let mut threads = Vec::new();
    let hosts: Vec<Handles> = (0..program.hosts.len()).map(|index| bind(index, &program.hosts[index])).collect();
    world::with(|world| world.hosts.clone_from(&hosts));
    for (host, handles) in program.hosts.iter().zip(&hosts) {
        match handles.server.clone() {
            // It polls on a thread of the program, which the name says.
            Some(server) if host.on_thread => {
                threads.push(thread("poller of the program".to_owned(), move || drop(server.run())));
            }
            Some(server) => drop(server.spawn()),
            None => {}
        }
    }
    let remote = Remote::listen(at(REMOTE), 2);
    let acts = program.remote.clone();
    let over = std::sync::Arc::new(std::sync::Mutex::new(false));
    let is_over = over.clone();
    let remotes = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let dialed = remotes.clone();
    let accepting = thread("remote".to_owned(), move || {
        loop {
            let peer = remote.accept();
            if *is_over.lock().expect("it is not held across a step") {
                return;
            }
            let acts = acts.clone();
            let playing = thread("remote peer".to_owned(), move || play_peer(peer, &acts));
            dialed.lock().expect("as above").push(playing);
        }
    });
    for (index, ops) in program.foreign.iter().enumerate() {
        let ops = ops.clone();
        let host = index % hosts.len();
        threads.push(thread(format!("foreign {index}"), move || foreign(&ops, host)));
    }
    let mut peers = Vec::new();
    for (to, acts) in program.peers.clone() {
        let servers: Vec<usize> = (0..hosts.len()).filter(|index| program.hosts[*index].listens).collect();
        let to = servers[usize::from(to) % servers.len()];
        let body = move || {
            if let Ok(peer) = Peer::connect(at(&address(to))) {
                play_peer(peer, &acts);
            }
        };
        peers.push(thread("peer".to_owned(), body));
    }
    let until = world::now() + TIME;
    while world::now() < until && threads.iter().chain(&peers).any(|thread| !thread.is_finished()) {
        world::nap(Duration::from_millis(150));
    }
    world::nap(Duration::from_secs(1));
    at_rest();
    missed();
    world::event("the end");
    for (index, handles) in hosts.iter().enumerate() {
        shut(index, handles);
    }
    for thread in threads {
        thread.join().expect("no panic of the program escapes");
    }
    // A drop that panics does so where the program drops it.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(hosts)));
    world::clear();
    world::stop();
    *over.lock().expect("it is not held across a step") = true;
    drop(Peer::connect(at(REMOTE)));
    for thread in peers.into_iter().chain([accepting]) {
        thread.join().expect("a peer does not panic");
    }
    for thread in std::mem::take(&mut *remotes.lock().expect("as above")) {
        thread.join().expect("a peer does not panic");
    }
    // Threads of a pool end by themselves.
    for _ in 0..100 {
        if world::values().is_empty() {
            break;
        }
        world::nap(Duration::from_millis(1));
    }
    world::clear();
    let values = world::values();
    if !values.is_empty() {
        world::violate("kept", values.into_iter().collect::<Vec<_>>().join(", "));
    }
}

fn bind(index: usize, host: &Host) -> Handles {
    let takeover = (host.takeover > 0).then(|| Duration::from_millis(host.takeover.into()));
    let high = u64::from(host.high);
    macro_rules! set {
        ($builder:expr) => {{
            let builder = $builder.takeover(takeover).max_threads(4).pollers(host.pollers.into());
            let builder = builder.budget(host.budget.into()).read_ahead(host.ahead.into()).water_marks(high / 2, high);
            let builder = builder.on_error(hook(index));
            if host.runs == Runs::Inline { builder } else { builder.runner(Running::new(index, host.runs)) }
        }};
    }
    if host.listens {
        let server = set!(Server::builder()).handler(User::new(index)).bind(&address(index)).expect("nobody is there");
        let dialer = Some(server.dialer());
        Handles { server: Some(server), dialer }
    } else {
        Handles { server: None, dialer: Some(set!(Dialer::builder()).build().expect("threads")) }
    }
}

fn foreign(ops: &[Op], host: usize) {
    // Half of it while the peers come, and half when they are there.
    for op in ops {
        world::nap(Duration::from_millis(1));
        // What panics is code of the program, which this thread belongs to.
        let _ = catch_unwind(|| perform_all(&[*op], &mut Scene::new(Place::Foreign, host, None, None)));
    }
}

/// A peer that does not read all that comes, or does not yet.
struct Busy;

impl Busy {
    fn new() -> Self {
        world::with(|world| world.busy += 1);
        Self
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        world::with(|world| world.busy -= 1);
    }
}

fn play_peer(peer: Peer, acts: &[PeerAct]) {
    let mut busy = Some(Busy::new());
    for act in acts {
        let goes_on = match act {
            PeerAct::Send(count) => peer.send(&vec![b'0'; usize::from(*count)]).is_ok(),
            PeerAct::Receive => peer.receive().is_ok_and(|bytes| !bytes.is_empty()),
            PeerAct::Drain => {
                drop(busy.take());
                peer.receive_all();
                true
            }
            PeerAct::Nap(millis) => {
                world::nap(Duration::from_millis((*millis).into()));
                true
            }
            PeerAct::Finish => {
                peer.finish();
                true
            }
            PeerAct::Reset => return peer.reset(),
            PeerAct::Vanish => return,
        };
        if !goes_on {
            return;
        }
    }
}

/// A second after the last thing that happened: whether everything that can go on has gone on.
fn at_rest() {
    let (conns, reads_all) = world::with(|world| {
        let mut conns = Vec::new();
        for (index, known) in world.known.iter().enumerate() {
            if let Some(conn) = &known.conn {
                let shown = known.handled.then_some(known.shown.max(known.took));
                conns.push((index, conn.clone(), shown, known.paced));
            }
        }
        // What was dialed may be a server here that waits itself.
        (conns, world.busy == 0 && world.dials == 0)
    });
    let drained = conns.iter().all(|(_, conn, ..)| conn.backlog() == 0);
    for (index, conn, shown, paced) in conns {
        let (read, backlog) = (conn.bytes_read(), conn.backlog());
        let waits = backlog > 0 || paced && !drained;
        if let Some(shown) = shown.filter(|shown| conn.is_active() && !waits && read > *shown) {
            world::violate("lost", format!("{read} bytes of connection {index} were read, and {shown} handled (N2)"));
        }
        if reads_all && backlog > 0 && conn.is_active() {
            world::violate("unsent", format!("{backlog} bytes of connection {index}, whose peer reads (O2, O3)"));
        }
    }
}

/// Whether the OnDisconnect of each connection ran that its peer ended.
fn missed() {
    let missed = world::with(|world| {
        let ended = |steps: &[Step]| steps.ends_with(&[Step::CloseOlder]) && steps.contains(&Step::Request);
        let known = world.known.iter().enumerate();
        let mut known = known.filter(|(_, known)| ended(&known.steps) && !known.steps.contains(&Step::Disconnect));
        known.find(|(_, known)| known.served && !known.meddled).map(|known| known.0).filter(|_| !world.meddled)
    });
    if let Some(index) = missed {
        world::violate("missed", format!("nobody closed connection {index}, and its OnDisconnect never ran (H1)"));
    }
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

fn shut(index: usize, handles: &Handles) {
    let (idle, done) = (idle(index), world::with(|world| world.done));
    let before = world::now();
    let ended = match handles {
        Handles { server: Some(server), .. } => server.shutdown(DEADLINE),
        Handles { dialer: Some(dialer), .. } => dialer.shutdown(DEADLINE),
        Handles { .. } => return,
    };
    let took = world::now() - before;
    world::event(format!("shutdown of {index}: {ended:?} after {took:?}"));
    if took > DEADLINE + GRACE {
        world::violate("late", format!("the shutdown of {index} took {took:?}"));
    }
    match ended {
        Ok(ended) if ended.left > 0 => world::violate("left", format!("{} of server {index}", ended.left)),
        // Unless code did something meanwhile, or more was read.
        Ok(ended)
            if ended.cut > 0
                && done == world::with(|world| world.done)
                && idle.is_some_and(|all| all.iter().all(|(at, conn)| is_read(*at, conn))) =>
        {
            world::violate("cut", format!("{} idle connections of server {index} (G1)", ended.cut));
        }
        Ok(_) => {}
        Err(error) => world::violate("shutdown", error),
    }
}

/// Whether every connection went by the rules.
fn check() {
    let all: Vec<Vec<Step>> = world::with(|world| world.known.iter().map(|known| known.steps.clone()).collect());
    for (index, steps) in all.iter().enumerate() {
        if let Some(rule) = broken_rule(steps) {
            world::violate("order", format!("{rule}: connection {index}: {steps:?}"));
        }
    }
}
