//! Commands from bytes: arrays of bulk strings, and the inline form that one can type. Pure.

/// The longest line, the most arguments, the longest argument, and the longest command, in bytes.
const LONGEST_LINE: usize = 64 * 1024;
const MOST_ARGUMENTS: usize = 1024 * 1024;
const LONGEST_ARGUMENT: usize = 512 * 1024 * 1024;
const LONGEST: usize = LONGEST_ARGUMENT + LONGEST_LINE;

/// The shortest argument: `$0`, and two line ends.
const SHORTEST_ARGUMENT: usize = 6;

/// What stands at the beginning of some bytes.
pub enum Parsed {
    /// A part of a command, which has at least so many bytes: it need not be looked at before they are there.
    Part { wanted: usize },
    /// A command of this length. Its arguments are where the caller wanted them; none is no command.
    Array(usize),
    /// An inline command and its length. Its words are copies, because escapes in them are resolved.
    Inline(Vec<Vec<u8>>, usize),
}

/// Why the bytes are no command. What follows them is lost: where it begins is not known.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    #[error("ERR Protocol error: too big inline request")]
    LongLine,
    #[error("ERR Protocol error: unbalanced quotes in request")]
    Quotes,
    #[error("ERR Protocol error: invalid multibulk length")]
    ArrayLength,
    #[error("ERR Protocol error: invalid bulk length")]
    BulkLength,
    #[error("ERR Protocol error: expected '$', got '{}'", .0.escape_ascii())]
    NoBulk(u8),
    #[error("ERR Protocol error: a bulk string does not end where it should")]
    BulkEnd,
    #[error("ERR Protocol error: too big request")]
    Long,
}

/// Reads the command at the beginning of `bytes`, which are not empty.
pub fn parse<'a>(bytes: &'a [u8], args: &mut Vec<&'a [u8]>) -> Result<Parsed, ProtocolError> {
    let parsed = if bytes[0] == b'*' { array(bytes, args)? } else { inline(bytes)? };
    match parsed {
        Parsed::Part { wanted } if wanted > LONGEST => Err(ProtocolError::Long),
        parsed => Ok(parsed),
    }
}

fn array<'a>(bytes: &'a [u8], args: &mut Vec<&'a [u8]>) -> Result<Parsed, ProtocolError> {
    args.clear();
    let Some((count, mut at)) = number(bytes, 1, ProtocolError::ArrayLength)? else {
        return Ok(Parsed::Part { wanted: bytes.len() + 1 });
    };
    // None at all, if it is negative.
    let count = usize::try_from(count).unwrap_or(0);
    if count > MOST_ARGUMENTS {
        return Err(ProtocolError::ArrayLength);
    }
    for left in (1..=count).rev() {
        let part = Parsed::Part { wanted: (at + left * SHORTEST_ARGUMENT).max(bytes.len() + 1) };
        match bytes.get(at) {
            None => return Ok(part),
            Some(b'$') => {}
            Some(other) => return Err(ProtocolError::NoBulk(*other)),
        }
        let Some((length, begin)) = number(bytes, at + 1, ProtocolError::BulkLength)? else { return Ok(part) };
        let length = usize::try_from(length).map_err(|_| ProtocolError::BulkLength)?;
        if length > LONGEST_ARGUMENT {
            return Err(ProtocolError::BulkLength);
        }
        let end = begin + length;
        let Some(after) = bytes.get(end..end + 2) else {
            return Ok(Parsed::Part { wanted: end + 2 + (left - 1) * SHORTEST_ARGUMENT });
        };
        if after != b"\r\n" {
            return Err(ProtocolError::BulkEnd);
        }
        args.push(&bytes[begin..end]);
        at = end + 2;
    }
    Ok(Parsed::Array(at))
}

/// The number between `at` and the end of its line, and where the next line begins.
fn number(bytes: &[u8], at: usize, malformed: ProtocolError) -> Result<Option<(i64, usize)>, ProtocolError> {
    // A sign and as many digits as there can be.
    let line = &bytes[at..bytes.len().min(at + 22)];
    match line.iter().position(|&byte| byte == b'\r') {
        None if line.len() == 22 => Err(malformed),
        None => Ok(None),
        Some(length) => match (parse_integer(&line[..length]), bytes.get(at + length + 1)) {
            (None, _) => Err(malformed),
            (_, Some(b'\n')) => Ok(parse_integer(&line[..length]).map(|number| (number, at + length + 2))),
            (_, None) => Ok(None),
            (_, Some(_)) => Err(malformed),
        },
    }
}

/// A number as Redis takes it: digits, with a minus before them or without.
pub fn parse_integer(bytes: &[u8]) -> Option<i64> {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    if !digits.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn inline(bytes: &[u8]) -> Result<Parsed, ProtocolError> {
    let line = &bytes[..bytes.len().min(LONGEST_LINE)];
    match line.iter().position(|&byte| byte == b'\n') {
        None if line.len() == LONGEST_LINE => Err(ProtocolError::LongLine),
        None => Ok(Parsed::Part { wanted: bytes.len() + 1 }),
        Some(end) => Ok(Parsed::Inline(words(&bytes[..end])?, end + 1)),
    }
}

/// The words of a line. Quotes keep blanks together; within double ones there are escapes.
fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while let [first, ..] = rest {
        let mut word = Vec::new();
        rest = match first {
            b'"' => double_quoted(&rest[1..], &mut word)?,
            b'\'' => single_quoted(&rest[1..], &mut word)?,
            _ => {
                let length = rest.iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
                word.extend_from_slice(&rest[..length]);
                &rest[length..]
            }
        };
        // Nothing may follow a quote at once.
        if rest.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
            return Err(ProtocolError::Quotes);
        }
        words.push(word);
        rest = rest.trim_ascii_start();
    }
    Ok(words)
}

/// Reads to the closing quote, and returns what follows it.
fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        let (byte, after) = match rest {
            [] => return Err(ProtocolError::Quotes),
            [b'"', after @ ..] => return Ok(after),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex(*high) << 4 | hex(*low), after)
            }
            [b'\\', escaped, after @ ..] => {
                let byte = match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                };
                (byte, after)
            }
            [byte, after @ ..] => (*byte, after),
        };
        word.push(byte);
        rest = after;
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        let (byte, after) = match rest {
            [] => return Err(ProtocolError::Quotes),
            [b'\'', after @ ..] => return Ok(after),
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [byte, after @ ..] => (*byte, after),
        };
        word.push(byte);
        rest = after;
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit.to_ascii_lowercase() - b'a' + 10,
    }
}
