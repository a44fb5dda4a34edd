//! What becomes of the measurements that are kept: tables, plots, and the summary in README.md.
//!
//! All of it is a function of the files that `--save` writes, so a test can say whether it is up to date
//! (`tests/results.rs`). Not here: measuring.

mod page;
mod plot;
mod summary;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::measure::calls::Called;
use crate::measure::churn::Churned;
use crate::measure::cost::Compared;
use crate::measure::idle::Held;
use crate::measure::instructions::Counted;
use crate::measure::pairs::Paired;
use crate::measure::rates::Rated;
use crate::measure::saturated::Saturated;
use crate::report::{ELSEWHERE, Machine, Report, folder};

/// What divan printed.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Micro {
    command: String,
    machine: Machine,
    printed: String,
}

/// Everything that is kept.
#[derive(Clone, Debug, Default)]
struct Kept {
    instructions: Option<Report<Counted>>,
    calls: Option<Report<Called>>,
    cost: Option<Report<Compared>>,
    idle: Option<Report<Held>>,
    churn: Option<Report<Churned>>,
    pairs: Option<Report<Paired>>,
    rates: Option<Report<Rated>>,
    saturated: Option<Report<Saturated>>,
    micro: Option<Micro>,
}

fn micro_path() -> PathBuf {
    folder().join("micro.json")
}

impl Kept {
    fn load() -> anyhow::Result<Self> {
        let micro = micro_path();
        Ok(Self {
            instructions: Report::load()?,
            calls: Report::load()?,
            cost: Report::load()?,
            idle: Report::load()?,
            churn: Report::load()?,
            pairs: Report::load()?,
            rates: Report::load()?,
            saturated: Report::load()?,
            micro: if micro.exists() { serde_json::from_str(&std::fs::read_to_string(micro)?)? } else { None },
        })
    }
}

/// Keeps what divan printed.
///
/// # Errors
///
/// When it cannot be written.
pub fn save_micro(printed: &str, command: &str) -> anyhow::Result<()> {
    let lines: Vec<&str> = printed.lines().map(str::trim_end).collect();
    let micro = Micro { command: command.to_owned(), machine: Machine::this()?, printed: lines.join("\n") };
    std::fs::create_dir_all(folder())?;
    std::fs::write(micro_path(), serde_json::to_string_pretty(&micro)? + "\n")?;
    write()
}

/// Every file that follows from what is kept, with what it should be.
fn files() -> anyhow::Result<Vec<(PathBuf, String)>> {
    let kept = Kept::load()?;
    let plots = plot::all(&kept)?;
    let mut files = vec![(folder().join("README.md"), page::of(&kept, plots.iter().map(|plot| plot.file.as_str())))];
    let summary = summary::of(&kept);
    if std::env::var_os(ELSEWHERE).is_some() {
        files.push((folder().join("summary.md"), summary));
    } else {
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
        let old = std::fs::read_to_string(&readme).context("README.md")?;
        files.push((readme, summary::fill(&old, &summary)?));
    }
    files.extend(plots.into_iter().map(|plot| (folder().join(plot.file), plot.svg)));
    Ok(files)
}

/// Writes the tables, the plots, and the summary in README.md.
///
/// # Errors
///
/// When what is kept cannot be understood, or something cannot be written.
pub fn write() -> anyhow::Result<()> {
    std::fs::create_dir_all(folder())?;
    for (path, text) in files()? {
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// The files that are not what [`write()`] would write.
///
/// # Errors
///
/// When what is kept cannot be understood.
pub fn outdated() -> anyhow::Result<Vec<PathBuf>> {
    let differs = |(path, text): &(PathBuf, String)| std::fs::read_to_string(path).ok().as_ref() != Some(text);
    Ok(files()?.into_iter().filter(differs).map(|(path, _)| path).collect())
}
