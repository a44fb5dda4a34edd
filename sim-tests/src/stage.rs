//! What every scenario has: a handler that writes down which callback began and ended when, and the check that this
//! keeps to the rules, which are in `rules`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pollproof::sim::{Peer, count};
use pollproof::sync::simulated::Clock;
use pollproof::{BoxError, Builder, Connection, Error, Handler, Io, Server};

pub use crate::rules::Step;
use crate::rules::broken_rule;

/// Where servers listen.
pub const ADDRESS: &str = "10.0.0.1:80";
/// Where peers listen.
pub const REMOTE: &str = "10.0.0.9:90";
/// Longer than anything takes.
pub const LONG: Duration = Duration::from_secs(1000);

/// As an address.
///
/// # Panics
///
/// If it is none.
pub fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address")
}

/// A place where another thread may go on, and time, inside a callback that touches nothing shared.
pub fn point() {
    Clock::pass();
    shuttle::thread::sleep(Duration::ZERO);
}

#[derive(Default)]
struct Log {
    steps: Vec<(u64, Step)>,
    errors: Vec<String>,
    took: BTreeMap<u64, Vec<u8>>,
    conns: BTreeMap<u64, Connection>,
}

/// What happened in one execution. Clones are the same.
#[derive(Clone, Default)]
pub struct Stage(Arc<Mutex<Log>>);

type Act = Box<dyn Fn(&Stage, &mut Io<'_>) -> Result<(), BoxError> + Send + Sync>;
type Parting = Box<dyn Fn(&Stage, &Connection) + Send + Sync>;

/// What a handler does.
pub struct Acts {
    connect: Act,
    request: Act,
    disconnect: Parting,
}

impl Acts {
    /// Nothing but this in OnRequest.
    pub fn request(request: impl Fn(&Stage, &mut Io<'_>) + Send + Sync + 'static) -> Self {
        let request = move |stage: &Stage, io: &mut Io<'_>| {
            request(stage, io);
            Ok(())
        };
        Self { connect: Box::new(|_, _| Ok(())), request: Box::new(request), disconnect: Box::new(|_, _| ()) }
    }

    /// Sends back what comes.
    pub fn echo() -> Self {
        Self::request(|stage, io| {
            let bytes = stage.take(io);
            io.write(&bytes);
        })
    }

    /// Answers each byte with so many.
    pub fn multiply(by: usize) -> Self {
        Self::request(move |stage, io| {
            for byte in stage.take(io) {
                io.write(&vec![byte; by]);
            }
        })
    }

    /// And this in OnConnect.
    #[must_use]
    pub fn connect(mut self, connect: impl Fn(&Stage, &mut Io<'_>) + Send + Sync + 'static) -> Self {
        self.connect = Box::new(move |stage, io| {
            connect(stage, io);
            Ok(())
        });
        self
    }

    /// And this in OnDisconnect.
    #[must_use]
    pub fn disconnect(mut self, disconnect: impl Fn(&Stage, &Connection) + Send + Sync + 'static) -> Self {
        self.disconnect = Box::new(disconnect);
        self
    }
}

/// A handler that writes down what happens.
pub struct Traced {
    stage: Stage,
    acts: Acts,
}

/// Writes down that a callback is over, also when it panics.
struct Over<'a>(&'a Stage, u64, Step);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.step(self.1, self.2);
    }
}

impl Handler for Traced {
    type Context = ();
    type State = ();

    fn on_prepare(&self, conn: &Connection) {
        self.stage.step(conn.id(), Step::Prepare);
        for step in [Step::CloseOlder, Step::CloseNewer] {
            let stage = self.stage.clone();
            let added = conn.on_close(move |conn| {
                point();
                stage.step(conn.id(), step);
            });
            assert!(added.is_ok(), "it is not over");
        }
        self.stage.log(|log| log.conns.insert(conn.id(), conn.clone()));
    }

    fn on_connect(&self, (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        let id = io.connection().id();
        self.stage.step(id, Step::Connect);
        let _over = Over(&self.stage, id, Step::Connected);
        point();
        let done = (self.acts.connect)(&self.stage, io);
        point();
        if !io.connection().is_active() {
            count("closed during OnConnect");
        }
        done
    }

    fn on_request(&self, (): &(), (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        let id = io.connection().id();
        self.stage.step(id, Step::Request);
        let _over = Over(&self.stage, id, Step::Requested);
        point();
        (self.acts.request)(&self.stage, io)
    }

    fn on_disconnect(&self, (): &(), conn: &Connection) {
        self.stage.step(conn.id(), Step::Disconnect);
        let _over = Over(&self.stage, conn.id(), Step::Disconnected);
        point();
        (self.acts.disconnect)(&self.stage, conn);
    }
}

impl Stage {
    /// Nothing has happened.
    pub fn new() -> Self {
        Self::default()
    }

    fn log<R>(&self, f: impl FnOnce(&mut Log) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn step(&self, id: u64, step: Step) {
        self.log(|log| log.steps.push((id, step)));
    }

    /// Consumes what is there, and writes it down.
    pub fn take(&self, io: &mut Io<'_>) -> Vec<u8> {
        let bytes = io.data().to_vec();
        io.consume(bytes.len());
        self.log(|log| log.took.entry(io.connection().id()).or_default().extend(&bytes));
        bytes
    }

    /// What the handler has taken of connection `id`.
    pub fn took(&self, id: u64) -> Vec<u8> {
        self.log(|log| log.took.get(&id).cloned().unwrap_or_default())
    }

    /// The `index`th connection that came, if it has.
    pub fn conn(&self, index: usize) -> Option<Connection> {
        self.log(|log| log.conns.values().nth(index).cloned())
    }

    /// How often `step` happened, on all connections.
    pub fn times(&self, step: Step) -> usize {
        self.log(|log| log.steps.iter().filter(|(_, done)| *done == step).count())
    }

    /// Calls `then` if the last `second` of some connection came after its `first`.
    pub fn if_last(&self, first: Step, second: Step, then: impl FnOnce()) {
        let found = self.log(|log| {
            let first = |id| log.steps.iter().position(|step| *step == (id, first));
            let last = |id| log.steps.iter().rposition(|step| *step == (id, second));
            log.conns.keys().any(|id| matches!((first(*id), last(*id)), (Some(a), Some(b)) if a < b))
        });
        if found {
            then();
        }
    }

    /// Errors that `on_error` heard of, and that are now known.
    pub fn take_errors(&self) -> Vec<String> {
        self.log(|log| std::mem::take(&mut log.errors))
    }

    /// A server with this handler, to be bound to [`ADDRESS`]. Without takeover: no watchdog.
    pub fn builder(&self, acts: Acts) -> Builder<Traced> {
        let stage = self.clone();
        let hear = move |error: &Error| stage.log(|log| log.errors.push(error.to_string()));
        Server::builder().takeover(None).on_error(hear).handler(Traced { stage: self.clone(), acts })
    }

    /// A server with one polling thread that runs.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn serve(&self, acts: Acts) -> Server {
        run(self.builder(acts))
    }

    /// A peer whose connection was accepted, and has been answered once.
    ///
    /// # Panics
    ///
    /// If it was not.
    pub fn known_peer(&self) -> (Peer, Connection) {
        let before = self.log(|log| log.conns.len());
        let peer = Peer::connect(at(ADDRESS)).expect("it listens");
        peer.send(b"!").expect("it is open");
        assert_eq!(peer.receive_exactly(1).0, b"!");
        (peer, self.conn(before).expect("it was accepted"))
    }

    /// Everything is over: whether it went by the rules.
    ///
    /// # Panics
    ///
    /// If it did not.
    pub fn check(&self) {
        let (steps, errors) = self.log(|log| {
            log.conns.clear();
            (log.steps.clone(), log.errors.clone())
        });
        assert!(errors.is_empty(), "reported: {errors:?}");
        let mut ids: Vec<u64> = steps.iter().map(|step| step.0).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            let own: Vec<Step> = steps.iter().filter(|step| step.0 == id).map(|step| step.1).collect();
            if let Some(rule) = broken_rule(&own) {
                panic!("connection {id}: {rule}: {own:?}");
            }
        }
    }
}

/// Binds it and starts its threads.
///
/// # Panics
///
/// If that fails.
pub fn run(builder: Builder<Traced>) -> Server {
    let server = builder.bind(ADDRESS).expect("nobody listens there");
    server.spawn().expect("threads");
    server
}

/// Shuts `server` down; nothing has to be cut for that, since nobody keeps it waiting.
///
/// # Panics
///
/// If something was cut or left.
pub fn end(server: Server) {
    let ended = server.shutdown(LONG).expect("not on its own thread");
    assert_eq!((ended.cut, ended.left), (0, 0), "what was busy did not end by itself");
    assert_eq!(server.stats().open, 0);
}

/// Lets others run until `it` is so.
pub fn until(it: impl Fn() -> bool) {
    while !it() {
        shuttle::thread::yield_now();
    }
}

/// Starts a thread of the scenario.
pub fn thread<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> shuttle::thread::JoinHandle<T> {
    shuttle::thread::spawn(body)
}
