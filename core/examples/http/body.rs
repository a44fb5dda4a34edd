//! The body of a request, piece by piece: which bytes are content, and which are framing. Pure.

use std::ops::Range;

use httparse::{EMPTY_HEADER, Status, parse_chunk_size, parse_headers};

use crate::head::{Length, Refusal};

/// The longest line before a chunk, and the longest trailer after the last one.
const LONGEST: usize = 4096;

/// Where in its body a request is.
pub struct Decoder(At);

enum At {
    /// In content of known length.
    Content { left: u64 },
    /// At the line with the size of a chunk.
    Size,
    /// In a chunk.
    Chunk { left: u64 },
    /// At the end of the line after a chunk.
    ChunkEnd,
    /// At the headers after the last chunk.
    Trailer,
    /// After all of it.
    Done,
}

/// The beginning of some bytes.
pub struct Piece {
    /// How long it is.
    pub length: usize,
    /// Where in it there is content.
    pub data: Range<usize>,
}

impl Decoder {
    pub fn new(length: Length) -> Self {
        Self(match length {
            Length::Known(0) => At::Done,
            Length::Known(left) => At::Content { left },
            Length::Chunked => At::Size,
        })
    }

    pub fn is_done(&self) -> bool {
        matches!(self.0, At::Done)
    }

    /// The next piece, which is at the beginning of `bytes`; none if more of them are needed.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Option<Piece>, Refusal> {
        match &mut self.0 {
            At::Content { left } => {
                let piece = content(left, bytes);
                if *left == 0 {
                    self.0 = At::Done;
                }
                Ok(piece)
            }
            At::Chunk { left } => {
                let piece = content(left, bytes);
                if *left == 0 {
                    self.0 = At::ChunkEnd;
                }
                Ok(piece)
            }
            At::Size => match parse_chunk_size(bytes) {
                Ok(Status::Complete((length, size))) if length <= LONGEST => {
                    self.0 = if size == 0 { At::Trailer } else { At::Chunk { left: size } };
                    Ok(Some(framing(length)))
                }
                Ok(Status::Partial) if bytes.len() < LONGEST => Ok(None),
                _ => Err(Refusal::Chunk),
            },
            At::ChunkEnd => match bytes {
                [] | [b'\r'] => Ok(None),
                [b'\r', b'\n', ..] => {
                    self.0 = At::Size;
                    Ok(Some(framing(2)))
                }
                _ => Err(Refusal::Chunk),
            },
            At::Trailer => match parse_headers(bytes, &mut [EMPTY_HEADER; 16]) {
                Ok(Status::Complete((length, _))) if length <= LONGEST => {
                    self.0 = At::Done;
                    Ok(Some(framing(length)))
                }
                Ok(Status::Partial) if bytes.len() < LONGEST => Ok(None),
                _ => Err(Refusal::Chunk),
            },
            At::Done => Ok(None),
        }
    }
}

fn content(left: &mut u64, bytes: &[u8]) -> Option<Piece> {
    let length = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
    *left -= length as u64;
    (length > 0).then_some(Piece { length, data: 0..length })
}

fn framing(length: usize) -> Piece {
    Piece { length, data: 0..0 }
}
