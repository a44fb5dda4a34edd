//! The head of a request: from bytes to what its answer depends on. Pure.

use std::str;

use httparse::{EMPTY_HEADER, Error, Header, Request, Status};

/// The longest head, in bytes, and the most headers in it.
const LONGEST: usize = 16 * 1024;
const MOST: usize = 100;

/// What stands at the beginning of some bytes.
pub enum Parsed<'a> {
    /// No request: nothing, or blank lines.
    Nothing { blank: usize },
    /// A part of a head.
    Part,
    /// A head and its length.
    Head(Head<'a>, usize),
}

/// What there is to know about a request before its body.
pub struct Head<'a> {
    pub method: &'a str,
    /// Without the query.
    pub path: &'a str,
    /// 0 or 1, of HTTP/1.
    pub version: u8,
    pub keep_alive: bool,
    pub expects_continue: bool,
    pub length: Length,
}

/// How long a body is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Length {
    Known(u64),
    Chunked,
}

/// Why a request is refused. Its connection ends, because where the next request begins is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("that is not HTTP/1")]
    Malformed,
    #[error("the request ends too early")]
    Truncated,
    #[error("the head is too large")]
    TooLarge,
    #[error("exactly one Host is needed")]
    Host,
    #[error("the length of the body is not clear")]
    Length,
    #[error("the body is not chunked as it should be")]
    Chunk,
    #[error("no transfer coding but chunked is known here")]
    Coding,
}

/// Reads the head at the beginning of `bytes`. `last`: nothing will follow them.
pub fn parse(bytes: &[u8], last: bool) -> Result<Parsed<'_>, Refusal> {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    if blank == bytes.len() {
        return Ok(Parsed::Nothing { blank });
    }
    let mut headers = [EMPTY_HEADER; MOST];
    let mut request = Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(Status::Complete(length)) if length <= LONGEST => understand(request).map(|head| Parsed::Head(head, length)),
        Ok(Status::Partial) if bytes.len() < LONGEST && last => Err(Refusal::Truncated),
        Ok(Status::Partial) if bytes.len() < LONGEST => Ok(Parsed::Part),
        Ok(_) | Err(Error::TooManyHeaders) => Err(Refusal::TooLarge),
        Err(_) => Err(Refusal::Malformed),
    }
}

fn understand<'a>(request: Request<'_, 'a>) -> Result<Head<'a>, Refusal> {
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(Refusal::Malformed);
    };
    let headers = &*request.headers;
    let hosts = values(headers, "host").count();
    if hosts > 1 || (hosts == 0 && version == 1) {
        return Err(Refusal::Host);
    }
    let keep_alive = if version == 1 {
        !has_token(headers, "connection", "close")
    } else {
        has_token(headers, "connection", "keep-alive") && !has_token(headers, "connection", "close")
    };
    let length = length(headers, version)?;
    let expects_continue = version == 1 && length != Length::Known(0) && has_token(headers, "expect", "100-continue");
    Ok(Head { method, path: path(target), version, keep_alive, expects_continue, length })
}

/// The length of the body. What two readers could read in two ways is refused: that is how requests are
/// smuggled past a proxy.
fn length(headers: &[Header<'_>], version: u8) -> Result<Length, Refusal> {
    let mut codings = values(headers, "transfer-encoding").flat_map(list);
    let mut lengths = values(headers, "content-length").flat_map(list);
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(Length::Known(0)),
        (None, Some(first)) => {
            // Digits alone: `parse` would take a sign too.
            let digits = first.bytes().all(|byte| byte.is_ascii_digit());
            if !digits || lengths.any(|other| other != first) {
                return Err(Refusal::Length);
            }
            first.parse().map(Length::Known).map_err(|_| Refusal::Length)
        }
        (Some(coding), None) if version == 1 => {
            let chunked = coding.eq_ignore_ascii_case("chunked") && codings.next().is_none();
            if chunked { Ok(Length::Chunked) } else { Err(Refusal::Coding) }
        }
        (Some(_), _) => Err(Refusal::Length),
    }
}

/// The path within a request's target, which may be a whole URL.
fn path(target: &str) -> &str {
    let path = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => rest.find(['/', '?']).map_or("/", |at| &rest[at..]),
        _ => target,
    };
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    if path.is_empty() { "/" } else { path }
}

/// The values of all headers of this name. One that is not text is as good as an empty one: no token and no
/// number.
fn values<'a>(headers: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
    named.map(|header| str::from_utf8(header.value).unwrap_or_default())
}

/// The elements of a value that is a list.
fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim)
}

fn has_token(headers: &[Header<'_>], name: &str, token: &str) -> bool {
    values(headers, name).flat_map(list).any(|one| one.eq_ignore_ascii_case(token))
}
