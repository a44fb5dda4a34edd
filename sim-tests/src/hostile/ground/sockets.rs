//! The sockets and threads of this machine: one schedule of a program, in real time, in a process of its own.
//!
//! What is asked here is what the kernel knows of the process: its threads, its fds and its processor time, before the
//! program and after it. Time is real and machines are slow, so whatever must hold in the end is asked again until it
//! does, for as long as no machine takes. What the threads share is behind the facade's lock, which ThreadSanitizer sees
//! through.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use pollproof::Server;
use pollproof::sync::{Mutex, lock};

use super::super::inside::Frame;
use super::super::program::{Kinds, Op, Program};
use super::super::table::entry;
use super::super::world::{World, violate};
use super::peers::Remote;

/// How long a program has until it is shut down.
pub const TIME: Duration = Duration::from_millis(250);
/// How often it is asked whether it is over before.
pub const STEP: Duration = Duration::from_millis(2);
/// How long a shutdown may take past its deadline: the second that the core gives to callbacks, and what a slow machine
/// takes.
pub const GRACE: Duration = Duration::from_secs(15);
/// How long a shutdown goes on for what is left after the first one: callbacks that shut other servers down.
pub const AGAIN: Duration = Duration::from_secs(30);
/// How long values may take to go, in milliseconds.
pub const LAST: u32 = 10_000;
/// How long an upstream may take that answers.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// And one that may not answer.
pub const IMPATIENCE: Duration = Duration::from_millis(50);
/// By how much more is lent than is sent otherwise: enough to fill a socket.
pub const LENT: usize = 8192;

/// So many bytes of a socket are one of a program's room; the kernel has its smallest size.
pub const ROOM: usize = 1024;

/// What of a program means nothing here, for who reads the table of what was executed.
pub const MISSING: &str =
    "not on sockets: `faults` and `races` of the kernel; `room` is a wish, for the kernel has its smallest buffers";

/// How an address of a Unix socket begins.
pub const UNIX: &str = "unix:";

/// Nothing happens for so long when nothing happens any more.
const REST: Duration = Duration::from_millis(30);
/// No machine takes so long.
const SLOW: Duration = Duration::from_secs(20);
/// Processor time is looked at for so long at a time,
const WINDOW: Duration = Duration::from_millis(20);
/// as often as this,
const WINDOWS: u32 = 15;
/// and is no more than so many hundredths in one of them.
const IDLE: u32 = 40;

static ON_UNIX: AtomicBool = AtomicBool::new(false);

static WORLD: Mutex<Option<World>> = Mutex::new(None);

/// The world; not across a call of the core's.
pub fn with<R>(look: impl FnOnce(&mut World) -> R) -> R {
    look(lock(&WORLD).get_or_insert_default())
}

/// Whether servers, peers and what is dialed are on Unix sockets in this process, or on TCP.
pub fn choose(unix: bool) {
    // Ordering: Relaxed: there are no other threads yet.
    ON_UNIX.store(unix, Ordering::Relaxed);
}

fn on_unix() -> bool {
    // Ordering: Relaxed: it was chosen before there were threads.
    ON_UNIX.load(Ordering::Relaxed)
}

/// What there was before a program.
pub struct Ground {
    threads: usize,
    fds: usize,
    remote: Option<(Remote, String)>,
}

/// How many there are of something that `/proc` lists.
fn listed(folder: &str) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

fn threads() -> usize {
    listed("/proc/self/task")
}

fn fds() -> usize {
    listed("/proc/self/fd")
}

impl Ground {
    /// Counts what there is, and lets what is dialed listen.
    ///
    /// # Panics
    ///
    /// If the machine is out of threads or fds.
    pub fn begin(_: &Program) -> Self {
        // A sanitizer may start a thread with the first one, which is still listed for a moment when it is over.
        pollproof::sync::thread::spawn(|| {}).join().expect("it does nothing");
        let least = |_| {
            nap(Duration::from_millis(1));
            threads()
        };
        let (threads, fds) = ((0..5).map(least).min().unwrap_or_default(), fds());
        let remote = if on_unix() {
            (Remote::Unix(UnixListener::bind("remote").expect("a free name")), format!("{UNIX}remote"))
        } else {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("it is bound").to_string();
            (Remote::Tcp(listener), address)
        };
        Self { threads, fds, remote: Some(remote) }
    }

    /// What is dialed; where.
    ///
    /// # Panics
    ///
    /// The second time.
    pub fn remote(&mut self) -> (Remote, String) {
        self.remote.take().expect("it is asked for once")
    }

    /// Nothing runs any more: whether anything is left.
    pub fn end(self) {
        let left = at_last(|| {
            let (threads, fds) = (threads(), fds());
            let mut left = Vec::new();
            if threads > self.threads {
                left.push(("threads", format!("{threads} instead of {}: {}", self.threads, names().join(", "))));
            }
            if fds > self.fds {
                left.push(("fds", format!("{fds} instead of {}", self.fds)));
            }
            left
        });
        left.into_iter().for_each(|(rule, what)| violate(rule, what));
        if let Some(how) = spins() {
            violate("spins", format!("after the end: {how}"));
        }
    }
}

/// Where host `index` listens, if it does.
pub fn place(index: usize) -> String {
    if on_unix() { format!("{UNIX}host-{index}") } else { "127.0.0.1:0".to_owned() }
}

/// Where one connects to it. Nobody listens for one that is a dialer.
pub fn address(index: usize, server: Option<&Server>) -> String {
    match server {
        Some(server) => server.local_addr().to_string(),
        None if on_unix() => place(index),
        None => "127.0.0.1:1".to_owned(),
    }
}

/// Until nothing happens any more: no code is inside a call that takes its time, and none begins.
pub fn settle() {
    let until = Instant::now() + SLOW;
    let look = || {
        with(|world| {
            let inside = world.frames.values().flatten().any(|frame| matches!(frame, Frame::Code(_)));
            (inside, world.events())
        })
    };
    let mut before = look();
    while Instant::now() < until {
        nap(REST);
        let now = look();
        if !now.0 && now == before {
            return;
        }
        before = now;
    }
}

/// What is wrong when nothing happens any more: what is so after a while as well.
pub fn at_last<T>(wrong: impl Fn() -> Vec<T>) -> Vec<T> {
    let until = Instant::now() + SLOW;
    loop {
        let found = wrong();
        if found.is_empty() || Instant::now() > until {
            return found;
        }
        nap(STEP);
    }
}

/// The names of the process's threads.
pub fn names() -> Vec<String> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
    tasks.filter_map(|task| Some(name(task.ok()?)?.trim().to_owned())).collect()
}

/// What is wrong with the threads: unless code shuts servers down, each loop has one that leads it.
pub fn crew(program: &Program) -> Option<String> {
    let ops = |ops: &Vec<Op>| ops.iter().any(|op| entry(op.what).kinds.has(Kinds::SHUTS));
    let acts = program.hosts.iter().flat_map(|host| host.acts.iter().map(|acts| &acts.1));
    if acts.chain(&program.foreign).any(ops) {
        return None;
    }
    let wanted: usize = program.hosts.iter().map(|host| usize::from(host.pollers)).sum();
    let found = names().iter().filter(|name| name.contains("poller")).count();
    (found < wanted).then(|| format!("{found} poll, for {wanted} loops"))
}

/// Whether something spins though nothing happens any more.
pub fn spins() -> Option<String> {
    let begun = (Instant::now(), used());
    for _ in 0..WINDOWS {
        let before = (Instant::now(), used());
        std::thread::sleep(WINDOW);
        if used().saturating_sub(before.1) < before.0.elapsed() * IDLE / 100 {
            return None;
        }
    }
    let (used, of) = (used().saturating_sub(begun.1), begun.0.elapsed());
    Some(format!("{used:?} of processor time in {of:?}: {}", names().join(", ")))
}

/// The processor time that this process has used.
fn used() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::ZERO };
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}

/// The deadline of a last shutdown: what ends by itself may take its time, and nobody waits for the rest.
pub fn deadline(idle: bool) -> Duration {
    if idle { SLOW } else { Duration::from_millis(50) }
}

/// Whether an execution is under way: the process ends with it.
pub fn is_on() -> bool {
    true
}

/// The calling thread's number.
pub fn me() -> usize {
    usize::try_from(nix::unistd::gettid().as_raw()).unwrap_or_default()
}

/// The calling thread's name, as the kernel has it: also at the end of a thread, which has no other any more.
pub fn name() -> String {
    nix::sys::prctl::get_name().map_or_else(|_| String::new(), |name| name.to_string_lossy().into_owned())
}

/// Waits for so long, or lets others go on if that is nothing.
pub fn nap(time: Duration) {
    if time.is_zero() { std::thread::yield_now() } else { std::thread::sleep(time) }
}
