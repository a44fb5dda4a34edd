//! What the operations on connections do: one call of the public API each, or the few that belong together.
//!
//! What a call answers is written down and otherwise ignored: hostile code does not care. Not here: the operations on
//! servers and dialers (`hosts`).

use std::io::{BufRead as _, Read as _};

use bytes::{Buf as _, BufMut as _, Bytes};
use pollproof::sync::time::Instant;
use pollproof::{Connection, Io, Reader, Writer};

use super::ground;
use super::hosts::on_host;
use super::inside::{Frame, enter};
use super::program::{HUGE, Kinds, Op, Place};
use super::table::{Needs, What, entry, possible};
use super::user::{self, Lent};
use super::world::{self, Kept};

/// Where code runs, and what it has there.
pub struct Scene<'s, 'i> {
    pub(super) place: Place,
    pub(super) host: usize,
    conn: Option<usize>,
    io: Option<&'s mut Io<'i>>,
}

impl<'s, 'i> Scene<'s, 'i> {
    /// Code of `host` at `place`, which is about a connection.
    pub fn new(place: Place, host: usize, conn: Option<usize>, io: Option<&'s mut Io<'i>>) -> Self {
        Self { place, host, conn, io }
    }
}

/// How code ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It returns.
    Over,
    /// It is to panic.
    Panic,
    /// It is to fail.
    Fail,
}

/// Does what the program has for the scene.
pub fn perform(scene: &mut Scene<'_, '_>) -> End {
    let ops = world::acts(scene.host, scene.place);
    perform_all(&ops, scene)
}

/// Does `ops`.
pub fn perform_all(ops: &[Op], scene: &mut Scene<'_, '_>) -> End {
    for op in ops {
        if !possible(op.what, scene.place) || !world::may(op.what) {
            continue;
        }
        match op.what {
            What::Panic | What::Fail => {
                world::executes(op.what, scene.place);
                world::event(format!("    {op}"));
                return if op.what == What::Panic { End::Panic } else { End::Fail };
            }
            _ => {
                let answer = one(*op, scene);
                if let Some(answer) = answer {
                    world::event(format!("    {} did {op}: {answer}", scene.place.name()));
                }
            }
        }
    }
    End::Over
}

/// What is written down of a result.
pub(super) fn answer<T, E: std::fmt::Display>(result: Result<T, E>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "ok".to_owned())
}

/// The connection that `op` is about, and its index.
fn target(op: Op, scene: &Scene<'_, '_>) -> Option<(usize, Connection)> {
    world::with(|world| {
        let index = match (op.on, scene.conn) {
            (Some(on), _) if !world.known.is_empty() => usize::from(on) % world.known.len(),
            (_, own) => own.or((!world.known.is_empty()).then_some(0))?,
        };
        Some((index, world.known.get(index)?.conn.clone()?))
    })
}

fn one(op: Op, scene: &mut Scene<'_, '_>) -> Option<String> {
    let started = |scene: &Scene<'_, '_>| {
        world::executes(op.what, scene.place);
        world::event(format!("    {} does {op}", scene.place.name()));
    };
    match entry(op.what).needs {
        Needs::Nothing => {
            started(scene);
            nothing(op)
        }
        Needs::Host => on_host(op, scene, started),
        Needs::Io => {
            started(scene);
            let (conn, own) = (target(op, scene), scene.conn);
            scene.io.as_mut().map(|io| on_io(op, io, conn, own))
        }
        Needs::Conn => {
            let (index, conn) = target(op, scene)?;
            started(scene);
            Some(on_conn(op, index, conn))
        }
        Needs::Reader | Needs::Writer => {
            let (index, conn) = target(op, scene)?;
            started(scene);
            let host = scene.host;
            match (&mut scene.io, op.on) {
                (Some(io), None) if entry(op.what).needs == Needs::Reader => Some(read(op, io.reader(), Some(index))),
                (Some(io), None) => Some(write(op, io.writer(), host, Some(index))),
                _ if entry(op.what).needs == Needs::Reader => Some(match conn.reader() {
                    Ok(mut reader) => read(op, &mut reader, Some(index)),
                    Err(error) => error.to_string(),
                }),
                _ => Some(write(op, &mut conn.writer(), host, Some(index))),
            }
        }
    }
}

fn nothing(op: Op) -> Option<String> {
    match op.what {
        What::Nap => world::nap(op.millis()),
        What::DropKept => return Some(format!("{}", world::drop_kept())),
        _ => {}
    }
    None
}

fn on_conn(op: Op, index: usize, conn: Connection) -> String {
    let host = world::with(|world| world.known[index].host);
    let after = || Some(Instant::now() + op.millis());
    if entry(op.what).kinds.has(Kinds::CLOSES) {
        world::meddle(Some(index));
    }
    // What is given to a connection may keep a handle of it.
    let captured = (op.arg > 1).then(|| conn.clone());
    match op.what {
        What::Send => answer(conn.send(&b"ssssssssssssssssssss"[..op.size().min(20)])),
        What::Close => {
            conn.close();
            String::new()
        }
        What::Shutdown => {
            conn.shutdown();
            String::new()
        }
        What::Detach => answer(conn.detach(user::detach_callback(host, index, op.arg > 0))),
        What::Ask => {
            let _ = (conn.id(), conn.peer(), conn.is_broken(), conn.bytes_read(), conn.bytes_sent());
            format!("{}", conn.is_active())
        }
        What::Backlog => format!("{}", conn.backlog()),
        What::EndOutput => answer(conn.end_output()),
        What::OnClose => match conn.on_close(user::close_callback(host, index, captured)) {
            Ok(()) => "ok".to_owned(),
            Err(callback) => {
                let _own = enter(Frame::Own, None);
                drop(callback);
                "too late".to_owned()
            }
        },
        What::SetRequest => {
            world::with(|world| world.known[index].handled = true);
            conn.set_on_request(user::late_request(host, index, captured));
            String::new()
        }
        What::SetDisconnect => {
            conn.set_on_disconnect(user::late_disconnect(host, index, captured));
            String::new()
        }
        What::ReadTimeout => {
            conn.set_read_timeout(Some(op.millis()));
            String::new()
        }
        What::ReadDeadline => {
            conn.set_read_deadline(if op.arg == 1 { None } else { after() });
            String::new()
        }
        What::WriteTimeout => {
            conn.set_write_timeout(Some(op.millis()));
            String::new()
        }
        What::WriteDeadline => {
            conn.set_write_deadline(if op.arg == 1 { None } else { after() });
            String::new()
        }
        What::Keep => {
            world::keep(Kept::Conn(conn));
            String::new()
        }
        _ => {
            let _own = enter(Frame::Own, None);
            drop((world::with(|world| world.known[index].conn.take()), conn));
            String::new()
        }
    }
}

fn on_io(op: Op, io: &mut Io<'_>, other: Option<(usize, Connection)>, own: Option<usize>) -> String {
    match op.what {
        What::Data => format!("{} bytes, last: {}", io.data().len(), io.is_last()),
        What::Consume => {
            let count = io.consume(op.size());
            world::took(own, count);
            format!("{count}")
        }
        What::Reply => {
            io.write(&b"rrr"[..op.size().min(3)]);
            String::new()
        }
        What::Echo => {
            io.write(io.data());
            let count = io.consume(usize::MAX);
            world::took(own, count);
            format!("{count}")
        }
        What::Split => {
            let (reader, writer) = io.split();
            writer.write(reader.data());
            String::new()
        }
        What::KeepOpen => {
            io.keep_open();
            own.into_iter().for_each(world::set_apart);
            String::new()
        }
        _ => {
            let index = usize::from(op.arg);
            let paced = world::with(|world| world.known.get(index % world.known.len().max(1))?.conn.clone());
            if let Some(conn) = paced.or(other.map(|other| other.1)) {
                io.pace_by(&conn);
                world::with(|world| own.into_iter().for_each(|own| world.known[own].paced = true));
            }
            String::new()
        }
    }
}

fn read(op: Op, reader: &mut Reader<'_>, conn: Option<usize>) -> String {
    let took = |bytes: pollproof::Result<Bytes>| {
        if let Ok(bytes) = &bytes {
            world::took(conn, bytes.len());
        }
        answer(bytes)
    };
    match op.what {
        What::Next => took(reader.next(op.size())),
        What::Slice => took(reader.slice(op.size())),
        What::Until => took(reader.until(b'\n')),
        What::Peek => answer(reader.peek(op.size())),
        What::Skip => {
            let skipped = reader.skip(op.size());
            if skipped.is_ok() {
                world::took(conn, op.size());
            }
            answer(skipped)
        }
        What::Read => {
            let mut into = [0; 3];
            let read = reader.read(&mut into[..op.size().min(3)]);
            world::took(conn, read.as_ref().map_or(0, |count| *count));
            answer(read)
        }
        What::FillBuf => {
            let there = reader.fill_buf().map(<[u8]>::len);
            if let Ok(there) = there {
                let count = there.min(op.size());
                reader.consume(count);
                world::took(conn, count);
            }
            answer(there)
        }
        What::Advance => {
            let count = reader.remaining().min(op.size());
            let _ = reader.chunk();
            reader.advance(count);
            world::took(conn, count);
            format!("{count}")
        }
        What::Release => {
            reader.release();
            String::new()
        }
        _ => format!("{} bytes: {}, {}", reader.len(), reader.is_empty(), reader.data().len()),
    }
}

fn write(op: Op, writer: &mut Writer<'_>, host: usize, conn: Option<usize>) -> String {
    let size = if op.arg == HUGE { 3 } else { op.size() };
    match op.what {
        What::Append => writer.append(Bytes::from_owner(Lent::new(size * ground::LENT, host, conn))),
        What::Malloc => {
            writer.malloc(size).fill(b'm');
            return answer(writer.ack(size)) + &answer(writer.ack(1));
        }
        What::Flush => {
            writer.write(&vec![b'f'; size]);
            return answer(writer.flush());
        }
        What::PutBuf => writer.put_slice(&vec![b'p'; size]),
        _ => {
            writer.write(&vec![b'w'; size]);
            return format!("{}, {}", writer.len(), writer.is_empty());
        }
    }
    String::new()
}
