//! When OnRequest is due: what was read, what was consumed, and what its last call has seen of it. (N4, N5)
//!
//! Plain arithmetic under `TASK`, with nothing that two threads share. Not here: who calls it (`process`).

use crate::mutation::guard;

/// What has been read, and how much of it has been consumed, in bytes since birth.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::progress::Unread;
///
/// let unread = Unread { produced: 100, consumed: 64 };
/// assert_eq!(unread.produced - unread.consumed, 36);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Bytes that were read.
    pub produced: u64,
    /// Bytes that handlers consumed.
    pub consumed: u64,
}

/// The owner's memory of its last call of OnRequest: when to call again. (N4)
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::progress::{Progress, Unread};
///
/// let mut progress = Progress::default();
/// let half = Unread { produced: 10, consumed: 0 };
/// assert!(progress.due(half, false));
/// // The handler wants more than these ten bytes: it is not called again for them,
/// progress.called(half, half, false);
/// assert!(!progress.due(half, false));
/// // but for one more, or when nothing more will come.
/// assert!(progress.due(Unread { produced: 11, ..half }, false));
/// assert!(progress.due(half, true));
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Progress {
    /// Total read when the handler last returned without having consumed everything.
    seen: u64,
    /// The handler was called when nothing more could come.
    told: bool,
}

impl Progress {
    /// Whether OnRequest is due: there is something unread, and either the handler has not seen as much,
    /// or it has not been told that nothing more will come. So bytes that a peer sent before it closed reach
    /// the handler at least once. (N4, N5)
    #[inline]
    pub fn due(&self, unread: Unread, last: bool) -> bool {
        if unread.produced <= unread.consumed {
            return false;
        }
        let new = !guard("progress.same-bytes", unread.produced <= self.seen);
        new || guard("progress.told-of-close", last && !self.told)
    }

    /// No call was told that nothing more will come. (E4)
    pub(super) fn is_untold(&self) -> bool {
        !self.told
    }

    /// OnRequest returned: `before` and `after` are what was unread around it. Whether it is due again. (N4, N5)
    #[inline]
    pub fn called(&mut self, before: Unread, after: Unread, last: bool) -> bool {
        self.told = last;
        // A handler that consumed something is called again for the rest; one that consumed nothing
        // only for more than it has seen.
        self.seen = 0;
        if after.produced <= after.consumed {
            return false;
        }
        if after.consumed == before.consumed {
            self.seen = before.produced;
        }
        self.due(after, last)
    }

    /// Another handler is in place, which has seen nothing.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}
