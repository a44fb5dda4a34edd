//! What the operations on servers and dialers do: dialing, shutting down, starting, and handles of them.

use pollproof::Dialer;

use super::ground;
use super::inside::{Frame, enter};
use super::ops::{Scene, answer};
use super::program::{Kinds, Op, PeerAct};
use super::table::{What, entry};
use super::user::{self, User};
use super::world::{self, Kept};
use crate::rules::Step;

/// Does `op`, after it has said so.
pub(super) fn on_host(op: Op, scene: &Scene<'_, '_>, started: impl Fn(&Scene<'_, '_>)) -> Option<String> {
    let (index, handles) = world::with(|world| {
        let index = op.on.map_or(scene.host, usize::from) % world.hosts.len().max(1);
        Some((index, world.hosts.get(index)?.clone()))
    })?;
    handles.dialer.as_ref()?;
    started(scene);
    if entry(op.what).kinds.has(Kinds::SHUTS) {
        world::meddle(None);
    }
    let deadline = std::time::Duration::from_millis(2 * u64::from(op.arg.min(20)));
    let before = world::now();
    let answered = match op.what {
        What::Dial | What::Connect => return dial(op, index, &handles.dialer?),
        What::Upstream => return upstream(index, &handles.dialer?),
        What::Dialer => {
            world::keep(Kept::Dialer(handles.server.as_ref()?.dialer()));
            return None;
        }
        What::Stats => {
            let stats = handles.server.as_ref().map(|server| (server.local_addr().tcp(), server.stats()));
            return Some(format!("{} open", stats.map_or(handles.dialer?.stats(), |stats| stats.1).open));
        }
        What::Spawn => answer(handles.server.as_ref()?.spawn()),
        What::BeginHost => match (&handles.server, &handles.dialer) {
            (Some(server), _) => answer(server.begin_shutdown(deadline)),
            (None, Some(dialer)) => answer(dialer.begin_shutdown(deadline)),
            _ => return None,
        },
        What::ShutHost => match (&handles.server, &handles.dialer) {
            (Some(server), _) if op.arg != 1 => answer(server.shutdown(deadline)),
            (_, Some(dialer)) => answer(dialer.shutdown(deadline)),
            _ => return None,
        },
        _ => {
            let _own = enter(Frame::Own, None);
            world::keep(Kept::Server(handles.server.clone()?));
            drop(world::with(|world| world.hosts.get_mut(index).map(std::mem::take)));
            drop(handles);
            return None;
        }
    };
    let took = world::now() - before;
    if took > deadline + ground::GRACE {
        let where_from = scene.place.name();
        world::violate("late", format!("shutdown in {where_from}: {op} took {took:?} of {deadline:?}"));
    }
    Some(answered)
}

fn dial(op: Op, index: usize, dialer: &Dialer) -> Option<String> {
    let known = world::with(|world| world.known.len());
    let _dialing = enter(Frame::Dial(known), None);
    let address = world::with(|world| world.addresses[usize::from(op.arg) % world.addresses.len()].clone());
    let timeout = std::time::Duration::from_millis(5);
    if op.what == What::Dial {
        return Some(answer(dialer.dial(&address, timeout, User::new(index))));
    }
    let connected = dialer.connect(&address, timeout);
    if let Ok(conn) = &connected {
        user::limit(conn);
        let known = world::know(index, conn, false);
        [Step::Prepare, Step::Connect, Step::Connected].into_iter().for_each(|step| world::step(known, step));
        user::introduce(known, conn);
    }
    Some(answer(connected))
}

/// Asks a peer that answers for sure, as a proxy does, and waits for the answer.
fn upstream(index: usize, dialer: &Dialer) -> Option<String> {
    let answers = world::with(|world| {
        let Some(program) = &world.program else { return false };
        let remote = &program.remote;
        // A callback of that server may wait for the end of another one, whose code is here: nobody polls meanwhile.
        let waits = program
            .hosts
            .get(index)
            .is_some_and(|host| host.acts.iter().flat_map(|(_, ops)| ops).any(|op| op.what == What::ShutHost));
        matches!(remote[..], [PeerAct::Send(1..), ..]) && !remote.contains(&PeerAct::Reset) && !waits
    });
    let remote = world::with(|world| world.addresses.last().cloned().unwrap_or_default());
    let conn = match dialer.connect(&remote, std::time::Duration::from_secs(2)) {
        Ok(conn) => conn,
        Err(error) => return Some(error.to_string()),
    };
    conn.set_read_timeout(Some(if answers { ground::PATIENCE } else { ground::IMPATIENCE }));
    let read = match conn.reader() {
        Ok(mut reader) => reader.next(1),
        Err(error) => Err(error),
    };
    if answers && matches!(read, Err(pollproof::Error::Timeout { .. })) {
        world::violate("upstream", format!("it answers, and a dialer of {index} does not hear it"));
    }
    conn.close();
    Some(answer(read))
}
