//! Plays one history, given as JSON, and draws its timeline if it goes wrong. Built with `--cfg shuttle`, where each
//! operation is recorded; there is one thread, and so one schedule.

use anyhow::Context as _;
use pollproof_proptest::history::History;

fn main() -> anyhow::Result<()> {
    let text = std::env::args().nth(1).context("a history, as JSON")?;
    run(serde_json::from_str(&text)?)
}

#[cfg(shuttle)]
fn run(history: History) -> anyhow::Result<()> {
    use loom_tests::checker::explore;
    use loom_tests::plan::Plan;
    use loom_tests::recording;
    use loom_tests::timeline::{draw, of_record};
    use pollproof_proptest::told::WRONG;

    std::panic::set_hook(Box::new(|info| {
        let mut timeline = of_record();
        timeline.break_at_the_end(info.payload_as_str().unwrap_or("a panic without a message").to_owned());
        println!("{}", draw::draw(&timeline, false));
        std::process::exit(WRONG);
    }));
    explore(Plan::Random(1, 0), move || {
        recording::start();
        history.play();
    })?;
    println!("it keeps every promise");
    Ok(())
}

#[cfg(not(shuttle))]
fn run(history: History) -> anyhow::Result<()> {
    history.play();
    println!("it keeps every promise");
    Ok(())
}
