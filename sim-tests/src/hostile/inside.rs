//! What each thread is inside of, and the rule of it: no code of the program begins inside other code of the program.
//!
//! The exceptions are two: a dial runs the callbacks of its own connection, and a runner may run a task at once. What the
//! program itself drops is its own affair.

use super::program::Place;
use super::world::{event, me, violate, with};

/// What a thread is inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Code of the program.
    Code(Place),
    /// A dial, when there were so many connections: its connection's callbacks belong to it.
    Dial(usize),
    /// It drops something of its own.
    Own,
    /// The drop of a value that the program itself dropped.
    Passive,
}

/// A thread is inside something, as long as this lives.
pub struct Inside;

impl Drop for Inside {
    fn drop(&mut self) {
        let me = me();
        with(|world| world.frames.get_mut(&me).and_then(Vec::pop));
    }
}

/// The calling thread enters `frame`; `conn` is the index of the connection that it is about.
pub fn enter(frame: Frame, conn: Option<usize>) -> Inside {
    let me = me();
    let (frames, own_drop) = with(|world| {
        let frames = world.frames.entry(me).or_default();
        let own_drop = matches!(frame, Frame::Code(place) if place.is_drop())
            && frames.iter().rev().find(|frame| **frame != Frame::Passive) == Some(&Frame::Own);
        let before = frames.clone();
        frames.push(if own_drop { Frame::Passive } else { frame });
        (before, own_drop)
    });
    if let Frame::Code(place) = frame {
        if !place.is_drop() && !may_run(&frames, conn) {
            let outer: Vec<&str> = frames.iter().filter_map(code).collect();
            violate("nested", format!("{} inside {}", place.name(), outer.join(", ")));
        }
        if !own_drop {
            let whose = conn.map_or_else(String::new, |conn| format!(" of {conn}"));
            event(format!("{}{}{whose}", "  ".repeat(frames.len()), place.name()));
        }
    }
    Inside
}

fn code(frame: &Frame) -> Option<&'static str> {
    match frame {
        Frame::Code(place) => Some(place.name()),
        _ => None,
    }
}

/// Whether a callback may begin inside of `frames`: nothing of the program's is under way there, or a dial whose
/// connection it is; or, in that, a runner that runs a task.
fn may_run(frames: &[Frame], conn: Option<usize>) -> bool {
    let dial = frames.iter().rposition(|frame| matches!(frame, Frame::Dial(_)));
    let own = match dial.map(|at| frames[at]) {
        Some(Frame::Dial(before)) if conn.is_none_or(|conn| conn >= before) => dial.map_or(0, |at| at + 1),
        _ => 0,
    };
    let code: Vec<&Frame> = frames[own..].iter().filter(|frame| matches!(frame, Frame::Code(_))).collect();
    matches!(code[..], [] | [Frame::Code(Place::Run)])
}
