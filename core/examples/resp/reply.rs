//! Replies: each method writes one RESP value to the connection's output.

use std::cell::Cell;
use std::fmt::Display;
use std::io::{Cursor, Write};

use pollproof::Io;

/// The replies of one call.
pub struct Reply<'a, 'c> {
    io: &'a Io<'c>,
    len: Cell<usize>,
}

impl<'a, 'c> Reply<'a, 'c> {
    pub fn new(io: &'a Io<'c>) -> Self {
        Self { io, len: Cell::new(0) }
    }

    /// How much was written, in bytes.
    pub fn len(&self) -> usize {
        self.len.get()
    }

    fn write(&self, bytes: &[u8]) {
        self.io.write(bytes);
        self.len.set(self.len.get() + bytes.len());
    }

    /// A kind of value and a number, which is its length or itself.
    fn header(&self, kind: u8, number: impl Display) {
        // No integer and no length is longer.
        let mut line = Cursor::new([0; 32]);
        let fits = write!(line, "{}{number}\r\n", kind as char);
        debug_assert!(fits.is_ok());
        self.write(&line.get_ref()[..line.position() as usize]);
    }

    pub fn ok(&self) {
        self.status("OK");
    }

    pub fn status(&self, text: &str) {
        self.write(b"+");
        self.write(text.as_bytes());
        self.write(b"\r\n");
    }

    /// An error: its first word is what clients go by.
    pub fn error(&self, error: &impl Display) {
        // Some of them quote what the client sent: it must not end the line.
        let text = error.to_string().replace(['\r', '\n'], " ");
        self.write(format!("-{text}\r\n").as_bytes());
    }

    pub fn integer(&self, number: i64) {
        self.header(b':', number);
    }

    /// How many there are of something.
    pub fn count(&self, number: usize) {
        self.header(b':', number);
    }

    pub fn bulk(&self, bytes: &[u8]) {
        self.header(b'$', bytes.len());
        self.write(bytes);
        self.write(b"\r\n");
    }

    pub fn null(&self) {
        self.write(b"$-1\r\n");
    }

    pub fn null_array(&self) {
        self.write(b"*-1\r\n");
    }

    /// A bulk string, or null.
    pub fn option(&self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    /// Begins an array: so many values follow.
    pub fn array(&self, length: usize) {
        self.header(b'*', length);
    }
}
