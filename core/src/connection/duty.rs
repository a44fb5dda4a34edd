//! What a thread leaves to a connection's home loop, because it must not do it where it is. (F2, U2, U4)
//!
//! A section that has used up its budget, or that falls due inside user code; an OnDisconnect that its own OnRequest
//! would have to wait for; values of a user's, and reports, that a bit or a lock keeps from being dropped or told. Each
//! waits in the loop's queue, the bits that it needs with it, and is done by the thread that leads that loop, outside
//! all user code. When the loop is over, it is done here, as soon as this thread's user code has returned.
//!
//! Not here: the queue (`reactor::poller`), and the threads (`whereabouts`).

#![cfg(all(feature = "net", any(sim, not(any(loom, shuttle)))))]
#![forbid(unsafe_code)]

use bytes::Bytes;

use crate::connection::Connection;
use crate::connection::door;
use crate::connection::shared::Shared;
use crate::connection::step::{Local, State, Step};
use crate::connection::task::Task;
use crate::connection::whereabouts::{self, What};
use crate::error::Error;
use crate::protocol::effects::Left;
use crate::protocol::lifecycle;
use crate::sync::Arc;

/// Something that is left to a home loop.
pub(crate) enum Duty {
    /// A section, with its ownership.
    Section(Task),
    /// OnDisconnect, with the bits that say that it is due.
    Disconnect(Connection, Left),
    /// Output that is sent or lost: its owner's drop is a user's.
    Drop(Connection, Vec<Bytes>),
    /// What went wrong, to be told.
    Report(Arc<Shared>, Error),
}

impl Duty {
    /// Leaves it to loop `home` of `server`, and wakes that loop if another thread leads it.
    pub(crate) fn leave(self, server: &Arc<Shared>, home: usize) {
        let poller = &server.pollers[home];
        match poller.queue(self, !whereabouts::leads(server, home)) {
            Ok(Ok(())) => {}
            Ok(Err(errno)) => {
                // To be told when the loop wakes by itself.
                let error = Error::Server { call: "eventfd write", source: errno.into() };
                let _ = poller.queue(Self::Report(server.clone(), error), false);
            }
            Err(duty) => {
                if let Err(duty) = whereabouts::defer(duty) {
                    duty.fulfil(None);
                }
            }
        }
    }

    /// Tells of `error`: at once, or, from inside user code, by loop `home` of `server`. (U2)
    pub(crate) fn report(server: &Arc<Shared>, home: usize, inside: bool, error: Error) {
        if inside {
            Self::Report(server.clone(), error).leave(server, home);
        } else {
            server.report(error);
        }
    }

    /// Leaves it to the home loop of `conn`.
    pub(crate) fn leave_home(self, conn: &Connection) {
        let conn = conn.conn();
        self.leave(&conn.server, conn.place.home());
    }

    /// Does it, outside all user code; `local` is the thread's own if it polls.
    pub(crate) fn fulfil(self, local: Option<&Local>) {
        match self {
            Self::Section(task) => task.run_left(local),
            Self::Disconnect(conn, left) => {
                let state = State::running();
                match local {
                    Some(local) => lifecycle::disconnect_left(&Step::polling(&conn, local, &state), left),
                    None => {
                        let _entered = whereabouts::enter(What::Section, &conn.conn().server, Some(conn.conn()));
                        lifecycle::disconnect_left(&Step::new(&conn, &state), left);
                    }
                }
            }
            Self::Drop(conn, values) => door::discard_each(&conn, "drop of lent bytes", values),
            Self::Report(server, error) => server.report(error),
        }
    }
}
