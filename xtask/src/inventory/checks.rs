//! `verification/unsafe.toml`: which check would see an `unsafe` broken, by file or by item.
//!
//! A check is named as it is run, and has to exist: `loom SCENARIO`, `miri TEST`, `test TEST` (over sockets), `tsan`, `asan`,
//! or `none WHY`. `@GROUP` stands for the checks of a group.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use super::files;

const PATH: &str = "verification/unsafe.toml";

/// The committed table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checks {
    /// What several have in common, by the bit that they rest on.
    groups: BTreeMap<String, Vec<String>>,
    /// By file, or by file and item with a space between.
    sites: BTreeMap<String, Vec<String>>,
}

/// What can be named.
struct Known {
    scenarios: BTreeSet<String>,
    /// The text of the unit tests, which Miri runs, and of those over sockets.
    units: String,
    sockets: String,
}

impl Checks {
    /// Reads it; each check that it names is there.
    pub fn load(root: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(root.join(PATH)).with_context(|| format!("{PATH} cannot be read"))?;
        let checks: Self = toml::from_str(&text).context(PATH)?;
        let all = |folder: &str| -> anyhow::Result<String> {
            Ok(files(&root.join(folder))?.into_iter().map(|(_, text)| text).collect())
        };
        let known = Known {
            scenarios: loom_tests::all().iter().map(|scenario| scenario.name.to_owned()).collect(),
            units: all("core/src")?,
            sockets: all("core/tests")?,
        };
        for check in checks.groups.values().chain(checks.sites.values()).flatten() {
            if let Some(group) = check.strip_prefix('@') {
                ensure!(checks.groups.contains_key(group), "{PATH}: there is no group `{group}`");
            } else {
                shown(check, Some(&known))?;
            }
        }
        Ok(checks)
    }

    #[cfg(test)]
    pub fn of_one(key: &str, check: &str) -> Self {
        Self { groups: BTreeMap::new(), sites: [(key.to_owned(), vec![check.to_owned()])].into() }
    }

    fn key(&self, file: &str, item: &str) -> anyhow::Result<String> {
        let both = format!("{file} {item}");
        if self.sites.contains_key(&both) {
            return Ok(both);
        }
        ensure!(self.sites.contains_key(file), "{PATH}: no check for {item} in {file}");
        Ok(file.to_owned())
    }

    /// Fails where a site has no entry, or an entry no site.
    pub fn fit<'a>(&self, sites: impl Iterator<Item = (&'a str, &'a str)>) -> anyhow::Result<()> {
        let (mut used, mut problems) = (BTreeSet::new(), BTreeSet::new());
        for (file, item) in sites {
            match self.key(file, item) {
                Ok(key) => used.insert(key),
                Err(missing) => problems.insert(missing.to_string()),
            };
        }
        let stale = self.sites.keys().filter(|key| !used.contains(*key));
        problems.extend(stale.map(|key| format!("{PATH}: `{key}` is no unsafe code any more")));
        ensure!(problems.is_empty(), "{}", problems.into_iter().collect::<Vec<_>>().join("\n"));
        Ok(())
    }

    /// The checks of a site, as a sentence.
    pub fn of(&self, file: &str, item: &str) -> anyhow::Result<String> {
        let mut all = Vec::new();
        for check in &self.sites[&self.key(file, item)?] {
            match check.strip_prefix('@') {
                Some(group) => all.extend(self.groups[group].iter()),
                None => all.push(check),
            }
        }
        let mut words: Vec<String> = Vec::new();
        for check in all {
            let word = shown(check, None)?;
            if !words.contains(&word) {
                words.push(word);
            }
        }
        ensure!(!words.is_empty(), "{PATH}: an empty list for {item} in {file}");
        Ok(words.join(", "))
    }
}

/// A check in words. With `known`, it has to be there.
fn shown(check: &str, known: Option<&Known>) -> anyhow::Result<String> {
    let (kind, name) = check.split_once(' ').unwrap_or((check, ""));
    let has_test = |text: &str| text.contains(&format!("fn {name}("));
    let (word, exists) = match kind {
        "loom" => ("loom", known.is_none_or(|known| known.scenarios.contains(name))),
        "miri" => ("Miri", known.is_none_or(|known| has_test(&known.units))),
        "test" => ("over sockets", known.is_none_or(|known| has_test(&known.sockets))),
        "none" if !name.is_empty() => return Ok(format!("none: {name}")),
        "tsan" if name.is_empty() => return Ok("TSan".to_owned()),
        "asan" if name.is_empty() => return Ok("ASan".to_owned()),
        _ => bail!("{PATH}: `{check}` is no check"),
    };
    ensure!(exists, "{PATH}: `{check}` does not exist");
    Ok(format!("{word} `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks() -> Checks {
        toml::from_str(
            r#"
            [groups]
            TASK = ["loom one", "tsan"]
            [sites]
            "a.rs" = ["@TASK", "asan", "tsan"]
            "a.rs A::f" = ["none it is off"]
            "#,
        )
        .expect("a table")
    }

    #[test]
    fn an_item_has_its_own_checks_or_those_of_its_file() {
        assert_eq!(checks().of("a.rs", "A::g").unwrap(), "loom `one`, TSan, ASan");
        assert_eq!(checks().of("a.rs", "A::f").unwrap(), "none: it is off");
        assert!(checks().of("b.rs", "A::f").is_err());
    }

    #[test]
    fn a_site_without_an_entry_and_an_entry_without_a_site_are_refused() {
        let fit = |sites: &[(&str, &str)]| checks().fit(sites.iter().copied()).is_ok();
        assert!(fit(&[("a.rs", "A::f"), ("a.rs", "A::g")]));
        assert!(!fit(&[("a.rs", "A::f")]), "nothing has the entry of the file");
        assert!(!fit(&[("a.rs", "A::g")]), "nothing has the entry of the item");
        assert!(!fit(&[("a.rs", "A::f"), ("a.rs", "A::g"), ("b.rs", "B::f")]));
    }

    #[test]
    fn a_check_that_does_not_exist_is_refused() {
        let known = Known {
            scenarios: ["one".to_owned()].into(),
            units: "fn unit() {}".to_owned(),
            sockets: "fn socket() {}".to_owned(),
        };
        for check in ["loom one", "miri unit", "test socket", "tsan", "asan", "none why"] {
            assert!(shown(check, Some(&known)).is_ok(), "{check}");
        }
        for check in ["loom two", "miri uni", "miri socket", "test unit", "tsan x", "none", "luck", ""] {
            assert!(shown(check, Some(&known)).is_err(), "{check}");
        }
    }
}
