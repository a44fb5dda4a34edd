//! One execution of a program: its servers, threads and peers, then the end of all of it.
//!
//! Not here: what must hold when it is at rest, and afterwards (`rest`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use pollproof::sync::thread::{Builder as Threads, JoinHandle};
use pollproof::{Dialer, Server};

use super::ground::{self, Ground, Peer, Remote};
use super::ops::{Scene, perform_all};
use super::program::{Host, Op, PeerAct, Place, Program, Runs};
use super::rest::{at_rest, check, shut};
use super::user::{Running, User, hook};
use super::world::{self, Handles};

/// Runs it. What does not hold is a violation in the world.
pub fn execute(program: &Program, forgiven: &[String]) {
    let mut ground = Ground::begin(program);
    world::begin(program, forgiven);
    play(program, &mut ground);
    ground.end();
    check();
}

fn thread(name: String, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    Threads::new().name(name).spawn(body).expect("threads")
}

fn play(program: &Program, ground: &mut Ground) {
    let mut threads = Vec::new();
    let room = usize::from(program.room);
    let hosts: Vec<Handles> = (0..program.hosts.len()).map(|index| bind(index, &program.hosts[index], room)).collect();
    let addresses: Vec<String> =
        hosts.iter().enumerate().map(|(index, host)| ground::address(index, host.server.as_ref())).collect();
    world::with(|world| {
        world.hosts.clone_from(&hosts);
        world.addresses.clone_from(&addresses);
    });
    let (remote, remote_address) = ground.remote();
    world::with(|world| world.addresses.push(remote_address.clone()));
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
    let acts = program.remote.clone();
    let accepting = thread("remote".to_owned(), move || accept(&remote, &acts, room));
    for (index, ops) in program.foreign.iter().enumerate() {
        let ops = ops.clone();
        let host = index % hosts.len();
        threads.push(thread(format!("foreign {index}"), move || foreign(&ops, host)));
    }
    let mut peers = Vec::new();
    for (to, acts) in program.peers.clone() {
        let servers: Vec<usize> = (0..hosts.len()).filter(|index| program.hosts[*index].listens).collect();
        let to = addresses[servers[usize::from(to) % servers.len()]].clone();
        let body = move || ground::connect(&to).into_iter().for_each(|peer| play_peer(peer, &acts, room));
        peers.push(thread("peer".to_owned(), body));
    }
    let until = world::now() + ground::TIME;
    while world::now() < until && threads.iter().chain(&peers).any(|thread| !thread.is_finished()) {
        world::nap(ground::STEP);
    }
    ground::settle();
    at_rest(program);
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
    world::with(|world| world.closed = true);
    drop(ground::connect(&remote_address));
    for thread in peers.into_iter().chain([accepting]) {
        thread.join().expect("a peer does not panic");
    }
    for thread in world::with(|world| std::mem::take(&mut world.dialed)) {
        thread.join().expect("a peer does not panic");
    }
    // Threads of a pool end by themselves.
    for _ in 0..ground::LAST {
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

/// What is dialed.
fn accept(remote: &Remote, acts: &[PeerAct], room: usize) {
    loop {
        let peer = remote.accept();
        if world::with(|world| world.closed) {
            return;
        }
        let acts = acts.to_vec();
        let playing = thread("remote peer".to_owned(), move || play_peer(peer, &acts, room));
        world::with(|world| world.dialed.push(playing));
    }
}

fn bind(index: usize, host: &Host, room: usize) -> Handles {
    let takeover = (host.takeover > 0).then(|| Duration::from_millis(host.takeover.into()));
    let high = u64::from(host.high);
    #[cfg(sim)]
    let _ = room;
    macro_rules! set {
        ($builder:expr) => {{
            let builder = $builder.takeover(takeover).max_threads(4).pollers(host.pollers.into());
            let builder = builder.budget(host.budget.into()).read_ahead(host.ahead.into()).water_marks(high / 2, high);
            let builder = builder.on_error(hook(index));
            // The simulated kernel has its own room.
            #[cfg(not(sim))]
            let builder = builder.send_buffer(room * ground::ROOM);
            if host.runs == Runs::Inline { builder } else { builder.runner(Running::new(index, host.runs)) }
        }};
    }
    if host.listens {
        let server =
            set!(Server::builder()).handler(User::new(index)).bind(&ground::place(index)).expect("nobody is there");
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

fn play_peer(peer: Peer, acts: &[PeerAct], room: usize) {
    #[cfg(not(sim))]
    peer.limit(room * ground::ROOM);
    #[cfg(sim)]
    let _ = room;
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
