//! The facade's recorder, as scenarios and races use it: the real one in a build that a checker explores, and
//! functions that do nothing where there is none.
//!
//! For: giving names to cells, threads and happenings. Not for: reading the record, see [`crate::timeline`].

#[cfg(any(loom, shuttle))]
pub use pollproof::sync::record::{Shown, end_thread, label, name, name_thread, note, restart, start, stop};

#[cfg(not(any(loom, shuttle)))]
pub use nothing::{Shown, end_thread, label, name, name_thread, note, restart, start, stop};

#[cfg(not(any(loom, shuttle)))]
mod nothing {
    use std::borrow::Cow;

    /// How the value of a cell reads.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Shown {
        /// A word of bits, by their names.
        Bits(&'static [(u32, &'static str)]),
        /// One of these, counted from 0.
        Values(&'static [&'static str]),
        /// Set or not.
        Flag,
        /// A number.
        Number,
        /// Not at all, except where a step on it has a label: that is then a note.
        Hidden,
    }

    /// Forgets everything and records from here on.
    pub fn start() {}

    /// Forgets the steps so far, if it records.
    pub fn restart() {}

    /// Records nothing any more.
    pub fn stop() {}

    /// Gives a cell a name.
    pub fn name<T>(_cell: &T, _name: &'static str, _shown: Shown) {}

    /// Gives the calling thread a name.
    pub fn name_thread(_name: &'static str) {}

    /// The calling thread does nothing any more that another could notice.
    pub fn end_thread() {}

    /// Names the next operation of the calling thread.
    pub fn label(_label: &'static str) {}

    /// Something that happens here and is no operation of its own.
    pub fn note(_text: impl Into<Cow<'static, str>>) {}
}
