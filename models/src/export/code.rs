//! The source of a race for its page: what its variants consist of, side by side, with a little colour.
//!
//! It reads what rustfmt has written: an item begins at the left margin and ends before the next empty line at it.

use std::collections::BTreeSet;

use maud::{Markup, PreEscaped, html};

/// The parts of a race's file.
pub struct Parts {
    /// What the published code path consists of.
    pub published: String,
    /// The repaired variant.
    pub repaired: String,
}

/// Splits the file `source` of a race.
pub fn parts(source: &str) -> Parts {
    let mut items: Vec<&str> = items(source);
    let race = items.iter().copied().find(|item| item.contains("pub const RACE: Race")).unwrap_or_default();
    // It mentions both sides.
    items.retain(|item| *item != race);
    let roots = |word: &str| -> Vec<String> {
        let calls = race.match_indices(word).filter_map(|(at, _)| words(&race[at + word.len()..]).next());
        calls.map(str::to_owned).collect()
    };
    let repaired = reached(&items, roots("repaired(").into_iter().collect());
    let others = words(race).map(str::to_owned).filter(|word| !roots("repaired(").contains(word)).collect();
    let published = reached(&items, others);
    let of = |chosen: &BTreeSet<usize>| chosen.iter().map(|at| items[*at]).collect::<Vec<_>>().join("\n\n");
    Parts { published: of(&published), repaired: of(&repaired.difference(&published).copied().collect()) }
}

/// The items whose names are mentioned, and those that they mention.
fn reached(items: &[&str], mut names: BTreeSet<String>) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    loop {
        let new: Vec<usize> = (0..items.len())
            .filter(|at| !found.contains(at) && name(items[*at]).is_some_and(|name| names.contains(name)))
            .collect();
        if new.is_empty() {
            return found;
        }
        for at in new {
            found.insert(at);
            names.extend(code_words(items[at]));
        }
    }
}

fn code_words(item: &str) -> Vec<String> {
    let code = item.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(words).map(str::to_owned).collect()
}

/// What an item is called: for an `impl`, its type.
fn name(item: &str) -> Option<&str> {
    let first = item.lines().find(|line| !line.starts_with("//") && !line.starts_with('#'))?;
    let after_for = first.starts_with("impl").then(|| first.split_once(" for ").map(|(_, of)| of)).flatten();
    let kinds = ["fn", "struct", "enum", "impl", "const", "static", "type", "trait"];
    match after_for {
        Some(of) => words(of).next(),
        None => {
            let mut words = words(first).skip_while(|word| !kinds.contains(word));
            words.next()?;
            words.find(|word| *word != "fn" && *word != "unsafe")
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}

fn items(source: &str) -> Vec<&str> {
    let chunks = source.split("\n\n");
    let mut items: Vec<&str> = Vec::new();
    let mut from = 0;
    let mut at = 0;
    for chunk in chunks {
        let starts = !chunk.starts_with([' ', '}', ')', '\n']);
        if starts && at > from {
            items.push(source[from..at].trim_end());
            from = at;
        }
        at += chunk.len() + 2;
    }
    items.push(source[from..].trim_end());
    items.retain(|item| !item.starts_with("use ") && !item.starts_with("//!"));
    items
}

/// The functions called `names` of a source file of the protocol, with what is written above them.
pub fn functions(source: &str, names: &[&str]) -> Vec<String> {
    let lines: Vec<&str> = source.lines().collect();
    let mut found = Vec::new();
    for name in names {
        let mark = format!("fn {name}(");
        let Some(at) = lines.iter().position(|line| line.contains(&mark)) else { continue };
        let indent = lines[at].len() - lines[at].trim_start().len();
        let above = |line: &&&str| matches!(line.trim_start().get(..2), Some("//" | "#["));
        let from = at - lines[..at].iter().rev().take_while(above).count();
        let end = format!("{}}}", " ".repeat(indent));
        let Some(to) = lines[at..].iter().position(|line| *line == end || line.ends_with(" }")) else { continue };
        let text: Vec<&str> = lines[from..=at + to].iter().map(|line| line.get(indent..).unwrap_or_default()).collect();
        found.push(text.join("\n"));
    }
    found
}

const KEYWORDS: [&str; 25] = [
    "fn", "let", "mut", "if", "else", "match", "return", "struct", "enum", "impl", "for", "while", "loop", "in",
    "move", "pub", "self", "Self", "const", "static", "type", "use", "as", "true", "false",
];

/// `source` with a little colour: comments, texts and keywords.
pub fn coloured(source: &str) -> Markup {
    let mut html = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let (class, length) = if rest.starts_with("//") {
            ("c", rest.find('\n').unwrap_or(rest.len()))
        } else if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|letter| {
                let ends = letter == '"' && !escaped;
                escaped = letter == '\\' && !escaped;
                ends
            });
            ("s", end.map_or(rest.len(), |end| end + 2))
        } else if word(first) {
            let length = rest.find(|letter| !word(letter)).unwrap_or(rest.len());
            (if KEYWORDS.contains(&&rest[..length]) { "k" } else { "" }, length)
        } else {
            ("", first.len_utf8())
        };
        let (piece, after) = rest.split_at(length);
        let piece = html! { (piece) }.into_string();
        html += &if class.is_empty() { piece } else { format!("<span class=\"{class}\">{piece}</span>") };
        rest = after;
    }
    html! { pre tabindex="0" { code { (PreEscaped(html)) } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_split_by_what_its_variants_mention() {
        let Parts { published, repaired } = parts(crate::races::find("W1").expect("it").source);
        for name in ["struct Connection", "fn on_connect", "fn on_hup", "fn as_published"] {
            assert!(published.contains(name) && !repaired.contains(name), "{name}");
        }
        assert!(repaired.starts_with("fn as_repaired(") && !published.contains("as_repaired"), "{repaired}");
    }

    #[test]
    fn every_race_has_both_sides() {
        for race in crate::races::RACES {
            let Parts { published, repaired } = parts(race.source);
            assert!(!published.is_empty() && !repaired.is_empty(), "{}", race.name);
        }
    }

    #[test]
    fn colours_lose_no_letter() {
        let text = "let a = \"x \\\" // <no>\"; // & 'b'\nfn c() {}";
        let drawn = coloured(text).into_string();
        assert!(drawn.contains("<span class=\"s\">&quot;x \\&quot; // &lt;no&gt;&quot;</span>"), "{drawn}");
        assert!(drawn.contains("<span class=\"c\">// &amp; 'b'</span>"), "{drawn}");
    }
}
