//! Ten thousand handlers that wait for one another's output in a ring, in a small stack: in a process of its own, which
//! takes as many fds as it needs. Where it may not, the test is ignored, by name. The peers are in another process, or
//! it would be twice as many.
//!
//! Not here: the same with a few, among other nesting (`behaviours/user_nesting.rs`).

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

#[cfg(all(feature = "net", not(any(loom, shuttle))))]
mod common;

#[cfg(all(feature = "net", not(any(loom, shuttle))))]
fn main() -> std::process::ExitCode {
    if let (Some(path), fds) = (std::env::var_os(ring::PEERS), ring::more_fds()) {
        fds.expect("the other process has as many");
        ring::be_peers(path.as_ref());
        return std::process::ExitCode::SUCCESS;
    }
    let trial = libtest_mimic::Trial::test("ten_thousand_handlers_relieve_each_other_in_a_ring", || {
        ring::ten_thousand_handlers_relieve_each_other_in_a_ring();
        Ok(())
    });
    let trial = match ring::more_fds() {
        Ok(()) => trial,
        Err(missing) => trial.with_kind(missing).with_ignored_flag(true),
    };
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), vec![trial]).exit_code()
}

#[cfg(not(all(feature = "net", not(any(loom, shuttle)))))]
fn main() {}

#[cfg(all(feature = "net", not(any(loom, shuttle))))]
mod ring {
    use std::collections::HashMap;
    use std::io::{BufRead as _, Write as _};
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    use pollproof::sync::Arc;
    use pollproof::{Callbacks, Connection, Io, Server};

    use crate::common::{LONG, wait_until};

    const RING: usize = 10_000;
    /// One for each connection, and those of the process.
    const FDS: u64 = RING as u64 + 100;
    /// The path that the process of the peers connects to.
    pub const PEERS: &str = "POLLPROOF_RING_PEERS";
    /// The stack of a thread that has little.
    const SMALL: usize = 256 << 10;

    /// As many fds as are needed, or what is missing.
    pub fn more_fds() -> Result<(), String> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        if soft >= FDS || setrlimit(Resource::RLIMIT_NOFILE, FDS, hard.max(FDS)).is_ok() {
            return Ok(());
        }
        Err(format!("no {FDS} fds"))
    }

    /// Connects to `path`, and writes each line of the standard input to each of the connections, until there is none.
    pub fn be_peers(path: &Path) {
        let mut peers: Vec<_> = (0..RING).map(|_| UnixStream::connect(path).expect("a connection")).collect();
        for line in std::io::stdin().lock().lines() {
            let line = line.expect("a line");
            for peer in &mut peers {
                peer.write_all(line.as_bytes()).expect("a write");
            }
        }
    }

    /// Each connection's next one, by number.
    type Ring = Arc<OnceLock<HashMap<u64, Connection>>>;

    /// SPEC: U2, O6: each handler waits for the next one's output, and closes when that is over.
    pub fn ten_thousand_handlers_relieve_each_other_in_a_ring() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let (ring, depth, deepest) = (Ring::default(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let ((sender, conns), (paces, paced)) = (channel(), channel());
        let connects = Callbacks::new(move |io: &mut Io<'_>| Ok(sender.send(io.connection().clone())?));
        let (all, within, most) = (ring.clone(), depth, deepest.clone());
        let handler = connects.on_request(move |(), io: &mut Io<'_>| {
            // Ordering: Relaxed, both: one thread polls.
            most.fetch_max(within.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            if io.data() == b"pace" {
                io.consume(usize::MAX);
                io.pace_by(&all.get().expect("it is there")[&io.connection().id()]);
                paces.send(()).expect("the test waits");
            } else {
                io.connection().close();
            }
            within.fetch_sub(1, Ordering::Relaxed);
        });
        let builder = Server::builder().takeover(None).pollers(1).send_buffer(4096).water_marks(0, 1);
        let server = builder.handler(handler).bind(&format!("unix:{}", path.display())).expect("a path");
        let serves = server.clone();
        let polls = std::thread::Builder::new().stack_size(SMALL).spawn(move || serves.run().expect("it serves"));
        let own = std::env::current_exe().expect("a program");
        let mut peers = Command::new(own).env(PEERS, &path).stdin(Stdio::piped()).spawn().expect("a process");
        let mut tell = peers.stdin.take().expect("its input");
        let all: Vec<Connection> = (0..RING).map(|_| conns.recv_timeout(LONG).expect("a connection")).collect();
        let next = all.iter().zip(all.iter().cycle().skip(1));
        assert!(ring.set(next.map(|(conn, next)| (conn.id(), next.clone())).collect()).is_ok());
        tell.write_all(b"pace\n").expect("a write");
        (0..RING).for_each(|_| paced.recv_timeout(LONG).expect("each is paced"));
        // More than the sockets take, and the peers read nothing.
        for conn in &all {
            while conn.backlog() < 1 << 12 {
                conn.send(&[7; 8192]).expect("it is queued");
            }
        }
        tell.write_all(b"close\n").expect("a write");
        wait_until("all is read", || all.iter().all(|conn| conn.bytes_read() == 9));
        std::thread::sleep(Duration::from_millis(50));
        assert!(all.iter().all(Connection::is_active), "they wait");
        all[RING / 2].close();
        wait_until("all are closed", || server.stats().open == 0);
        drop((all, ring, tell));
        assert!(peers.wait().expect("it is over").success());
        assert_eq!(server.shutdown(LONG).expect("a shutdown").left, 0);
        polls.expect("a thread").join().expect("no panic");
        assert_eq!(deepest.load(Ordering::Relaxed), 1);
    }
}
