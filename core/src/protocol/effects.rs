//! What the protocol asks of its surroundings: the kernel, the user's callbacks, the buffers.
//!
//! The reactor implements [`Effects`] with file descriptors and handlers; the scenarios of `loom-tests`
//! implement it with counters and checked cells. The same driver functions (`process`, `lifecycle`,
//! `output`, `interest`) run in both: what is checked is the whole loop, not its parts.
//!
//! Each method says under which bit it is called. That is a promise of the protocol, and the only thing
//! that an implementation may rest its exclusive accesses on.

use super::progress::{Progress, Unread};
use super::transitions::Word;
use super::trigger::Trigger;
use super::word::Snapshot;

/// How a call of user code ended. Effects catch panics; the protocol turns one into a close. (P1)
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::effects::Ran;
///
/// fn guarded(callback: impl FnOnce() + std::panic::UnwindSafe) -> Ran {
///     match std::panic::catch_unwind(callback) {
///         Ok(()) => Ran::Done,
///         Err(_) => Ran::Failed,
///     }
/// }
/// assert_eq!(guarded(|| ()), Ran::Done);
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    /// It returned.
    Done,
    /// It panicked, or returned an error: that was caught and reported.
    Failed,
}

/// What one read of the fd found.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use std::io::{ErrorKind, Read};
///
/// use pollproof::protocol::effects::Input;
///
/// fn input(mut socket: impl Read, block: &mut [u8]) -> Input {
///     match socket.read(block) {
///         Ok(0) => Input::Eof,
///         Ok(_) => Input::Data,
///         Err(error) if error.kind() == ErrorKind::WouldBlock => Input::Empty,
///         Err(_) => Input::Gone,
///     }
/// }
/// assert_eq!(input(&b"bytes"[..], &mut [0; 8]), Input::Data);
/// assert_eq!(input(&b""[..], &mut [0; 8]), Input::Eof);
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Bytes, now part of what [`Effects::unread`] counts.
    Data,
    /// Nothing at present.
    Empty,
    /// The peer sends no more.
    Eof,
    /// The peer is gone.
    Gone,
}

/// What one attempt to send found.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use std::io::{ErrorKind, Write};
///
/// use pollproof::protocol::effects::Sent;
///
/// fn sent(mut socket: impl Write, bytes: &[u8]) -> Sent {
///     match socket.write(bytes) {
///         Ok(count) if count == bytes.len() => Sent::All,
///         Ok(_) => Sent::Partly,
///         Err(error) if error.kind() == ErrorKind::WouldBlock => Sent::Partly,
///         Err(_) => Sent::Failed,
///     }
/// }
/// assert_eq!(sent(&mut [0; 4][..], b"more than four"), Sent::Partly);
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Nothing is left.
    All,
    /// The kernel takes no more at present; the rest is queued.
    Partly,
    /// The fd takes nothing any more; what was queued was dropped.
    Failed,
}

/// Which bits go along with an OnDisconnect that is left to another thread. See [`Effects::leave_disconnect`].
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use pollproof::protocol::effects::{Effects, Left};
/// use pollproof::protocol::lifecycle;
///
/// /// What the home loop does later.
/// fn later(step: &impl Effects, left: Left) {
///     lifecycle::disconnect_left(step, left);
/// }
/// # }
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// `TASK`: OnConnect is over, and found the connection closing.
    Connected,
    /// `READING`: the end of the stream was read.
    Reading,
    /// `READING` and `TASK`.
    ReadingAsOwner,
}

/// The surroundings of one connection's protocol.
///
/// ```
/// # #[cfg(not(any(loom, shuttle)))] {
/// use std::cell::{Cell, RefCell};
///
/// use pollproof::protocol::effects::{Effects, Input, Ran, Sent};
/// use pollproof::protocol::process;
/// use pollproof::protocol::progress::{Progress, Unread};
/// use pollproof::protocol::transitions::Word;
/// use pollproof::protocol::trigger::Trigger;
/// use pollproof::protocol::word::Snapshot;
/// use pollproof::protocol::lifecycle;
///
/// /// A connection without a socket, for one thread.
/// struct Toy {
///     word: Word,
///     triggers: [Trigger; 2],
///     arrives: Cell<u64>,
///     unread: Cell<Unread>,
///     progress: RefCell<Progress>,
///     calls: RefCell<Vec<&'static str>>,
/// }
///
/// impl Toy {
///     fn call(&self, name: &'static str) -> Ran {
///         self.calls.borrow_mut().push(name);
///         Ran::Done
///     }
/// }
///
/// impl Effects for Toy {
///     fn word(&self) -> &Word { &self.word }
///     fn run_task(&self, at: Snapshot) { process::run(self, at) }
///     fn on_prepare(&self) -> Ran { self.call("prepare") }
///     fn register(&self) -> bool { true }
///     fn on_connect(&self) -> Ran { self.call("connect") }
///     fn unread(&self) -> Option<Unread> { Some(self.unread.get()) }
///     fn progress<R>(&self, f: impl FnOnce(&mut Progress) -> R) -> R { f(&mut self.progress.borrow_mut()) }
///     fn on_request(&self, _last: bool) -> Ran {
///         let Unread { produced, .. } = self.unread.get();
///         self.unread.set(Unread { produced, consumed: produced });
///         self.call("request")
///     }
///     fn install_handler(&self) -> bool {
///         false
///     }
///     fn input_empty(&self) -> bool { self.unread.get().produced == self.unread.get().consumed }
///     fn run_close_callbacks(&self) { let _ = self.call("close callbacks"); }
///     fn finish(&self, _hand_back: bool) { let _ = self.call("finish"); }
///     fn read(&self, _owner: bool) -> Input {
///         let (Unread { produced, consumed }, bytes) = (self.unread.get(), self.arrives.take());
///         self.unread.set(Unread { produced: produced + bytes, consumed });
///         if bytes > 0 { Input::Data } else { Input::Eof }
///     }
///     fn on_disconnect(&self) -> Ran { self.call("disconnect") }
///     fn deregister(&self) { let _ = self.call("deregister"); }
///     fn append(&self) {}
///     fn send(&self, _direct: bool) -> Sent { Sent::All }
///     fn discard(&self) {}
///     fn set_interest(&self, _readable: bool, _writable: bool, _edge: bool) {}
///     fn read_trigger(&self) -> &Trigger { &self.triggers[0] }
///     fn write_trigger(&self) -> &Trigger { &self.triggers[1] }
///     fn produced(&self) -> u64 { self.unread.get().produced }
///     fn sent(&self) -> u64 { 0 }
/// }
///
/// let toy = Toy {
///     word: Word::new(true),
///     triggers: [Trigger::new(), Trigger::new()],
///     arrives: Cell::new(5),
///     unread: Cell::new(Unread { produced: 0, consumed: 0 }),
///     progress: RefCell::new(Progress::default()),
///     calls: RefCell::new(Vec::new()),
/// };
/// assert!(lifecycle::register(&toy));
/// lifecycle::connect(&toy);
/// let _ = lifecycle::readable(&toy, false);
/// let _ = lifecycle::readable(&toy, false);
/// assert_eq!(
///     toy.calls.borrow()[..],
///     ["prepare", "connect", "request", "disconnect", "deregister", "close callbacks", "finish"],
/// );
/// # }
/// ```
pub trait Effects {
    /// The connection's word.
    fn word(&self) -> &Word;

    /// Runs the owned serial section, here or elsewhere: inline this is [`process::run`], a pool hands
    /// it to a worker. Called by whoever took `TASK`, which travels with the call. (S1)
    ///
    /// [`process::run`]: super::process::run
    fn run_task(&self, at: Snapshot);

    /// Calls what is out of the usual way. It may be lent a copy of this party: then one that goes the usual way need
    /// not be in memory.
    #[inline(always)]
    fn apart<R>(&self, unusual: impl FnOnce(&Self) -> R) -> R {
        unusual(self)
    }

    /// As [`run_task`](Self::run_task), just after a [`read`](Self::read) by the caller under `TASK`: what it read may
    /// be where this thread alone finds it.
    #[inline(always)]
    fn run_read(&self, at: Snapshot) {
        self.run_task(at);
    }

    // Under TASK.

    /// Calls OnPrepare, before the fd is registered. Under `TASK`.
    fn on_prepare(&self) -> Ran;

    /// `EPOLL_CTL_ADD`. Under `TASK`, before any other access to the fd by others. `false` when the
    /// kernel refused; the connection is then closed.
    fn register(&self) -> bool;

    /// Calls OnConnect. Under `TASK`; never overlaps [`on_disconnect`](Self::on_disconnect).
    fn on_connect(&self) -> Ran;

    /// How much was read and how much of it was consumed; `None` when no OnRequest is set. Under `TASK`.
    fn unread(&self) -> Option<Unread>;

    /// The owner's memory of its last call. Under `TASK`.
    fn progress<R>(&self, f: impl FnOnce(&mut Progress) -> R) -> R;

    /// Calls OnRequest. Under `TASK`. `last`: nothing more will come. Before it gives the handler what others have read,
    /// and not the caller before its [`run_read`](Self::run_read), it looks once more whether a handler waits in the
    /// slot, and installs it: those bytes may have come after it. (S1, R1)
    fn on_request(&self, last: bool) -> Ran;

    /// Moves a handler that waits in its slot to where the owner calls it; whether one did. Under `TASK`. (R1)
    fn install_handler(&self) -> bool;

    /// Whether the output that paces the handler has reached its high-water mark, so that the handler is to wait:
    /// this connection's, or another's. Under `TASK`. (O5, O6)
    fn output_high(&self) -> bool {
        false
    }

    /// If it is another's: puts this connection where that one's [`relieve_others`](Self::relieve_others) finds it,
    /// and then says what that one's [`output::await_drain`] says. Under `TASK`, and the word says already that the
    /// handler waits. (O6)
    ///
    /// [`output::await_drain`]: super::output::await_drain
    fn await_other(&self) -> Option<bool> {
        None
    }

    /// Whether the user ends the connection by ending its output, so that the end of the peer's stream does not.
    /// Under `TASK`. (E4)
    fn keeps_open(&self) -> bool {
        false
    }

    /// The handler is not called now, though there are bytes that it has not seen: they are kept where the next
    /// owner finds them. Under `TASK`. (N1, O5)
    fn keep_unread(&self) {}

    /// The drain has used up its budget: queues the section behind others, if there is a place for it.
    /// `true` when `TASK` went with it; the caller touches nothing more. Under `TASK`. (F2)
    fn pass_on(&self, _at: Snapshot) -> bool {
        false
    }

    /// Whether every byte that was read was consumed, with or without an OnRequest. Under `TASK`.
    fn input_empty(&self) -> bool;

    /// Seals the list of close callbacks and runs it, newest first, each caught on its own. Under `TASK`
    /// for ever, after `FINAL`. (C2, C3, P3)
    fn run_close_callbacks(&self);

    /// Frees the buffers and closes the fd, or hands it back. Under `TASK` for ever, after the close
    /// callbacks; the last access to anything of this connection. (C5, D3)
    fn finish(&self, hand_back: bool);

    /// A callback is due, and the caller's thread is inside user code, where none may begin: leaves the section to the
    /// connection's home loop. `true` when `TASK` went with it; the caller touches nothing more. Under `TASK`. (U2)
    fn leave_section(&self) -> bool {
        false
    }

    /// OnDisconnect is due, and the caller's thread is inside user code: leaves it to the connection's home loop, which
    /// calls [`lifecycle::disconnect_left`]. `true` when the bits that `left` names went with it; the caller touches
    /// nothing more. Under those bits. (U2, U3)
    ///
    /// [`lifecycle::disconnect_left`]: super::lifecycle::disconnect_left
    fn leave_disconnect(&self, _left: Left) -> bool {
        false
    }

    // Under a hold.

    /// One read of the fd, appended to the input. Under `READING`. `owner`: under `TASK` too, so that
    /// the bytes may stay in the caller's block until the section runs. (N3)
    fn read(&self, owner: bool) -> Input;

    /// Whether as much was read ahead of the owner as is allowed. Under `READING`, or under `TASK`; what the
    /// other side does meanwhile may be missed. (N6)
    fn input_full(&self) -> bool {
        false
    }

    /// Calls OnDisconnect. Under `READING`, or under `TASK` at the end of OnConnect; may overlap
    /// [`on_request`](Self::on_request), never OnConnect or the close callbacks. (H1, H4)
    fn on_disconnect(&self) -> Ran;

    /// `EPOLL_CTL_DEL`. By whoever found `DET` clear, under a hold or `TASK`. An error is reported by
    /// the implementation and stops nothing. (D1)
    fn deregister(&self);

    /// Appends this flush's bytes to the queue. Under `FLUSHING`. (O1)
    fn append(&self);

    /// Sends what is queued and then, if `direct`, this flush's own bytes (under `FLUSHING` as well),
    /// queueing what is left of them. Under `OUT`. (O2)
    fn send(&self, direct: bool) -> Sent;

    /// Whether output has drained to its low-water mark. Under `OUT`. (O5)
    fn output_low(&self) -> bool {
        true
    }

    /// Everything was sent, and nothing more will come: tells the peer, if it was the user who ended the output. It
    /// may have been told already. Under `OUT`. (E5)
    fn end_output(&self) {}

    /// The output has drained, or is lost: [`output::relieve`] for every connection whose handler waits for it. On
    /// any thread that holds no lock of this output. (O6)
    ///
    /// [`output::relieve`]: super::output::relieve
    fn relieve_others(&self) {}

    /// Drops what is queued: it can never be sent. Under `OUT`. (E2)
    fn discard(&self);

    /// `EPOLL_CTL_MOD` to this mask, unless it is the one in force. `edge`: edge-triggered, so that a hup, which
    /// no mask keeps out, is reported once and not again and again. Under `MOD`. (I1, K6)
    fn set_interest(&self, readable: bool, writable: bool, edge: bool);

    /// Whether other threads may poll the same epoll at the same time, so that an event may come while somebody
    /// else reads the fd, and come again until they are through. (K6)
    fn shares_epoll(&self) -> bool {
        false
    }

    // Waking.

    /// The trigger of blocked readers.
    fn read_trigger(&self) -> &Trigger;

    /// The trigger of blocked flushers.
    fn write_trigger(&self) -> &Trigger;

    /// Bytes read since birth: what a blocked reader's target is compared with. Called by the holder of
    /// `READING`, and by the owner.
    fn produced(&self) -> u64;

    /// Bytes sent since birth: what a blocked flusher's target is compared with. Called by the holder of
    /// `OUT`, and by the flusher.
    fn sent(&self) -> u64;
}
