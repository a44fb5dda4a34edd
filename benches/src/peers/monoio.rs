//! monoio on its driver for epoll: a task a connection, on one thread. Its usual driver, io_uring, is no epoll loop.

use std::net::SocketAddr;

use monoio::io::{AsyncReadRent as _, AsyncWriteRentExt as _};
use monoio::net::TcpListener;
use monoio::{LegacyDriver, RuntimeBuilder};

use super::Options;

pub(super) fn serve(address: SocketAddr, options: Options) -> anyhow::Result<()> {
    RuntimeBuilder::<LegacyDriver>::new().build()?.block_on(async {
        let listener = TcpListener::bind(address)?;
        super::announce(listener.local_addr()?)?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            monoio::spawn(async move {
                let mut buffer = Vec::with_capacity(options.buffer);
                loop {
                    let (read, filled) = stream.read(buffer).await;
                    let Ok(1..) = read else { break };
                    let (written, empty) = stream.write_all(filled).await;
                    if written.is_err() {
                        break;
                    }
                    buffer = empty;
                }
            });
        }
    })
}
