//! What the tests of dialing share: dialers, handlers for what they dial, and counting fds.

use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard};

use pollproof::{BoxError, Connection, Dialer, Handler, Io};

use super::{LONG, echo};

/// One test at a time: they count the fds of the process.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub fn fds() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("our fds").count()
}

/// A dialer whose errors fail the test that waits for events.
pub fn dialer() -> Dialer {
    Dialer::builder().on_error(|error| eprintln!("{error}")).build().expect("a thread")
}

pub fn over(dialer: &Dialer) {
    let ended = dialer.shutdown(LONG).expect("a shutdown");
    assert_eq!((ended.cut, ended.left), (0, 0), "{ended:?}");
}

/// Sends a request when connected, and tells what comes back.
pub struct Client(pub Sender<Vec<u8>>);

impl Handler for Client {
    type Context = ();
    type State = ();

    fn on_connect(&self, (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        let conn = io.connection();
        conn.send(b"request").expect("it is connected");
        Ok(())
    }

    fn on_request(&self, (): &(), (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        drop(self.0.send(io.data().to_vec()));
        io.consume(io.data().len());
        Ok(())
    }
}

/// Tells of each callback of a dialed connection, as `common::Telling` does of an accepted one's.
pub struct Telling(pub Sender<&'static str>);

impl Telling {
    fn tell(&self, what: &'static str) {
        let _ = self.0.send(what);
    }
}

impl Handler for Telling {
    type Context = String;
    type State = ();

    fn on_prepare(&self, conn: &Connection) {
        self.tell("prepare");
        let told = self.0.clone();
        assert!(conn.on_close(move |_| told.send("close").unwrap_or(())).is_ok());
    }

    fn on_connect(&self, (): &mut (), _: &mut Io<'_>) -> Result<String, BoxError> {
        self.tell("connect");
        Ok("context".to_owned())
    }

    fn on_request(&self, context: &String, (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
        assert_eq!(context, "context");
        self.tell(if io.data() == b"request" { "request" } else { "half" });
        if io.data() == b"request" {
            echo(io);
        }
        Ok(())
    }

    fn on_disconnect(&self, context: &String, _: &Connection) {
        assert_eq!(context, "context");
        self.tell("disconnect");
    }
}
