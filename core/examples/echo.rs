//! An echo server that counts what happened, and says so when it ends.
//!
//! `echo ADDRESS [POLLERS]`, as `common` has it. At its end it prints one line of counts: every count is
//! `key=value`, so that a script can check them.

#![cfg_attr(not(any(loom, shuttle)), allow(clippy::disallowed_types, reason = "nothing here is explored"))]

#[cfg(any(loom, shuttle))]
fn main() {}

#[cfg(not(any(loom, shuttle)))]
fn main() -> Result<(), pollproof::BoxError> {
    echo::main()
}

#[cfg(not(any(loom, shuttle)))]
#[path = "common/mod.rs"]
mod common;

#[cfg(not(any(loom, shuttle)))]
mod echo {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use pollproof::{BoxError, Connection, Handler, Io};

    use crate::common;

    /// Counted per connection, not per request: the hot path stays bare.
    #[derive(Default)]
    struct Counts {
        prepared: AtomicU64,
        connected: AtomicU64,
        disconnected: AtomicU64,
        closed: AtomicU64,
        read: AtomicU64,
        sent: AtomicU64,
    }

    struct Echo(Arc<Counts>);

    impl Handler for Echo {
        type Context = ();
        type State = ();

        fn on_prepare(&self, conn: &Connection) {
            let counts = self.0.clone();
            counts.prepared.fetch_add(1, Relaxed);
            let added = conn.on_close(move |conn| {
                counts.closed.fetch_add(1, Relaxed);
                counts.read.fetch_add(conn.bytes_read(), Relaxed);
                counts.sent.fetch_add(conn.bytes_sent(), Relaxed);
            });
            assert!(added.is_ok(), "nothing ends before OnPrepare has");
        }

        fn on_connect(&self, (): &mut (), _: &mut Io<'_>) -> Result<(), BoxError> {
            self.0.connected.fetch_add(1, Relaxed);
            Ok(())
        }

        #[inline]
        fn on_request(&self, (): &(), (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
            io.write(io.data());
            io.consume(io.data().len());
            Ok(())
        }

        fn on_disconnect(&self, (): &(), _: &Connection) {
            self.0.disconnected.fetch_add(1, Relaxed);
        }
    }

    /// How many file descriptors this process has.
    fn fds() -> std::io::Result<isize> {
        Ok(std::fs::read_dir("/proc/self/fd")?.count() as isize)
    }

    pub(super) fn main() -> Result<(), BoxError> {
        let fds_before = fds()?;
        let counts = Arc::new(Counts::default());
        // The server is gone when this is over.
        let ended = common::start(Echo(counts.clone()))?.end()?;
        let fds_left = fds()? - fds_before;
        let count = |count: &AtomicU64| count.load(Relaxed);
        println!(
            "{ended} read={} sent={} on_prepare={} on_connect={} on_disconnect={} on_close={} fds_left={fds_left}",
            count(&counts.read),
            count(&counts.sent),
            count(&counts.prepared),
            count(&counts.connected),
            count(&counts.disconnected),
            count(&counts.closed),
        );
        Ok(())
    }
}
