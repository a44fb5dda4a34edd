//! What is shown of the measurements is what was measured.
#![cfg(not(any(loom, shuttle)))]

#[test]
fn tables_plots_and_summary_are_those_of_the_figures_that_are_kept() {
    let outdated = pollproof_benches::results::outdated().expect("the results");
    assert!(outdated.is_empty(), "run `cargo xtask bench write`: {outdated:#?}");
}
