//! `cargo race export`: the atlas as a static site that needs no network.
//!
//! An index, and a page a race: each one file that stands by itself. Verdicts and counts are the committed ones of
//! `races.toml`; timelines and state graphs are made anew, which takes seconds, and nothing is proved again.

pub mod code;
mod data;
mod page;
mod svg;

use std::path::Path;

use anyhow::Context as _;
use loom_tests::driver::in_parallel;
use loom_tests::record::{Committed as _, root};
use loom_tests::timeline::Timeline;

use crate::checked::committed::{Count, Counts};
use crate::checked::minimal::Minimal;
use crate::checked::run::Case;
use crate::children::Children;
use crate::race::{Checkers, Expect, Race, Variant};
use crate::report::{Finding, Turn};
use crate::show::bar;

/// What one page's graphs may weigh together, in bytes.
const GRAPHS: usize = 40_000;

/// Everything that a page says of a variant.
pub struct Told {
    variant: &'static Variant,
    count: Option<Count>,
    /// One execution: the failing one, or the one under the same schedule as the last that failed.
    timeline: Option<Timeline>,
    broke: bool,
    /// The preemptions that it broke with.
    bound: Option<u8>,
    /// The graph's data, and whether that is the whole graph.
    graph: Option<(String, bool)>,
}

/// Writes the site into `folder`, which is made if it is not there. Returns how many bytes it has.
///
/// # Errors
///
/// When a child cannot be run, or something cannot be written.
pub fn site(children: &Children, races: &[&'static Race], folder: &Path) -> anyhow::Result<u64> {
    let counts = Counts::load()?;
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let bar = bar(races.len());
    let transitions = std::fs::read_to_string(root().join("core/src/protocol/transitions.rs"))?;
    let pages = in_parallel(races, |race| {
        bar.set_message(race.name);
        let page = tell(children, race, &counts).and_then(|told| page::race(race, races, &told, &transitions));
        bar.inc(1);
        page.with_context(|| race.name.to_owned())
    });
    bar.finish_and_clear();
    let mut bytes = 0;
    let mut write = |name: String, text: String| -> anyhow::Result<()> {
        bytes += text.len() as u64;
        std::fs::write(folder.join(&name), text).with_context(|| format!("{name} cannot be written"))
    };
    for (race, page) in races.iter().zip(pages) {
        write(format!("{}.html", race.name), page?)?;
    }
    write("index.html".to_owned(), page::index(races, &counts))?;
    Ok(bytes)
}

fn tell(children: &Children, race: &'static Race, counts: &Counts) -> anyhow::Result<Vec<Told>> {
    let mut turns: Vec<Turn> = Vec::new();
    // What holds goes without what the one before it goes without.
    let mut fewer = children.clone();
    let mut told = Vec::new();
    for variant in race.variants {
        let breaks = matches!(variant.expect, Expect::Breaks { .. });
        let count = counts.get(&Case { race, variant }.id()).cloned();
        let mut timeline = None;
        let mut broke = false;
        let mut bound = None;
        if breaks {
            let minimal = count.as_ref().and_then(|count| count.minimal.as_ref());
            fewer = children.without(Minimal::dropped_of(minimal));
            if let Finding::Breaks(broken) = fewer.breaking(race, variant)? {
                turns = Turn::all_of(&broken.timeline);
                timeline = Some(broken.timeline);
                broke = true;
                bound = Some(broken.bound);
            }
        } else if variant.by != Checkers::Loom {
            let (followed, failure) = fewer.follow(race, variant, &turns)?;
            broke = failure.is_some();
            timeline = Some(followed);
        }
        let graph =
            if variant.by == Checkers::Loom { None } else { Some(fewer.graph(race, variant, &turns)?.reduced()) };
        told.push((Told { variant, count, timeline, broke, bound, graph: None }, graph));
    }
    // The small ones first: what they leave is for the large ones.
    let mut order: Vec<usize> = (0..told.len()).collect();
    order.sort_by_key(|at| told[*at].1.as_ref().map_or(0, |graph| graph.states.len()));
    let mut left = GRAPHS;
    for (done, at) in order.iter().enumerate() {
        let share = left / (order.len() - done);
        let Some(graph) = &told[*at].1 else { continue };
        let data = data::within(graph, share);
        left = left.saturating_sub(data.0.len());
        told[*at].0.graph = Some(data);
    }
    Ok(told.into_iter().map(|(told, _)| told).collect())
}
