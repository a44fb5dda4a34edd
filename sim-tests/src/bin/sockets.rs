//! Runs programs of hostile users on real sockets: `cargo xtask hostile --sockets`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a command-line tool around the tests")]

#[cfg(not(any(loom, shuttle)))]
fn main() -> anyhow::Result<std::process::ExitCode> {
    sockets::main()
}

#[cfg(any(loom, shuttle))]
fn main() {
    eprintln!("built without sockets: run `cargo xtask hostile --sockets`");
    std::process::exit(2);
}

#[cfg(not(any(loom, shuttle)))]
mod sockets {
    use std::path::PathBuf;
    use std::process::ExitCode;

    use clap::Parser;
    use pollproof_sim_tests::hostile::{arguments, child};

    #[derive(Parser)]
    #[command(name = "sockets", about = "Programs of hostile users on real TCP and Unix sockets")]
    struct Arguments {
        #[command(flatten)]
        programs: arguments::Programs,
        /// Another build of this command, which plays the programs.
        #[arg(long)]
        with: Option<PathBuf>,
        /// Plays the program of the standard input, in the current directory, on `TCP` or `Unix` sockets.
        #[arg(long, hide = true)]
        play: Option<String>,
    }

    pub(super) fn main() -> anyhow::Result<ExitCode> {
        let arguments = Arguments::parse();
        let good = match &arguments.play {
            Some(kind) => child::play(kind == "Unix", &arguments.programs.forgive)?,
            // Each process has a current directory of its own.
            None => arguments.programs.run(1, arguments.with.map(std::fs::canonicalize).transpose()?)?,
        };
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
