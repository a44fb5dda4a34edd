//! N351, read-after-inuse: a registration is read after it was given away.

use loom_tests::recording::{self, Shown};
use loom_tests::rig::User;
use loom_tests::share;

use crate::published::*;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "N351",
    name: "read-after-inuse",
    title: "a registration is read after its reuse",
    story: "To register, a thread marks the operator in use and then reads the fd out of it for epoll_ctl. From the mark on \
        the operator can be closed by others: they mark it unused and reset it for the next connection, fd 0. The first \
        thread reads 0, which is the process's standard input, and registers that. The change reads the fd before the \
        mark; a comment in the library warns against moving it back. Whether the ADD then comes after the close it does \
        not say; here the ADD runs as the owner of the connection, which nobody can end meanwhile.",
    seen: "by Go's race detector, in the tests of a framework above the library",
    references: &["https://github.com/cloudwego/netpoll/pull/351"],
    clauses: &["S2", "D2"],
    sequential: false,
    variants: &[
        without("as before change 351", before, breaks("D2", 1)),
        published(as_published, Expect::Holds),
        repaired(as_repaired),
    ],
    source: include_str!("n351_read_after_inuse.rs"),
};

/// The connection's fd.
const FD: u32 = 7;

struct Operator {
    state: Go,
    fd: Go,
    /// What was registered; nothing yet.
    added: Go,
}

impl Operator {
    fn inuse(&self) {
        recording::label("inuse");
        self.state.cas(0, 1);
    }

    fn add(&self, fd: u32) {
        recording::label("EPOLL_CTL_ADD");
        self.added.store(fd);
    }

    fn control(&self) {
        self.inuse();
        let fd = self.fd.load();
        self.add(fd);
    }

    fn control_that_reads_first(&self) {
        let fd = self.fd.load();
        self.inuse();
        self.add(fd);
    }

    /// Another thread closes what is in use: `unused`, then `reset`.
    fn close(&self) {
        recording::label("unused");
        if self.state.cas(1, 0) {
            recording::label("reset");
            self.fd.store(0);
        }
    }
}

fn play(stage: &Stage, control: fn(&Operator)) {
    const NOTHING: u32 = 100;
    let op = share(Operator { state: Go::new(0), fd: Go::new(FD), added: Go::new(NOTHING) });
    op.state.name("operator", Shown::Values(&["unused", "in use"]));
    op.fd.name("fd", NUMBER);
    op.added.name("added", Shown::Hidden);
    op.fd.store(FD);
    let (a, u) = (op.clone(), op.clone());
    stage.race([role("A", move || control(&a)), role("U", move || u.close())]);
    promise("D2", op.added.load() == FD, "fd 0 was registered: an operator that was given away already");
}

fn before(stage: &Stage) {
    play(stage, Operator::control);
}

fn as_published(stage: &Stage) {
    play(stage, Operator::control_that_reads_first);
}

fn as_repaired(stage: &Stage) {
    // The rig reports an ADD of a closed fd, and whatever is still registered at the end.
    let world = stage.born(User::default());
    let acceptor = world.role(|w| {
        w.register();
        w.connect();
    });
    stage.race([role("A", acceptor), role("U", world.closer())]);
    let _ = world.end();
    promise("D2", !world.in_epoll() && world.close_callbacks() == 1, "the fd is still in epoll");
}
