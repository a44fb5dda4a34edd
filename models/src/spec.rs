//! The sentences of SPEC.md, by the ids of their clauses.

use anyhow::Context as _;
use loom_tests::record::root;

/// The text of clause `id`, in one line.
///
/// # Errors
///
/// When SPEC.md cannot be read or has no such clause.
pub fn clause(id: &str) -> anyhow::Result<String> {
    let spec = std::fs::read_to_string(root().join("SPEC.md")).context("SPEC.md cannot be read")?;
    in_text(&spec, id).with_context(|| format!("SPEC.md has no clause {id}"))
}

fn in_text(spec: &str, id: &str) -> Option<String> {
    let mark = format!("- **{id}** ");
    let mut lines = spec.lines().skip_while(|line| !line.starts_with(&mark));
    let mut text = lines.next()?.strip_prefix(&mark)?.to_owned();
    for line in lines.take_while(|line| line.starts_with("  ")) {
        text.push(' ');
        text += line.trim();
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clause_is_one_line() {
        let spec = "- **A1** One\n  two.\n- **A2** Three.\n";
        assert_eq!(in_text(spec, "A1").as_deref(), Some("One two."));
        assert_eq!(in_text(spec, "A2").as_deref(), Some("Three."));
        assert_eq!(in_text(spec, "A3"), None);
    }
}
