//! The example `http` as its clients see it: curl, wrk, and raw sockets for what they would not send.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::common::example::{ANY, Example};
use crate::common::tool::Tool;
use crate::common::{LONG, pattern};

tests! {
    curl_gets_heads_and_keeps_its_connection needs "curl";
    curl_gets_its_bodies_back needs "curl";
    curl_comes_through_a_unix_socket needs "curl";
    wrk_sees_no_error needs "wrk";
    pipelined_requests_are_answered_in_their_order;
    requests_may_come_byte_by_byte;
    bad_requests_are_told_so_and_closed;
    a_chunk_that_goes_wrong_ends_its_answer;
    a_client_that_stops_sending_is_answered;
    connections_stay_and_end_as_their_clients_ask;
    a_client_waits_for_100_before_its_body;
    an_echo_that_is_not_read_stops_its_sender_and_nobody_else;
}

/// Nothing was cut, nothing is left, and no callback failed.
fn end(example: Example) {
    let counts = example.end();
    for key in ["open", "cut", "left", "errors"] {
        assert_eq!(counts[key], 0, "{key} in {counts:?}");
    }
}

fn http() -> Example {
    Example::of("http", ANY, 1)
}

fn connect(example: &Example) -> TcpStream {
    let stream = TcpStream::connect(&example.address).expect("a connection");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    stream.set_nodelay(true).expect("nodelay");
    stream
}

/// One answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    closes: bool,
    body: Vec<u8>,
}

/// The answer to a GET or POST at the beginning of `reader`.
fn answer(reader: &mut impl BufRead) -> Answer {
    let (status, headers) = head(reader);
    let mut body = Vec::new();
    if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        loop {
            let size = usize::from_str_radix(&line(reader), 16).expect("the size of a chunk");
            let begin = body.len();
            body.resize(begin + size, 0);
            reader.read_exact(&mut body[begin..]).expect("a chunk");
            assert_eq!(line(reader), "", "a chunk ends with its line");
            if size == 0 {
                break;
            }
        }
    } else {
        body.resize(headers["content-length"].parse().expect("a length"), 0);
        reader.read_exact(&mut body).expect("a body");
    }
    Answer { status, closes: headers.get("connection").is_some_and(|value| value == "close"), body }
}

fn head(reader: &mut impl BufRead) -> (u16, HashMap<String, String>) {
    let status = line(reader);
    let code = status.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
    let mut headers = HashMap::new();
    loop {
        let header = line(reader);
        let Some((name, value)) = header.split_once(": ") else { break };
        headers.insert(name.to_owned(), value.to_owned());
    }
    (code.unwrap_or_else(|| panic!("{status:?}")), headers)
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    line.strip_suffix("\r\n").unwrap_or_else(|| panic!("{line:?} is no whole line")).to_owned()
}

/// All that the server says to `request`, to the end of the connection.
fn last_words(example: &Example, request: &[u8]) -> String {
    let mut stream = connect(example);
    stream.write_all(request).expect("a request");
    String::from_utf8(crate::common::to_end(&mut stream)).expect("text")
}

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\nhello\n";

fn curl_gets_heads_and_keeps_its_connection() {
    let curl = Tool("curl");
    let example = http();
    let (root, unknown) = (format!("http://{}/", example.address), format!("http://{}/unknown", example.address));
    assert_eq!(curl.text(&["-sSi", &root], b""), HELLO);
    let head = curl.text(&["-sSI", &root], b"");
    assert_eq!(head, HELLO.strip_suffix("hello\n").expect("the body"));
    // A status and the number of new connections for each URL.
    let told = " %{http_code} %{num_connects}\n";
    let four = curl.text(&["-sS", "-w", told, &root, &root, &unknown, &root], b"");
    assert_eq!(four, "hello\n 200 1\nhello\n 200 0\nthere are / and /echo\n 404 0\nhello\n 200 0\n");
    let old = curl.text(&["-sS0", "-w", told, &root, &root], b"");
    assert_eq!(old, "hello\n 200 1\nhello\n 200 1\n");
    let allowed = curl.text(&["-sSi", "-X", "DELETE", &root], b"");
    assert!(allowed.starts_with("HTTP/1.1 405 Method Not Allowed\r\nallow: GET, HEAD\r\n"), "{allowed}");
    end(example);
}

fn curl_gets_its_bodies_back() {
    let curl = Tool("curl");
    let example = http();
    let url = format!("http://{}/echo", example.address);
    let large = pattern(3 << 20, 3);
    let known = curl.run(&["-sSf", "--data-binary", "@-", &url], &large);
    assert!(known == large, "{} bytes with Content-Length", known.len());
    let chunked = curl.run(&["-sSf", "-T", "-", "-H", "Transfer-Encoding: chunked", &url], &large);
    assert!(chunked == large, "{} bytes in chunks", chunked.len());
    // It waits a while for the 100 where it asks for one; this long would be a hang.
    let expect = ["-sSf", "--expect100-timeout", "60", "-H", "Expect: 100-continue", "--data-binary", "small", &url];
    assert_eq!(curl.run(&expect, b""), b"small");
    assert_eq!(curl.run(&["-sSf0", "--data-binary", "old", &url], b""), b"old");
    assert_eq!(curl.run(&["-sSf", "--data-binary", "", &url], b""), b"");
    end(example);
}

fn curl_comes_through_a_unix_socket() {
    let curl = Tool("curl");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let path = path.to_str().expect("a plain path");
    let example = Example::of("http", &format!("unix:{path}"), 2);
    assert_eq!(curl.run(&["-sSf", "http://host/", "--unix-socket", path], b""), b"hello\n");
    end(example);
}

fn wrk_sees_no_error() {
    let wrk = Tool("wrk");
    let example = http();
    let report = wrk.text(&["-t1", "-c32", "-d1", &format!("http://{}/", example.address)], b"");
    println!("{report}");
    assert!(!report.contains("Socket errors") && !report.contains("Non-2xx"), "{report}");
    let requests = report.lines().find_map(|line| line.trim().split_once(" requests in ")).expect("their number");
    assert!(requests.0.parse::<u64>().expect("a number") > 100, "{report}");
    end(example);
}

fn pipelined_requests_are_answered_in_their_order() {
    let example = http();
    let stream = connect(&example);
    let mut requests = Vec::new();
    for number in 0..1000 {
        match number % 4 {
            0 => requests.extend_from_slice(b"GET /?query HTTP/1.1\r\nHost: a\r\n\r\n"),
            1 => write!(requests, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n{number:04}")
                .expect("memory"),
            // Blank lines between requests are let pass.
            2 => requests.extend_from_slice(b"\r\nGET /no HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nGET"),
            _ => write!(
                requests,
                "POST http://a/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                 2;ext=1\r\n{:02}\r\n02\r\n{:02}\r\n0\r\nTrailer: x\r\n\r\n",
                number / 100,
                number % 100
            )
            .expect("memory"),
        }
    }
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    std::thread::scope(|scope| {
        scope.spawn(|| (&stream).write_all(&requests).expect("the requests"));
        for number in 0..1000 {
            let (status, body) = match number % 4 {
                0 => (200, b"hello\n".to_vec()),
                2 => (404, b"there are / and /echo\n".to_vec()),
                _ => (200, format!("{number:04}").into_bytes()),
            };
            assert_eq!(answer(&mut reader), Answer { status, closes: false, body }, "request {number}");
        }
    });
    drop((stream, reader));
    end(example);
}

fn requests_may_come_byte_by_byte() {
    let example = http();
    let mut stream = connect(&example);
    let request = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n\
                   GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let other = connect(&example);
    let mut others = BufReader::new(&other);
    for byte in request.as_bytes() {
        stream.write_all(std::slice::from_ref(byte)).expect("a byte");
        // The only poller has read it when it answers what came after.
        (&other).write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("a request");
        assert_eq!(answer(&mut others).status, 200);
    }
    let mut reader = BufReader::new(stream);
    assert_eq!(answer(&mut reader), Answer { status: 200, closes: false, body: b"hello".to_vec() });
    assert_eq!(answer(&mut reader), Answer { status: 200, closes: true, body: b"hello\n".to_vec() });
    assert_eq!(reader.read(&mut [0]).expect("the end"), 0);
    drop((reader, other));
    end(example);
}

fn bad_requests_are_told_so_and_closed() {
    let example = http();
    let longest = "a".repeat(20_000);
    let cases = [
        (400, "no HTTP at all\r\n\r\n".to_owned()),
        (400, "GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned()),
        (400, "\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n".to_owned()),
        (400, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n".to_owned()),
        (400, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na".to_owned()),
        (400, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned()),
        (400, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n".to_owned()),
        (
            400,
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                .to_owned(),
        ),
        (400, "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()),
        (400, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n".to_owned()),
        (501, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned()),
        (431, format!("GET /{longest} HTTP/1.1\r\nHost: a\r\n\r\n")),
        (431, format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(200))),
    ];
    for (status, request) in cases {
        // The request after it is not answered: where it begins is not known.
        let request = request + "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let words = last_words(&example, request.as_bytes());
        assert!(words.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {words}");
        assert!(words.contains("\r\nconnection: close\r\n"), "{request:?}: {words}");
        assert_eq!(words.matches("HTTP/1.1").count(), 1, "{request:?}: {words}");
    }
    end(example);
}

fn a_chunk_that_goes_wrong_ends_its_answer() {
    let example = http();
    let words = last_words(
        &example,
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
    );
    assert!(words.ends_with("\r\n\r\n3\r\nabc\r\n"), "no last chunk: {words}");
    end(example);
}

fn a_client_that_stops_sending_is_answered() {
    let example = http();
    for (request, status) in [("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200), ("GET / HTTP/1.1\r\nHo", 400)] {
        let mut stream = connect(&example);
        stream.write_all(request.as_bytes()).expect("a request");
        stream.shutdown(Shutdown::Write).expect("half a close");
        let words = String::from_utf8(crate::common::to_end(&mut stream)).expect("text");
        assert!(words.starts_with(&format!("HTTP/1.1 {status} ")), "{words}");
    }
    // One that says nothing hears nothing.
    let mut stream = connect(&example);
    stream.write_all(b"\r\n").expect("a blank line");
    stream.shutdown(Shutdown::Write).expect("half a close");
    assert_eq!(crate::common::to_end(&mut stream), b"");
    drop(stream);
    end(example);
}

fn connections_stay_and_end_as_their_clients_ask() {
    let example = http();
    let stays = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
        "HEAD /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    ];
    let ends = [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
        "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        // It does not wait for a body that is not wanted.
        "POST /no HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    ];
    for request in stays {
        let words = last_words(&example, format!("{request}GET / HTTP/1.0\r\n\r\n").as_bytes());
        assert_eq!(words.matches("HTTP/1.1").count(), 2, "{request:?}: {words}");
        assert_eq!(words.contains("connection: keep-alive"), request.contains("Keep-Alive"), "{request:?}: {words}");
    }
    for request in ends {
        let words = last_words(&example, format!("{request}GET / HTTP/1.0\r\n\r\n").as_bytes());
        assert_eq!(words.matches("HTTP/1.1").count(), 1, "{request:?}: {words}");
        assert_eq!(words.contains("\r\n\r\n{}"), request.ends_with("{}"), "{request:?}: {words}");
        assert!(words.contains("\r\nconnection: close\r\n"), "{request:?}: {words}");
    }
    end(example);
}

fn a_client_waits_for_100_before_its_body() {
    let example = http();
    let mut stream = connect(&example);
    let request = b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    stream.write_all(request).expect("a head");
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    assert_eq!(head(&mut reader).0, 100);
    stream.write_all(b"body").expect("a body");
    assert_eq!(answer(&mut reader), Answer { status: 200, closes: false, body: b"body".to_vec() });
    drop((stream, reader));
    end(example);
}

fn an_echo_that_is_not_read_stops_its_sender_and_nobody_else() {
    const BODY: usize = 256 << 20;
    let example = http();
    let mut stream = connect(&example);
    write!(stream, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY}\r\n\r\n").expect("a head");
    stream.set_write_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let piece = pattern(1 << 20, 9);
    let mut sent = 0;
    loop {
        // Where a piece stopped does not matter: its bytes follow from their place.
        match stream.write(&piece[sent % piece.len()..]) {
            Ok(count) => sent += count,
            Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        }
        assert!(sent < BODY, "the server takes everything");
    }
    assert!(example.memory() < 64 << 20, "{} bytes of memory, {sent} sent", example.memory());
    let mut other = connect(&example);
    other.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("a request");
    assert_eq!(answer(&mut BufReader::new(other)).status, 200);
    // And it goes on where it stopped.
    stream.set_write_timeout(Some(LONG)).expect("a timeout");
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    std::thread::scope(|scope| {
        let (piece, stream) = (&piece, &mut stream);
        scope.spawn(move || {
            while sent < BODY {
                let rest = &piece[sent % piece.len()..];
                sent += stream.write(&rest[..rest.len().min(BODY - sent)]).expect("room");
            }
        });
        assert_eq!(head(&mut reader).0, 200);
        let mut back = vec![0; piece.len()];
        for at in 0..BODY / piece.len() {
            reader.read_exact(&mut back).expect("the echo");
            assert!(back == *piece, "MiB {at} differs");
        }
    });
    drop((stream, reader));
    end(example);
}
