//! An echo server that counts what happened, and says so when it ends.
//!
//! `echo ADDRESS [POLLERS]`, where the address is `host:port` or `unix:` and a path. It prints
//! `listening=ADDRESS` when clients can come. On SIGINT or SIGTERM it shuts down gracefully, within ten
//! seconds, and prints one line of counts: every count is `key=value`, so that a script can check them.

#![cfg_attr(not(any(loom, shuttle)), allow(clippy::disallowed_types, reason = "nothing here is explored"))]

#[cfg(any(loom, shuttle))]
fn main() {}

#[cfg(not(any(loom, shuttle)))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    echo::main()
}

#[cfg(not(any(loom, shuttle)))]
mod echo {
    use std::io::Write;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::time::Duration;

    use nix::sys::signal::{SigSet, Signal};
    use pollproof::{BoxError, Connection, Handler, Io, Server};

    /// Counted per connection, not per request: the hot path stays bare.
    #[derive(Default)]
    struct Counts {
        prepared: AtomicU64,
        connected: AtomicU64,
        disconnected: AtomicU64,
        closed: AtomicU64,
        read: AtomicU64,
        sent: AtomicU64,
        errors: AtomicU64,
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

    pub(super) fn main() -> Result<(), Box<dyn std::error::Error>> {
        let mut args = std::env::args().skip(1);
        let address = args.next().ok_or("usage: echo ADDRESS [POLLERS]")?;
        let pollers = args.next().map_or(Ok(1), |count| count.parse())?;

        let fds_before = fds()?;
        // Blocked before any thread starts, so that only `wait` sees them.
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
        signals.thread_block()?;

        let counts = Arc::new(Counts::default());
        let errors = counts.clone();
        let server = Server::builder()
            .pollers(pollers)
            .handler(Echo(counts.clone()))
            .on_error(move |error| {
                errors.errors.fetch_add(1, Relaxed);
                eprintln!("{error}");
            })
            .bind(&address)?;
        server.spawn()?;
        println!("listening={}", server.local_addr());
        std::io::stdout().flush()?;

        let _ = signals.wait()?;
        let ended = server.shutdown(Duration::from_secs(10))?;
        let stats = server.stats();
        drop(server);
        let fds_left = fds()? - fds_before;
        let count = |count: &AtomicU64| count.load(Relaxed);
        println!(
            "read={} sent={} accepted={} on_prepare={} on_connect={} on_disconnect={} on_close={} open={} cut={} \
             left={} stale={} errors={} fds_left={}",
            count(&counts.read),
            count(&counts.sent),
            stats.accepted,
            count(&counts.prepared),
            count(&counts.connected),
            count(&counts.disconnected),
            count(&counts.closed),
            stats.open,
            ended.cut,
            ended.left,
            stats.stale_events,
            count(&counts.errors),
            fds_left,
        );
        Ok(())
    }
}
