//! smol: a task a connection, on one thread.

use std::net::SocketAddr;
use std::rc::Rc;

use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};
use smol::net::TcpListener;

use super::Options;

pub(super) fn serve(address: SocketAddr, options: Options) -> anyhow::Result<()> {
    let executor = Rc::new(smol::LocalExecutor::new());
    let tasks = executor.clone();
    smol::block_on(executor.run(async move {
        let listener = TcpListener::bind(address).await?;
        super::announce(listener.local_addr()?)?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let echo = async move {
                let mut buffer = vec![0; options.buffer];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    if stream.write_all(&buffer[..count]).await.is_err() {
                        break;
                    }
                }
            };
            tasks.spawn(echo).detach();
        }
    }))
}
