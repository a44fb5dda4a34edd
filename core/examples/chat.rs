//! A chat: what one connection sends, all others receive.
//!
//! `chat ADDRESS [BACKLOG]`. A line is a message; `/nick NAME` changes the sender's name. Everybody hears who
//! joins, leaves, and changes name, all in the same order. A member that does not read, and so has more than
//! `BACKLOG` bytes (1 MiB) waiting for it, is cut.
//!
//! It prints `listening=ADDRESS` when clients can come, and on SIGINT or SIGTERM, which end it gracefully, its
//! counts as `key=value`.

#![cfg_attr(
    not(any(loom, shuttle)),
    allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "nothing here is explored")
)]

#[cfg(any(loom, shuttle))]
fn main() {}

#[cfg(not(any(loom, shuttle)))]
mod common;

#[cfg(not(any(loom, shuttle)))]
fn main() -> Result<(), pollproof::BoxError> {
    chat::main()
}

#[cfg(not(any(loom, shuttle)))]
mod chat {
    use std::collections::{BTreeMap, VecDeque};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    use pollproof::{BoxError, Connection, Handler, Io, Server};

    use crate::common;

    /// Bytes of the longest line, without its end. Without a limit one peer could fill the memory.
    const LONGEST_LINE: usize = 4096;
    const LONGEST_NAME: usize = 32;

    /// What the kernel may keep for each member, in bytes: the rest is the backlog, which is looked at.
    const SEND_BUFFER: usize = 64 * 1024;

    struct Member {
        conn: Connection,
        name: String,
    }

    #[derive(Default)]
    struct State {
        members: BTreeMap<u64, Member>,
        /// What is to be said, and who is not to hear it.
        queue: VecDeque<(String, u64)>,
        /// Somebody is emptying the queue.
        speaking: bool,
        joined: u64,
        left: u64,
        said: u64,
        slow: u64,
    }

    #[derive(Default)]
    struct Room {
        state: Mutex<State>,
        /// Bytes that may wait for a member.
        backlog: u64,
    }

    impl Room {
        fn state(&self) -> MutexGuard<'_, State> {
            self.state.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// Says what is in the queue, one line after the other, so that all hear them in the same order. Who finds
        /// somebody at it leaves it to them: it may be this very thread, further up, because to cut a member says
        /// that it left.
        fn speak(&self) {
            if std::mem::replace(&mut self.state().speaking, true) {
                return;
            }
            while let Some((line, others)) = self.next() {
                // Without the lock: to send or to close may run callbacks, which take it.
                for conn in others {
                    if conn.send(line.as_bytes()).is_ok() && conn.backlog() > self.backlog {
                        self.state().slow += 1;
                        conn.close();
                    }
                }
            }
        }

        /// The next line and who is to hear it; or this speaker is through.
        fn next(&self) -> Option<(String, Vec<Connection>)> {
            let mut state = self.state();
            let Some((line, except)) = state.queue.pop_front() else {
                state.speaking = false;
                return None;
            };
            let others = state.members.iter().filter(|(id, _)| **id != except);
            Some((line, others.map(|(_, member)| member.conn.clone()).collect()))
        }

        fn say(&self, line: String, except: u64) {
            let mut state = self.state();
            state.said += 1;
            state.queue.push_back((line, except));
            drop(state);
            self.speak();
        }

        fn join(&self, conn: &Connection) {
            let id = conn.id();
            let name = format!("guest{id}");
            let mut state = self.state();
            let line = format!("* {name} joined\n");
            state.joined += 1;
            state.queue.push_back((line, id));
            state.members.insert(id, Member { conn: conn.clone(), name });
            drop(state);
            self.speak();
        }

        fn leave(&self, id: u64) {
            let mut state = self.state();
            let Some(member) = state.members.remove(&id) else { return };
            state.left += 1;
            state.queue.push_back((format!("* {} left\n", member.name), id));
            drop(state);
            self.speak();
        }

        /// Changes a name; whether it is free and one word.
        fn rename(&self, id: u64, to: &str) -> bool {
            let mut state = self.state();
            let word = !to.is_empty() && to.len() <= LONGEST_NAME && to.chars().all(char::is_alphanumeric);
            if !word || state.members.values().any(|member| member.name == to) {
                return false;
            }
            let Some(member) = state.members.get_mut(&id) else { return false };
            let from = std::mem::replace(&mut member.name, to.to_owned());
            // The sender too: for it, this is the answer.
            state.queue.push_back((format!("* {from} is now {to}\n"), u64::MAX));
            drop(state);
            self.speak();
            true
        }

        fn heard(&self, id: u64, line: &str, io: &Io<'_>) {
            let (word, name) = line.split_once(' ').unwrap_or((line, ""));
            if word == "/nick" {
                if !self.rename(id, name.trim()) {
                    io.write(b"* that name cannot be used\n");
                }
                return;
            }
            let name = self.state().members.get(&id).map(|member| member.name.clone());
            if let Some(name) = name {
                self.say(format!("{name}: {line}\n"), id);
            }
        }
    }

    struct Chat(Arc<Room>);

    impl Handler for Chat {
        type Context = ();
        type State = ();

        fn on_connect(&self, (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
            let (conn, room) = (io.connection(), self.0.clone());
            // Sent at once: what the others say from now on comes after it.
            conn.send(format!("* welcome, guest{}\n", conn.id()).as_bytes())?;
            // It cannot be too late: the end waits for OnConnect.
            let _ = conn.on_close(move |conn| room.leave(conn.id()));
            self.0.join(conn);
            Ok(())
        }

        fn on_request(&self, (): &(), (): &mut (), io: &mut Io<'_>) -> Result<(), BoxError> {
            let id = io.connection().id();
            while let Some(end) = io.data().iter().position(|&byte| byte == b'\n') {
                if end > LONGEST_LINE {
                    break;
                }
                let line = String::from_utf8_lossy(&io.data()[..end]);
                self.0.heard(id, line.trim_end(), io);
                io.consume(end + 1);
            }
            if io.data().len() > LONGEST_LINE { Err("the line is too long".into()) } else { Ok(()) }
        }
    }

    pub(super) fn main() -> Result<(), pollproof::BoxError> {
        let mut args = std::env::args().skip(1);
        let address = args.next().ok_or("usage: chat ADDRESS [BACKLOG]")?;
        let backlog = args.next().map_or(Ok(1 << 20), |bytes| bytes.parse())?;

        let signals = common::signals()?;
        let room = Arc::new(Room { backlog, ..Room::default() });
        let server = Server::builder()
            .send_buffer(SEND_BUFFER)
            .handler(Chat(room.clone()))
            .on_error(|error| eprintln!("{error}"))
            .bind(&address)?;
        let end = common::run(&server, &signals)?;

        let state = room.state();
        println!(
            "accepted={} joined={} gone={} here={} said={} slow={} cut={} left={}",
            server.stats().accepted,
            state.joined,
            state.left,
            state.members.len(),
            state.said,
            state.slow,
            end.cut,
            end.left,
        );
        Ok(())
    }
}
