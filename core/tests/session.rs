//! The session example as a process: its login, its frames, and the three steps of a session's end.
//!
//! SPEC: C2, H1, N4, S2, T4.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;

use common::example::Example;
use common::{LONG, to_end};

fn frame(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes(), text].concat()
}

fn read_frame(stream: &mut impl Read) -> String {
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("a length");
    let mut text = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut text).expect("a frame");
    String::from_utf8(text).expect("text")
}

/// A client of `example`, whose pieces are sent as they are written.
fn client(example: &Example) -> TcpStream {
    let stream = TcpStream::connect(&example.address).expect("a connection");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    stream.set_nodelay(true).expect("nodelay");
    stream
}

/// One that is logged in.
fn login(example: &Example, login: &str) -> TcpStream {
    let mut client = client(example);
    client.write_all(&frame(login.as_bytes())).expect("a login");
    let name = login.split(' ').next().expect("a name");
    assert_eq!(read_frame(&mut client), format!("welcome {name}"));
    client
}

fn assert_counts(counts: &HashMap<String, i64>, expected: &[(&str, i64)]) {
    for (key, value) in expected {
        assert_eq!(counts[*key], *value, "{key} in {counts:?}");
    }
    for key in ["registered", "errors", "cut", "left"] {
        assert!(counts[key] == 0 || expected.iter().any(|(expected, _)| expected == &key), "{key} in {counts:?}");
    }
}

/// The three lines of the end of `name`'s session, in the order in which they came.
fn end_of(example: &mut Example, name: &str) -> Vec<String> {
    (0..3)
        .map(|_| {
            let line = example.line();
            let step = line.strip_prefix(&format!("{name} ")).expect("a step of its end");
            step.split(' ').next().expect("a word").to_owned()
        })
        .collect()
}

#[test]
fn a_session_has_a_login_frames_and_an_end_in_reverse_order() {
    let mut example = Example::start_named("session", &["127.0.0.1:0"]);
    let mut client = login(&example, "ann rosebud");
    client.write_all(&frame(b"hello")).expect("a frame");
    assert_eq!(read_frame(&mut client), "1 hello");
    // Several in one piece, the last of them empty.
    client.write_all(&[frame(b"a"), frame(b"b"), frame(b"")].concat()).expect("frames");
    assert_eq!([(); 3].map(|()| read_frame(&mut client)), ["2 a", "3 b", "4 "]);
    client.write_all(&frame(b"bye")).expect("a frame");
    assert_eq!(read_frame(&mut client), "5 bye");
    assert!(to_end(&mut client).is_empty(), "the server closes");
    assert_eq!(end_of(&mut example, "ann"), ["ended", "recorded", "removed"]);
    drop(client);
    assert_counts(&example.end(), &[("logins", 1), ("frames", 5), ("ended", 1), ("recorded", 1), ("removed", 1)]);
}

#[test]
fn a_frame_may_come_in_any_pieces() {
    let example = Example::start_named("session", &["127.0.0.1:0"]);
    let mut client = client(&example);
    let text = vec![b'x'; 100_000];
    let stream = [frame(b"bob swordfish"), frame(b"one"), frame(b""), frame(&text), frame(b"bye")].concat();
    // Each piece is small enough to be read alone: through the login and the first frames, byte by byte.
    let (first, rest) = stream.split_at(40);
    let mut writer = client.try_clone().expect("a clone");
    let writer = std::thread::spawn({
        let (first, rest) = (first.to_vec(), rest.to_vec());
        move || {
            first.iter().for_each(|byte| writer.write_all(&[*byte]).expect("a byte"));
            rest.chunks(1009).for_each(|piece| writer.write_all(piece).expect("a piece"));
        }
    });
    assert_eq!([(); 3].map(|()| read_frame(&mut client)), ["welcome bob", "1 one", "2 "]);
    assert!(read_frame(&mut client) == format!("3 {}", String::from_utf8(text).expect("text")), "the long one");
    assert_eq!(read_frame(&mut client), "4 bye");
    assert!(to_end(&mut client).is_empty());
    writer.join().expect("no panic");
    drop(client);
    assert_counts(&example.end(), &[("logins", 1), ("frames", 4), ("removed", 1)]);
}

#[test]
fn frames_that_come_with_the_login_are_handled_after_it() {
    let example = Example::start_named("session", &["127.0.0.1:0"]);
    let mut client = client(&example);
    client.write_all(&[frame(b"ann rosebud"), frame(b"early"), frame(b"bye")].concat()).expect("all at once");
    client.shutdown(Shutdown::Write).expect("a half-close");
    assert_eq!([(); 3].map(|()| read_frame(&mut client)), ["welcome ann", "1 early", "2 bye"]);
    assert!(to_end(&mut client).is_empty());
    drop(client);
    assert_counts(&example.end(), &[("logins", 1), ("frames", 2), ("removed", 1)]);
}

#[test]
fn a_login_that_is_refused_is_answered_and_closed() {
    let mut example = Example::start_named("session", &["127.0.0.1:0"]);
    let long = "ann ".to_owned() + &"x".repeat(300);
    for login in ["ann swordfish", "nobody x", "ann", "", &long] {
        let mut client = client(&example);
        // Of the one that is too long, only the length is sent: nobody waits for the rest.
        let sent = if login.len() > 256 { 4 } else { usize::MAX };
        client.write_all(&frame(login.as_bytes()).into_iter().take(sent).collect::<Vec<_>>()).expect("a login");
        assert_eq!(read_frame(&mut client), "refused", "{login:?}");
        assert!(to_end(&mut client).is_empty(), "{login:?}");
    }
    // The name is free, as nobody has come in by it; then it is not, and then it is again.
    let first = login(&example, "ann rosebud");
    let mut second = client(&example);
    second.write_all(&frame(b"ann rosebud")).expect("a login");
    assert_eq!(read_frame(&mut second), "refused");
    drop((first, second));
    assert_eq!(end_of(&mut example, "ann"), ["ended", "recorded", "removed"]);
    drop(login(&example, "ann rosebud"));
    let counts = example.end();
    assert_counts(&counts, &[("accepted", 8), ("refused", 6), ("logins", 2), ("ended", 2), ("frames", 0)]);
}

#[test]
fn a_login_that_never_comes_ends_by_time_and_holds_up_nobody() {
    let example = Example::start_named("session", &["127.0.0.1:0", "8000"]);
    let mut silent = client(&example);
    let mut half = client(&example);
    half.write_all(&frame(b"ann rosebud")[..7]).expect("half a login");
    let gone = client(&example);
    drop(gone);
    // Both sit in OnConnect, on the only polling thread; still there is an answer before their time is up.
    let mut other = login(&example, "bob swordfish");
    other.write_all(&frame(b"hello")).expect("a frame");
    assert_eq!(read_frame(&mut other), "1 hello");
    for late in [&silent, &half] {
        late.set_nonblocking(true).expect("non-blocking");
        let waits = late.peek(&mut [0]).expect_err("it is not closed yet");
        assert_eq!(waits.kind(), std::io::ErrorKind::WouldBlock);
        late.set_nonblocking(false).expect("blocking");
    }
    for late in [&mut silent, &mut half] {
        assert!(to_end(late).is_empty(), "no answer, and the end");
    }
    drop((silent, half, other));
    assert_counts(&example.end(), &[("logins", 1), ("late", 2), ("gone", 1), ("refused", 0), ("ended", 1)]);
}

#[test]
fn a_frame_that_is_too_long_closes_its_session_only() {
    let mut example = Example::start_named("session", &["127.0.0.1:0"]);
    let mut bob = login(&example, "bob swordfish");
    let mut ann = login(&example, "ann rosebud");
    ann.write_all(&(1_u32 << 20 | 1).to_be_bytes()).expect("a length");
    assert!(to_end(&mut ann).is_empty());
    assert_eq!(end_of(&mut example, "ann"), ["ended", "recorded", "removed"]);
    bob.write_all(&frame(b"still here")).expect("a frame");
    assert_eq!(read_frame(&mut bob), "1 still here");
    drop((ann, bob));
    assert_counts(&example.end(), &[("logins", 2), ("frames", 1), ("removed", 2), ("errors", 1)]);
}

#[test]
fn sessions_over_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let example = Example::start_named("session", &[&format!("unix:{}", path.display())]);
    let mut client = UnixStream::connect(&path).expect("a connection");
    client.set_read_timeout(Some(LONG)).expect("a timeout");
    client.write_all(&frame(b"eve apple")).expect("a login");
    assert_eq!(read_frame(&mut client), "welcome eve");
    client.write_all(&frame(b"hello")).expect("a frame");
    assert_eq!(read_frame(&mut client), "1 hello");
    drop(client);
    assert_counts(&example.end(), &[("logins", 1), ("removed", 1)]);
}
