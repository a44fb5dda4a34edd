//! A TCP proxy: what a client sends goes to an upstream server, and what that answers to the client.
//!
//! `proxy ADDRESS UPSTREAM [POLLERS]`, both `host:port`, or `unix:` and a path. OnConnect dials the upstream; a
//! client whose upstream cannot be reached is closed. From then on each of the two connections passes on what it
//! reads. A side that reads slowly slows the other down: what waits for it has a limit. The end of one side's stream
//! is passed on behind its last byte, and the other direction goes on; a side that breaks ends both.
//!
//! It prints `listening=ADDRESS` when clients can come, and on SIGINT or SIGTERM, which end it gracefully, its
//! counts as `key=value`.

#![cfg_attr(not(any(loom, shuttle)), allow(clippy::disallowed_types, reason = "nothing here is explored"))]

#[cfg(any(loom, shuttle))]
fn main() {}

#[cfg(not(any(loom, shuttle)))]
mod common;

#[cfg(not(any(loom, shuttle)))]
fn main() -> Result<(), pollproof::BoxError> {
    proxy::main()
}

#[cfg(not(any(loom, shuttle)))]
mod proxy {
    use std::sync::atomic::Ordering::Relaxed;
    use std::sync::atomic::{AtomicBool, AtomicU64};
    use std::sync::{Arc, OnceLock};
    use std::time::Duration;

    use bytes::Buf;
    use pollproof::{BoxError, Connection, Dialer, Error, Handler, Io, Server};

    use crate::common;

    const DIAL_TIME: Duration = Duration::from_secs(5);

    /// Bytes that may wait for a side, and those at which the other is read again.
    const HIGH: u64 = 256 * 1024;
    const LOW: u64 = 64 * 1024;

    #[derive(Default)]
    struct Counts {
        /// Bytes from clients, and from the upstream.
        up: AtomicU64,
        down: AtomicU64,
        /// Streams that came to their end, of both sides.
        ends: AtomicU64,
        /// Clients and upstreams that were closed because the other side broke off.
        cut: AtomicU64,
        refused: AtomicU64,
        errors: AtomicU64,
    }

    /// One direction: the context of the connection that its bytes come from.
    struct Direction {
        to: Connection,
        counts: Arc<Counts>,
        /// Its bytes in `counts`.
        count: fn(&Counts) -> &AtomicU64,
        /// Its end was passed on.
        ended: Arc<AtomicBool>,
    }

    impl Direction {
        /// From the connection of `io`, inside its OnConnect.
        fn new(io: &mut Io<'_>, to: &Connection, counts: &Arc<Counts>, count: fn(&Counts) -> &AtomicU64) -> Self {
            io.keep_open();
            io.pace_by(to);
            let ended = Arc::new(AtomicBool::new(false));
            let (other, closes, counted) = (to.clone(), ended.clone(), counts.clone());
            let added = io.connection().on_close(move |conn| {
                // A side that has passed its end on owes the other nothing: that one goes on by itself.
                if conn.is_broken() || !closes.load(Relaxed) {
                    counted.cut.fetch_add(1, Relaxed);
                    other.close();
                }
            });
            assert!(added.is_ok(), "the end waits for OnConnect");
            Self { to: to.clone(), counts: counts.clone(), count, ended }
        }

        /// Passes on what was read, from where it was read to, and the end behind it.
        fn pass_on(&self, io: &mut Io<'_>) {
            let reader = io.reader();
            while reader.has_remaining() {
                let count = reader.chunk().len();
                // Nobody takes it where this fails: then this side goes on to its own end.
                if self.to.send(reader.chunk()).is_ok() {
                    (self.count)(&self.counts).fetch_add(count as u64, Relaxed);
                }
                reader.advance(count);
            }
            if io.is_last() && !io.connection().is_broken() {
                self.counts.ends.fetch_add(1, Relaxed);
                self.ended.store(true, Relaxed);
                // An error says that the other side is closed already.
                let _ = self.to.end_output();
            }
        }
    }

    /// The upstream's side of a pair.
    struct Upstream {
        client: Connection,
        counts: Arc<Counts>,
    }

    impl Handler for Upstream {
        type Context = Direction;
        type State = ();

        fn on_connect(&self, (): &mut (), io: &mut Io<'_>) -> Result<Direction, BoxError> {
            Ok(Direction::new(io, &self.client, &self.counts, |counts| &counts.down))
        }

        fn on_request(&self, down: &Direction, (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
            down.pass_on(io);
            Ok(())
        }
    }

    /// The clients' side.
    struct Proxy {
        upstream: String,
        /// There once the server is bound; no client comes before.
        dialer: Arc<OnceLock<Dialer>>,
        counts: Arc<Counts>,
    }

    impl Handler for Proxy {
        type Context = Direction;
        type State = ();

        fn on_connect(&self, (): &mut (), io: &mut Io<'_>) -> Result<Direction, BoxError> {
            let dialer = self.dialer.get().ok_or("there is no dialer yet")?;
            let handler = Upstream { client: io.connection().clone(), counts: self.counts.clone() };
            let upstream = dialer.dial(&self.upstream, DIAL_TIME, handler)?;
            Ok(Direction::new(io, &upstream, &self.counts, |counts| &counts.up))
        }

        fn on_request(&self, up: &Direction, (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
            up.pass_on(io);
            Ok(())
        }
    }

    pub(super) fn main() -> Result<(), BoxError> {
        let mut args = std::env::args().skip(1);
        let (Some(address), Some(upstream)) = (args.next(), args.next()) else {
            return Err("usage: proxy ADDRESS UPSTREAM [POLLERS]".into());
        };
        let pollers = args.next().map_or(Ok(1), |count| count.parse())?;

        let signals = common::signals()?;
        let (counts, dialer) = (Arc::new(Counts::default()), Arc::new(OnceLock::new()));
        let errors = counts.clone();
        let server = Server::builder()
            .pollers(pollers)
            .water_marks(LOW, HIGH)
            .read_ahead(HIGH)
            .handler(Proxy { upstream, dialer: dialer.clone(), counts: counts.clone() })
            .on_error(move |error| {
                let dialed =
                    matches!(error, Error::Handler { callback: "on_connect", source, .. } if source.is::<Error>());
                let count = if dialed { &errors.refused } else { &errors.errors };
                count.fetch_add(1, Relaxed);
                eprintln!("{error}");
            })
            .bind(&address)?;
        let _ = dialer.set(server.dialer());
        let end = common::run(&server, &signals)?;

        let stats = server.stats();
        let count = |count: &AtomicU64| count.load(Relaxed);
        println!(
            "accepted={} dialed={} refused={} up={} down={} ends={} closed={} errors={} open={} cut={} left={}",
            stats.accepted,
            stats.dialed,
            count(&counts.refused),
            count(&counts.up),
            count(&counts.down),
            count(&counts.ends),
            count(&counts.cut),
            count(&counts.errors),
            stats.open,
            end.cut,
            end.left,
        );
        Ok(())
    }
}
