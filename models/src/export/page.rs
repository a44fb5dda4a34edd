//! The pages: the index, and one a race.

use loom_tests::timeline::Kind;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::json;

use super::{Told, code, svg};
use crate::checked::committed::{Count, Counts, Proof};
use crate::race::{Checkers, Expect, Race, Variant};
use crate::spec;

const STYLE: &str = include_str!("style.css");
const PLAY: &str = include_str!("play.js");

fn page(title: &str, script: Option<&str>, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (body)
                @if let Some(script) = script { script { (PreEscaped(script)) } }
            }
        }
    };
    page.into_string()
}

/// The index: every race, with its verdicts.
pub fn index(races: &[&'static Race], counts: &Counts) -> String {
    let variants: usize = races.iter().map(|race| race.variants.len()).sum();
    let body = html! {
        main {
            h1 { "The race atlas of pollproof" }
            p {
                "Every race that this kind of epoll event core is known for: as published, where it breaks, and as repaired, \
                 where it holds. " (races.len()) " races, " (variants) " variants, each explored by a model checker. On the \
                 page of a race you can be the scheduler and find the bug yourself."
            }
            div.scroll {
                table.races {
                    thead { tr { th scope="col" { "id" } th scope="col" { "race" } th scope="col" { "what goes wrong" } th scope="col" { "clauses" } th scope="col" { "verdicts" } } }
                    tbody {
                        @for race in races {
                            tr {
                                td { (race.id) }
                                td.nowrap { a href=(format!("{}.html", race.name)) { (race.name) } }
                                td { (race.title) @if race.sequential { " " span.dim { "(sequential)" } } }
                                td { (race.clauses.join(", ")) }
                                td {
                                    @for variant in race.variants {
                                        @let count = counts.get(&format!("{}/{}", race.name, variant.name));
                                        div { (variant.title) ": " (verdict(variant)) span.dim { (how(race, variant, count)) } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            p.dim {
                "“At bound 1” is the smallest number of preemptions (switches away from a thread that could go on) at which it \
                 breaks. “Unbounded” means every interleaving. Counts are executions."
            }
        }
    };
    page("The race atlas of pollproof", None, &body)
}

fn verdict(variant: &Variant) -> Markup {
    html! {
        @match variant.expect {
            Expect::Breaks { clause, .. } => strong.bad { "violates " (clause) },
            Expect::Holds => strong.good { "holds" },
        }
    }
}

/// How it was seen, in a few words that go on after the verdict.
fn how(race: &Race, variant: &Variant, count: Option<&Count>) -> String {
    let mut words = Vec::new();
    if let Expect::Breaks { bound, .. } = variant.expect {
        words.push(if race.sequential { "without a second thread".to_owned() } else { format!("at bound {bound}") });
    }
    if let Some(first) = count.and_then(|count| count.to_first_failure) {
        words.push(format!("after {}", executions(first)));
    }
    for (by, proof) in
        [("depth-first", count.and_then(|it| it.dfs.as_ref())), ("loom", count.and_then(|it| it.loom.as_ref()))]
    {
        if let Some(Proof { bound, executions: ran }) = proof {
            let bound = bound.to_string();
            let bound = if bound == "unbounded" { bound } else { format!("bound {bound}") };
            words.push(format!("{by} {bound}, {}", executions(ran.iter().sum())));
        }
    }
    if words.is_empty() { String::new() } else { format!(", {}", words.join("; ")) }
}

fn executions(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = (0..digits.len().div_ceil(3))
        .rev()
        .map(|group| {
            let end = digits.len() - 3 * group;
            &digits[end.saturating_sub(3)..end]
        })
        .collect();
    format!("{} execution{}", groups.join(","), if number == 1 { "" } else { "s" })
}

/// The page of one race.
///
/// # Errors
///
/// When a clause of it is not in SPEC.md.
pub fn race(race: &Race, all: &[&'static Race], told: &[Told], transitions: &str) -> anyhow::Result<String> {
    let mut clauses: Vec<&str> = race.clauses.to_vec();
    clauses.extend(race.variants.iter().filter_map(Variant::clause).filter(|clause| !race.clauses.contains(clause)));
    clauses.dedup();
    let mut texts = Vec::new();
    for clause in clauses {
        texts.push((clause, spec::clause(clause)?));
    }
    let sentences: serde_json::Map<String, serde_json::Value> =
        texts.iter().map(|(clause, text)| ((*clause).to_owned(), json!(text))).collect();
    let sentences = json!(sentences).to_string().replace('<', "\\u003c");
    let at = all.iter().position(|other| other.name == race.name);
    let before = at.and_then(|at| at.checked_sub(1)).map(|at| all[at]);
    let after = at.and_then(|at| all.get(at + 1)).copied();
    let body = html! {
        nav {
            a href="index.html" { "All races" }
            @if let Some(other) = before { " · " a href=(format!("{}.html", other.name)) { "← " (other.id) " " (other.name) } }
            @if let Some(other) = after { " · " a href=(format!("{}.html", other.name)) { (other.id) " " (other.name) " →" } }
        }
        main {
            h1 { (race.id) " " (race.name) ": " (race.title) }
            p { (prose(race.story)) }
            p { strong { "Seen: " } (race.seen) "." }
            @if !race.references.is_empty() {
                ul { @for reference in race.references { li { a href=(reference) { (reference) } } } }
            }
            h2 { "The clauses that answer it" }
            dl { @for (clause, text) in &texts { dt { strong { (clause) } } dd { (prose(text)) } } }
            h2 { "Verdicts" }
            ul {
                @for told in told {
                    li { (told.variant.title) ": " (verdict(told.variant)) (how(race, told.variant, told.count.as_ref())) }
                }
            }
            (play(told))
            h2 { "Timelines" }
            p.dim {
                "Recorded from the run, not written by hand. The repaired version goes under the same schedule as far as that \
                 applies."
            }
            @for told in told { (timeline(race, told)) }
            (sources(race, told, transitions))
        }
        script type="application/json" id="clauses" { (PreEscaped(sentences)) }
        @for told in told {
            @if let Some((data, _)) = &told.graph {
                script type="application/json" id=(format!("graph-{}", told.variant.name)) { (PreEscaped(data)) }
            }
        }
    };
    Ok(page(&format!("{} {}: {}", race.id, race.name, race.title), Some(PLAY), &body))
}

/// Markdown's backquotes as code; nothing else of it occurs in a clause or a story.
fn prose(text: &str) -> Markup {
    html! {
        @for (at, piece) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}

fn play(told: &[Told]) -> Markup {
    html! {
        h2 { "Be the scheduler" }
        p.dim {
            "Choose who goes next. Keys, while the panel has the focus: " kbd { "1" } " to " kbd { "9" } " choose, "
            kbd { "u" } " takes back, " kbd { "h" } " hints at the way to the bug, " kbd { "r" } " begins anew. Where there is \
            nothing to choose, it goes on by itself."
        }
        @for told in told {
            h3 { (capital(told.variant.title)) }
            @match &told.graph {
                Some((_, whole)) => {
                    @if !whole {
                        p.dim {
                            "The whole state graph of this variant is too large for a page: this is the part next to the schedule of \
                             the timeline below. An order that leads out of it says so; "
                            code { "cargo race step" } " has all of it."
                        }
                    }
                    div.play id=(format!("play-{}", told.variant.name)) data-graph=(format!("graph-{}", told.variant.name))
                        aria-label=(format!("Be the scheduler: {}", told.variant.title)) {
                        noscript { "This needs JavaScript; the timelines below do not." }
                    }
                }
                None => p {
                    "This variant breaks by weak memory: it needs a load that reads an old store, which no order of steps \
                     shows, so there is nothing to schedule. Its timeline is below."
                },
            }
        }
    }
}

fn timeline(race: &Race, told: &Told) -> Markup {
    let Some(timeline) = &told.timeline else { return html! {} };
    let rows = timeline.rows.iter().filter(|row| row.kind != Kind::Break).count();
    let by = if told.variant.by == Checkers::Loom { "loom" } else { "the depth-first search" };
    let title = told.variant.title;
    html! {
        h3 {
            (capital(title))
            @match told.bound {
                Some(_) if race.sequential => ": breaks without a second thread",
                Some(bound) => { ": breaks with " (bound) " preemption" @if bound != 1 { "s" } },
                None => ": the same schedule",
            }
        }
        p.dim {
            "By " (by) ", " (rows) " rows. "
            @if let Some(minimal) = told.count.as_ref().and_then(|count| count.minimal.as_ref()) { (minimal.words()) }
        }
        (svg::picture(timeline, !told.broke, &format!("Timeline, {title}")))
    }
}

fn sources(race: &Race, told: &[Told], transitions: &str) -> Markup {
    let parts = code::parts(race.source);
    let mut names: Vec<&str> = Vec::new();
    for told in told.iter().filter(|told| told.variant.name == "repaired") {
        for row in told.timeline.iter().flat_map(|timeline| &timeline.rows) {
            if row.kind == Kind::Step && !names.contains(&row.text.as_str()) {
                names.push(&row.text);
            }
        }
    }
    let functions = code::functions(transitions, &names);
    html! {
        h2 { "Code" }
        div.codes {
            section {
                h3 { "As published, transcribed" }
                (code::coloured(&parts.published))
            }
            section {
                h3 { "As repaired" }
                (code::coloured(&parts.repaired))
                @if !functions.is_empty() {
                    h3 { "The steps of its timeline, in " code { "core/src/protocol/transitions.rs" } }
                    (code::coloured(&functions.join("\n\n")))
                }
            }
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
