//! The user's side of the core: handlers, hooks, runners, and the values that users give away, each of which runs code
//! of the program where the core calls or drops it.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};

use pollproof::{BoxError, Connection, Detached, Error, Handler, Io, Pool, Runner, Task};

use super::inside::{Frame, enter};
use super::ops::{End, Scene, perform};
use super::program::{Place, Runs};
use super::world::{self, Kept};
use crate::rules::Step;

/// A value of the program's. It is dropped once, and then runs what the program has for that place.
pub struct Value {
    number: u64,
    place: Place,
    host: usize,
    conn: Option<usize>,
}

impl Value {
    /// One that will be dropped at `place`, of a server and a connection.
    pub fn new(place: Place, host: usize, conn: Option<usize>) -> Self {
        Self { number: world::made(place), place, host, conn }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        if !world::is_on() {
            return;
        }
        world::drops(self.number, self.place);
        let _gone = Gone(self.number);
        let end = {
            let _inside = enter(Frame::Code(self.place), self.conn);
            perform(&mut Scene::new(self.place, self.host, self.conn, None))
        };
        // A panic while another one unwinds would end the process: that is the program's fault, not the core's.
        if end == End::Panic && !std::thread::panicking() {
            world::meddle(None);
            resume_unwind(Box::new("a drop of the program"));
        }
    }
}

/// The drop of a value is over, also when something in it panics.
struct Gone(u64);

impl Drop for Gone {
    fn drop(&mut self) {
        world::dropped(self.0);
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.place.name())
    }
}

/// An error of the program's.
#[derive(Debug)]
struct Failed(#[allow(dead_code, reason = "its drop does something")] Value);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a failure of the program")
    }
}

impl std::error::Error for Failed {}

/// Writes down that a callback is over, also when it panics.
struct Over(usize, Step);

impl Drop for Over {
    fn drop(&mut self) {
        world::step(self.0, self.1);
    }
}

/// Does what the program has at a place where a connection's callback runs.
fn act(place: Place, host: usize, conn: Option<usize>, io: Option<&mut Io<'_>>) -> Result<(), BoxError> {
    let end = {
        let _inside = enter(Frame::Code(place), conn);
        perform(&mut Scene::new(place, host, conn, io))
    };
    if end != End::Over {
        world::meddle(conn);
    }
    match end {
        End::Over => Ok(()),
        End::Fail => Err(Box::new(Failed(Value::new(Place::DropError, host, conn)))),
        End::Panic => resume_unwind(Box::new(Value::new(Place::DropPayload, host, conn))),
    }
}

/// As [`act`], where nothing can fail.
fn act_or_panic(place: Place, host: usize, conn: Option<usize>) {
    // There is no operation that fails at such a place.
    let _ = act(place, host, conn, None);
}

/// A handler of the program's.
pub struct User {
    host: usize,
    _value: Value,
}

impl User {
    /// That of `host`.
    pub fn new(host: usize) -> Self {
        Self { host, _value: Value::new(Place::DropHandler, host, None) }
    }
}

/// What every connection gets before the program knows it: limits of waiting.
pub fn limit(conn: &Connection) {
    let limit = Some(std::time::Duration::from_millis(5));
    conn.set_read_timeout(limit);
    conn.set_write_timeout(limit);
}

/// What every connection gets: a close callback that says when it is over.
pub fn introduce(index: usize, conn: &Connection) {
    let closes = move |_: &Connection| {
        world::step(index, Step::CloseNewer);
        world::step(index, Step::CloseOlder);
    };
    if let Err(callback) = conn.on_close(closes) {
        callback(conn);
    }
}

impl Handler for User {
    type Context = (Value, Connection);
    type State = Option<Value>;

    fn on_prepare(&self, conn: &Connection) {
        limit(conn);
        let index = world::know(self.host, conn, true);
        world::step(index, Step::Prepare);
        introduce(index, conn);
        act_or_panic(Place::Prepare, self.host, Some(index));
    }

    fn on_connect(&self, state: &mut Option<Value>, io: &mut Io<'_>) -> Result<(Value, Connection), BoxError> {
        let index = world::know(self.host, io.connection(), true);
        *state = Some(Value::new(Place::DropState, self.host, Some(index)));
        world::step(index, Step::Connect);
        let _over = Over(index, Step::Connected);
        act(Place::Connect, self.host, Some(index), Some(io))?;
        // It keeps a handle of the connection that keeps it.
        Ok((Value::new(Place::DropContext, self.host, Some(index)), io.connection().clone()))
    }

    fn on_request(&self, _: &(Value, Connection), _: &mut Option<Value>, io: &mut Io<'_>) -> Result<(), BoxError> {
        request(Place::Request, self.host, io)
    }

    fn on_disconnect(&self, _: &(Value, Connection), conn: &Connection) {
        disconnect(Place::Disconnect, self.host, conn);
    }
}

fn request(place: Place, host: usize, io: &mut Io<'_>) -> Result<(), BoxError> {
    let index = world::know(host, io.connection(), true);
    world::step(index, Step::Request);
    let _over = Over(index, Step::Requested);
    act(place, host, Some(index), Some(io))?;
    let leaves = world::acts(host, place).iter().any(|op| op.what == super::table::What::Leave);
    if !leaves {
        world::took(Some(index), io.consume(usize::MAX));
    }
    let unread = io.data().len() as u64;
    world::with(|world| world.known[index].shown = world.known[index].took + unread);
    Ok(())
}

fn disconnect(place: Place, host: usize, conn: &Connection) {
    let index = world::know(host, conn, true);
    world::step(index, Step::Disconnect);
    let _over = Over(index, Step::Disconnected);
    act_or_panic(place, host, Some(index));
}

/// An OnRequest that is set later.
pub fn late_request(
    host: usize,
    index: usize,
    captured: Option<Connection>,
) -> impl FnMut(&mut Io<'_>) -> Result<(), BoxError> + Send + 'static {
    let value = Value::new(Place::DropLate, host, Some(index));
    move |io| {
        let _ = (&value, &captured);
        request(Place::LateRequest, host, io)
    }
}

/// An OnDisconnect that is set later.
pub fn late_disconnect(
    host: usize,
    index: usize,
    captured: Option<Connection>,
) -> impl Fn(&Connection) + Send + Sync + 'static {
    let value = Value::new(Place::DropLate, host, Some(index));
    move |conn| {
        let _ = (&value, &captured);
        disconnect(Place::LateDisconnect, host, conn);
    }
}

/// A close callback.
pub fn close_callback(
    host: usize,
    index: usize,
    captured: Option<Connection>,
) -> impl FnOnce(&Connection) + Send + 'static {
    let value = Value::new(Place::DropClose, host, Some(index));
    move |_| {
        let _own = (value, captured);
        act_or_panic(Place::Close, host, Some(index));
    }
}

/// A detach callback, which keeps what it gets or drops it.
pub fn detach_callback(host: usize, index: usize, keeps: bool) -> impl FnOnce(Detached) + Send + 'static {
    let value = Value::new(Place::DropDetach, host, Some(index));
    move |detached| {
        let _own = value;
        if keeps {
            world::keep(Kept::Detached(detached));
        }
        act_or_panic(Place::Detach, host, Some(index));
    }
}

/// The hook for errors of `host`.
pub fn hook(host: usize) -> impl Fn(&Error) + Send + Sync + 'static {
    let value = Value::new(Place::DropHook, host, None);
    move |error| {
        let _ = &value;
        world::event(format!("reported: {error}"));
        act_or_panic(Place::Hook, host, None);
    }
}

/// The owner of lent bytes.
pub struct Lent(Vec<u8>, #[allow(dead_code, reason = "its drop does something")] Value);

impl Lent {
    /// So many of them.
    pub fn new(size: usize, host: usize, conn: Option<usize>) -> Self {
        Self(vec![b'l'; size], Value::new(Place::DropLent, host, conn))
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A runner of the program's.
pub struct Running {
    host: usize,
    runs: Runs,
    pool: Option<Pool>,
    second: AtomicBool,
    _value: Value,
}

impl Running {
    /// That of `host`.
    pub fn new(host: usize, runs: Runs) -> Self {
        let pool = (runs == Runs::Pool).then(|| Pool::new(1).expect("threads"));
        Self { host, runs, pool, second: AtomicBool::new(false), _value: Value::new(Place::DropRunner, host, None) }
    }
}

impl Runner for Running {
    fn run(&self, task: Task) {
        let _inside = enter(Frame::Code(Place::Run), None);
        let conn = world::find(self.host, task.connection().id());
        // Ordering: Relaxed: every second one is all that is asked for.
        let second = self.second.fetch_xor(true, Ordering::Relaxed);
        let end = perform(&mut Scene::new(Place::Run, self.host, conn, None));
        if end == End::Panic {
            world::meddle(conn);
            drop(task);
            resume_unwind(Box::new(Value::new(Place::DropPayload, self.host, conn)));
        }
        if second && matches!(self.runs, Runs::Drops | Runs::Panics) {
            world::meddle(conn);
        }
        match self.runs {
            Runs::Drops if second => drop(task),
            Runs::Panics if second => resume_unwind(Box::new("a runner of the program")),
            Runs::Thread => {
                drop(pollproof::sync::thread::Builder::new().name("runner".to_owned()).spawn(|| task.run()))
            }
            _ => match &self.pool {
                Some(pool) => pool.run(task),
                None => task.run(),
            },
        }
    }
}
