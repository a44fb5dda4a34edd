//! One echo server, until it is killed: `peer KIND ADDRESS`.
#![deny(missing_docs)]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a benchmark, never inside a checker")]

#[cfg(not(any(loom, shuttle)))]
fn main() -> anyhow::Result<()> {
    use clap::Parser as _;
    use pollproof_benches::peers::{Kind, Options, serve};

    /// An echo server to compare with.
    #[derive(clap::Parser)]
    struct Arguments {
        kind: Kind,
        #[command(flatten)]
        options: Options,
        address: std::net::SocketAddr,
    }

    let Arguments { kind, options, address } = Arguments::parse();
    serve(kind, address, options)
}

#[cfg(any(loom, shuttle))]
fn main() {}
