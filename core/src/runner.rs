//! Where a serial section runs, once somebody owns it.
//!
//! The protocol hands over the owned section of a connection ([`Effects::run_task`]); a runner runs it, and
//! with it the handler. Without a runner the thread that polled runs it: a request then costs no hand-over.
//! [`Pool`](crate::Pool) is for handlers that are slow as a rule.
//!
//! [`Effects::run_task`]: crate::protocol::effects::Effects::run_task

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use std::fmt;

use crate::connection::Connection;
use crate::protocol::effects::Effects as _;
use crate::protocol::lifecycle;
use crate::protocol::process;
use crate::protocol::word::Snapshot;
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
