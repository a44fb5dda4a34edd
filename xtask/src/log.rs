//! What the log of a step tells: which tests were ignored, and why it failed.

/// Lines at the end of the log of a step that failed, as they are.
const TAIL: usize = 40;

/// Lines before these that name a failure.
const NAMED: usize = 40;

/// Lines before these that tell of a panic: fewer, for many panics are made on purpose.
const PANICS: usize = 20;

/// The tests that a step was to run and did not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    count: usize,
    names: Vec<String>,
}

impl Ignored {
    /// Reads it from what test binaries print: a line for each test, and a closing line with the numbers. The numbers
    /// count; a name is missing where something else was printed in the middle of its line.
    pub fn of(log: &str) -> Self {
        let count = log.lines().filter_map(closing).sum();
        let names = log.lines().filter_map(name).collect();
        Self { count, names }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count.max(self.names.len()) == 0
    }
}

/// How many, and each on a line of its own.
impl std::fmt::Display for Ignored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { count, names } = self;
        write!(f, "{} ignored", count.max(&names.len()))?;
        names.iter().try_for_each(|name| write!(f, "\n{name}"))?;
        match count.saturating_sub(names.len()) {
            0 => Ok(()),
            more => write!(f, "\n{more} without a name"),
        }
    }
}

/// The number in `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
fn closing(line: &str) -> Option<usize> {
    let parts = line.strip_prefix("test result: ")?.split(';');
    parts.filter_map(|part| part.trim().strip_suffix(" ignored")).find_map(|count| count.parse().ok())
}

/// The name in `test [no curl] NAME ... ignored`, with what is missing after it.
fn name(line: &str) -> Option<String> {
    let (name, end) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    if end != "ignored" && !end.starts_with("ignored, ") {
        return None;
    }
    let kind = name.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    Some(kind.map_or_else(|| name.trim().to_owned(), |(kind, name)| format!("{} ({kind})", name.trim())))
}

/// What a reader needs first of the log of a step that failed: the lines that name a failure, and the end.
pub fn excerpt(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let (before, tail) = lines.split_at(lines.len().saturating_sub(TAIL));
    let is_named = |line: &str| line.contains("FAILED") || line.contains("failed:") || line.starts_with("error");
    let last = |most: usize, wanted: &dyn Fn(&str) -> bool| {
        let mut found: Vec<usize> = (0..before.len()).filter(|&at| wanted(before[at])).collect();
        found.split_off(found.len().saturating_sub(most))
    };
    // What a panic says is on the line after.
    let panics = last(PANICS, &|line| line.contains("panicked at"));
    let panics = panics.into_iter().flat_map(|at| [at, at + 1]).filter(|&at| at < before.len());
    let mut shown: Vec<usize> = last(NAMED, &is_named).into_iter().chain(panics).collect();
    shown.sort_unstable();
    shown.dedup();
    let shown = shown.into_iter().map(|at| before[at]);
    let gap = if before.is_empty() { &[][..] } else { &["..."] };
    shown.chain(gap.iter().copied()).chain(tail.iter().copied()).map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_tests_are_named() {
        let log = "test a ... ok\ntest [no curl] http::b   ... ignored\ntest c ... ignored, it is slow\n\
            test result: ok. 1 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let ignored = Ignored::of(log);
        assert_eq!(ignored.to_string(), "2 ignored\nhttp::b (no curl)\nc");
        assert!(!ignored.is_empty());
    }

    #[test]
    fn the_closing_lines_count() {
        let log = "test a ... noise\nignored\ntest result: ok. 1 passed; 0 failed; 1 ignored; 0 measured\n";
        assert_eq!(Ignored::of(log).to_string(), "1 ignored\n1 without a name");
        assert!(Ignored::of("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured\n").is_empty());
    }

    #[test]
    fn an_excerpt_has_the_failure_and_the_end() {
        let mut log = "test a ... FAILED\nthread 'x' panicked at y:\nit is lost\n".to_owned();
        (0..200).for_each(|line| log += &format!("line {line}\n"));
        let shown = excerpt(&log);
        for line in ["test a ... FAILED", "it is lost", "...", "line 160", "line 199"] {
            assert!(shown.lines().any(|shown| shown.trim() == line), "{line}: {shown}");
        }
        assert!(!shown.contains("line 159"), "{shown}");
        assert_eq!(excerpt("one\n"), "    one\n");
    }
}
