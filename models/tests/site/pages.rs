//! The pages: whole, valid, small, and played to their ends in a browser.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use pollproof_models::children::Children;
use pollproof_models::export;
use pollproof_models::race::{Checkers, Race};
use pollproof_models::races::RACES;

use crate::needs::{Case, found};

pub fn all() -> Vec<Case> {
    vec![
        Case { name: "the_site_is_small_and_whole", needs: &[], test: the_site_is_small_and_whole },
        Case { name: "the_site_is_valid", needs: &["tidy"], test: the_site_is_valid },
        Case { name: "a_browser_plays_a_race", needs: &[CHROMIUM], test: a_browser_plays_a_race },
    ]
}

/// Its names.
const CHROMIUM: &str = "chromium|chromium-browser|google-chrome";

/// The site that two tests look at.
static SITE: LazyLock<(PathBuf, u64)> = LazyLock::new(|| exported("site", by_order));

/// The site of the races that this build can show all of, in a folder of its own.
fn exported(name: &str, chosen: impl Fn(&&Race) -> bool) -> (PathBuf, u64) {
    let races: Vec<&'static Race> = RACES.iter().copied().filter(|race| chosen(race)).collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    let children = Children::built(Some(env!("CARGO_BIN_EXE_explore").into()), None);
    let bytes = export::site(&children, &races, &folder).expect("a site");
    (folder, bytes)
}

fn by_order(race: &&Race) -> bool {
    race.variants.iter().all(|variant| variant.by != Checkers::Loom)
}

fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut pages: Vec<_> =
        std::fs::read_dir(folder).expect("it").map(|entry| entry.expect("an entry").path()).collect();
    pages.sort();
    pages
}

fn the_site_is_small_and_whole() {
    let (folder, bytes) = &*SITE;
    let pages = pages(folder);
    assert!(*bytes < 3_000_000, "{bytes} bytes");
    for page in &pages {
        let text = std::fs::read_to_string(page).expect("a page");
        assert!(text.len() < 150_000, "{}: {} bytes", page.display(), text.len());
        for outside in ["src=\"", "<link", "@import", "url("] {
            assert!(!text.contains(outside), "{} needs another file: {outside}", page.display());
        }
        for link in text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(link.starts_with("https://") || folder.join(link).is_file(), "{}: {link}", page.display());
        }
    }
}

fn the_site_is_valid() {
    for page in &pages(&SITE.0) {
        let said = Command::new("tidy").args(["-errors", "-quiet", "-utf8"]).arg(page).output().expect("tidy");
        let errors = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{}:\n{errors}", page.display());
    }
}

/// Presses keys as a reader would: `h` for the hint and then the number of what it points at; without a hint the first.
const PLAYER: &str = r#"<script>
const panel = document.getElementById("play-VARIANT");
const press = (key) => panel.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
press("1"); press("u"); press("2"); press("r");
for (let turn = 0; turn < 500 && !panel.dataset.verdict; turn++) {
  if (FOLLOW_HINTS) press("h");
  const buttons = [...panel.querySelector(".moves").children];
  press(String(1 + Math.max(0, buttons.findIndex((button) => button.classList.contains("hint")))));
}
</script>"#;

/// The page of `race` after its `variant` was played to an end: the panel's text from its opening tag on.
fn played(browser: &str, folder: &Path, race: &str, variant: &str, hints: bool) -> String {
    let page = std::fs::read_to_string(folder.join(format!("{race}.html"))).expect("a page");
    let player = PLAYER.replace("VARIANT", variant).replace("FOLLOW_HINTS", &hints.to_string());
    let copy = folder.join(format!("played-{race}-{variant}.html"));
    std::fs::write(&copy, page.replace("</body>", &format!("{player}</body>"))).expect("a copy");
    let profile = folder.join(format!("profile-{race}-{variant}"));
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", copy.display()))
        .output()
        .expect("a browser");
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let from = dom
        .find(&format!("id=\"play-{variant}\""))
        .unwrap_or_else(|| panic!("no panel: {}\n{}", dom.len(), String::from_utf8_lossy(&output.stderr)));
    let to = dom[from..].find("<h3>").or_else(|| dom[from..].find("<h2>")).map_or(dom.len(), |to| from + to);
    dom[from..to].to_owned()
}

/// The one as published to its bug, and the repaired one to its end.
fn a_browser_plays_a_race() {
    let browser = found(CHROMIUM).expect("a Chromium");
    let (folder, _) = exported("played", |race| race.id == "W1");
    let broken = played(browser, &folder, "lost-disconnect", "published", true);
    assert!(broken.contains("data-verdict=\"violates H1\""), "{broken}");
    assert!(broken.contains("OnDisconnect never ran. The clause: "), "{broken}");
    assert!(broken.contains("[OnConnect]") && !broken.contains("[OnDisconnect]"), "it is lost: {broken}");
    let repaired = played(browser, &folder, "lost-disconnect", "repaired", false);
    assert!(repaired.contains("data-verdict=\"holds\""), "{repaired}");
    assert!(repaired.contains("[OnConnect]") && repaired.contains("[OnDisconnect]"), "{repaired}");
}
