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
use crate::connection::door;
use crate::connection::duty::Duty;
use crate::connection::step::{How, Local, State, Step};
use crate::connection::whereabouts::{self, What};
use crate::protocol::effects::Effects as _;
use crate::protocol::lifecycle;
use crate::protocol::process;
use crate::protocol::word::{HANDLER, Snapshot};

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
    /// those that close, send or shut down, never inside a callback (U2); it should not block. It may run the task at
    /// once. A panic closes the connection of the task, and nothing else (P1).
    fn run(&self, task: Task);
}

/// What a task begins with.
enum Part {
    /// OnConnect, and then the section.
    Connect,
    /// The section, going by the value of the word that its owner found.
    Section(Snapshot),
    /// The section, which was passed on.
    Resumed,
}

/// The serial section of one connection, with its ownership: OnConnect, OnRequest, the end. (S1)
///
/// A task that is dropped without having run closes its connection, whose polling thread ends it.
///
/// ```
/// # use pollproof::Task;
/// fn run_at_once(task: Task) {
///     println!("a task of connection {}", task.connection().id());
///     task.run();
/// }
/// ```
pub struct Task {
    /// Until it runs.
    section: Option<(Connection, Part)>,
    /// Its runner has lost it: the home loop ends it.
    lost: bool,
}

impl Task {
    fn of(conn: Connection, part: Part) -> Self {
        Self { section: Some((conn, part)), lost: false }
    }

    pub(crate) fn new(conn: Connection, at: Snapshot) -> Self {
        Self::of(conn, Part::Section(at))
    }

    pub(crate) fn connect(conn: Connection) -> Self {
        Self::of(conn, Part::Connect)
    }

    pub(crate) fn resumed(conn: Connection) -> Self {
        Self::of(conn, Part::Resumed)
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
        match &self.section {
            Some((conn, _)) => conn,
            None => unreachable!("it is consumed by running it"),
        }
    }

    /// Runs it, on the calling thread. Blocks as long as the handler does. Inside a callback it does not run at once:
    /// the connection's polling thread gives it to the runner again (U2).
    ///
    /// ```
    /// # fn f(task: pollproof::Task) {
    /// task.run();
    /// # }
    /// ```
    pub fn run(self) {
        if whereabouts::may_run_task() {
            self.run_entered(How::OnRunner);
        } else {
            self.leave_home();
        }
    }

    /// Runs it on a thread of a [`Pool`](crate::Pool).
    pub(crate) fn run_on_pool(self) {
        self.run_entered(How::OnPool);
    }

    /// Runs it after it was left to its home loop, by its runner if it has one; `local` is the thread's own if it polls.
    pub(crate) fn run_left(mut self, local: Option<&Local>) {
        let conn = self.connection().conn();
        if !self.lost && conn.server.has_runner && conn.word.look().any(HANDLER) {
            door::run_on_runner(self);
        } else if local.is_some() {
            self.step(How::Running, local);
        } else {
            self.run_entered(How::Running);
        }
    }

    fn run_entered(mut self, how: How) {
        let entered = {
            let conn = self.connection().conn();
            whereabouts::enter(What::Section, &conn.server, Some(conn))
        };
        self.step(how, None);
        drop(entered);
    }

    fn leave_home(self) {
        let conn = self.connection().clone();
        Duty::Section(self).leave_home(&conn);
    }

    fn step(&mut self, how: How, local: Option<&Local>) {
        let Some((conn, part)) = self.section.take() else { return };
        let state = State::by(how);
        let step = local.map_or_else(|| Step::new(&conn, &state), |local| Step::polling(&conn, local, &state));
        match part {
            Part::Connect => {
                lifecycle::connect(&step);
                crate::connection::trace::connect(conn.id());
            }
            Part::Section(at) => process::run(&step, at),
            Part::Resumed => process::run(&step, step.word().look()),
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some((conn, part)) = self.section.take() {
            // A runner that loses tasks would leave connections owned for ever. Whoever drops it may be unwinding.
            conn.close();
            Self { section: Some((conn, part)), lost: true }.leave_home();
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("connection", &self.connection().id()).finish()
    }
}
