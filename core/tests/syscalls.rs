//! A request costs what a bare epoll loop pays: wait, read, write. Counted by strace.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::net::TcpStream;
use std::process::Command;

use common::example::{Example, assert_clean};

/// System calls of the example while it lives and echoes `requests` times 1 KiB on one connection.
fn calls(requests: usize) -> f64 {
    let table = std::env::temp_dir().join(format!("pollproof-strace-{}-{requests}", std::process::id()));
    let path = table.to_str().expect("a plain path").to_owned();
    let example = Example::traced(&["strace", "-f", "-c", "-o", &path]);
    let mut stream = TcpStream::connect(&example.address).expect("a connection");
    stream.set_nodelay(true).expect("nodelay");
    for _ in 0..requests {
        common::ping(&mut stream, &[7; 1024]);
    }
    drop(stream);
    assert_clean(&example.end(), 1);
    let text = std::fs::read_to_string(&table).expect("strace's table");
    std::fs::remove_file(&table).expect("its removal");
    let total = text.lines().find(|line| line.ends_with(" total")).expect("a total");
    total.split_whitespace().nth(3).and_then(|calls| calls.parse().ok()).expect("calls")
}

#[test]
fn three_system_calls_per_request() {
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).status();
    if !works.is_ok_and(|status| status.success()) {
        println!("skipped: strace is not installed, or may not trace");
        return;
    }
    // What is done once cancels out.
    let per_request = (calls(4_000) - calls(1_000)) / 3_000.0;
    println!("{per_request:.3} system calls per request");
    assert!((per_request - 3.0).abs() <= 0.02, "{per_request:.3} system calls per request");
}
