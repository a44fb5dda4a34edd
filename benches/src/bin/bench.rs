//! `cargo xtask bench NAME`: one measurement, printed as a table and, with `--save`, kept in `benches/results/`.
#![deny(missing_docs)]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a benchmark, never inside a checker")]

#[cfg(not(any(loom, shuttle)))]
fn main() -> anyhow::Result<()> {
    measuring::main()
}

#[cfg(any(loom, shuttle))]
fn main() {}

#[cfg(not(any(loom, shuttle)))]
mod measuring {
    use clap::{Parser, Subcommand};
    use pollproof_benches::measure::{all, calls, churn, cost, idle, instructions, micro, pairs, rates, saturated};
    use pollproof_benches::report::{Machine, Report, Row};
    use pollproof_benches::results;

    /// Measurements of pollproof and of its peers.
    #[derive(Parser)]
    #[command(name = "cargo xtask bench")]
    struct Arguments {
        /// Keeps what was found in `benches/results/`, and writes its tables, its plots and README.md's summary anew.
        #[arg(long, global = true)]
        save: bool,
        #[command(subcommand)]
        what: What,
    }

    #[derive(Subcommand)]
    enum What {
        All(all::Options),
        Calls(calls::Options),
        Churn(churn::Options),
        Cost(cost::Options),
        Idle(idle::Options),
        Instructions(instructions::Options),
        Micro(micro::Options),
        Pairs(pairs::Options),
        Rates(rates::Options),
        Saturated(saturated::Options),
        /// Writes the tables, the plots and README.md's summary from what is kept.
        Write,
    }

    pub(super) fn main() -> anyhow::Result<()> {
        let Arguments { save, what } = Arguments::parse();
        match what {
            What::All(options) => options.run(),
            What::Calls(options) => show(save, || options.run()),
            What::Churn(options) => show(save, || options.run()),
            What::Cost(options) => show(save, || options.run()),
            What::Idle(options) => show(save, || options.run()),
            What::Instructions(options) => show(save, || options.run()),
            What::Micro(options) => {
                let printed = options.run()?;
                print!("{printed}");
                if save { results::save_micro(&printed, &command()) } else { Ok(()) }
            }
            What::Pairs(options) => show(save, || options.run()),
            What::Rates(options) => show(save, || options.run()),
            What::Saturated(options) => show(save, || options.run()),
            What::Write => results::write(),
        }
    }

    /// What repeats this run.
    fn command() -> String {
        let quoted = |argument: String| if argument.contains(' ') { format!("'{argument}'") } else { argument };
        let arguments = std::env::args().skip(1).filter(|argument| argument != "--save").map(quoted);
        ["cargo xtask bench".to_owned()].into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
    }

    fn show<R: Row>(save: bool, measure: impl FnOnce() -> anyhow::Result<Vec<R>>) -> anyhow::Result<()> {
        let machine = Machine::this()?;
        let report = Report { command: command(), machine, rows: measure()? };
        println!("{}\n\n{}", R::TITLE, report.table());
        if save {
            report.save()?;
            results::write()?;
        }
        Ok(())
    }
}
