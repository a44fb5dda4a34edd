//! What may go wrong: by chance, which is shuttle's to take, or by a script.

use nix::errno::Errno;
use shuttle::rand::{Rng, thread_rng};

use crate::sys::Result;
use crate::sys::sim::report::count;

/// The kernel's limits, and its faults. A chance of `n` is one in `n` calls; 0 is never.
#[derive(Clone, Debug)]
pub struct Faults {
    /// System calls of the reactor in one execution; more are a busy loop.
    pub calls: u64,
    /// How many fds the process may have.
    pub numbers: usize,
    /// Room in a socket's queue, in bytes.
    pub room: usize,
    /// `EINTR`.
    pub interrupt: u32,
    /// A read that takes one byte of several.
    pub short_read: u32,
    /// A write that takes one byte of several though there is room.
    pub short_write: u32,
    /// A readable event of a socket that is not readable, in a batch with others.
    pub spurious: u32,
    /// Which ADDs of connections fail, by their number from 1.
    pub add_fails: Vec<u32>,
    /// Which MODs fail, by their number from 1.
    pub modify_fails: Vec<u32>,
    /// Code of users panics, and the core catches that: an fd that is dropped meanwhile is closed as ever. Otherwise a
    /// panic is the end of the execution, and nothing is kept in order after it.
    pub panics: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            calls: 400,
            numbers: 64,
            room: 64,
            interrupt: 0,
            short_read: 0,
            short_write: 0,
            spurious: 0,
            add_fails: Vec::new(),
            modify_fails: Vec::new(),
            panics: false,
        }
    }
}

fn chance(one_in: u32) -> bool {
    one_in > 0 && thread_rng().gen_range(0..one_in) == 0
}

impl Faults {
    pub(super) fn interrupts(&self) -> bool {
        let interrupts = chance(self.interrupt);
        if interrupts {
            count("EINTR");
        }
        interrupts
    }

    pub(super) fn interrupted(&self) -> Result<()> {
        if self.interrupts() { Err(Errno::EINTR) } else { Ok(()) }
    }

    pub(super) fn short_read(&self, wanted: usize) -> usize {
        if wanted > 1 && chance(self.short_read) {
            count("short read");
            1
        } else {
            wanted
        }
    }

    pub(super) fn short_write(&self, wanted: usize) -> usize {
        if wanted > 1 && chance(self.short_write) { 1 } else { wanted }
    }

    pub(super) fn spurious(&self) -> bool {
        let spurious = chance(self.spurious);
        if spurious {
            count("spurious event");
        }
        spurious
    }

    /// Of the ADD of a connection with this number.
    pub(super) fn add(&self, number: u32) -> Result<()> {
        fails(&self.add_fails, number, "ENOMEM at ADD")
    }

    /// Of the MOD with this number.
    pub(super) fn modify(&self, number: u32) -> Result<()> {
        fails(&self.modify_fails, number, "ENOMEM at MOD")
    }
}

fn fails(which: &[u32], number: u32, name: &'static str) -> Result<()> {
    if which.contains(&number) {
        count(name);
        return Err(Errno::ENOMEM);
    }
    Ok(())
}
