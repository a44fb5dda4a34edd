//! How much a connection may have at a time: read ahead, queued, handled in a row.

#![forbid(unsafe_code)]

/// The limits of every connection of a server or dialer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    /// Bytes read ahead of a busy owner. (N6)
    pub(crate) read_ahead: u64,
    /// Queued output above which the handler waits. (O5)
    pub(crate) high_water: u64,
    /// Queued output below which it is called again. (O5)
    pub(crate) low_water: u64,
    /// Calls of OnRequest before others get their turn. (F2)
    pub(crate) budget: u32,
    /// The end of the stream closes both directions. (E1)
    pub(crate) close_on_eof: bool,
}

impl Default for Flow {
    fn default() -> Self {
        Self { read_ahead: 1 << 20, high_water: 4 << 20, low_water: 1 << 20, budget: 64, close_on_eof: false }
    }
}
