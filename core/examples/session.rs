//! Sessions: a login in OnConnect, frames in OnRequest, and an end in three steps.
//!
//! `session ADDRESS [LOGIN_MS]`. Both directions are frames: four bytes of length, the highest first, and as many
//! bytes. The first frame is the login, `NAME PASSWORD`, and must be there within `LOGIN_MS` (5000). It is
//! answered `welcome NAME`, or `refused` and the end. Each frame after it is answered with its number and its text;
//! after `bye` the connection ends.
//!
//! It prints `listening=ADDRESS` when clients can come, a line for each step of a session's end, and on SIGINT
//! or SIGTERM, which end it gracefully, its counts as `key=value`.

#![cfg_attr(
    not(any(loom, shuttle)),
    allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")
)]

#[cfg(any(loom, shuttle))]
fn main() {}

#[cfg(not(any(loom, shuttle)))]
mod common;

#[cfg(not(any(loom, shuttle)))]
fn main() -> Result<(), pollproof::BoxError> {
    session::main()
}

#[cfg(not(any(loom, shuttle)))]
mod session {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
    use std::time::{Duration, Instant};

    use pollproof::{BoxError, Connection, Error, Handler, Io, Server};

    use crate::common;

    /// Who may come, and with which password.
    const ACCOUNTS: [(&str, &str); 3] = [("ann", "rosebud"), ("bob", "swordfish"), ("eve", "apple")];

    /// Bytes of the longest login, and of the longest frame after it. Without a limit one peer could fill the memory.
    const LONGEST_LOGIN: usize = 256;
    const LONGEST: usize = 1 << 20;

    #[derive(Default)]
    struct Counts {
        logins: AtomicU64,
        refused: AtomicU64,
        late: AtomicU64,
        gone: AtomicU64,
        frames: AtomicU64,
        ended: AtomicU64,
        recorded: AtomicU64,
        removed: AtomicU64,
        errors: AtomicU64,
    }

    /// Why a login failed.
    #[derive(Debug, thiserror::Error)]
    enum Failed {
        #[error("the login was refused: {0}")]
        Refused(&'static str),
        #[error("no login came: {0}")]
        None(#[from] Error),
    }

    /// What OnConnect makes for its connection.
    struct Session {
        name: String,
        since: Instant,
    }

    /// What all connections share.
    #[derive(Default)]
    struct Shared {
        /// The names that are here.
        registry: Mutex<BTreeSet<String>>,
        counts: Counts,
    }

    impl Shared {
        fn registry(&self) -> MutexGuard<'_, BTreeSet<String>> {
            self.registry.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    struct Sessions {
        shared: Arc<Shared>,
        login_time: Duration,
    }

    fn count(count: &AtomicU64) {
        count.fetch_add(1, Relaxed);
    }

    fn write_frame(io: &Io<'_>, text: &[u8]) {
        io.write(&(text.len() as u32).to_be_bytes());
        io.write(text);
    }

    impl Sessions {
        /// Reads the login, waiting for it, and registers its name.
        fn login(&self, io: &mut Io<'_>) -> Result<String, Failed> {
            // A deadline and not a timeout: a byte now and then shall not prolong it.
            io.connection().set_read_deadline(Some(Instant::now() + self.login_time));
            let length = io.reader().next(4)?;
            let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            if length > LONGEST_LOGIN {
                return Err(Failed::Refused("it is too long"));
            }
            let login = io.reader().next(length)?;
            let login = std::str::from_utf8(&login).ok().and_then(|login| login.split_once(' '));
            match login {
                None => Err(Failed::Refused("it is not NAME PASSWORD")),
                Some(login) if !ACCOUNTS.contains(&login) => Err(Failed::Refused("name or password are wrong")),
                Some((name, _)) if !self.shared.registry().insert(name.to_owned()) => {
                    Err(Failed::Refused("the name is here already"))
                }
                Some((name, _)) => Ok(name.to_owned()),
            }
        }

        /// Counts a login that failed, and answers one that came.
        fn fail(&self, io: &Io<'_>, why: &Failed) {
            let counts = &self.shared.counts;
            match why {
                Failed::Refused(_) => {
                    count(&counts.refused);
                    write_frame(io, b"refused");
                }
                Failed::None(Error::Timeout { .. }) => count(&counts.late),
                Failed::None(_) => count(&counts.gone),
            }
        }

        /// What a session's end has to do. Close callbacks run newest first, as what was set up last is torn down
        /// first: the session ends, its duration is recorded, its name is free again.
        fn on_end(&self, conn: &Connection, session: &Arc<Session>) {
            let step = |line: fn(&Session, &Shared) -> String| {
                let (session, shared) = (session.clone(), self.shared.clone());
                // None of them can be too late: the end waits for OnConnect.
                let _ = conn.on_close(move |_| println!("{} {}", session.name, line(&session, &shared)));
            };
            step(|session, shared| {
                count(&shared.counts.removed);
                let known = shared.registry().remove(&session.name);
                format!("removed {known}")
            });
            step(|session, shared| {
                count(&shared.counts.recorded);
                format!("recorded {} us", session.since.elapsed().as_micros())
            });
            step(|_, shared| {
                count(&shared.counts.ended);
                "ended".to_owned()
            });
        }
    }

    impl Handler for Sessions {
        type Context = Arc<Session>;
        /// How many frames there were.
        type State = u64;

        fn on_connect(&self, _: &mut u64, io: &mut Io<'_>) -> Result<Arc<Session>, BoxError> {
            let name = self.login(io).inspect_err(|why| self.fail(io, why))?;
            count(&self.shared.counts.logins);
            io.connection().set_read_deadline(None);
            write_frame(io, format!("welcome {name}").as_bytes());
            let session = Arc::new(Session { name, since: Instant::now() });
            self.on_end(io.connection(), &session);
            Ok(session)
        }

        fn on_request(&self, session: &Arc<Session>, frames: &mut u64, io: &mut Io<'_>) -> Result<(), BoxError> {
            // A frame that is not complete stays where it is; the next call comes when there is more of it.
            while let Some(head) = io.data().first_chunk::<4>() {
                let length = u32::from_be_bytes(*head) as usize;
                if length > LONGEST {
                    return Err(format!("{} sends a frame of {length} bytes", session.name).into());
                }
                let Some(text) = io.data().get(4..4 + length) else { break };
                *frames += 1;
                count(&self.shared.counts.frames);
                write_frame(io, &[format!("{frames} ").as_bytes(), text].concat());
                let bye = text == b"bye";
                io.consume(4 + length);
                if bye {
                    io.connection().shutdown();
                }
            }
            Ok(())
        }
    }

    pub(super) fn main() -> Result<(), pollproof::BoxError> {
        let mut args = std::env::args().skip(1);
        let address = args.next().ok_or("usage: session ADDRESS [LOGIN_MS]")?;
        let login_time = Duration::from_millis(args.next().map_or(Ok(5000), |time| time.parse())?);

        let signals = common::signals()?;
        let shared = Arc::new(Shared::default());
        let errors = shared.clone();
        let server = Server::builder()
            .handler(Sessions { shared: shared.clone(), login_time })
            .on_error(move |error| match error {
                // A login that fails is no fault of this program.
                Error::Handler { source, .. } if source.is::<Failed>() => {}
                other => {
                    count(&errors.counts.errors);
                    eprintln!("{other}");
                }
            })
            .bind(&address)?;
        let end = common::run(&server, &signals)?;

        let counts = &shared.counts;
        let count = |count: &AtomicU64| count.load(Relaxed);
        println!(
            "accepted={} logins={} refused={} late={} gone={} frames={} ended={} recorded={} removed={} \
             registered={} errors={} cut={} left={}",
            server.stats().accepted,
            count(&counts.logins),
            count(&counts.refused),
            count(&counts.late),
            count(&counts.gone),
            count(&counts.frames),
            count(&counts.ended),
            count(&counts.recorded),
            count(&counts.removed),
            shared.registry().len(),
            count(&counts.errors),
            end.cut,
            end.left,
        );
        Ok(())
    }
}
