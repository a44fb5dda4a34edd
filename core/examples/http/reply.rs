//! What is written: whole answers, and the echo of a body that comes in pieces.

use std::io::{Result, Write};
use std::ops::Range;

use pollproof::Io;

use crate::head::{Head, Length, Refusal};

/// An answer that is known as a whole.
#[derive(Clone, Copy)]
pub enum Page {
    Hello,
    Empty,
    NotFound,
    NotAllowed,
    Refused(Refusal),
}

impl Page {
    fn status(self) -> &'static str {
        match self {
            Page::Hello | Page::Empty => "200 OK",
            Page::NotFound => "404 Not Found",
            Page::NotAllowed => "405 Method Not Allowed\r\nallow: GET, HEAD",
            Page::Refused(Refusal::TooLarge) => "431 Request Header Fields Too Large",
            Page::Refused(Refusal::Coding) => "501 Not Implemented",
            Page::Refused(_) => "400 Bad Request",
        }
    }
}

/// Writes the answer `page` to a request of HTTP/1 and this minor version; `without_body`, as HEAD wants it.
pub fn page(io: &mut Io<'_>, page: Page, version: u8, keep_alive: bool, without_body: bool) -> Result<()> {
    if matches!((page, version, keep_alive), (Page::Hello, 1, true)) {
        // The usual one needs no formatting.
        io.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\n");
        if !without_body {
            io.write(b"hello\n");
        }
        return Ok(());
    }
    let text = match page {
        Page::Hello => "hello\n".to_owned(),
        Page::Empty => String::new(),
        Page::NotFound => "there are / and /echo\n".to_owned(),
        Page::NotAllowed => "GET or HEAD\n".to_owned(),
        Page::Refused(refusal) => format!("{refusal}\n"),
    };
    let writer = io.writer();
    write!(writer, "HTTP/1.1 {}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n", page.status(), text.len())?;
    writer.write_all(connection(version, keep_alive))?;
    if !without_body {
        writer.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// The header that says whether the connection stays, where that has to be said; and the end of the head.
fn connection(version: u8, keep_alive: bool) -> &'static [u8] {
    match (version, keep_alive) {
        (_, false) => b"connection: close\r\n\r\n",
        (0, true) => b"connection: keep-alive\r\n\r\n",
        (_, true) => b"\r\n",
    }
}

/// An answer that is the request's body, framed as that was.
pub struct Echo {
    length: Length,
    version: u8,
    keep_alive: bool,
    begun: bool,
}

impl Echo {
    pub fn new(head: &Head<'_>) -> Self {
        Self { length: head.length, version: head.version, keep_alive: head.keep_alive, begun: false }
    }

    /// Whether a part of it is written.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    fn begin(&mut self, io: &mut Io<'_>) -> Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            let writer = io.writer();
            writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n")?;
            match self.length {
                Length::Known(length) => write!(writer, "content-length: {length}\r\n")?,
                Length::Chunked => writer.write_all(b"transfer-encoding: chunked\r\n")?,
            }
            writer.write_all(connection(self.version, self.keep_alive))?;
        }
        Ok(())
    }

    /// Writes these bytes of what was read.
    pub fn piece(&mut self, io: &mut Io<'_>, bytes: Range<usize>) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.begin(io)?;
        match self.length {
            Length::Known(_) => io.write(&io.data()[bytes]),
            Length::Chunked => {
                write!(io.writer(), "{:x}\r\n", bytes.len())?;
                io.write(&io.data()[bytes]);
                io.write(b"\r\n");
            }
        }
        Ok(())
    }

    /// Writes what comes after the last bytes.
    pub fn end(&mut self, io: &mut Io<'_>) -> Result<()> {
        self.begin(io)?;
        if self.length == Length::Chunked {
            io.write(b"0\r\n\r\n");
        }
        Ok(())
    }
}
