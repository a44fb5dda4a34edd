//! An example as a process of its own: its counts are those of nobody else.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::LONG;

/// The example `name`, built with the profile and flags of this test.
pub fn binary(name: &str) -> PathBuf {
    let deps = std::env::current_exe().expect("this test's path");
    let profile = deps.ancestors().nth(2).expect("target/profile/deps/test").to_owned();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "pollproof", "--example", name, "--target-dir"]);
    cargo.arg(profile.parent().expect("target")).arg("--profile");
    cargo.arg(profile.file_name().filter(|name| *name != "debug").unwrap_or("dev".as_ref()));
    assert!(cargo.status().expect("cargo").success(), "the example {name} does not build");
    profile.join("examples").join(name)
}

/// A free port of this machine.
pub const ANY: &str = "127.0.0.1:0";

/// A running example.
pub struct Example {
    child: Child,
    out: BufReader<ChildStdout>,
    pub address: String,
    /// The child is a tracer, and the example is the tracer's.
    traced: bool,
    fds_before: usize,
}

impl Example {
    /// Runs `echo` with `pollers` polling threads.
    pub fn start(pollers: usize) -> Self {
        Self::of("echo", ANY, pollers)
    }

    /// Runs the example `name` with `args`, the first of them its address.
    pub fn start_named(name: &str, args: &[&str]) -> Self {
        Self::command(&[binary(name).into_os_string()], args, false)
    }

    /// Runs the example `name` at `address` with `pollers` polling threads.
    pub fn of(name: &str, address: &str, pollers: usize) -> Self {
        Self::start_named(name, &[address, &pollers.to_string()])
    }

    /// Runs `echo` with `pollers` polling threads and at most `fds` file descriptors.
    pub fn with_fds(pollers: usize, fds: usize) -> Self {
        let script = format!("ulimit -n {fds}; exec \"$0\" \"$@\"");
        let words = ["sh".into(), "-c".into(), script.into(), binary("echo").into_os_string()];
        Self::command(&words, &[ANY, &pollers.to_string()], false)
    }

    /// Runs `echo` under `tracer`, a command with its arguments.
    pub fn traced(tracer: &[&str]) -> Self {
        let mut words: Vec<OsString> = tracer.iter().map(OsString::from).collect();
        words.push(binary("echo").into_os_string());
        Self::command(&words, &[ANY, "1"], true)
    }

    fn command(words: &[OsString], args: &[&str], traced: bool) -> Self {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(args).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the example runs");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening=").expect("listening=").to_owned();
        let mut example = Self { child, out, address, traced, fds_before: 0 };
        example.fds_before = example.fds();
        example
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    /// The pid of the example itself.
    pub fn pid(&self) -> u32 {
        let tracer = self.child.id();
        if !self.traced {
            return tracer;
        }
        let children = format!("/proc/{tracer}/task/{tracer}/children");
        let children = std::fs::read_to_string(children).expect("the tracer's children");
        children.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("one child")
    }

    /// Whether it sleeps: it uses next to no processor time while nothing happens.
    pub fn assert_sleeps(&self, why: &str) {
        let ticks = || -> u64 {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("its times");
            let after_name = &stat[stat.rfind(')').expect("a name")..];
            after_name.split_whitespace().skip(12).take(2).map(|time| time.parse::<u64>().expect("ticks")).sum()
        };
        // 50 ticks of 10 ms pass; a loop that spins uses most of them, however busy the machine is.
        let before = ticks();
        std::thread::sleep(Duration::from_millis(500));
        let used = ticks() - before;
        assert!(used <= 10, "{why}: it used {used} of 50 ticks");
    }

    /// How much memory it has at present, in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("its status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        1024 * resident.trim().trim_end_matches(" kB").parse::<u64>().expect("KiB")
    }

    fn fds(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("its fds").count()
    }

    /// Waits until it has no more fds than before its clients came, interrupts it, and returns its counts.
    pub fn end(mut self) -> HashMap<String, i64> {
        let deadline = Instant::now() + LONG;
        while self.fds() > self.fds_before {
            // A client's close is not seen at once; interrupted before, the server would close first.
            assert!(Instant::now() < deadline, "{} fds are left of its clients", self.fds() - self.fds_before);
            std::thread::yield_now();
        }
        kill(Pid::from_raw(self.pid() as i32), Signal::SIGINT).expect("a signal");
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).expect("its output");
        assert!(self.child.wait().expect("its end").success(), "{rest}");
        let pairs = rest.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.parse().expect("a number"))).collect()
    }
}

impl Drop for Example {
    /// A test that failed leaves no process behind.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(Pid::from_raw(self.pid() as i32), Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Every callback ran once on each of `connections`, and nothing is left.
pub fn assert_clean(counts: &HashMap<String, i64>, connections: i64) {
    let each_once = ["accepted", "on_prepare", "on_connect", "on_close"];
    for key in each_once {
        assert_eq!(counts[key], connections, "{key} in {counts:?}");
    }
    for key in ["open", "cut", "left", "errors", "fds_left"] {
        assert_eq!(counts[key], 0, "{key} in {counts:?}");
    }
    assert_eq!(counts["on_disconnect"], connections, "every client closed first: {counts:?}");
}
