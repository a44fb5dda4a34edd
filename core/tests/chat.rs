//! The chat example as a process: what one sends all others hear, and who does not listen is cut.
//!
//! SPEC: C2, H1, O1, O2.

#![cfg(all(feature = "net", not(any(loom, shuttle))))]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::channel;

use common::LONG;
use common::example::Example;

/// One member.
struct Member(BufReader<TcpStream>);

impl Member {
    /// Joins, and returns when it has: what is said later it hears.
    fn join(example: &Example) -> Self {
        let stream = TcpStream::connect(&example.address).expect("a connection");
        stream.set_read_timeout(Some(LONG)).expect("a timeout");
        stream.set_nodelay(true).expect("nodelay");
        let mut member = Self(BufReader::new(stream));
        assert!(member.hears().starts_with("* welcome, guest"));
        member
    }

    /// Joins under a name.
    fn named(example: &Example, name: &str) -> Self {
        let mut member = Self::join(example);
        member.says(&format!("/nick {name}"));
        assert!(member.hears().ends_with(&format!("is now {name}")));
        member
    }

    fn says(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).expect("a write");
    }

    fn hears(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        assert!(line.ends_with('\n'), "the end, and not a line: {line:?}");
        line.trim_end().to_owned()
    }

    /// The next line that is not about joining and names.
    fn hears_said(&mut self) -> String {
        loop {
            let line = self.hears();
            if !line.starts_with("* guest") {
                return line;
            }
        }
    }
}

#[test]
fn three_members_hear_each_other_come_speak_and_go() {
    let example = Example::start_named("chat", &["127.0.0.1:0"]);
    let mut ann = Member::named(&example, "ann");
    let mut bob = Member::named(&example, "bob");
    let mut eve = Member::named(&example, "eve");
    // Guests are numbered as connections are; ann is the first, and hears of both.
    let news = [(); 4].map(|()| ann.hears());
    let guest = news[0].strip_suffix(" joined").expect("bob came first");
    assert_eq!(news[1], format!("{guest} is now bob"));
    assert!(news[2].ends_with(" joined") && news[3].ends_with(" is now eve"), "{news:?}");

    // In pieces, and several lines at once; not to the one who says it.
    ann.0.get_mut().write_all(b"hel").expect("a piece");
    ann.0.get_mut().write_all(b"lo\nhow are you?\r\n").expect("the rest");
    assert_eq!([(); 2].map(|()| eve.hears_said()), ["ann: hello", "ann: how are you?"]);
    assert_eq!([(); 2].map(|()| bob.hears_said()), ["ann: hello", "ann: how are you?"]);
    bob.says("fine");
    assert_eq!((ann.hears(), eve.hears()), ("bob: fine".to_owned(), "bob: fine".to_owned()));

    // A name that is taken, and none.
    for name in ["ann", "", "two words"] {
        eve.says(&format!("/nick {name}"));
        assert_eq!(eve.hears(), "* that name cannot be used", "{name:?}");
    }

    drop(bob);
    assert_eq!((ann.hears(), eve.hears()), ("* bob left".to_owned(), "* bob left".to_owned()));
    drop(eve);
    assert_eq!(ann.hears(), "* eve left");
    drop(ann);
    let counts = example.end();
    for (key, value) in [("joined", 3), ("gone", 3), ("here", 0), ("said", 3), ("slow", 0), ("cut", 0), ("left", 0)] {
        assert_eq!(counts[key], value, "{key} in {counts:?}");
    }
}

#[test]
fn a_member_that_does_not_read_is_cut_and_the_others_miss_nothing() {
    const LINES: usize = 6000;
    const AHEAD: usize = 20;
    let example = Example::start_named("chat", &["127.0.0.1:0", "300000"]);
    let mut ann = Member::named(&example, "ann");
    let mut bob = Member::named(&example, "bob");
    let sleeper = Member::named(&example, "sleeper");
    // Faster than bob reads, ann would have him cut as well: she is a few lines ahead of him at most.
    let (sender, heard_by_bob) = channel();
    let listener = std::thread::spawn(move || {
        let (mut heard, mut left) = (0, false);
        while heard < LINES || !left {
            let line = bob.hears_said();
            if let Some(text) = line.strip_prefix("ann: ") {
                let number = text.split(' ').next().and_then(|number| number.parse().ok());
                assert_eq!(number, Some(heard), "each once, in order");
                heard += 1;
                sender.send(()).expect("ann waits");
            } else if line == "* sleeper left" {
                assert!(heard > 0, "the kernel takes some of it");
                left = true;
            }
        }
        bob
    });
    let text = "x".repeat(4000);
    for number in 0..LINES {
        ann.says(&format!("{number} {text}"));
        if number >= AHEAD {
            heard_by_bob.recv().expect("bob hears it");
        }
    }
    (0..AHEAD).for_each(|_| heard_by_bob.recv().expect("bob hears it"));
    let bob = listener.join().expect("bob hears all of it, and that the sleeper left");
    // What is left for the sleeper is the kernel's, and then the end.
    let mut rest = Vec::new();
    match sleeper.0.into_inner().read_to_end(&mut rest) {
        Ok(_) => assert!(rest.len() < LINES * 4000),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    drop((ann, bob));
    let counts = example.end();
    for (key, value) in [("joined", 3), ("gone", 3), ("here", 0), ("said", LINES as i64), ("slow", 1), ("left", 0)] {
        assert_eq!(counts[key], value, "{key} in {counts:?}");
    }
}

#[test]
fn a_line_that_is_too_long_ends_its_sender_only() {
    let example = Example::start_named("chat", &["127.0.0.1:0"]);
    let mut ann = Member::named(&example, "ann");
    let mut bob = Member::named(&example, "bob");
    bob.0.get_mut().write_all(&[b'x'; 5000]).expect("a write");
    assert_eq!(ann.hears_said(), "* bob left");
    ann.says("alone");
    drop((ann, bob));
    let counts = example.end();
    assert_eq!((counts["joined"], counts["gone"], counts["here"]), (2, 2, 0), "{counts:?}");
}
