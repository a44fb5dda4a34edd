//! The real kernel's calls, where the tests over sockets do not tell: what a report means, and how long a wait takes.
//!
//! Not here: calls without which no request is answered.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use rustix::io::Errno as Failed;

use super::real::{NixSys, read_again, write_again};
use super::{EventFlags, Ready, Sys as _};

#[test]
fn each_report_means_what_it_says() {
    let means = |flags| {
        let ready = Ready(flags);
        [ready.is_data(), ready.readable(), ready.writable(), ready.ends(), ready.hung_up()]
    };
    assert_eq!(means(EventFlags::IN), [true, true, false, false, false]);
    assert_eq!(means(EventFlags::OUT), [false, false, true, false, false]);
    assert_eq!(means(EventFlags::RDHUP), [false, true, false, true, false]);
    assert_eq!(means(EventFlags::HUP), [false, true, false, true, true]);
    assert_eq!(means(EventFlags::ERR), [false, true, false, true, true]);
    assert_eq!(means(EventFlags::IN | EventFlags::OUT), [false, true, true, false, false]);
}

/// Whole milliseconds are the kernel's grain; a wait that ended early would have its caller spin.
#[test]
fn a_wait_for_bytes_ends_with_them_or_not_before_its_time() {
    let (ours, mut peer) = UnixStream::pair().expect("a pair");
    let (ours, time) = (ours.into(), Duration::from_micros(1_500));
    let begun = Instant::now();
    assert_eq!(NixSys.wait_readable(&ours, time), Ok(false));
    assert!(begun.elapsed() >= time, "after {:?}", begun.elapsed());
    peer.write_all(b"x").expect("a write");
    assert_eq!(NixSys.wait_readable(&ours, Duration::from_secs(20)), Ok(true));
}

#[test]
fn a_doze_ends_with_an_event_of_any_epoll_and_leaves_it_there() {
    let wakes = [NixSys.wake().expect("a counter"), NixSys.wake().expect("a counter")];
    let epolls = [NixSys.epoll().expect("an epoll"), NixSys.epoll().expect("an epoll")];
    for (epoll, wake) in epolls.iter().zip(&wakes) {
        NixSys.add_wake(epoll, wake, 1).expect("it is added");
    }
    let doze = |time| NixSys.doze(&[&epolls[0], &epolls[1]], time);
    assert_eq!(doze(Duration::from_millis(1)), Ok(false));
    for wake in &wakes {
        NixSys.signal(wake).expect("a signal");
        assert_eq!(doze(Duration::from_secs(20)), Ok(true));
        assert_eq!(doze(Duration::ZERO), Ok(true), "it is there still");
        NixSys.clear(wake).expect("it is read");
        assert_eq!(doze(Duration::ZERO), Ok(false));
    }
}

/// Whoever polls the fd must see that it hung up, and the peer that nothing will come.
#[test]
fn what_is_shut_down_hangs_up_at_both_ends() {
    let (ours, mut peer) = UnixStream::pair().expect("a pair");
    let ours = ours.into();
    NixSys.end_output(&ours).expect("it is open");
    assert_eq!(peer.read(&mut [0]).expect("an end"), 0);
    assert_eq!(NixSys.wait_readable(&ours, Duration::ZERO), Ok(false), "only one direction has ended");
    NixSys.shutdown(&ours).expect("it is open");
    assert_eq!(NixSys.wait_readable(&ours, Duration::ZERO), Ok(true));
    assert!(peer.write(b"x").is_err());
}

/// The kernel may interrupt any call by a signal, though it hardly does so with these.
#[test]
fn what_a_signal_has_interrupted_is_tried_again_and_nothing_else_is() {
    let (ours, mut peer) = UnixStream::pair().expect("a pair");
    let (ours, mut block) = (ours.into(), [0; 8]);
    assert_eq!(write_again(&ours, b"not this", Failed::PIPE), Err(Errno::EPIPE));
    assert_eq!(write_again(&ours, b"ours", Failed::INTR), Ok(4));
    assert_eq!(peer.read(&mut block).expect("bytes"), 4);
    assert_eq!(&block[..4], b"ours");
    peer.write_all(b"theirs").expect("a write");
    assert_eq!(read_again(&ours, &mut block, Failed::CONNRESET), Err(Errno::ECONNRESET));
    assert_eq!(read_again(&ours, &mut block, Failed::INTR), Ok(6));
    assert_eq!(&block[..6], b"theirs");
}
