//! Clients that others wrote: curl, wrk, redis-cli, redis-benchmark.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use super::LONG;

/// A program that is installed: a test that uses one says in its row of `tests!` that it `needs` it.
pub struct Tool(pub &'static str);

impl Tool {
    /// Runs it with `input`, and returns what it printed. It must succeed, and not take too long.
    pub fn run(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let mut command = Command::new("timeout");
        command.arg((2 * LONG).as_secs().to_string()).arg(self.0).args(args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("timeout, of coreutils");
        let mut stdin = child.stdin.take().expect("piped");
        let output = std::thread::scope(|scope| {
            // A tool that does not read all of it has its reasons.
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().expect("its end")
        });
        let Output { status, stdout, stderr } = output;
        let told = [String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)].concat();
        assert!(status.success(), "{} {args:?}: {status}\n{told}", self.0);
        stdout
    }

    /// The same as text.
    pub fn text(&self, args: &[&str], input: &[u8]) -> String {
        String::from_utf8(self.run(args, input)).expect("it prints text")
    }
}
