//! The protocol: who may do what to a connection, and when. Pure: no fd, no clock, no thread, no unsafe.
//!
//! One word of lock bits ([`word`]), changed only by `fetch_or` and `fetch_and` ([`transitions`]). What
//! happens to a connection is a function of the party that does it ([`lifecycle`], [`output`]), all of
//! them generic over [`effects`]; the serial section and its release-and-recheck are in [`process`],
//! and when its handler is due in [`progress`].
//!
//! Who polls, when a handler does not come back, is [`takeover`]; it shares nothing with the word.
//!
//! # The life of a connection
//!
//! ```text
//!             OnPrepare, the ADD         OnConnect is over             the section is released
//!    born ------------------> connecting ---------------> owned <--------------------------> free
//!    TASK|CONNECTING|DET      TASK|CONNECTING             TASK     data, a close: TASK is set    -
//!      |                        |                           |                                    |
//!      | a user close before    | a close is noted; the     | a close is noted; the owner        | who notes a close
//!      | the ADD                | end of OnConnect finds it | finds it when it releases          | takes the section
//!      v                        v                           v                                    v
//!    ending: USER, PEER or EOF is set. OnDisconnect runs, once, if the peer was first (H1). The owner goes on when
//!      |     nobody has a hold any more; the last one out takes the section, if nobody owns it (H3).
//!      v
//!    over:   FINAL. The DEL (DET), the close callbacks, last one first, and the fd: closed, or handed back (BACK).
//!            TASK is never given back, so nothing begins after it (C4).
//! ```
//!
//! # The word
//!
//! ```text
//!      27      26     25     24     23     22     21     20     19     18     17     16     15     14
//!    AWAITED  SYNC   HIGH   FULL  MASKED WAITW  WAITR MODPEND  MOD  NOWRITE ARMED OUTPEND  OUT  FLUSHING
//!
//!      13      12     11     10      9      8      7      6      5      4      3      2      1      0
//!    FRESH  HANDLER SHUTDN NOREAD READING  BACK  FINAL   DET    EOF   PEER   USER  CONNECT PENDING TASK
//! ```
//!
//! Each bit is one of four things:
//!
//! - A *lock*: `TASK`, `READING`, `FLUSHING`, `OUT`, `MOD`, `SYNC`. Who sets it from clear has it, until it clears it.
//!   Nobody waits for one: a party that finds it set leaves its work to the holder, which is told by an announcement.
//! - An *announcement*: `PENDING` for the holder of `TASK`, `OUTPEND` for that of `OUT`, `MODPEND` for that of `MOD`.
//! - A *fact* that is set once and stays: `USER`, `PEER`, `EOF`, `SHUTDOWN`, `HANDLER`, `NOWRITE`, `FINAL`, `BACK`.
//! - A *state* of one party that others have to see: `WAITR`, `WAITW`, `ARMED`, `FULL`, `HIGH` and so on.
//!
//! # Announce, then try; release, then look
//!
//! No wake-up is lost, because work is announced before the lock is tried, and the lock is released before it is looked
//! whether more was announced; each of the two is one read-modify-write of the same word, so one of them comes first:
//!
//! ```text
//!    a party that has work for the holder           the holder
//!    ------------------------------------           ----------------------------------------------
//!    1. makes it visible (appends the bytes)        a. clears PENDING, then works off what is there
//!    2. sets PENDING and TASK, in one fetch_or      b. releases TASK, in one fetch_and
//!
//!    2 before b:  2 finds TASK set and goes away;   b finds PENDING set, and takes the section again
//!    b before 2:  2 finds TASK clear, and so has    b finds nothing, and goes away
//!                 the section itself
//! ```
//!
//! The published algorithm looks first and releases then; a close that comes between the two is seen by nobody. (N2)
//!
//! # Who may touch what
//!
//! What a connection owns lies in cells, and each cell is guarded by a bit. A party has a cell only while it has the bit,
//! or while a bit keeps everybody out who would change it:
//!
//! | what | is changed under | is read under |
//! | --- | --- | --- |
//! | the handler's exclusive state, an OnRequest that was set | `TASK` | `TASK` |
//! | the context | `CONNECTING`, and after `FINAL` | `TASK`, or `READING` for OnDisconnect |
//! | unread input | `READING` appends | `TASK` consumes |
//! | queued output | `FLUSHING` appends | `OUT` sends; whoever clears `ARMED` has `OUT` |
//! | epoll's mask of the fd | `MOD` | `MOD` |
//! | the fd | taken after `FINAL`, with `TASK` | `READING` (to read), `OUT` (to write), `MOD` (to register) |
//!
//! `READING`, `FLUSHING`, `MOD`, and `OUT` unless it is `ARMED`, are *holds*: as long as one is set, the close is not
//! committed, so the fd, the buffers and the callbacks stay. That is why an access needs no lock of its own and no
//! reference count. A party that would begin to use the fd looks at the word that its lock bit found, and begins nothing if
//! the end may have been committed (D2).
//!
//! Read in this order: `word`, `process`, `lifecycle`, `output`, `trigger`, `waits`. The clause ids in brackets
//! (`N2`) are SPEC.md's.
//!
//! Beside the connections: whether a server has room for another one is [`gate`]'s.

#![forbid(unsafe_code)]

pub mod close_list;
pub mod effects;
pub mod gate;
pub mod interest;
mod leave;
pub mod lifecycle;
pub mod output;
pub mod process;
pub mod progress;
pub mod slot;
pub mod takeover;
pub mod transitions;
pub mod trigger;
pub mod waits;
pub mod word;
