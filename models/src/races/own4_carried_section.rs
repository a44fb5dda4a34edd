//! OWN4, carried-section: a guard carries a handler's section off, and its drop gives that back.

use std::sync::Mutex as Unseen;
use std::sync::PoisonError;

use loom_tests::recording;
use pollproof::protocol::effects::Input;
use pollproof::protocol::lifecycle;

use crate::inside::{As, Code, Conn, Home};
use crate::published::Callback;
use crate::race::*;

/// The race.
pub const RACE: Race = Race {
    id: "OWN4",
    name: "carried-section",
    title: "safe code carries a handler's section off, and gives it back",
    story: "This one was ours. A handler of connection A borrows its reader. A guard, which reads connection B outside \
        handlers, lends a reader too; the guard owns the section of B, and its drop gives that back. Both readers were of \
        one type and of known size, so safe code may swap them. After that the guard holds the reader of A, and its drop \
        gives back the section of A, in which the handler still runs. The next event of A finds the section free: \
        OnRequest runs on a second thread beside itself, and both believe that they own the connection. Now what is lent \
        is unsized. No safe code can swap it, and the guard gives back what it took.",
    seen: "never in the field: nobody swaps readers; found by asking what safe code may do",
    references: &[],
    clauses: &["U7", "S1"],
    sequential: false,
    variants: &[without("as it was here at first", as_at_first, breaks("S1", 1)), repaired(as_repaired)],
    source: include_str!("own4_carried_section.rs"),
};

/// What a handler and a guard lend: of a size that is known, or not.
struct Reader<Place: ?Sized = [()]> {
    conn: Conn<User>,
    _place: Place,
}

/// The right to read a connection outside handlers.
struct Guard {
    reader: Reader<[(); 0]>,
}

impl Guard {
    fn of(conn: Conn<User>) -> Self {
        assert!(lifecycle::acquire(&conn), "nobody else reads it");
        Self { reader: Reader { conn, _place: [] } }
    }

    /// As it was, `&mut Reader<[(); 0]>`.
    fn lend(&mut self) -> &mut Reader {
        &mut self.reader
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        recording::note("the guard is dropped");
        lifecycle::release(&self.reader.conn);
    }
}

struct User {
    request: Callback,
    how: As,
    /// What the handler finds of the other connection, in its first call.
    other: Unseen<Option<Conn<User>>>,
}

impl User {
    fn new(how: As, other: Option<Conn<User>>) -> Self {
        let request = Callback::new("OnRequest begins", "OnRequest ends");
        Self { request, how, other: Unseen::new(other) }
    }
}

impl Code for User {
    /// Two requests.
    fn reads(&self, nth: u64) -> Input {
        if nth <= 2 { Input::Data } else { Input::Empty }
    }

    fn on_request(&self, conn: &Conn<Self>) {
        self.request.run(|| {
            let other = self.other.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(other) = other else { return };
            let mut own = Reader { conn: conn.beside(conn), _place: [] };
            let mut guard = Guard::of(other.beside(conn));
            match self.how {
                As::ItWas => {
                    recording::note("the handler swaps the readers");
                    std::mem::swap(&mut own, &mut guard.reader);
                }
                // `mem::swap` of what is lent does not compile: core/src/connection/reader.rs has the example.
                As::ItIs => assert!(std::ptr::eq(conn.code(), own.conn.code()) && guard.lend().conn.frames() > 0),
            }
        });
    }
}

fn play(stage: &Stage, how: As) {
    let home = Home::new();
    let b = Conn::connected("B", how, &home, false, User::new(how, None));
    let a = Conn::connected("A", how, &home, true, User::new(how, Some(b.another())));
    a.code().request.name();
    let poller = |conn: Conn<User>| {
        move || {
            let _ = lifecycle::readable(&conn, false);
        }
    };
    stage.race([role("P", poller(a.another())), role("Q", poller(a.another()))]);
    home.serve_what_is_there();
    promise("S1", a.code().request.overlaps() == 0, "OnRequest overlaps itself");
    promise("N1", a.code().request.times() > 0, "data was read, and OnRequest did not run");
}

fn as_at_first(stage: &Stage) {
    play(stage, As::ItWas);
}

fn as_repaired(stage: &Stage) {
    play(stage, As::ItIs);
}
