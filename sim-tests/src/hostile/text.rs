//! Programs as text: what a failure prints, and what `sim --hostile --program` reads.

use std::fmt::{self, Display};
use std::str::FromStr;

use anyhow::{Context as _, anyhow, bail};

use super::program::{Host, Place, Program, Runs};

const RUNS: [(Runs, &str); 6] = [
    (Runs::Inline, "inline"),
    (Runs::Pool, "pool"),
    (Runs::Once, "once"),
    (Runs::Thread, "thread"),
    (Runs::Drops, "drops"),
    (Runs::Panics, "panics"),
];

fn list<T: Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn read_list<T: FromStr<Err = anyhow::Error>>(text: &str) -> anyhow::Result<Vec<T>> {
    text.split(';').filter(|item| !item.trim().is_empty()).map(str::parse).collect()
}

impl Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = RUNS.iter().find(|(runs, _)| *runs == self.runs).map_or("", |(_, name)| name);
        let (kind, start) =
            (if self.listens { "server" } else { "dialer" }, if self.on_thread { "run" } else { "spawn" });
        let Self { takeover, pollers, budget, ahead, high, .. } = self;
        write!(f, "{kind} runner={runs} takeover={takeover} pollers={pollers} budget={budget} ahead={ahead} ")?;
        writeln!(f, "marks={high} start={start}")?;
        self.acts.iter().try_for_each(|(place, ops)| writeln!(f, "  {}: {}", place.name(), list(ops)))
    }
}

impl Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hosts.iter().try_for_each(|host| host.fmt(f))?;
        self.foreign.iter().try_for_each(|ops| writeln!(f, "foreign: {}", list(ops)))?;
        self.peers.iter().try_for_each(|(host, acts)| writeln!(f, "peer@{host}: {}", list(acts)))?;
        writeln!(f, "remote: {}", list(&self.remote))?;
        writeln!(f, "kernel room={} faults={} races={}", self.room, u8::from(self.faults), self.races)
    }
}

/// The value of `name` among the settings of a line.
fn setting<'a>(line: &'a str, name: &str) -> anyhow::Result<&'a str> {
    let found = line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    found.ok_or_else(|| anyhow!("`{line}` does not say `{name}`"))
}

fn number(line: &str, name: &str) -> anyhow::Result<u8> {
    setting(line, name)?.parse().with_context(|| format!("`{name}` of `{line}`"))
}

impl Host {
    fn read(line: &str) -> anyhow::Result<Self> {
        let runner = setting(line, "runner")?;
        let runs = RUNS.iter().find(|(_, name)| *name == runner);
        Ok(Self {
            listens: line.starts_with("server"),
            runs: runs.ok_or_else(|| anyhow!("there is no runner `{runner}`"))?.0,
            takeover: number(line, "takeover")?,
            pollers: number(line, "pollers")?,
            budget: number(line, "budget")?,
            ahead: number(line, "ahead")?,
            high: number(line, "marks")?,
            on_thread: setting(line, "start")? == "run",
            acts: Vec::new(),
        })
    }
}

impl FromStr for Program {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (hosts, foreign, peers, remote) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut program = Self { hosts, foreign, peers, remote, room: 64, faults: false, races: 0 };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if line.starts_with("server ") || line.starts_with("dialer ") {
                program.hosts.push(Host::read(line)?);
            } else if line.starts_with("kernel ") {
                (program.room, program.races) = (number(line, "room")?, number(line, "races")?);
                program.faults = number(line, "faults")? > 0;
            } else {
                program.read_acts(line)?;
            }
        }
        if program.hosts.is_empty() {
            bail!("a program has a server or a dialer");
        }
        Ok(program)
    }
}

impl Program {
    fn read_acts(&mut self, line: &str) -> anyhow::Result<()> {
        let (head, rest) = line.split_once(':').ok_or_else(|| anyhow!("`{line}` is no line of a program"))?;
        if head == "foreign" {
            self.foreign.push(read_list(rest)?);
        } else if head == "remote" {
            self.remote = read_list(rest)?;
        } else if let Some(host) = head.strip_prefix("peer@") {
            self.peers.push((host.parse()?, read_list(rest)?));
        } else {
            let place = Place::ALL.iter().find(|place| place.name() == head);
            let place = *place.ok_or_else(|| anyhow!("there is no place `{head}`"))?;
            let host = self.hosts.last_mut().ok_or_else(|| anyhow!("`{line}` belongs to no server"))?;
            host.acts.push((place, read_list(rest)?));
        }
        Ok(())
    }
}
