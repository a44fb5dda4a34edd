//! The threads of a server: the ones that lead its loops, the spare ones, and the watchdog.
//!
//! Who leads, and who succeeds whom, is decided in `protocol::takeover`. Here are the threads that it decides
//! about: how they start and end, and how the time passes that the protocol knows nothing of.
//!
//! The watchdog looks at each loop's heartbeat twice in the time after which a handler counts as stuck. While
//! nothing moves it looks more and more rarely; when nothing has moved for a while, it sleeps until one of the
//! pollers' epolls has an event, which costs the pollers nothing. It never makes a poller do more for it than
//! write its heartbeat.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::host::{Host, Notice};
use crate::error::Error;
use crate::protocol::takeover::{Crew, Lead, Pulse, Slept, Succession, Watch};
use crate::reactor::event_loop::{self, Desk};
use crate::reactor::poller::Poller;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::thread::{Builder, JoinHandle};
use crate::sync::time::Instant;
use crate::sync::{Arc, Mutex, lock};

/// A spare thread that was not needed for so long ends.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest that the watchdog sleeps by the clock while somebody may be at work.
const LONGEST_NAP: Duration = Duration::from_millis(40);
/// After so long without a move it sleeps until there is an event.
const QUIET: Duration = Duration::from_secs(1);

/// The threads of one host.
pub(crate) struct Threads {
    crew: Crew,
    /// How long a handler may take before its thread is replaced.
    threshold: Option<Duration>,
    /// Threads that have not ended, the watchdog included.
    alive: AtomicUsize,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    pub(crate) fn new(loops: usize, threshold: Option<Duration>, most: usize) -> Self {
        Self {
            crew: Crew::new(loops, most),
            // Looking more often than that would take every thread for stuck that is merely preempted.
            threshold: threshold.map(|threshold| threshold.max(Duration::from_millis(1))),
            alive: AtomicUsize::new(0),
            handles: Mutex::new(Vec::new()),
        }
    }

    /// Starts the first leader of loop `home`.
    pub(crate) fn start<H: Host>(&self, host: &Arc<H>, home: usize) -> std::io::Result<()> {
        self.crew.start(home, |lead| begin(host, format!("poller {home}"), move |host| lead_in_turn(host, Some(lead))))
    }

    /// The lead of loop `home`, whose first leader the caller will be: by [`lead`](Self::lead), which must follow.
    pub(crate) fn enlist(&self, home: usize) -> Arc<Lead> {
        // Ordering: Relaxed, as in `begin`.
        self.alive.fetch_add(1, Ordering::Relaxed);
        let Ok(()) = self.crew.start(home, |_| Ok::<_, std::convert::Infallible>(()));
        self.crew.lead_of(home)
    }

    /// Leads a loop that the caller was enlisted for, and others when it is needed, until it is not. (K2)
    pub(crate) fn lead<H: Host>(&self, host: &Arc<H>, first: Arc<Lead>) {
        let leaving = on_post(host.clone());
        lead_in_turn(&leaving.0, Some(first));
    }

    /// Starts the watchdog, if takeovers are wanted.
    pub(crate) fn watch<H: Host>(&self, host: &Arc<H>) -> std::io::Result<()> {
        match self.threshold {
            Some(threshold) => begin(host, "watchdog".to_owned(), move |host| watch(host, threshold)),
            None => Ok(()),
        }
    }

    /// How often a thread was replaced.
    pub(crate) fn takeovers(&self) -> u64 {
        self.crew.successions()
    }

    /// Every loop is over: threads that wait to be needed end.
    pub(crate) fn close(&self) {
        self.crew.close();
    }

    /// Whether a thread that does not come back is replaced.
    pub(crate) fn are_replaced(&self) -> bool {
        self.threshold.is_some()
    }

    /// Threads that have not ended.
    pub(crate) fn alive(&self) -> usize {
        // Ordering: Acquire, partner: the Release of `Leaving::drop`.
        self.alive.load(Ordering::Acquire)
    }

    /// Joins the threads that have ended, or are about to; unless the caller is one of a server's itself, which others
    /// may be joining. (U6)
    pub(crate) fn join<H: Host>(&self) {
        if H::thread_ends() {
            return;
        }
        let all = self.alive() == 0;
        let ended: Vec<_> = lock(&self.handles).extract_if(.., |thread| all || thread.is_finished()).collect();
        for thread in ended {
            // One that panicked has reported it.
            let _ = thread.join();
        }
    }

    /// Ends `lead` and has another thread go on, if one is there or can be started. Any thread. (K1, K5)
    pub(crate) fn succeed<H: Host>(&self, host: &Arc<H>, lead: &Arc<Lead>) -> Succession {
        let mut failed = None;
        let outcome = self.crew.succeed(lead, || {
            let started = begin(host, "spare poller".to_owned(), |host| lead_in_turn(host, None));
            failed = started.err();
            failed.is_none()
        });
        if outcome == Succession::Appointed {
            host.notice(Notice::Takeover(lead.home()));
        }
        if let Some(source) = failed {
            let error = Error::Server { call: "clone", source };
            host.report_from_anywhere(lead.home(), error);
        }
        outcome
    }
}

/// Counts a thread out, also when it panics.
struct Leaving<H: Host>(Arc<H>);

impl<H: Host> Drop for Leaving<H> {
    fn drop(&mut self) {
        let host = &self.0;
        H::leave_post();
        // Ordering: Release, partner `alive`.
        host.threads().alive.fetch_sub(1, Ordering::Release);
        host.one_thread_less();
    }
}

/// The calling thread, which was counted, is one of `server`'s from here on.
fn on_post<H: Host>(host: Arc<H>) -> Leaving<H> {
    host.take_post();
    Leaving(host)
}

fn begin<H: Host>(host: &Arc<H>, name: String, body: impl FnOnce(&Arc<H>) + Send + 'static) -> std::io::Result<()> {
    let shared = host.clone();
    // Ordering: Relaxed: before the thread is there.
    host.threads().alive.fetch_add(1, Ordering::Relaxed);
    let thread = Builder::new().name(name).spawn(move || {
        let leaving = on_post(shared);
        body(&leaving.0);
        drop(leaving);
        H::end_thread();
    });
    match thread {
        Ok(thread) => {
            let mut handles = lock(&host.threads().handles);
            // Spare threads come and go: their handles need not be kept.
            handles.retain(|thread| !thread.is_finished());
            handles.push(thread);
            Ok(())
        }
        Err(error) => {
            // Ordering: Relaxed: it was never there.
            host.threads().alive.fetch_sub(1, Ordering::Relaxed);
            Err(error)
        }
    }
}

/// A thread that leads, and waits to lead again: until every loop is over, or it is not needed. (K2)
fn lead_in_turn<H: Host>(host: &Arc<H>, first: Option<Arc<Lead>>) {
    let mut desk = None;
    let mut newcomer = first.is_none();
    let mut next = first;
    loop {
        let lead = match next.take() {
            Some(lead) => lead,
            None => match wait(&**host, std::mem::take(&mut newcomer)) {
                Some(lead) => lead,
                None => return,
            },
        };
        H::set_lead(Some(lead.clone()));
        let desk = desk.get_or_insert_with(Desk::new);
        event_loop::run(host, &lead, desk);
        H::set_lead(None);
        desk.sweep();
    }
}

fn wait<H: Host>(host: &H, newcomer: bool) -> Option<Arc<Lead>> {
    let until = Instant::now() + PATIENCE;
    host.threads().crew.next(newcomer, |wake, roster| {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return (roster, Slept::Enough);
        }
        let woken = wake.wait_timeout(roster, left);
        (woken.unwrap_or_else(std::sync::PoisonError::into_inner).0, Slept::Awake)
    })
}

/// The watchdog: replaces a thread that has been with one event for `threshold`. (K4)
fn watch<H: Host>(host: &Arc<H>, threshold: Duration) {
    let threads = host.threads();
    let tick = threshold / Watch::LOOKS;
    let mut watches: Vec<(Arc<Lead>, Watch)> =
        (0..host.pollers().len()).map(|home| (threads.crew.lead_of(home), Watch::default())).collect();
    let (mut nap, mut quiet) = (tick, Duration::ZERO);
    while !host.over_by(Instant::now() + nap) {
        let mut moves = false;
        for (home, (lead, watch)) in watches.iter_mut().enumerate() {
            if lead.is_over() {
                (*lead, *watch) = (threads.crew.lead_of(home), Watch::default());
            }
            moves |= match watch.look(lead.pulse()) {
                Pulse::Resting => false,
                Pulse::Moving => true,
                Pulse::Stuck => {
                    let _ = threads.succeed(host, lead);
                    true
                }
            };
        }
        if moves {
            (nap, quiet) = (tick, Duration::ZERO);
            continue;
        }
        quiet += nap;
        nap = (nap * 2).min(LONGEST_NAP.max(tick));
        // A beat that came just after the look would be missed until the next event, so that is not waited for
        // for ever. A kernel that refuses leaves the watchdog its clock.
        if quiet >= QUIET && Poller::doze(host.pollers(), QUIET) == Ok(true) {
            (nap, quiet) = (tick, Duration::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::Io;
    use crate::Server;
    use crate::connection::blocking::hand_over_before_blocking;

    #[test]
    fn a_thread_that_hands_over_may_block_at_once() {
        let (entered, enters) = channel();
        let (go, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let handler = move |io: &mut Io<'_>| {
            if io.data() == b"block" {
                hand_over_before_blocking();
                // It has nothing to hand over any more.
                hand_over_before_blocking();
                entered.send(()).expect("the test waits");
                assert!(lock(&gate).recv().is_err(), "nothing is ever sent");
            }
            io.write(io.data());
            io.consume(io.data().len());
        };
        // The watchdog would come too late for this test.
        let builder = Server::builder().takeover(Some(Duration::from_secs(100)));
        let server = builder.on_request(handler).bind("127.0.0.1:0").expect("a port");
        server.spawn().expect("threads");
        let client = |request: &[u8]| {
            let mut stream = TcpStream::connect(server.local_addr().tcp().expect("TCP")).expect("a connection");
            stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
            stream.write_all(request).expect("a write");
            stream
        };
        let mut blocked = client(b"block");
        enters.recv_timeout(Duration::from_secs(20)).expect("the request");
        let mut answer = [0; 5];
        client(b"other").read_exact(&mut answer).expect("served by the successor");
        assert_eq!(server.stats().takeovers, 1);
        drop(go);
        blocked.read_exact(&mut answer).expect("its own answer");
        // Elsewhere it does nothing.
        hand_over_before_blocking();
        assert_eq!(server.stats().takeovers, 1);
        let ended = server.shutdown(Duration::from_secs(20)).expect("a shutdown");
        assert_eq!((ended.cut, ended.left), (0, 0));
        let threads = &server.shared().threads;
        assert_eq!((threads.alive(), lock(&threads.handles).len()), (0, 0), "every thread has ended and was joined");
    }
}
