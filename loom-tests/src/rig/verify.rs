//! The end of a scenario: what must hold for every one of them, and the outcome.

use pollproof::protocol::effects::Effects;
use pollproof::protocol::word::*;

use super::{Record, World};

impl Record {
    fn count(&self, name: &str) -> usize {
        self.events.iter().filter(|(_, event)| event.split('@').next() == Some(name)).count()
    }
}

impl World {
    /// How often callback `name` ran. Called after [`World::end`].
    pub fn count(&self, name: &str) -> usize {
        self.record().count(name)
    }

    /// The callbacks so far, in order. Called when no other role runs.
    pub fn events(&self) -> Vec<String> {
        let mut record = self.record();
        record.events.sort();
        record.events.iter().map(|(_, event)| event.split('@').next().unwrap_or_default().to_owned()).collect()
    }

    /// The close callbacks that ran, in order.
    pub fn close_callbacks_run(&self) -> Vec<u32> {
        self.record().ran.clone()
    }

    /// How many calls of OnRequest there were, whichever handler was set. Called after [`World::end`].
    pub fn requests(&self) -> usize {
        self.record().events.iter().filter(|(_, event)| event.starts_with("request")).count()
    }

    /// Whether the peer got everything that was flushed. Called after [`World::end`].
    pub fn all_sent(&self) -> bool {
        self.kernel().taken == self.record().flushed
    }

    /// How many calls of OnRequest were told that nothing more will come. Called after [`World::end`].
    pub fn last_told(&self) -> u32 {
        self.record().last_told
    }

    /// How many segments the OnRequest consumed that was there first. Called after [`World::end`].
    pub fn took_by_first(&self) -> u64 {
        self.record().took_by_first
    }

    /// How many segments were handled or read. Called when no other role runs.
    pub fn handled(&self) -> u64 {
        // Safety: by the caller's promise nobody else is there.
        self.inner.serial.with(|serial| unsafe { (*serial).consumed })
    }

    /// How many close callbacks ran. Called after [`World::end`].
    pub fn close_callbacks(&self) -> usize {
        self.record().ran.len()
    }

    /// Joins the tasks, lets epoll report what is left (it is level-triggered), checks what must hold
    /// for every scenario, and returns the outcome: callbacks in order, bytes, DELs, the word.
    ///
    /// # Panics
    ///
    /// When the protocol broke a promise.
    pub fn end(&self) -> String {
        self.record().led = false;
        self.join_tasks();
        let mut reports = 0;
        while self.poll() {
            self.join_tasks();
            reports += 1;
            assert!(reports < 10, "epoll reports the same for ever: {}", self.look());
        }
        self.nothing_is_left();
        let word = self.look();
        // Ordering of these looks: every other thread is joined.
        let produced = self.segments_read();
        let sent = Effects::sent(self);
        let (consumed, handler) = self.inner.serial.with(|serial| {
            // Safety: every other thread is joined.
            let serial = unsafe { &*serial };
            (serial.consumed, serial.handler)
        });
        let high = word.choked() && self.output_high();
        let kernel = self.kernel();
        let mut record = self.record();
        record.events.sort();
        record.notes.sort();
        assert!(!word.any(READING | FLUSHING | MOD | WAITR | WAITW | SYNC | MASKED), "left behind: {word}");
        assert!(record.count("disconnect") <= 1, "OnDisconnect twice");
        if word.any(FINAL) {
            assert!(word.any(TASK), "released after the commit: {word}");
            assert_eq!((record.closes, record.finishes), (1, 1), "closed and freed once: {word}");
            if self.inner.user.sets {
                assert_eq!(
                    record.handlers_over, record.handlers,
                    "a handler is dropped once, by the end at the latest"
                );
            }
            assert!(kernel.closed && !kernel.registered);
            assert!(kernel.dels <= 1, "two DELs");
            let mut ran = record.ran.clone();
            ran.sort_unstable();
            let mut added = record.added.clone();
            added.sort_unstable();
            assert_eq!(ran, added, "a close callback that was accepted runs once");
            let born = |id: &&u32| **id < self.inner.user.callbacks;
            assert!(record.ran.iter().filter(born).is_sorted_by(|a, b| a > b), "not newest first");
        } else {
            assert!(
                !word.any(TASK | NOREAD) && (!word.any(PENDING) || word.choked()),
                "nobody runs, but the section is owned: {word}"
            );
            assert!(
                !word.closing() || word.unattended() || word.output_left() || self.waits(word),
                "closing, nothing holds it, and nobody ended it: {word}"
            );
            assert!(!word.any(OUT) || word.any(ARMED), "a consumer left: {word}");
            assert!(
                !word.choked() || word.any(ARMED) || self.waits_for_other(),
                "the handler waits for output that is gone: {word}"
            );
            assert!(!word.choked() || high, "the handler waits, though the peer has taken enough: {word}");
            if !word.any(DET) {
                let wanted = (!word.reads_nothing(), word.any(ARMED), false);
                assert_eq!(kernel.mask, wanted, "epoll's mask is not what the word wants: {word}");
            }
        }
        if !word.any(USER) {
            if handler != 0 && !word.choked() {
                assert!(!word.any(FULL) || word.any(FINAL), "reading stopped, and nobody is there to go on: {word}");
                let whole = produced / self.inner.user.packet * self.inner.user.packet;
                assert_eq!(consumed, whole, "bytes were read and never handled: {word}");
            }
            if self.inner.user.keeps_open && word.any(PEER | EOF) && !word.choked() {
                assert_eq!(record.last_told, 1, "the handler was not told of the end: {word}");
            }
            if record.connected && word.any(PEER | EOF) {
                assert_eq!(record.count("disconnect"), 1, "OnDisconnect was lost: {word}");
            }
        }
        if !word.closed() && record.dropped == 0 && !word.any(ARMED) {
            assert_eq!(sent, record.flushed, "bytes were flushed and never sent: {word}");
        }
        assert!(kernel.taken <= record.flushed, "bytes were sent twice");
        assert_eq!(record.detached, record.handed_back, "who was promised the fd gets it");

        let events: Vec<_> = record.events.iter().map(|(_, event)| event.as_str()).collect();
        let mut outcome = events.join(" ");
        outcome += &format!(" | read {produced} handled {consumed}");
        if record.flushed > 0 {
            outcome += &format!(" sent {sent} of {}", record.flushed);
        }
        outcome += &format!(" del {}", kernel.dels);
        if record.handed_back > 0 {
            outcome += " handed back";
        }
        if record.rejected > 0 {
            outcome += &format!(" rejected {}", record.rejected);
        }
        for note in &record.notes {
            outcome += &format!(" {note}");
        }
        outcome + &format!(" | {word}")
    }
}
