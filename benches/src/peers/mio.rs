//! mio, one thread: edge-triggered, and so reading until the socket has nothing more.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::Options;

const LISTENER: Token = Token(usize::MAX);

pub(super) fn serve(address: SocketAddr, options: Options) -> anyhow::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(address)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    super::announce(listener.local_addr()?)?;
    let mut events = Events::with_capacity(256);
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut free = Vec::new();
    let mut buffer = crate::block::Block::new();
    let length = options.buffer.min(buffer.0.len());
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            if event.token() == LISTENER {
                loop {
                    let mut stream = match listener.accept() {
                        Ok((stream, _)) => stream,
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error.into()),
                    };
                    stream.set_nodelay(true)?;
                    let at = free.pop().unwrap_or(streams.len());
                    poll.registry().register(&mut stream, Token(at), Interest::READABLE)?;
                    if at == streams.len() {
                        streams.push(None);
                    }
                    streams[at] = Some(stream);
                }
            } else if let Some(stream) = &mut streams[event.token().0]
                && !echo(stream, &mut buffer.0[..length])
            {
                streams[event.token().0] = None;
                free.push(event.token().0);
            }
        }
    }
}

/// Echoes what is there; whether the connection goes on.
fn echo(stream: &mut TcpStream, buffer: &mut [u8]) -> bool {
    loop {
        match stream.read(buffer) {
            Ok(0) => return false,
            Ok(count) => {
                let mut left = &buffer[..count];
                while !left.is_empty() {
                    match stream.write(left) {
                        Ok(count) => left = &left[count..],
                        Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                        Err(_) => return false,
                    }
                }
            }
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}
