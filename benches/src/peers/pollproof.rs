//! This crate.

use std::net::SocketAddr;
use std::time::Duration;

use pollproof::{Io, Pool, Server};

use super::Options;

pub(super) fn serve(address: SocketAddr, options: Options, pool: bool) -> anyhow::Result<()> {
    let mut builder = Server::builder().pollers(options.threads);
    if pool {
        builder = builder.runner(Pool::new(2)?);
    }
    if let Some(seconds) = options.takeover {
        builder = builder.takeover((seconds > 0).then_some(Duration::from_secs(seconds)));
    }
    let server = builder
        .on_request(|io: &mut Io<'_>| {
            io.write(io.data());
            io.consume(io.data().len());
        })
        .bind(&address.to_string())?;
    println!("listening={}", server.local_addr());
    Ok(server.run()?)
}
