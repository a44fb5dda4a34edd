//! W12, hup-before-connect: a peer sends a request and hangs up before OnConnect has begun.

use loom_tests::recording;
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "W12",
    name: "hup-before-connect",
    title: "the request of a peer that sends and closes is lost",
    story: "The acceptor puts a new connection into epoll and is about to run OnConnect. The peer has sent its request and \
        closed already. The poller reads the request and leaves it to the task of OnConnect; then it handles the hup, \
        finds `processing` free, takes it for ever and runs the close callbacks. The acceptor cannot take `processing` \
        any more. OnPrepare ran, OnConnect and OnDisconnect never do, and the request, which was read, is never \
        handled. Here a connection is born owned: the hup only sets its bit, and OnConnect, OnDisconnect and OnRequest \
        run as if it had come a moment later.",
    seen: "3 to 4 % of the requests of such peers with 2 pollers, library untouched",
    references: &[
        "https://github.com/cloudwego/netpoll/pull/128",
        "https://github.com/cloudwego/netpoll/issues/220",
        "https://github.com/cloudwego/netpoll/blob/fcc5e9d/netpoll_server.go",
    ],
    clauses: &["H2", "S2", "N5"],
    sequential: false,
    variants: &[published(as_published, breaks("H2", 1)), repaired(as_repaired)],
    source: include_str!("w12_hup_before_connect.rs"),
};

struct Connection {
    in_epoll: Go,
    unread: Go,
    closing: Go,
    processing: Go,
    state: Go,
    connects: Count,
    requests: Count,
    closes: Count,
}

impl Connection {
    /// The acceptor. `connecting` and OnDisconnect are left out: this story does not need them.
    fn accept(&self) {
        recording::label("EPOLL_CTL_ADD");
        self.in_epoll.store(1);
        self.on_process(true);
    }

    fn on_process(&self, connect: bool) {
        if !self.processing.lock() {
            return;
        }
        if connect && self.state.change(0, CONNECTED) {
            self.connects.ran("OnConnect");
        }
        recording::label("Len");
        if self.unread.load() > 0 {
            self.requests.ran("OnRequest");
            self.unread.store(0);
        }
        if !self.closing.is_active() {
            self.close_callback(false);
            return;
        }
        self.processing.unlock();
        recording::label("double check");
        if self.closing.load() != NONE && self.processing.lock() {
            self.close_callback(false);
        }
    }

    /// The poller: epoll reports the request and the hup in one event.
    fn poll(&self) {
        recording::label("epoll_wait");
        if self.in_epoll.load() == 0 {
            return;
        }
        op("request", || {
            recording::label("read");
            self.unread.add(1);
            self.on_request();
        });
        op("hup", || self.on_hup());
    }

    fn on_hup(&self) {
        if self.closing.close_by(POLLER) {
            self.close_callback(true);
        }
    }

    fn on_request(&self) {
        recording::label("getState");
        if self.state.load() != 0 {
            self.on_process(false);
        }
        // Else OnConnect will run it for us.
    }

    fn close_callback(&self, need_lock: bool) {
        if !need_lock || self.processing.lock() {
            self.closes.ran("close callbacks");
        }
    }
}

fn as_published(stage: &Stage) {
    let c = share(Connection {
        in_epoll: Go::new(0),
        unread: Go::new(0),
        closing: Go::new(NONE),
        processing: Go::new(0),
        state: Go::new(0),
        connects: Count::default(),
        requests: Count::default(),
        closes: Count::default(),
    });
    c.in_epoll.name("in epoll", FLAG);
    c.unread.name("unread", NUMBER);
    c.closing.name("closing", CLOSING);
    c.processing.name("processing", FLAG);
    c.state.name("state", STATE);
    let (a, p) = (c.clone(), c.clone());
    stage.race([role("A", move || a.accept()), role("P", move || p.poll())]);
    promise("H2", c.connects.times() == 1, "OnConnect never ran, and the request that was read is never handled");
}

fn as_repaired(stage: &Stage) {
    let world = stage.registered(User::default());
    op("request", || world.peer_sends());
    op("hup", || world.peer_is_gone());
    let acceptor = world.role(|w| w.connect());
    let poller = world.role(|w| {
        w.event_once();
        w.event_once();
    });
    stage.race([role("A", acceptor), role("P", poller)]);
    let _ = world.end();
    let ran = (world.count("connect"), world.count("disconnect"));
    promise("H2", ran == (1, 1), "OnConnect and OnDisconnect did not run once each");
    promise("N5", world.handled() == 1, "the request was never handled");
}
