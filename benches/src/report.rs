//! What a measurement found, as rows: printed as a table, and kept as a file in `benches/results/`.
//!
//! Not for: what becomes of several of them (`results`).

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use comfy_table::{CellAlignment, Table, presets};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::load::Cell;

/// An empty table in Markdown, with a column of names and columns of numbers.
#[must_use]
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header.to_vec());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A row of a measurement.
pub trait Row: Serialize + DeserializeOwned {
    /// The measurement: the name of its command, and of its file.
    const NAME: &'static str;
    /// What it measured, as a title.
    const TITLE: &'static str;
    /// The columns.
    const HEADER: &'static [&'static str];

    /// The row, column by column.
    fn cells(&self) -> Vec<String>;
}

/// A row of one server under one load.
pub trait Loaded: Row {
    /// The two.
    fn of(&self) -> (&str, Cell);
}

/// Where it was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor, and how many of them.
    pub processor: String,
    /// The kernel.
    pub kernel: String,
    /// The compiler.
    pub rustc: String,
    /// How many threads wanted a processor in the minute before.
    pub load: f64,
}

impl Machine {
    /// This one, now.
    ///
    /// # Errors
    ///
    /// When it does not say.
    pub fn this() -> anyhow::Result<Self> {
        let read = |path: &str| std::fs::read_to_string(path).with_context(|| path.to_owned());
        let processors = read("/proc/cpuinfo")?;
        let models = processors.lines().filter_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
        let (count, model) = (models.clone().count(), models.clone().next().unwrap_or("unknown"));
        let rustc = Command::new("rustc").arg("--version").output().context("rustc")?;
        let load = read("/proc/loadavg")?;
        Ok(Self {
            processor: format!("{count} x {model}"),
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease")?.trim()),
            rustc: String::from_utf8(rustc.stdout)?.trim().to_owned(),
            load: load.split(' ').next().unwrap_or_default().parse()?,
        })
    }
}

/// A measurement that was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report<R> {
    /// What repeats it.
    pub command: String,
    /// Where.
    pub machine: Machine,
    /// What was found.
    pub rows: Vec<R>,
}

/// Names another folder for the results, for runs whose figures are not to be kept.
pub const ELSEWHERE: &str = "POLLPROOF_RESULTS";

/// The folder of the results.
#[must_use]
pub fn folder() -> PathBuf {
    let kept = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("results");
    std::env::var_os(ELSEWHERE).map_or_else(kept, PathBuf::from)
}

impl<R: Loaded> Report<R> {
    /// The row of `server` under this load.
    pub fn at(&self, server: &str, cell: Cell) -> Option<&R> {
        self.rows.iter().find(|row| row.of() == (server, cell))
    }
}

impl<R: Row> Report<R> {
    /// The rows as a table.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut table = table(R::HEADER);
        table.add_rows(self.rows.iter().map(Row::cells));
        table
    }

    /// Writes it where [`load`](Self::load) finds it.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn save(&self) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder())?;
        let path = folder().join(format!("{}.json", R::NAME));
        Ok(std::fs::write(path, serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// The one that is kept; none if that was not measured.
    ///
    /// # Errors
    ///
    /// When it cannot be understood.
    pub fn load() -> anyhow::Result<Option<Self>> {
        let path = folder().join(format!("{}.json", R::NAME));
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path)?;
        Ok(Some(serde_json::from_str(&text).with_context(|| path.display().to_string())?))
    }
}
