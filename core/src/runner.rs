//! Where a serial section runs, once somebody owns it.
//!
//! The protocol hands over the owned section of a connection ([`Effects::run_task`]); a runner runs it, and
//! with it the handler. Without a runner the thread that polled runs it: a request then costs no hand-over.
//! [`Pool`] is for handlers that are slow as a rule.
//!
//! [`Effects::run_task`]: crate::protocol::effects::Effects::run_task

#![forbid(unsafe_code)]

use std::fmt;

use crossbeam_channel::Sender;

use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::protocol::effects::Effects as _;
use crate::protocol::process;
use crate::protocol::word::Snapshot;
use crate::protocol::lifecycle;
use crate::reactor::fx::{Fx, Local, State};

/// Runs tasks somewhere else than on the polling thread. See [`Builder::runner`](crate::Builder::runner).
///
/// ```
/// use pollproof::{Runner, Server, Task};
///
/// /// A thread for each task.
/// struct Threads;
///
/// impl Runner for Threads {
///     fn run(&self, task: Task) {
///         std::thread::spawn(|| task.run());
///     }
/// }
///
/// let server = Server::builder()
///     .runner(Threads)
///     .on_request(|io: &mut pollproof::Io<'_>| io.write(b"slow\n"))
///     .bind("127.0.0.1:0")?;
/// # Ok::<(), pollproof::Error>(())
/// ```
pub trait Runner: Send + Sync + 'static {
    /// Sees to it that [`Task::run`] is called, soon and once, on any thread. Called on polling threads and on
    /// those that close, send or shut down; it should not block.
    fn run(&self, task: Task);
}

/// What a task begins with.
enum Step {
    /// OnConnect, and then the section.
    Connect,
    /// The section, going by the value of the word that its owner found.
    Section(Snapshot),
    /// The section, which was passed on.
    Resumed,
}

/// The serial section of one connection, with its ownership: OnConnect, OnRequest, the end. (S1)
///
/// A task that is dropped without having run closes its connection, on the thread that drops it.
///
/// ```
/// # use pollproof::Task;
/// fn run_at_once(task: Task) {
///     println!("a task of connection {}", task.connection().id());
///     task.run();
/// }
/// ```
pub struct Task(Option<(Connection, Step)>);

impl Task {
    pub(crate) fn new(conn: Connection, at: Snapshot) -> Self {
        Self(Some((conn, Step::Section(at))))
    }

    pub(crate) fn connect(conn: Connection) -> Self {
        Self(Some((conn, Step::Connect)))
    }

    pub(crate) fn resumed(conn: Connection) -> Self {
        Self(Some((conn, Step::Resumed)))
    }

    /// The connection whose section this is.
    ///
    /// ```
    /// # fn f(task: &pollproof::Task) {
    /// let id = task.connection().id();
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Never: a task that can be looked at has not run.
    pub fn connection(&self) -> &Connection {
        match &self.0 {
            Some((conn, _)) => conn,
            None => unreachable!("it is consumed by running it"),
        }
    }

    /// Runs it, on the calling thread. Blocks as long as the handler does.
    ///
    /// ```
    /// # fn f(task: pollproof::Task) {
    /// task.run();
    /// # }
    /// ```
    pub fn run(mut self) {
        self.step();
    }

    /// Runs it on the polling thread that `local` belongs to.
    pub(crate) fn run_polling(mut self, local: &Local) {
        self.step_on(Some(local));
    }

    fn step(&mut self) {
        self.step_on(None);
    }

    fn step_on(&mut self, local: Option<&Local>) {
        let Some((conn, step)) = self.0.take() else { return };
        let state = if local.is_some() { State::new() } else { State::on_runner() };
        let fx = local.map_or_else(|| Fx::new(&conn, &state), |local| Fx::polling(&conn, local, &state));
        match step {
            Step::Connect => {
                lifecycle::connect(&fx);
                crate::trace::connect(conn.id());
            }
            Step::Section(at) => process::run(&fx, at),
            Step::Resumed => process::run(&fx, fx.word().look()),
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some((conn, _)) = &self.0 {
            // A runner that loses tasks would leave connections owned for ever.
            conn.close();
            self.step();
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("connection", &self.connection().id()).finish()
    }
}

/// A pool of threads that run handlers, for handlers that are slow as a rule: one queue, oldest first, so that a
/// connection that is always due keeps nobody out (F2). The threads end when the pool is dropped and the queue is
/// empty.
///
/// ```
/// use pollproof::{Pool, Server};
///
/// let server = Server::builder()
///     .runner(Pool::new(8)?)
///     .on_request(|io: &mut pollproof::Io<'_>| io.write(b"from a pool\n"))
///     .bind("127.0.0.1:0")?;
/// # Ok::<(), pollproof::Error>(())
/// ```
#[derive(Debug)]
pub struct Pool(Sender<Task>);

impl Pool {
    /// A pool of `threads` threads; 0 for as many as there are processors. A handler that blocks keeps its
    /// thread, so there should be more of them than handlers that block at a time.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] when the threads cannot be started.
    ///
    /// ```
    /// let pool = pollproof::Pool::new(4)?;
    /// # Ok::<(), pollproof::Error>(())
    /// ```
    pub fn new(threads: usize) -> Result<Self> {
        let failed = |source| Error::Server { call: "pool", source };
        let threads = if threads > 0 { threads } else { std::thread::available_parallelism().map_err(failed)?.get() };
        let (queue, tasks) = crossbeam_channel::unbounded::<Task>();
        for index in 0..threads {
            let tasks = tasks.clone();
            let thread = std::thread::Builder::new().name(format!("handler {index}"));
            thread.spawn(move || tasks.iter().for_each(Task::run)).map_err(failed)?;
        }
        Ok(Self(queue))
    }
}

impl Runner for Pool {
    fn run(&self, task: Task) {
        // It fails when no thread is left to receive, and there are as many as were started until this is dropped; a
        // task that came back would close its connection.
        let _ = self.0.send(task);
    }
}
