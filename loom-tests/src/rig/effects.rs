//! [`World`]'s side of the protocol's contract: which cell each effect touches, and what it records.
//!
//! A cell is accessed with `with` where the contract says that others may read too, and with `with_mut`
//! where it says that nobody else is there.

use pollproof::protocol::effects::{Effects, Input, Left, Ran, Sent};
use pollproof::protocol::interest;
use pollproof::protocol::output;
use pollproof::protocol::process;
use pollproof::protocol::progress::{Progress, Unread};
use pollproof::protocol::transitions::Word;
use pollproof::protocol::trigger::Trigger;
use pollproof::protocol::word::{ARMED, HANDLER, Snapshot};
use pollproof::sync::atomic::Ordering;
use pollproof::sync::{lock, thread};

use super::queue::Duty;
use super::{Serial, World};
use crate::recording;
use crate::scenario::Runner;

/// How many serial sections of one scenario are handed to tasks.
const MOST_TASKS: u32 = 2;

impl World {
    fn serial<R>(&self, f: impl FnOnce(&mut Serial) -> R) -> R {
        // Safety: under TASK (S1).
        self.inner.serial.with_mut(|serial| f(unsafe { &mut *serial }))
    }

    /// Uses the fd, which must be open and stay so meanwhile.
    fn use_fd(&self) {
        self.inner.fd.with(|_| ());
        assert!(!self.peek().closed, "use of a closed fd");
    }

    /// A trigger is made by who waits first; others come here only when they have found that somebody waits.
    fn make(&self, which: usize) {
        let made = &self.inner.made[which];
        // Safety: as for the reactor's triggers.
        if !made.with(|made| unsafe { *made }) {
            // Safety: nobody has ever waited.
            made.with_mut(|made| unsafe { *made = true });
        }
    }

    /// Bytes that were flushed and neither sent nor dropped.
    pub(super) fn backlog(&self) -> u64 {
        // Ordering: Acquire, partners: the Releases of `append` and `send`. What is appended and sent at the
        // same time is found by a later look (O5).
        let gone = self.inner.sent.load(Ordering::Acquire);
        let queued = self.inner.queued.load(Ordering::Acquire);
        queued.saturating_sub(gone + self.record().dropped)
    }

    /// Consumes whole packets of the first `produced` segments, reading each. Returns how many segments it took, and
    /// how many were taken or there since birth.
    pub(super) fn consume_all(&self, packet: u64, produced: u64) -> (u64, u64) {
        self.serial(|serial| {
            let whole = ((produced - serial.consumed) / packet * packet).min(self.inner.user.per_call);
            for at in serial.consumed..serial.consumed + whole {
                // Safety: written before it was announced, and not again (N1).
                let value = self.inner.segments[at as usize].with(|segment| unsafe { *segment });
                assert_eq!(value, at + 1, "segment {at} is not what was read");
            }
            serial.consumed += whole;
            if self.inner.user.limit < u64::MAX {
                // Ordering: Relaxed, partner `input_full`, which may miss it.
                self.inner.consumed.fetch_add(whole, Ordering::Relaxed);
            }
            (whole, produced)
        })
    }
}

impl Effects for World {
    fn word(&self) -> &Word {
        &self.inner.word
    }

    fn run_task(&self, at: Snapshot) {
        if self.inside.get() {
            // Where nobody serves, it may come to its end without a callback. (U2)
            return if at.any(HANDLER) { self.leave(Duty::Section(Some(at))) } else { process::run(self, at) };
        }
        if self.inner.runner == Runner::Spawned {
            // How many tasks there are steers what follows.
            self.mark();
        }
        let mut record = self.record();
        // loom has five threads: with two roles and main, two tasks; then the caller runs the section,
        // as a full pool may.
        let spawn = self.inner.runner == Runner::Spawned && !record.born && record.tasks < MOST_TASKS;
        record.tasks += u32::from(spawn);
        drop(record);
        if spawn {
            let world = World { who: 't', ..self.clone() };
            let task = thread::spawn(move || process::run(&world, at));
            self.inner.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(task);
        } else {
            process::run(self, at);
        }
    }

    fn on_prepare(&self) -> Ran {
        self.call(self.inner.user.on_prepare)
    }

    fn register(&self) -> bool {
        self.use_fd();
        recording::label("EPOLL_CTL_ADD");
        let mut kernel = self.kernel();
        kernel.registered = true;
        kernel.modify((true, false, false));
        drop(kernel);
        // Output that OnPrepare left parked could not say so before the fd was there.
        if self.inner.user.flushes_early && self.inner.word.look().any(ARMED) {
            interest::refresh(self);
        }
        true
    }

    fn on_connect(&self) -> Ran {
        self.event("connect");
        {
            let mut record = self.record();
            assert!(!record.connected, "OnConnect twice");
            assert!(!record.in_request && !record.in_disconnect && record.closes == 0);
            record.connected = true;
            record.in_connect = true;
        }
        // Safety: under TASK, and OnDisconnect waits for the end of OnConnect (H5).
        self.inner.context.with_mut(|context| unsafe { *context = 42 });
        let ran = self.call(self.inner.user.on_connect);
        self.record().in_connect = false;
        ran
    }

    fn unread(&self) -> Option<Unread> {
        let produced = self.produced();
        self.serial(|serial| (serial.handler != 0).then_some(Unread { produced, consumed: serial.consumed }))
    }

    fn progress<R>(&self, f: impl FnOnce(&mut Progress) -> R) -> R {
        self.serial(|serial| f(&mut serial.progress))
    }

    fn on_request(&self, last: bool) -> Ran {
        // What the handler is given is there before it is looked which handler that is. (R1)
        let offered = self.inner.user.sets.then(|| self.produced());
        if offered.is_some() {
            let _ = self.install_handler();
        }
        assert!(!self.inside.get(), "OnRequest inside user code");
        let handler = self.serial(|serial| serial.handler);
        self.event(if handler == 1 { "request".to_owned() } else { format!("request{handler}") });
        {
            let mut record = self.record();
            assert!(!record.in_request, "OnRequest overlaps itself");
            assert!(!record.in_connect, "OnRequest overlaps OnConnect");
            assert!(record.connected, "OnRequest before OnConnect");
            assert_eq!(record.closes, 0, "OnRequest after the close callbacks");
            record.in_request = true;
            record.last_told += u32::from(last);
            record.last = last;
        }
        // Safety: OnConnect wrote it, and it is over (H5).
        assert_eq!(self.inner.context.with(|context| unsafe { *context }), 42);
        let ran = self.call(self.inner.user.on_request);
        if ran == Ran::Done {
            let (took, _) = self.consume_all(self.inner.user.packet, offered.unwrap_or_else(|| self.produced()));
            self.record().took_by_first += if handler == 1 { took } else { 0 };
        }
        self.record().in_request = false;
        ran
    }

    fn install_handler(&self) -> bool {
        let waiting = self.inner.slot.take();
        if let Some(id) = waiting {
            let old = self.serial(|serial| std::mem::replace(&mut serial.handler, id));
            self.record().handlers_over += u32::from(old != 0);
        }
        waiting.is_some()
    }

    fn leave_section(&self) -> bool {
        if self.inside.get() {
            self.leave(Duty::Section(None));
        }
        self.inside.get()
    }

    fn leave_disconnect(&self, left: Left) -> bool {
        if self.inside.get() {
            self.leave(Duty::Disconnect(left));
        }
        self.inside.get()
    }

    fn input_empty(&self) -> bool {
        let produced = self.produced();
        self.serial(|serial| serial.consumed == produced)
    }

    fn input_full(&self) -> bool {
        // Ordering: Relaxed, partner `consume_all`.
        self.inner.user.limit < u64::MAX
            && self.produced() - self.inner.consumed.load(Ordering::Relaxed) >= self.inner.user.limit
    }

    fn output_high(&self) -> bool {
        let paces = self.inner.paced_by.as_ref().unwrap_or(self);
        paces.inner.user.high < u64::MAX && paces.backlog() >= paces.inner.user.high
    }

    fn await_other(&self) -> Option<bool> {
        self.inner.paced_by.as_ref().map(|other| {
            lock(&other.inner.awaiting).push(self.clone());
            output::await_drain(other)
        })
    }

    fn keeps_open(&self) -> bool {
        self.inner.user.keeps_open
    }

    fn end_output(&self) {
        if self.inner.user.ends {
            self.use_fd();
            self.kernel().ended = true;
        }
    }

    fn relieve_others(&self) {
        let awaiting = std::mem::take(&mut *lock(&self.inner.awaiting));
        for other in awaiting {
            output::relieve(&other.found_by(self));
        }
    }

    fn output_low(&self) -> bool {
        self.backlog() < self.inner.user.high
    }

    fn pass_on(&self, _at: Snapshot) -> bool {
        if self.inner.user.passes_on {
            self.leave(Duty::Section(None));
        }
        self.inner.user.passes_on
    }

    fn run_close_callbacks(&self) {
        assert!(!self.inside.get(), "close callbacks inside user code");
        self.event("close");
        {
            let mut record = self.record();
            record.closes += 1;
            assert_eq!(record.closes, 1, "close callbacks twice");
            assert!(!record.in_connect && !record.in_request && !record.in_disconnect);
        }
        let kernel = self.peek();
        assert!(!kernel.registered, "the close callbacks run before the DEL");
        drop(kernel);
        // Alone with everything that callbacks use.
        self.inner.disconnecting.with_mut(|_| ());
        self.serial(|_| ());
        // Safety: every other callback is over (H4, S1).
        self.inner.context.with_mut(|context| unsafe { *context += 1 });
        // Safety: the closer's writes are over and visible (C7).
        let note = self.inner.closers_note.with(|note| unsafe { *note });
        if note != 0 {
            self.record().notes.push("note seen".to_owned());
        }
        let mut first = true;
        self.inner.callbacks.run(|id| {
            self.record().ran.push(id);
            if std::mem::take(&mut first) { self.call(self.inner.user.on_close) } else { Ran::Done }
        });
    }

    fn finish(&self, hand_back: bool) {
        self.inner.fd.with_mut(|_| ());
        self.inner.reader.with_mut(|_| ());
        self.inner.producer.with_mut(|_| ());
        self.inner.consumer.with_mut(|_| ());
        self.inner.mask.with_mut(|_| ());
        let mut kernel = self.peek();
        assert!(!kernel.closed, "the fd is closed twice");
        kernel.closed = true;
        drop(kernel);
        if self.inner.user.sets {
            // Nothing of the user's is kept; the next who comes with a handler gets it back. (U4)
            let waiting = self.inner.slot.seal();
            let installed = self.serial(|serial| serial.handler) != 0;
            self.record().handlers_over += u32::from(waiting.is_some()) + u32::from(installed);
        }
        recording::note(if hand_back { "the fd is handed back" } else { "close(2)" });
        let mut record = self.record();
        record.finishes += 1;
        record.handed_back += u32::from(hand_back);
        let wakes = record.led && !self.leads;
        drop(record);
        // As for a registration that is over.
        if wakes {
            self.wake();
        }
    }

    fn read(&self, _owner: bool) -> Input {
        self.use_fd();
        recording::label("read(2)");
        let input = self.kernel().read();
        if input == Input::Data {
            // Safety: under READING (N3).
            let at = self.inner.reader.with_mut(|read| unsafe {
                *read += 1;
                *read
            });
            // Safety: nobody reads a segment before it is counted (N3).
            self.inner.segments[at as usize - 1].with_mut(|segment| unsafe { *segment = at });
            // Ordering: Release, partner: the Acquire of `produced`.
            self.inner.produced.fetch_add(1, Ordering::Release);
        } else {
            self.inner.reader.with_mut(|_| ());
        }
        if input == Input::Gone {
            // Safety: under READING (N3); others look once the word says so.
            self.inner.broken.with_mut(|broken| unsafe { *broken = true });
        }
        input
    }

    fn on_disconnect(&self) -> Ran {
        assert!(!self.inside.get(), "OnDisconnect inside user code");
        self.event("disconnect");
        {
            let mut record = self.record();
            assert!(record.connected, "OnDisconnect before OnConnect");
            assert!(!record.in_connect, "OnDisconnect overlaps OnConnect");
            assert_eq!(record.closes, 0, "OnDisconnect after the close callbacks");
            record.in_disconnect = true;
        }
        self.inner.disconnecting.with_mut(|_| ());
        self.use_fd();
        // Safety: OnConnect wrote it, and it is over (H5).
        assert_eq!(self.inner.context.with(|context| unsafe { *context }), 42);
        let ran = self.call(self.inner.user.on_disconnect);
        self.mark();
        self.inner.disconnecting.with_mut(|_| ());
        self.record().in_disconnect = false;
        ran
    }

    fn deregister(&self) {
        self.use_fd();
        recording::label("EPOLL_CTL_DEL");
        let mut kernel = self.kernel();
        assert!(kernel.registered, "a DEL of what is not registered");
        kernel.registered = false;
        kernel.dels += 1;
    }

    fn append(&self) {
        self.inner.producer.with_mut(|_| ());
        // Ordering: Release, partner: the Acquire in `send`.
        self.inner.queued.fetch_add(self.own, Ordering::Release);
    }

    fn send(&self, direct: bool) -> Sent {
        if self.inner.user.output {
            self.event("send");
        }
        if direct {
            self.append();
        }
        self.use_fd();
        // Ordering: Acquire, partner: the Release of `append`.
        let queued = self.inner.queued.load(Ordering::Acquire);
        // Safety: under OUT (O2).
        self.inner.consumer.with_mut(|taken| unsafe {
            recording::label("write(2)");
            let Some(took) = self.kernel().write(queued - *taken) else { return Sent::Failed };
            *taken += took;
            // Ordering: Release, partner: the Acquire of `sent`.
            self.inner.sent.fetch_add(took, Ordering::Release);
            if *taken == queued { Sent::All } else { Sent::Partly }
        })
    }

    fn discard(&self) {
        // Ordering: Acquire, partner: the Release of `append`.
        let queued = self.inner.queued.load(Ordering::Acquire);
        // Safety: under OUT (O2).
        self.inner.consumer.with_mut(|taken| unsafe {
            self.record().dropped += queued - *taken;
            *taken = queued;
        });
    }

    fn set_interest(&self, readable: bool, writable: bool, edge: bool) {
        self.use_fd();
        let wanted = (readable, writable, edge);
        // Safety: under MOD (I1).
        let old = self.inner.mask.with_mut(|mask| unsafe { std::mem::replace(&mut *mask, wanted) });
        recording::label("EPOLL_CTL_MOD");
        let mut kernel = self.kernel();
        assert!(kernel.registered || kernel.dels > 0, "a MOD before the ADD");
        // ENOENT otherwise: a MOD that was under way when the DEL came, which changes nothing.
        if kernel.registered && old != wanted {
            kernel.modify(wanted);
        }
    }

    fn shares_epoll(&self) -> bool {
        self.inner.user.shares
    }

    fn read_trigger(&self) -> &Trigger {
        self.make(0);
        &self.inner.read_trigger
    }

    fn write_trigger(&self) -> &Trigger {
        self.make(1);
        &self.inner.write_trigger
    }

    fn produced(&self) -> u64 {
        // Ordering: Acquire, partner: the Release in `read`.
        self.inner.produced.load(Ordering::Acquire)
    }

    fn sent(&self) -> u64 {
        // Ordering: Acquire, partner: the Release in `send`.
        self.inner.sent.load(Ordering::Acquire)
    }
}
