//! A request costs what a bare epoll loop pays: wait, read, write. Counted by strace, thread by thread.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

#[cfg(all(feature = "net", not(any(loom, shuttle))))]
mod common;

#[cfg(all(feature = "net", not(any(loom, shuttle))))]
mod counted {
    use std::collections::HashSet;
    use std::net::TcpStream;

    use crate::common::example::{Example, assert_clean};

    /// System calls of the example's polling threads while it lives and echoes `requests` times 1 KiB on one
    /// connection, and those of all its other threads: the watchdog looks at the clock, however many requests there are.
    fn calls(requests: usize) -> (f64, f64) {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        let path = log.to_str().expect("a plain path").to_owned();
        let example = Example::traced(&["strace", "-f", "-o", &path]);
        let mut stream = TcpStream::connect(&example.address).expect("a connection");
        stream.set_nodelay(true).expect("nodelay");
        for _ in 0..requests {
            crate::common::ping(&mut stream, &[7; 1024]);
        }
        drop(stream);
        assert_clean(&example.end(), 1);
        let text = std::fs::read_to_string(&log).expect("strace's log");
        // "PID call(...", but for the second half of a call that was interrupted, for signals and for exits.
        let begun = text.lines().filter_map(|line| line.split_once(' ').map(|(pid, rest)| (pid, rest.trim_start())));
        let begun: Vec<_> =
            begun.filter(|(_, rest)| rest.starts_with(|first: char| first.is_ascii_lowercase())).collect();
        // More than one, if a thread was preempted for so long that it was replaced.
        let polling: HashSet<_> =
            begun.iter().filter(|(_, rest)| rest.starts_with("epoll_pwait(")).map(|(pid, _)| *pid).collect();
        let own = begun.iter().filter(|(pid, _)| polling.contains(pid)).count();
        (own as f64, (begun.len() - own) as f64)
    }

    pub fn three_system_calls_per_request() {
        // What is done once cancels out.
        let (few, many) = (calls(1_000), calls(4_000));
        let per_request = (many.0 - few.0) / 3_000.0;
        println!("{per_request:.3} system calls per request; {} and {} on other threads in all", few.1, many.1);
        assert!((per_request - 3.0).abs() <= 0.02, "{per_request:.3} system calls per request");
    }
}

#[cfg(all(feature = "net", not(any(loom, shuttle))))]
fn main() -> std::process::ExitCode {
    common::needs::run(vec![common::needs::Case {
        name: "three_system_calls_per_request",
        needs: &["strace"],
        test: counted::three_system_calls_per_request,
    }])
}

#[cfg(not(all(feature = "net", not(any(loom, shuttle)))))]
fn main() {}
