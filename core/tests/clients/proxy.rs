//! The proxy example as a process: bytes, ends and resets in both directions, and a side that does not read.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::common::crowd::{self, End};
use crate::common::example::{ANY, Example, assert_clean};
use crate::common::tool::Tool;
use crate::common::{LONG, pattern, ping, to_end, wait_until};
use nix::sys::socket::{setsockopt, sockopt::Linger};

tests! {
    both_directions_carry_many_bytes_at_once_and_their_ends_follow;
    unix_sockets_are_proxied_as_well;
    either_side_may_end_first_and_the_other_direction_goes_on;
    an_end_with_nothing_before_it_is_passed_on;
    a_reset_of_either_side_closes_the_other_and_no_other_pair;
    an_upstream_that_refuses_closes_the_client_and_the_proxy_goes_on;
    a_side_that_does_not_read_stops_the_other_and_costs_little_memory;
    a_side_that_does_not_read_can_still_send;
    a_receiver_that_goes_away_closes_a_sender_that_waits_for_it;
    what_a_client_sent_before_it_left_arrives;
    two_thousand_clients_get_their_own_bytes_back;
    clients_that_reset_leave_nothing_behind;
    curl_talks_to_an_http_server_behind_it needs "curl";
}

const MIB: usize = 1 << 20;
const MANY: usize = 16 * MIB;

fn timed(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    stream.set_nodelay(true).expect("nodelay");
    stream
}

fn client(proxy: &Example) -> TcpStream {
    timed(TcpStream::connect(&proxy.address).expect("a connection"))
}

/// The counts are as expected, and nothing went wrong or is left.
fn assert_counts(counts: &HashMap<String, i64>, expected: &[(&str, i64)]) {
    for (key, value) in expected {
        assert_eq!(counts[*key], *value, "{key} in {counts:?}");
    }
    for key in ["errors", "open", "cut", "left"] {
        assert_eq!(counts[key], 0, "{key} in {counts:?}");
    }
}

/// A proxy of `upstream`.
fn proxy_of(upstream: &str) -> Example {
    Example::start_named("proxy", &[ANY, upstream])
}

/// A proxy, and where its upstream's connections come in.
fn proxied() -> (Example, TcpListener) {
    let upstream = TcpListener::bind(ANY).expect("a port");
    let address = upstream.local_addr().expect("an address").to_string();
    (proxy_of(&address), upstream)
}

/// A client, and its connection at the upstream.
fn pair(proxy: &Example, upstream: &TcpListener) -> (TcpStream, TcpStream) {
    let client = client(proxy);
    (client, timed(upstream.accept().expect("it dials").0))
}

/// Resets the connection.
fn reset(stream: TcpStream) {
    setsockopt(&stream, Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 }).expect("linger");
}

/// Sends `bytes` in pieces of many sizes, and the end.
fn send_all(stream: &mut (impl Write + Send), bytes: &[u8]) {
    let mut rest = bytes;
    for size in (1..).map(|n: usize| n * n) {
        let (piece, later) = rest.split_at(size.min(rest.len()));
        stream.write_all(piece).expect("a write");
        rest = later;
        if rest.is_empty() {
            return;
        }
    }
}

fn assert_same(got: &[u8], sent: &[u8]) {
    assert_eq!(got.len(), sent.len());
    assert!(got == sent, "the bytes differ");
}

/// SPEC: E4, E5, O6
fn both_directions_carry_many_bytes_at_once_and_their_ends_follow() {
    let (proxy, upstream) = proxied();
    let (client, server) = pair(&proxy, &upstream);
    let (up, down) = (pattern(MANY, 7), pattern(MANY + 1, 8));
    std::thread::scope(|scope| {
        for (stream, bytes) in [(&client, &up), (&server, &down)] {
            scope.spawn(move || {
                send_all(&mut &*stream, bytes);
                stream.shutdown(Shutdown::Write).expect("a half-close");
            });
        }
        let got = scope.spawn(|| to_end(&mut &server));
        assert_same(&to_end(&mut &client), &down);
        assert_same(&got.join().expect("no panic"), &up);
    });
    drop((client, server));
    let (up, down) = (MANY as i64, MANY as i64 + 1);
    assert_counts(
        &proxy.end(),
        &[("accepted", 1), ("dialed", 1), ("up", up), ("down", down), ("ends", 2), ("closed", 0)],
    );
}

/// SPEC: E4, E5
fn unix_sockets_are_proxied_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let (here, there) = (folder.path().join("proxy"), folder.path().join("upstream"));
    let [listen, upstream] = [&here, &there].map(|path| format!("unix:{}", path.display()));
    let echo = Example::of("echo", &upstream, 1);
    let proxy = Example::start_named("proxy", &[&listen, &upstream]);
    let stream = UnixStream::connect(&here).expect("a connection");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    let bytes = pattern(MANY, 7);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            send_all(&mut &stream, &bytes);
            stream.shutdown(Shutdown::Write).expect("a half-close");
        });
        assert_same(&to_end(&mut &stream), &bytes);
    });
    drop(stream);
    assert_counts(&proxy.end(), &[("up", MANY as i64), ("down", MANY as i64), ("ends", 2), ("closed", 0)]);
    assert_clean(&echo.end(), 1);
    assert!(!here.exists() && !there.exists(), "the sockets' paths are removed");
}

/// SPEC: E4, E5
fn either_side_may_end_first_and_the_other_direction_goes_on() {
    let (proxy, upstream) = proxied();
    for client_first in [true, false] {
        let (client, server) = pair(&proxy, &upstream);
        let (mut first, mut second) = if client_first { (client, server) } else { (server, client) };
        first.write_all(b"the last of it").expect("a write");
        first.shutdown(Shutdown::Write).expect("a half-close");
        assert_eq!(to_end(&mut second), b"the last of it");
        // Long after its end, the first still hears of the second.
        for word in [&b"one"[..], b"two", b"three"] {
            second.write_all(word).expect("a write");
            let mut heard = vec![0; word.len()];
            first.read_exact(&mut heard).expect("a word");
            assert_eq!(heard, word);
        }
        second.write_all(b"goodbye").expect("a write");
        second.shutdown(Shutdown::Write).expect("a half-close");
        assert_eq!(to_end(&mut first), b"goodbye");
    }
    assert_counts(&proxy.end(), &[("dialed", 2), ("up", 32), ("down", 32), ("ends", 4), ("closed", 0)]);
}

/// SPEC: E4
fn an_end_with_nothing_before_it_is_passed_on() {
    let (proxy, upstream) = proxied();
    let (mut client, mut server) = pair(&proxy, &upstream);
    client.shutdown(Shutdown::Write).expect("a half-close");
    assert!(to_end(&mut server).is_empty());
    proxy.assert_sleeps("one stream has ended");
    server.write_all(b"you said nothing").expect("a write");
    server.shutdown(Shutdown::Write).expect("a half-close");
    assert_eq!(to_end(&mut client), b"you said nothing");
    assert_counts(&proxy.end(), &[("up", 0), ("ends", 2), ("closed", 0)]);
}

/// SPEC: E2, E4
fn a_reset_of_either_side_closes_the_other_and_no_other_pair() {
    let (proxy, upstream) = proxied();
    let (mut bystander, mut at_upstream) = pair(&proxy, &upstream);
    for client_resets in [true, false] {
        let (client, server) = pair(&proxy, &upstream);
        let (mut resets, mut other) = if client_resets { (client, server) } else { (server, client) };
        resets.write_all(b"half a requ").expect("a write");
        let mut half = [0; 11];
        other.read_exact(&mut half).expect("what it sent before");
        reset(resets);
        match other.read(&mut half) {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        // It is over in both directions, and not only half-closed.
        wait_until("what it sends is still taken", || other.write(b"more").is_err());
    }
    bystander.write_all(b"still here").expect("a write");
    let mut heard = [0; 10];
    at_upstream.read_exact(&mut heard).expect("a word");
    at_upstream.write_all(&heard).expect("a write");
    bystander.read_exact(&mut heard).expect("a word");
    assert_eq!(&heard, b"still here");
    drop((bystander, at_upstream));
    assert_counts(&proxy.end(), &[("dialed", 3), ("ends", 2)]);
}

/// SPEC: H1
fn an_upstream_that_refuses_closes_the_client_and_the_proxy_goes_on() {
    let (proxy, upstream) = proxied();
    let address = upstream.local_addr().expect("an address");
    drop(upstream);
    for _ in 0..3 {
        assert!(to_end(&mut client(&proxy)).is_empty(), "nobody is there");
    }
    let upstream = TcpListener::bind(address).expect("the same port");
    let (mut client, mut server) = pair(&proxy, &upstream);
    server.write_all(b"welcome").expect("a write");
    let mut heard = [0; 7];
    client.read_exact(&mut heard).expect("the upstream speaks first");
    assert_eq!(&heard, b"welcome");
    drop((client, server));
    assert_counts(&proxy.end(), &[("accepted", 4), ("refused", 3), ("dialed", 1), ("down", 7)]);
}

/// `sender` sends as much as the proxy takes while `receiver` does not read; then everything arrives.
fn stalls(proxy: &Example, mut sender: TcpStream, mut receiver: TcpStream) {
    // What the kernel takes on all four sockets is less, as is what the proxy keeps.
    const MOST: usize = 64 * MIB;
    let block = pattern(MIB, 3);
    let before = proxy.memory();
    // Without progress for so long it is stalled; were it only slow, the test would see less.
    sender.set_write_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    let mut sent = 0;
    loop {
        match sender.write(&block[sent % block.len()..]) {
            Ok(count) => sent += count,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                break;
            }
        }
        assert!(sent < MOST, "nothing stops a sender whose bytes nobody reads");
    }
    let kept = proxy.memory().saturating_sub(before);
    assert!(kept < 4 * MIB as u64, "the proxy keeps {kept} bytes");
    proxy.assert_sleeps("one side does not read");
    sender.shutdown(Shutdown::Write).expect("a half-close");
    let all = to_end(&mut receiver);
    assert_eq!(all.len(), sent);
    assert!(all.chunks(block.len()).all(|part| part == &block[..part.len()]), "the bytes differ");
    receiver.shutdown(Shutdown::Write).expect("a half-close");
    assert!(to_end(&mut sender).is_empty());
}

/// SPEC: O6, N6
fn a_side_that_does_not_read_stops_the_other_and_costs_little_memory() {
    let (proxy, upstream) = proxied();
    let (mut bystander, mut at_upstream) = pair(&proxy, &upstream);
    let (client, server) = pair(&proxy, &upstream);
    stalls(&proxy, client, server);
    let (client, server) = pair(&proxy, &upstream);
    stalls(&proxy, server, client);
    // The others do not notice.
    let echo = std::thread::spawn(move || {
        let mut word = [0; 4];
        at_upstream.read_exact(&mut word).expect("a word");
        at_upstream.write_all(&word).expect("a write");
    });
    ping(&mut bystander, b"ping");
    echo.join().expect("no panic");
    drop(bystander);
    assert_counts(&proxy.end(), &[("dialed", 3), ("ends", 6), ("closed", 0)]);
}

/// SPEC: O6
fn a_side_that_does_not_read_can_still_send() {
    let (proxy, upstream) = proxied();
    let (mut client, mut server) = pair(&proxy, &upstream);
    // The client reads nothing of it; the upstream is stalled, and reads.
    server.set_write_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    while server.write(&[0; 1 << 16]).is_ok() {}
    let bytes = pattern(MANY, 5);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            send_all(&mut client, &bytes);
            client.shutdown(Shutdown::Write).expect("a half-close");
        });
        assert_same(&to_end(&mut server), &bytes);
    });
    server.shutdown(Shutdown::Write).expect("a half-close");
    let _ = to_end(&mut client);
    assert_counts(&proxy.end(), &[("up", MANY as i64), ("ends", 2), ("closed", 0)]);
}

/// SPEC: O6, L1
fn a_receiver_that_goes_away_closes_a_sender_that_waits_for_it() {
    let (proxy, upstream) = proxied();
    let (mut client, server) = pair(&proxy, &upstream);
    client.set_write_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    while client.write(&[0; 1 << 16]).is_ok() {}
    // Its close with bytes unread is a reset, while the proxy does not read the client.
    drop(server);
    let end = client.read(&mut [0; 1]);
    assert!(matches!(end, Ok(0)) || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    drop(client);
    assert_counts(&proxy.end(), &[("dialed", 1), ("ends", 0)]);
}

/// SPEC: E4, E5
fn what_a_client_sent_before_it_left_arrives() {
    let (proxy, upstream) = proxied();
    let bytes = pattern(MANY, 9);
    let (mut client, mut server) = pair(&proxy, &upstream);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            client.write_all(&bytes).expect("a write");
            drop(client);
        });
        assert_same(&to_end(&mut server), &bytes);
    });
    drop(server);
    assert_counts(&proxy.end(), &[("up", MANY as i64), ("closed", 0)]);
}

/// SPEC: E4, E5, O6
fn two_thousand_clients_get_their_own_bytes_back() {
    const CLIENTS: usize = 2000;
    let echo = Example::start(2);
    let proxy = Example::start_named("proxy", &[ANY, &echo.address, "2"]);
    let wrong = crowd::run(&proxy.address, End::HalfClose, CLIENTS, 64 * 1024);
    assert!(wrong.is_empty(), "{} clients: {:?}", wrong.len(), &wrong[..wrong.len().min(5)]);
    let count = CLIENTS as i64;
    let counts = proxy.end();
    assert_counts(&counts, &[("accepted", count), ("dialed", count), ("ends", 2 * count), ("closed", 0)]);
    assert_clean(&echo.end(), count);
}

/// SPEC: E4
fn clients_that_reset_leave_nothing_behind() {
    let echo = Example::start(2);
    let proxy = Example::start_named("proxy", &[ANY, &echo.address, "2"]);
    for end in [End::Reset, End::CloseUnread] {
        let wrong = crowd::run(&proxy.address, end, 200, MIB);
        assert!(wrong.is_empty(), "{wrong:?}");
    }
    assert_counts(&proxy.end(), &[("accepted", 400), ("dialed", 400)]);
    let counts = echo.end();
    assert_eq!((counts["accepted"], counts["on_close"], counts["open"]), (400, 400, 0), "{counts:?}");
}

/// SPEC: E4, E5
fn curl_talks_to_an_http_server_behind_it() {
    let curl = Tool("curl");
    let http = Example::of("http", ANY, 1);
    let proxy = proxy_of(&http.address);
    let url = |path| format!("http://{}{path}", proxy.address);
    let (root, echo) = (url("/"), url("/echo"));
    assert_eq!(curl.text(&["-sS", "-o", "/dev/null", "-w", "%{http_code}", &root], b""), "200");
    let body = pattern(3 * MIB, 4);
    assert_same(&curl.run(&["-sS", "--data-binary", "@-", "-H", "expect:", &echo], &body), &body);
    // One connection for both.
    let codes = curl
        .text(&["-sS", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{http_code} %{num_connects},", &root, &root], b"");
    assert_eq!(codes, "200 1,200 0,");
    assert_counts(&proxy.end(), &[("accepted", 3), ("dialed", 3), ("closed", 0)]);
    drop(http);
}
