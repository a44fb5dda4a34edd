//! The example `resp` as its clients see it: redis-cli, redis-benchmark, and raw sockets for what they would not send.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::common::example::{ANY, Example};
use crate::common::tool::Tool;
use crate::common::{LONG, pattern, to_end};

tests! {
    redis_cli_gets_its_replies needs "redis-cli";
    redis_cli_comes_through_a_unix_socket needs "redis-cli";
    redis_benchmark_finishes_one_by_one needs "redis-benchmark";
    redis_benchmark_finishes_in_pipelines needs "redis-benchmark";
    pipelines_and_inline_commands_are_answered_in_their_order;
    commands_may_come_byte_by_byte;
    a_value_may_be_larger_than_what_is_read_ahead;
    what_is_no_command_is_told_so_and_closed;
    quit_and_the_end_of_a_stream_are_answered;
    replies_that_are_not_read_stop_their_client_and_nobody_else;
    clients_share_one_store;
}

/// Nothing was cut, nothing is left, and no callback failed.
fn end(example: Example) {
    let counts = example.end();
    for key in ["open", "cut", "left", "errors"] {
        assert_eq!(counts[key], 0, "{key} in {counts:?}");
    }
}

fn resp(pollers: usize) -> Example {
    Example::of("resp", ANY, pollers)
}

fn connect(example: &Example) -> TcpStream {
    let stream = TcpStream::connect(&example.address).expect("a connection");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    stream.set_nodelay(true).expect("nodelay");
    stream
}

/// Sends `request` and expects exactly `reply`.
fn ask(mut stream: &TcpStream, request: &[u8], reply: &[u8]) {
    stream.write_all(request).expect("a request");
    let mut back = vec![0; reply.len()];
    stream.read_exact(&mut back).expect("a reply");
    let (request, back, reply) = (request.escape_ascii(), back.escape_ascii(), reply.escape_ascii());
    assert_eq!(back.to_string(), reply.to_string(), "{request}");
}

fn port(example: &Example) -> &str {
    example.address.rsplit_once(':').expect("a port").1
}

/// Commands as one types them, and what redis-cli shows.
const DIALOGUE: &[(&str, &str)] = &[
    ("PING", "PONG"),
    ("ping \"hello world\"", "\"hello world\""),
    ("ECHO text", "\"text\""),
    ("GET text", "(nil)"),
    ("SET text one", "OK"),
    ("SET text two NX", "(nil)"),
    ("SET other two XX", "(nil)"),
    ("GET text", "\"one\""),
    ("SET text \"a\\r\\n\\x00b\"", "OK"),
    ("GET text", "\"a\\r\\n\\x00b\""),
    ("MSET a 1 b 2", "OK"),
    ("MSET a 1 b", "(error) ERR wrong number of arguments for 'mset' command"),
    ("MGET a nothing b", "1) \"1\"\n2) (nil)\n3) \"2\""),
    ("INCR a", "(integer) 2"),
    ("INCR new", "(integer) 1"),
    ("INCR text", "(error) ERR value is not an integer or out of range"),
    ("SET most 9223372036854775807", "OK"),
    ("INCR most", "(error) ERR increment or decrement would overflow"),
    ("EXISTS a b a nothing", "(integer) 3"),
    ("DEL a b nothing", "(integer) 2"),
    ("EXISTS a", "(integer) 0"),
    ("RPUSH list 1 2 3", "(integer) 3"),
    ("LPUSH list 0 -1", "(integer) 5"),
    ("LRANGE list 0 -1", "1) \"-1\"\n2) \"0\"\n3) \"1\"\n4) \"2\"\n5) \"3\""),
    ("LRANGE list -2 100", "1) \"2\"\n2) \"3\""),
    ("LRANGE list 3 1", "(empty array)"),
    ("LRANGE list -100 -5", "1) \"-1\""),
    ("LRANGE list 9223372036854775807 -9223372036854775808", "(empty array)"),
    ("LRANGE list one 2", "(error) ERR value is not an integer or out of range"),
    ("LLEN list", "(integer) 5"),
    ("LPOP list", "\"-1\""),
    ("RPOP list", "\"3\""),
    ("LPOP list 2", "1) \"0\"\n2) \"1\""),
    ("RPOP list -1", "(error) ERR value is out of range, must be positive"),
    ("RPOP list", "\"2\""),
    ("RPOP list", "(nil)"),
    ("RPOP list 2", "(nil)"),
    ("EXISTS list", "(integer) 0"),
    ("SADD set x y x", "(integer) 2"),
    ("SADD set y", "(integer) 0"),
    ("SCARD set", "(integer) 2"),
    ("TYPE set", "set"),
    ("GET set", "(error) WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("LPUSH set x", "(error) WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("HGET set x", "(error) WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("MGET set", "1) (nil)"),
    ("DEL set", "(integer) 1"),
    ("SADD one x", "(integer) 1"),
    ("SPOP one", "\"x\""),
    ("SPOP one", "(nil)"),
    ("SPOP one 2", "(empty array)"),
    ("HSET hash f 1 g 2", "(integer) 2"),
    ("HSET hash f 3", "(integer) 0"),
    ("HSET hash f 3 g", "(error) ERR wrong number of arguments for 'hset' command"),
    ("HGET hash f", "\"3\""),
    ("HGET hash h", "(nil)"),
    ("HSET small f v", "(integer) 1"),
    ("HGETALL small", "1) \"f\"\n2) \"v\""),
    ("ZADD sorted 2 b 1.5 a 10 c", "(integer) 3"),
    ("ZADD sorted 0 c nan d", "(error) ERR value is not a valid float"),
    ("ZADD sorted 0 c", "(integer) 0"),
    ("ZCARD sorted", "(integer) 3"),
    ("ZPOPMIN sorted", "1) \"c\"\n2) \"0\""),
    ("ZPOPMIN sorted 5", "1) \"a\"\n2) \"1.5\"\n3) \"b\"\n4) \"2\""),
    ("TYPE sorted", "none"),
    ("CONFIG GET save", "1) \"save\"\n2) \"\""),
    ("CONFIG GET *", "1) \"save\"\n2) \"\"\n3) \"appendonly\"\n4) \"no\""),
    ("CONFIG GET nothing", "(empty array)"),
    ("COMMAND COUNT", "(integer) 31"),
    ("SELECT 0", "OK"),
    ("SELECT 1", "(error) ERR DB index is out of range"),
    ("GET", "(error) ERR wrong number of arguments for 'get' command"),
    ("GET a b", "(error) ERR wrong number of arguments for 'get' command"),
    ("NOTHING a", "(error) ERR unknown command 'NOTHING'"),
    ("DBSIZE", "(integer) 5"),
    ("FLUSHALL", "OK"),
    ("DBSIZE", "(integer) 0"),
];

fn redis_cli_gets_its_replies() {
    let cli = Tool("redis-cli");
    let example = resp(1);
    let (typed, shown): (Vec<_>, Vec<_>) = DIALOGUE.iter().copied().unzip();
    let script = typed.join("\n") + "\n";
    let told = cli.text(&["--no-raw", "-p", port(&example)], script.as_bytes());
    // Line by line, so that the first one that differs is shown with its command.
    let mut lines = told.lines();
    for (typed, shown) in typed.iter().zip(shown) {
        for expected in shown.lines() {
            assert_eq!(lines.next(), Some(expected), "{typed}");
        }
    }
    assert_eq!(lines.next(), None);
    let commands = cli.text(&["-p", port(&example), "COMMAND"], b"");
    assert!(commands.contains("get\n2\n"), "{commands}");
    end(example);
}

fn redis_cli_comes_through_a_unix_socket() {
    let cli = Tool("redis-cli");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let path = path.to_str().expect("a plain path");
    let example = Example::of("resp", &format!("unix:{path}"), 2);
    assert_eq!(cli.text(&["-s", path, "-x", "SET", "key"], b"value"), "OK\n");
    assert_eq!(cli.text(&["-s", path, "GET", "key"], b""), "value\n");
    end(example);
}

/// The default tests of redis-benchmark.
const TESTS: [&str; 20] = [
    "PING_INLINE",
    "PING_MBULK",
    "SET",
    "GET",
    "INCR",
    "LPUSH",
    "RPUSH",
    "LPOP",
    "RPOP",
    "SADD",
    "HSET",
    "SPOP",
    "ZADD",
    "ZPOPMIN",
    "LPUSH (needed to benchmark LRANGE)",
    "LRANGE_100 (first 100 elements)",
    "LRANGE_300 (first 300 elements)",
    "LRANGE_500 (first 500 elements)",
    "LRANGE_600 (first 600 elements)",
    "MSET (10 keys)",
];

fn benchmark(pollers: usize, args: &[&str]) {
    let benchmark = Tool("redis-benchmark");
    let example = resp(pollers);
    let report = benchmark.text(&[&["-p", port(&example), "-q", "-n", "2000"], args].concat(), b"");
    println!("{report}");
    // Progress is shown on the same line.
    let ends: Vec<_> =
        report.lines().filter_map(|line| line.rsplit('\r').find(|part| !part.trim().is_empty())).collect();
    let tests: Vec<_> = ends.iter().filter_map(|end| end.trim().split_once(": ")).collect();
    assert_eq!(tests.iter().map(|(name, _)| *name).collect::<Vec<_>>(), TESTS, "{report}");
    for (name, result) in tests {
        let rate = result.split_once(" requests per second").and_then(|(rate, _)| rate.parse::<f64>().ok());
        assert!(rate.is_some_and(|rate| rate > 0.0), "{name}: {result}");
    }
    end(example);
}

fn redis_benchmark_finishes_one_by_one() {
    benchmark(1, &["-P", "1"]);
}

fn redis_benchmark_finishes_in_pipelines() {
    benchmark(2, &["-P", "16", "-r", "1000"]);
}

fn pipelines_and_inline_commands_are_answered_in_their_order() {
    let example = resp(1);
    let stream = connect(&example);
    ask(&stream, b"PING\r\n*1\r\n$4\r\nping\r\nECHO x\n\r\n*0\r\n*-1\r\n", b"+PONG\r\n+PONG\r\n$1\r\nx\r\n");
    ask(&stream, b"ECHO \"a b\\x41\\n\\\"\"\r\nECHO 'it\\'s'\r\n", b"$6\r\na bA\n\"\r\n$4\r\nit's\r\n");
    // More of them than one read takes.
    let (mut requests, mut replies) = (Vec::new(), Vec::new());
    for number in 0..20_000 {
        requests.extend_from_slice(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n");
        write!(replies, ":{}\r\n", number + 1).expect("memory");
    }
    std::thread::scope(|scope| {
        scope.spawn(|| (&stream).write_all(&requests).expect("the requests"));
        ask(&stream, b"", &replies);
    });
    drop(stream);
    end(example);
}

fn commands_may_come_byte_by_byte() {
    let example = resp(1);
    let mut stream = connect(&example);
    let requests = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$12\r\nhello\r\nworld\r\n*2\r\n$3\r\nGET\r\n$3\r\nkey\r\nping\r\n";
    let other = connect(&example);
    for byte in requests {
        stream.write_all(std::slice::from_ref(byte)).expect("a byte");
        // The only poller has read it when it answers what came after.
        ask(&other, b"PING\r\n", b"+PONG\r\n");
    }
    ask(&stream, b"", b"+OK\r\n$12\r\nhello\r\nworld\r\n+PONG\r\n");
    drop((stream, other));
    end(example);
}

fn a_value_may_be_larger_than_what_is_read_ahead() {
    let example = resp(1);
    let stream = connect(&example);
    let value = pattern(20 << 20, 5);
    let bulk = [format!("${}\r\n", value.len()).as_bytes(), &value, b"\r\n"].concat();
    ask(&stream, &[b"*3\r\n$3\r\nSET\r\n$1\r\nv\r\n", bulk.as_slice()].concat(), b"+OK\r\n");
    (&stream).write_all(b"GET v\r\n").expect("a request");
    let mut back = vec![0; bulk.len()];
    (&stream).read_exact(&mut back).expect("a reply");
    assert!(back == bulk, "the value differs");
    drop(stream);
    end(example);
}

fn what_is_no_command_is_told_so_and_closed() {
    let example = resp(1);
    let long = vec![b'a'; 70_000];
    let cases: [(&[u8], &str); 10] = [
        (b"*x\r\n", "invalid multibulk length"),
        (b"*1048577\r\n", "invalid multibulk length"),
        (b"*1111111111111111111111111111\r\n", "invalid multibulk length"),
        (b"*1\r\n+PING\r\n", "expected '$', got '+'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$1000000000\r\n", "invalid bulk length"),
        (b"*20000\r\n$536870912\r\n", "too big request"),
        (b"*1\r\n$4\r\nPINGPING\r\n", "a bulk string does not end where it should"),
        (b"ECHO \"open\r\n", "unbalanced quotes in request"),
        (&long, "too big inline request"),
    ];
    for (bytes, error) in cases {
        let mut stream = connect(&example);
        // What came before is answered, what follows is not.
        stream.write_all(&[b"PING\r\n", bytes, b"\r\nPING\r\n"].concat()).expect("a request");
        let replies = String::from_utf8(to_end(&mut stream)).expect("text");
        assert_eq!(replies, format!("+PONG\r\n-ERR Protocol error: {error}\r\n"), "{}", bytes.escape_ascii());
    }
    end(example);
}

fn quit_and_the_end_of_a_stream_are_answered() {
    let example = resp(1);
    let mut stream = connect(&example);
    stream.write_all(b"QUIT\r\nPING\r\n").expect("a request");
    assert_eq!(to_end(&mut stream), b"+OK\r\n");
    let mut stream = connect(&example);
    stream.write_all(b"PING\r\nPIN").expect("a request and a half");
    stream.shutdown(Shutdown::Write).expect("half a close");
    assert_eq!(to_end(&mut stream), b"+PONG\r\n");
    drop(stream);
    end(example);
}

fn replies_that_are_not_read_stop_their_client_and_nobody_else() {
    let example = resp(1);
    let mut stream = connect(&example);
    let value = pattern(100_000, 8);
    let bulk = [format!("${}\r\n", value.len()).as_bytes(), &value, b"\r\n"].concat();
    ask(&stream, &[b"*3\r\n$3\r\nSET\r\n$1\r\nv\r\n", bulk.as_slice()].concat(), b"+OK\r\n");
    // Each of these bytes asks for 15 KB.
    stream.set_write_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let gets = b"GET v\r\n".repeat(10_000);
    let mut sent = 0;
    loop {
        match stream.write(&gets[sent % gets.len()..]) {
            Ok(count) => sent += count,
            Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        }
        assert!(sent < 256 << 20, "the server takes everything");
    }
    assert!(example.memory() < 64 << 20, "{} bytes of memory for {sent} bytes", example.memory());
    ask(&connect(&example), b"PING\r\n", b"+PONG\r\n");
    // It goes on where it stopped.
    let mut back = vec![0; bulk.len()];
    for _ in 0..1000 {
        stream.read_exact(&mut back).expect("a reply");
        assert!(back == bulk, "a reply differs");
    }
    drop(stream);
    end(example);
}

fn clients_share_one_store() {
    const EACH: usize = 500;
    let example = resp(2);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut stream = connect(&example);
                stream.write_all(&b"INCR n\r\n".repeat(EACH)).expect("requests");
                stream.shutdown(Shutdown::Write).expect("half a close");
                assert_eq!(to_end(&mut stream).iter().filter(|byte| **byte == b':').count(), EACH);
            });
        }
    });
    ask(&connect(&example), b"GET n\r\n", b"$4\r\n4000\r\n");
    end(example);
}
