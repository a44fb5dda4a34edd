//! N226, hup-before-the-rest: one event says readable and hung up, one read is done, and the rest stays in the kernel.

use loom_tests::recording;
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "N226",
    name: "hup-before-the-rest",
    title: "the rest of the stream stays in the kernel",
    story: "A peer sends more than one read takes, and closes. epoll reports both in one event: readable, and hung up. The \
        poller reads once, as for every event, and then handles the hang-up: it takes the fd out of epoll and closes. \
        What was still in the socket is never read, so nobody can know that it is missing. No second thread is needed. \
        The change reads to the end when a hang-up comes with data; netty had the same with the epoll transport. Here \
        only the reader that has itself found the end may report the peer's close.",
    seen: "always when the last data are more than one read takes; reported as incomplete data by users",
    references: &[
        "https://github.com/cloudwego/netpoll/pull/226",
        "https://github.com/cloudwego/netpoll/issues/220",
        "https://github.com/netty/netty/issues/4317",
    ],
    clauses: &["N3", "N5"],
    sequential: true,
    variants: &[
        without("as before change 226", before, breaks("N3", 0)),
        published(as_published, Expect::Holds),
        repaired(as_repaired),
    ],
    source: include_str!("n226_hup_before_the_rest.rs"),
};

struct Connection {
    closing: Go,
    /// Blocks that are still in the socket.
    socket: Go,
    /// Blocks that were read.
    unread: Go,
}

impl Connection {
    fn read_once(&self) {
        recording::label("read(2)");
        self.socket.add(u32::MAX);
        recording::label("append");
        self.unread.add(1);
    }

    /// The event: readable and hung up.
    fn event(&self) {
        self.read_once();
        self.on_hup();
    }

    fn event_that_reads_all(&self) {
        while self.socket.load() > 0 {
            self.read_once();
        }
        self.on_hup();
    }

    fn on_hup(&self) {
        recording::note("EPOLL_CTL_DEL");
        self.closing.close_by(POLLER);
    }
}

fn play(stage: &Stage, event: fn(&Connection)) {
    let c = share(Connection { closing: Go::new(NONE), socket: Go::new(2), unread: Go::new(0) });
    c.closing.name("closing", CLOSING);
    c.socket.name("in the socket", NUMBER);
    c.unread.name("unread", NUMBER);
    let p = c.clone();
    stage.race([role("P", move || event(&p))]);
    promise("N3", c.socket.load() == 0, "the connection is closed, and data of the peer are still in the socket");
}

fn before(stage: &Stage) {
    play(stage, Connection::event);
}

fn as_published(stage: &Stage) {
    play(stage, Connection::event_that_reads_all);
}

fn as_repaired(stage: &Stage) {
    let world = stage.connected(User::default());
    world.peer_sends();
    world.peer_sends();
    stage.race([role("P", world.hanger_up())]);
    let _ = world.end();
    promise("N3", world.handled() == 2, "the connection is closed, and data of the peer were never read");
}
