//! Drawing a program from a seed, of the kinds that are asked for.
//!
//! The same seed and kinds are the same program, whatever else is drawn. Every operation is as likely as the others
//! wherever it is possible, so that each meets each place.

use fastrand::Rng;

use super::program::{HUGE, Host, Kinds, Op, PeerAct, Place, Program, Runs};
use super::table::{Needs, TABLE, entry, possible};

/// The program of `seed`.
pub fn draw(seed: u64, kinds: Kinds) -> Program {
    let mut draw = Draw { rng: Rng::with_seed(seed), kinds };
    let count = if kinds.has(Kinds::SEVERAL) { draw.rng.usize(1..=3) } else { 1 };
    let hosts: Vec<Host> = (0..count).map(|index| draw.host(index == 0)).collect();
    let foreign = if kinds.has(Kinds::FOREIGN) { draw.rng.usize(0..=2) } else { 0 };
    let foreign = (0..foreign).map(|_| draw.ops(Place::Foreign, 4)).collect();
    let peers = (0..draw.rng.usize(1..=3)).map(|_| (draw.rng.u8(..3), draw.peer())).collect();
    let remote = draw.peer();
    let faults = kinds.has(Kinds::FAULTS) && draw.rng.bool();
    Program { hosts, foreign, peers, remote, room: draw.one(&[4, 16, 64]), faults, races: draw.one(&[0, 4, 16]) }
}

struct Draw {
    rng: Rng,
    kinds: Kinds,
}

impl Draw {
    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.usize(..of.len())]
    }

    fn host(&mut self, first: bool) -> Host {
        let listens = first || self.rng.bool();
        let mut runs = vec![Runs::Inline, Runs::Inline];
        if self.kinds.has(Kinds::POOL) {
            runs.push(Runs::Pool);
        }
        if self.kinds.has(Kinds::RUNNERS) {
            runs.extend([Runs::Once, Runs::Thread, Runs::Drops]);
        }
        if self.kinds.has(Kinds::RUNNERS.with(Kinds::CRASHES)) {
            runs.push(Runs::Panics);
        }
        let takeover = if self.kinds.has(Kinds::TAKEOVER) { self.one(&[0, 0, 1, 5]) } else { 0 };
        Host {
            listens,
            runs: self.one(&runs),
            takeover,
            pollers: self.one(&[1, 1, 2]),
            budget: self.one(&[1, 2, 64]),
            ahead: self.one(&[1, 3, 64]),
            high: self.one(&[1, 4, 64]),
            on_thread: listens && self.rng.u8(..4) == 0,
            acts: self.acts(),
        }
    }

    fn acts(&mut self) -> Vec<(Place, Vec<Op>)> {
        let mut acts = Vec::new();
        for &place in Place::ALL {
            if self.has(place) && self.rng.u8(..5) < if place.is_drop() { 1 } else { 2 } {
                acts.push((place, self.ops(place, 3)));
            }
        }
        acts
    }

    /// Whether code at `place` may do something.
    fn has(&self, place: Place) -> bool {
        self.kinds.has(match place {
            Place::Foreign => return false,
            Place::Hook => Kinds::HOOKS,
            Place::Run => Kinds::RUNNERS,
            Place::LateRequest | Place::LateDisconnect => Kinds::SETS,
            Place::Disconnect | Place::Close => Kinds::PARTING,
            Place::Detach => Kinds::PARTING.with(Kinds::DETACHES),
            _ if place.is_drop() => Kinds::DROPS,
            _ => Kinds::NONE,
        })
    }

    fn ops(&mut self, place: Place, most: usize) -> Vec<Op> {
        let panics = match place {
            Place::Run => Kinds::CRASHES,
            _ if place.is_drop() => Kinds::BOMBS,
            _ => Kinds::PANICS,
        };
        let allowed = |kinds: Kinds| self.kinds.has(if kinds == Kinds::PANICS { panics } else { kinds });
        let drawn: Vec<_> =
            TABLE.iter().filter(|entry| possible(entry.what, place) && allowed(entry.kinds)).map(|e| e.what).collect();
        let count = self.rng.usize(1..=most);
        (0..count)
            .map(|_| {
                let what = self.one(&drawn);
                let needs = entry(what).needs;
                let other = match needs {
                    Needs::Host => self.rng.bool(),
                    Needs::Nothing | Needs::Io => false,
                    _ => self.kinds.has(Kinds::CROSS) && self.rng.u8(..3) == 0,
                };
                let on = other.then(|| self.rng.u8(..4));
                let sizes: &[u8] = match needs {
                    Needs::Reader if self.kinds.has(Kinds::HUGE) => &[0, 1, 3, HUGE],
                    Needs::Conn | Needs::Writer => &[0, 1, 3, 20],
                    _ => &[0, 1, 3],
                };
                Op { what, on, arg: self.one(sizes) }
            })
            .collect()
    }

    fn peer(&mut self) -> Vec<PeerAct> {
        let mut acts = vec![PeerAct::Send(self.rng.u8(1..=6))];
        for _ in 0..self.rng.usize(0..=3) {
            let act = match self.rng.u8(..6) {
                0..3 => PeerAct::Send(self.rng.u8(1..=6)),
                3 => PeerAct::Receive,
                4 => PeerAct::Nap(self.one(&[0, 1, 8])),
                _ => PeerAct::Finish,
            };
            acts.push(act);
        }
        let end = self.one(&[PeerAct::Drain, PeerAct::Drain, PeerAct::Finish, PeerAct::Reset, PeerAct::Vanish]);
        acts.push(end);
        if end == PeerAct::Finish {
            acts.push(PeerAct::Drain);
        }
        acts
    }
}
